package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"

	"holdfast/api"
	"holdfast/client/blobs"
	"holdfast/client/drive"
	"holdfast/client/home"
	"holdfast/client/source"
	"holdfast/client/target"
	"holdfast/client/transfer"
	"holdfast/format/descriptor"
	"holdfast/format/journal"
	"holdfast/format/link"
	"holdfast/format/seal"
)

func TestExitCodes(t *testing.T) {
	problem := func(code api.Code) error {
		return &api.CallError{Operation: "lookLink", Err: api.NewProblem(code, "detail")}
	}
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"done":                          {nil, 0},
		"something":                     {errors.New("x"), 1},
		"stopped":                       {stopped("stopped"), 1},
		"file exists":                   {&target.Error{Path: "x", Err: target.ErrExists}, 1},
		"disk full":                     {&target.Error{Path: "x", Err: target.ErrFull}, 1},
		"file changed":                  {&source.Error{Local: "x", Err: source.ErrChanged}, 1},
		"another process":               {home.ErrBusy, 1},
		"receipts missing":              {problem(api.ReceiptsMissing), 1},
		"usage":                         {usagef("x"), 2},
		"no link":                       {link.ErrURL, 2},
		"several files to one":          {transfer.ErrNotOne, 2},
		"unknown handle":                {problem(api.NotFound), 3},
		"unknown upload":                {problem(api.UploadUnknown), 3},
		"blob lost everywhere":          {errors.Join(blobs.ErrNoCopy, problem(api.BlobUnknown)), 3},
		"file missing":                  {&source.Error{Local: "x", Err: source.ErrMissing}, 3},
		"never sent from here":          {home.ErrUnknownSend, 3},
		"wrong key":                     {problem(api.WrongKey), 4},
		"session over":                  {problem(api.SessionInvalid), 4},
		"cut":                           {fmt.Errorf("%w (51)", link.ErrCut), 4},
		"without key":                   {link.ErrNoKey, 4},
		"password needed":               {link.ErrPasswordNeeded, 4},
		"expired":                       {problem(api.LinkExpired), 5},
		"used up":                       {problem(api.LinkUsedUp), 5},
		"revoked":                       {problem(api.LinkRevoked), 5},
		"not what was shared":           {fmt.Errorf("%w: %w", transfer.ErrIntegrity, seal.ErrCommitment), 6},
		"the server contradicts itself": {transfer.ErrAnswer, 6},
		"all copies damaged":            {fmt.Errorf("x: %w", blobs.ErrDamaged), 6},
		"too much":                      {problem(api.OverLimit), 7},
		"no room":                       {problem(api.NoCapacity), 7},
		"more days than allowed":        {transfer.ErrLimit, 7},
		"too many entries":              {fmt.Errorf("%w: 300000 entries", descriptor.ErrBundle), 7},
		"a file too large":              {&source.Error{Local: "x", Err: fmt.Errorf("%w: 9", seal.ErrLength)}, 7},
		"a stream too short":            {fmt.Errorf("%w: %w", transfer.ErrIntegrity, seal.ErrLength), 6},
		"a list that is none":           {fmt.Errorf("%w: %w", transfer.ErrIntegrity, descriptor.ErrBundle), 6},
		"no answer":                     {api.ErrUnreachable, 8},
		"a certificate in vain":         {fmt.Errorf("x: %w", api.Unreachable(x509.UnknownAuthorityError{Cert: &x509.Certificate{}})), 8},
		"no placement":                  {problem(api.NoPlacement), 8},
		"no two nodes":                  {fmt.Errorf("x: %w", blobs.ErrNoCopies), 8},
		"no copy":                       {blobs.ErrNoCopy, 8},
		"a drive that goes back":        {fmt.Errorf("x: %w", &drive.Alarm{Path: "/a", Alarm: &journal.Alarm{Kind: journal.Rollback}}), 9},
		"an alarm with a lost answer":   {errors.Join(&drive.Alarm{Path: "/a", Alarm: &journal.Alarm{Kind: journal.Missing}}, api.ErrUnreachable), 9},
		"nothing of this name":          {&drive.Error{Path: "/a", Err: drive.ErrNotFound}, 3},
		"nothing in the trash":          {&drive.Error{Path: "/a", Err: drive.ErrNotTrashed}, 3},
		"a path that is none":           {&drive.Error{Path: "/..", Err: descriptor.ErrPath}, 2},
		"over quota":                    {problem(api.OverQuota), 7},
		"nobody knows":                  {fmt.Errorf("%w: %w", drive.ErrUnknown, api.ErrUnreachable), 8},
		"damaged pins":                  {drive.ErrPins, 6},
	} {
		t.Run(name, func(t *testing.T) {
			if have := exitCode(c.err); have != c.want {
				t.Errorf("have %d, want %d", have, c.want)
			}
		})
	}
}

func TestMessagesSayWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		err        error
		want, lack string
	}{
		"calls are not named":  {&api.CallError{Operation: "startSession", Err: api.NewProblem(api.LinkRevoked, "")}, "revoked", "startSession"},
		"nor in the middle":    {fmt.Errorf("a.txt: %w", &api.CallError{Operation: "getExtents", Err: api.NewProblem(api.LinkExpired, "")}), "a.txt: This link has expired", "getExtents"},
		"file names are kept":  {&target.Error{Path: "notesOld", Err: target.ErrExists}, "notesOld: exists already", ""},
		"wrong key":            {api.NewProblem(api.WrongKey, ""), "copy the link again", ""},
		"no answer":            {&goesOn{api.ErrUnreachable}, "run the same command again", ""},
		"none from the start":  {api.ErrUnreachable, "Check the address", "again"},
		"nothing could be put": {&goesOn{blobs.ErrNoCopies}, "kept for a day", ""},
		"none put from a pipe": {blobs.ErrNoCopies, "Nothing was published", "kept"},
		"closed":               {api.NewProblem(api.UploadClosed, ""), "begins anew", "kept"},
		"too many":             {fmt.Errorf("%w: 300000 entries", descriptor.ErrBundle), "Send them in parts", "descriptor"},
		"an alarm":             {&drive.Alarm{Path: "/a\x1bb", Alarm: &journal.Alarm{Kind: journal.Rollback}}, `/a\u{1B}b`, "\x1b"},
		"what to do then":      {&drive.Alarm{Path: "/a", Alarm: &journal.Alarm{Kind: journal.Fork}}, "ask the operator before you go on", ""},
		"too large":            {&source.Error{Local: "big", Err: seal.ErrLength}, "big: too large", "stream"},
	} {
		t.Run(name, func(t *testing.T) {
			have := explain(c.err)
			if !strings.Contains(have, c.want) || c.lack != "" && strings.Contains(have, c.lack) {
				t.Errorf("%s", have)
			}
		})
	}
	if !errors.Is(stopped("x"), context.Canceled) {
		t.Error("a stopped transfer is not known as one")
	}
}
