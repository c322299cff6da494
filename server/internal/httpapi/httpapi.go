// Package httpapi answers the server's endpoints: it turns requests into calls of
// the domains and their errors into problems. It promises that every request has
// a body limit and a time-out, that a fault in one request never ends the
// program, and that nothing about callers (addresses, agents, queries, secrets)
// is logged. It decides nothing.
package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"holdfast/api"
	"holdfast/server/internal/account"
	"holdfast/server/internal/drive"
	"holdfast/server/internal/fleet"
	"holdfast/server/internal/message"
	"holdfast/server/internal/share"
	"holdfast/server/internal/upload"
)

// Fleet is what endpoints want of the fleet.
type Fleet interface {
	Join(ctx context.Context, invite, declaration string) (fleet.Joined, error)
	Heartbeat(ctx context.Context, heartbeat string, receipts []string) (fleet.Answer, error)
	Serving(ctx context.Context) ([]api.Node, error)
	Origins(ctx context.Context) (version string, origins []string, err error)
}

// Config is what the endpoints call. All fields are required.
type Config struct {
	Uploads  *upload.Service
	Links    *share.Service
	Accounts *account.Service
	Messages *message.Service
	Drives   *drive.Service
	Fleet    Fleet
	Software string
	Log      *slog.Logger
}

// server has one method per endpoint.
type server struct {
	Config
}

// New returns the handler for everything under /api/.
func New(cfg Config) http.Handler {
	s := &server{cfg}
	mux := http.NewServeMux()
	api.GetInfo.Handle(mux, s.failed, s.getInfo)
	api.OpenUpload.Handle(mux, s.failed, s.openUpload)
	api.GetUpload.Handle(mux, s.failed, s.getUpload)
	api.ExtendUpload.HandleAdmitted(mux, s.failed, s.owner, s.extendUpload)
	api.StagePage.HandleAdmitted(mux, s.failed, s.owner, s.stagePage)
	api.CommitUpload.HandleAdmitted(mux, s.failed, s.owner, s.commitUpload)
	api.AbandonUpload.Handle(mux, s.failed, s.abandonUpload)
	api.LookLink.Handle(mux, s.failed, s.lookLink)
	api.StartSession.Handle(mux, s.failed, s.startSession)
	api.GetRevisions.Handle(mux, s.failed, s.getRevisions)
	api.GetExtents.Handle(mux, s.failed, s.getExtents)
	api.LinkStatus.Handle(mux, s.failed, s.linkStatus)
	api.RevokeLink.Handle(mux, s.failed, s.revokeLink)
	api.BeginSignUp.Handle(mux, s.failed, s.beginSignUp)
	api.SignUp.Handle(mux, s.failed, s.signUp)
	api.BeginLogin.Handle(mux, s.failed, s.beginLogin)
	api.Login.Handle(mux, s.failed, s.login)
	api.BeginRecovery.Handle(mux, s.failed, s.beginRecovery)
	api.Recover.Handle(mux, s.failed, s.recover)
	api.GetAccount.Handle(mux, s.failed, s.getAccount)
	api.EndSession.Handle(mux, s.failed, s.endSession)
	api.BeginPassword.Handle(mux, s.failed, s.beginPassword)
	api.ChangePassword.Handle(mux, s.failed, s.changePassword)
	api.EndOthers.Handle(mux, s.failed, s.endOthers)
	api.RenameAccount.Handle(mux, s.failed, s.renameAccount)
	api.SetFactor.Handle(mux, s.failed, s.setFactor)
	api.SetCodes.Handle(mux, s.failed, s.setCodes)
	api.DropFactor.Handle(mux, s.failed, s.dropFactor)
	api.ExportAccount.Handle(mux, s.failed, s.exportAccount)
	api.EraseAccount.Handle(mux, s.failed, s.eraseAccount)
	api.GetIdentity.Handle(mux, s.failed, s.getIdentity)
	api.SendMessage.Handle(mux, s.failed, s.sendMessage)
	api.ListMessages.Handle(mux, s.failed, s.listMessages)
	api.DropMessage.Handle(mux, s.failed, s.dropMessage)
	api.OpenDriveUpload.Handle(mux, s.failed, s.openDriveUpload)
	api.ReadFolders.Handle(mux, s.failed, s.readFolders)
	api.ReadCheckpoint.Handle(mux, s.failed, s.readCheckpoint)
	api.KeepCheckpoint.HandleAdmitted(mux, s.failed, s.member, s.keepCheckpoint)
	api.CommitDrive.HandleAdmitted(mux, s.failed, s.member, s.commitDrive)
	api.FolderRevisions.HandleAdmitted(mux, s.failed, s.member, s.folderRevisions)
	api.FolderExtents.Handle(mux, s.failed, s.folderExtents)
	api.GetDrive.Handle(mux, s.failed, s.getDrive)
	api.FolderGrants.Handle(mux, s.failed, s.folderGrants)
	api.ShareDrive.HandleAdmitted(mux, s.failed, s.member, s.shareDrive)
	api.ListDriveLinks.Handle(mux, s.failed, s.listDriveLinks)
	api.UnlinkDrive.Handle(mux, s.failed, s.unlinkDrive)
	api.LinkFolders.Handle(mux, s.failed, s.linkFolders)
	api.LinkCheckpoint.Handle(mux, s.failed, s.linkCheckpoint)
	api.JoinNode.Handle(mux, s.failed, s.joinNode)
	api.Heartbeat.Handle(mux, s.failed, s.heartbeat)
	return Guard(s.Log, safe(known(mux)))
}

// safe says of every answer that it is data for the service's own pages, to be
// shown, run, framed and kept nowhere.
func safe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// failed notes an error that callers are not told.
func (s *server) failed(endpoint string, err error) {
	s.Log.Error("request failed", "endpoint", endpoint, "error", err)
}

// known answers for paths and methods that no endpoint has. The mux would do so
// in plain text.
func known(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		var allowed []string
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
			other := r.Clone(r.Context())
			other.Method = method
			if _, pattern := mux.Handler(other); pattern != "" {
				allowed = append(allowed, method)
			}
		}
		if len(allowed) == 0 {
			api.WriteProblem(w, api.NewProblem(api.NotFound, "No endpoint has this path; docs/openapi.json lists all."))
			return
		}
		for _, method := range allowed {
			w.Header().Add("Allow", method)
		}
		api.WriteProblem(w, api.NewProblem(api.MethodNotAllowed, "This path takes %s.", allowed))
	})
}

// Guard answers for a handler that panicked. The stack is logged: it has no
// values of strings.
func Guard(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			fault := recover()
			if fault == nil {
				return
			}
			if fault == http.ErrAbortHandler {
				panic(fault)
			}
			log.Error("request panicked", "kind", fmt.Sprintf("%T", fault), "stack", string(debug.Stack()))
			api.WriteProblem(w, api.NewProblem(api.Internal, "The fault has been noted; try again in a while."))
		}()
		next.ServeHTTP(w, r)
	})
}
