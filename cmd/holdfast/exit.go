package main

import (
	"context"
	"errors"
	"fmt"

	"holdfast/api"
	"holdfast/client/blobs"
	"holdfast/client/fleet"
	"holdfast/client/home"
	"holdfast/client/source"
	"holdfast/client/transfer"
	"holdfast/format/link"
	"holdfast/format/password"
)

const description = "Sends files encrypted on this machine, kept by two independent operators under different laws, as a link that carries the key. " +
	"Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 wrong or missing key or password, 5 removed or expired, 6 damaged or altered, 7 over a limit, 8 not reachable."

// Exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitKey         = 4
	exitGone        = 5
	exitIntegrity   = 6
	exitLimit       = 7
	exitUnreachable = 8
)

// usageError is a command line that is not understood.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// codes is the one table from errors to exit codes; the first that fits counts.
var codes = []struct {
	err  error
	code int
}{
	{transfer.ErrIntegrity, exitIntegrity},
	{transfer.ErrAnswer, exitIntegrity},
	{blobs.ErrDamaged, exitIntegrity},
	{blobs.ErrGrant, exitIntegrity},
	{fleet.ErrNode, exitIntegrity},

	{api.LinkExpired, exitGone}, {api.LinkUsedUp, exitGone}, {api.LinkRevoked, exitGone},

	{api.WrongKey, exitKey}, {api.SessionInvalid, exitKey}, {link.ErrPasswordNeeded, exitKey}, {link.ErrPasswordUnused, exitKey},
	{link.ErrNoKey, exitKey}, {link.ErrCut, exitKey}, {link.ErrChecksum, exitKey}, {link.ErrUnknown, exitKey},
	{password.ErrEmpty, exitKey}, {password.ErrLong, exitKey}, {password.ErrCharacter, exitKey}, {api.Unauthorized, exitKey},

	{api.NotFound, exitNotFound}, {api.UploadUnknown, exitNotFound}, {api.BlobUnknown, exitNotFound},
	{source.ErrMissing, exitNotFound}, {home.ErrUnknownSend, exitNotFound},

	{transfer.ErrLimit, exitLimit}, {api.OverLimit, exitLimit}, {api.NoCapacity, exitLimit},

	{blobs.ErrNoCopies, exitUnreachable}, {blobs.ErrNoCopy, exitUnreachable}, {blobs.ErrPlacement, exitUnreachable},
	{api.ErrUnreachable, exitUnreachable}, {api.Unavailable, exitUnreachable}, {api.NoPlacement, exitUnreachable},

	{link.ErrURL, exitUsage}, {transfer.ErrServer, exitUsage}, {transfer.ErrNotOne, exitUsage},
}

func exitCode(err error) int {
	var usage *usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		return exitUsage
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return exitFailed
}

// stopped is a transfer that a person stopped: it says what is left of it.
type stopped string

func (s stopped) Error() string { return string(s) }
func (stopped) Unwrap() error   { return context.Canceled }

// fail tells what went wrong and returns the exit code.
func fail(err error) int {
	var known stopped
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, context.Canceled) && !errors.As(err, &known):
		err = stopped("stopped")
	}
	tell("holdfast: " + explain(err))
	return exitCode(err)
}

// explain adds to some errors what they mean here, what is safe and what to do.
func explain(err error) string {
	text := err.Error()
	for _, a := range advice {
		if errors.Is(err, a.err) {
			return text + "\n" + a.text
		}
	}
	return text
}

var advice = []struct {
	err  error
	text string
}{
	{link.ErrNoKey, "The key is the part of a link after #. Without it nobody, the server included, can open the files."},
	{link.ErrPasswordNeeded, "Give it with --password-file FILE, or run this in a terminal to be asked."},
	{api.WrongKey, "If the link has a password, check it; else copy the link again, to its very end."},
	{source.ErrMissing, "Nothing was sent."},
	{source.ErrUnreadable, "Nothing was published."},
	{blobs.ErrNoCopies, "What was stored is kept for a day: run the same command again to go on with the rest."},
	{blobs.ErrNoCopy, "Nothing is lost by trying again: run the same command to go on."},
	{blobs.ErrDamaged, "Ask the sender to send it again."},
	{api.NoPlacement, "Nothing was published. What was stored is kept for a day: run the same command again later."},
	{api.ErrUnreachable, "Check the address and the network. What was transferred is kept: run the same command again to go on."},
}
