package httpapi

import (
	"context"
	"errors"
	"strings"

	"holdfast/api"
	"holdfast/server/internal/account"
	"holdfast/server/internal/bucket"
	"holdfast/server/internal/drive"
	"holdfast/server/internal/fleet"
	"holdfast/server/internal/message"
	"holdfast/server/internal/placement"
	"holdfast/server/internal/share"
	"holdfast/server/internal/store"
	"holdfast/server/internal/upload"
)

// codes is the one table from the domains' errors to the protocol's codes. The
// first that matches counts.
var codes = []struct {
	err  error
	code api.Code
}{
	{upload.ErrUnknown, api.UploadUnknown},
	{upload.ErrSecret, api.Unauthorized},
	{upload.ErrClosed, api.UploadClosed},
	{upload.ErrQuota, api.OverQuota},
	{upload.ErrOverLimit, api.OverLimit},
	{upload.ErrNoCapacity, api.NoCapacity},
	{upload.ErrConflict, api.CommitConflict},
	{upload.ErrPageMissing, api.PageMissing},
	{upload.ErrReceiptsMissing, api.ReceiptsMissing},
	{upload.ErrReceipt, api.ReceiptInvalid},
	{upload.ErrRevision, api.RevisionInvalid},
	{upload.ErrLinkExists, api.LinkExists},
	{upload.ErrRequest, api.BadRequest},
	{placement.ErrNoPlacement, api.NoPlacement},
	{share.ErrNotFound, api.NotFound},
	{share.ErrWrongKey, api.WrongKey},
	{share.ErrManage, api.Unauthorized},
	{share.ErrExpired, api.LinkExpired},
	{share.ErrUsedUp, api.LinkUsedUp},
	{share.ErrRevoked, api.LinkRevoked},
	{share.ErrSession, api.SessionInvalid},
	{share.ErrSpec, api.BadRequest},
	{share.ErrOverLimit, api.OverLimit},
	{share.ErrRequest, api.BadRequest},
	{account.ErrTaken, api.NameTaken},
	{account.ErrExists, api.BadRequest},
	{account.ErrLogin, api.LoginFailed},
	{account.ErrSession, api.AccountSessionOver},
	{account.ErrStep, api.StepInvalid},
	{account.ErrWork, api.WorkInvalid},
	{account.ErrCodeNeeded, api.CodeNeeded},
	{account.ErrCode, api.CodeWrong},
	{account.ErrNewCode, api.NewCodeWrong},
	{account.ErrNoFactor, api.NoFactor},
	{account.ErrNoAccount, api.NotFound},
	{account.ErrUnknown, api.AccountSessionOver}, // erased meanwhile
	{account.ErrRequest, api.BadRequest},
	{message.ErrUnknown, api.NotFound},
	{message.ErrFull, api.OverLimit},
	{message.ErrRequest, api.BadRequest},
	{drive.ErrNotFound, api.NotFound},
	{drive.ErrRole, api.RoleTooLow},
	{drive.ErrHeadMoved, api.HeadMoved},
	{drive.ErrEntry, api.EntryInvalid},
	{drive.ErrGrant, api.GrantInvalid},
	{drive.ErrRevisionUnknown, api.RevisionUnknown},
	{drive.ErrFolderExists, api.FolderExists},
	{drive.ErrMisplaced, api.FolderMisplaced},
	{drive.ErrPageMissing, api.PageMissing},
	{drive.ErrOverLimit, api.OverLimit},
	{drive.ErrConflict, api.CommitConflict},
	{drive.ErrRequest, api.BadRequest},
	{fleet.ErrInvite, api.InviteInvalid},
	{fleet.ErrDeclaration, api.DeclarationInvalid},
	{fleet.ErrUnknownNode, api.NodeUnknown},
	{fleet.ErrHeartbeat, api.HeartbeatInvalid},
	{store.ErrBusy, api.Unavailable},
	{store.ErrAway, api.Unavailable},
	{store.ErrReadOnly, api.Unavailable},
	{context.DeadlineExceeded, api.Unavailable},
	{context.Canceled, api.Unavailable},
}

// busyWait is what is asked of callers when the server is too busy, in seconds.
const busyWait = 5

// problem turns an error of a domain into a problem. What is in no table stays
// as it is: it is logged, and the caller learns nothing of it.
func problem(err error) error {
	if err == nil {
		return nil
	}
	var limited *bucket.LimitedError
	if errors.As(err, &limited) {
		p := api.NewProblem(api.RateLimited, "Wait %d seconds, then try again.", limited.Seconds())
		p.RetryAfter = limited.Seconds()
		return p
	}
	for _, row := range codes {
		if !errors.Is(err, row.err) {
			continue
		}
		if row.code == api.Unavailable {
			p := api.NewProblem(api.Unavailable, "%s", unavailable(err))
			p.RetryAfter = busyWait
			return p
		}
		return api.NewProblem(row.code, "%s", detail(err, row.err))
	}
	return err
}

// unavailable says why, as far as callers are concerned; the operator's log says more.
func unavailable(err error) string {
	switch {
	case errors.Is(err, store.ErrAway):
		return "The server's database does not answer; try again in a moment."
	case errors.Is(err, store.ErrReadOnly):
		return "The server's database takes no writes at present; nothing was changed. Try again later."
	}
	return "The server is busy; try again in a moment."
}

// detail is what an error says beyond its kind, which is the problem's title,
// and beyond the operation that it begins with, which the caller knows. It is
// empty where that is nothing.
func detail(err, kind error) string {
	before, after, found := strings.Cut(err.Error(), kind.Error())
	if !found {
		before, after = "", err.Error()
	} else if _, where, ok := strings.Cut(before, ": "); ok {
		before = where
	}
	var parts []string
	for _, part := range []string{before, after} {
		if part = strings.Trim(part, ":; "); part != "" {
			parts = append(parts, part)
		}
	}
	text := strings.Join(parts, ": ")
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
