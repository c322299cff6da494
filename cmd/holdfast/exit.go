package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"holdfast/api"
	"holdfast/client/account"
	"holdfast/client/blobs"
	"holdfast/client/contacts"
	"holdfast/client/drive"
	"holdfast/client/fleet"
	"holdfast/client/home"
	"holdfast/client/mirror"
	"holdfast/client/source"
	"holdfast/client/transfer"
	"holdfast/format/descriptor"
	"holdfast/format/journal"
	"holdfast/format/keys"
	"holdfast/format/link"
	"holdfast/format/password"
	"holdfast/format/seal"
	"holdfast/server"
)

const description = "Sends files encrypted on this machine, kept by two independent operators under different laws, as a link that carries the key. " +
	"Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 wrong or missing key or password, 5 removed or expired, 6 damaged or altered, 7 over a limit, 8 not reachable, 9 the drive is not as it was seen before."

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
	exitAlarm       = 9
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
	{drive.ErrAnswer, exitIntegrity}, {drive.ErrPins, exitIntegrity},
	{transfer.ErrIntegrity, exitIntegrity},
	{transfer.ErrAnswer, exitIntegrity},
	{blobs.ErrDamaged, exitIntegrity},
	{blobs.ErrGrant, exitIntegrity},
	{fleet.ErrNode, exitIntegrity},
	{contacts.ErrChanged, exitIntegrity}, {contacts.ErrForged, exitIntegrity}, {contacts.ErrDamaged, exitIntegrity}, {keys.ErrContact, exitIntegrity}, {errNumbers, exitIntegrity},

	{api.LinkExpired, exitGone}, {api.LinkUsedUp, exitGone}, {api.LinkRevoked, exitGone},

	{api.WrongKey, exitKey}, {api.SessionInvalid, exitKey}, {link.ErrPasswordNeeded, exitKey}, {link.ErrPasswordUnused, exitKey},
	{link.ErrNoKey, exitKey}, {link.ErrCut, exitKey}, {link.ErrChecksum, exitKey}, {link.ErrUnknown, exitKey},
	{password.ErrEmpty, exitKey}, {password.ErrLong, exitKey}, {password.ErrCharacter, exitKey}, {api.Unauthorized, exitKey},

	{account.ErrLogin, exitKey}, {account.ErrLoggedOut, exitKey}, {account.ErrKeyring, exitKey}, {api.LoginFailed, exitKey}, {api.AccountSessionOver, exitKey},
	{api.CodeNeeded, exitKey}, {api.CodeWrong, exitKey}, {keys.ErrPhraseWords, exitKey}, {keys.ErrPhraseChecksum, exitKey}, {api.NewCodeWrong, exitKey},

	{keys.ErrContactCut, exitKey}, {keys.ErrContactChecksum, exitKey}, {keys.ErrContactUnknown, exitKey},
	{contacts.ErrUnknown, exitNotFound}, {contacts.ErrNobody, exitNotFound}, {contacts.ErrFull, exitLimit}, {contacts.ErrName, exitUsage}, {contacts.ErrSelf, exitUsage},

	{api.NotFound, exitNotFound}, {api.UploadUnknown, exitNotFound}, {api.BlobUnknown, exitNotFound},
	{drive.ErrUnshared, exitGone}, {drive.ErrNotMember, exitNotFound}, {drive.ErrNotShared, exitNotFound}, {errNoInvitation, exitNotFound},
	{drive.ErrNotFound, exitNotFound}, {drive.ErrNotTrashed, exitNotFound}, {drive.ErrVersion, exitNotFound},
	{source.ErrMissing, exitNotFound}, {home.ErrUnknownSend, exitNotFound},

	{transfer.ErrLimit, exitLimit}, {api.OverLimit, exitLimit}, {api.OverQuota, exitLimit}, {api.NoCapacity, exitLimit},
	{descriptor.ErrBundle, exitLimit}, {seal.ErrLength, exitLimit}, // of a send: what comes otherwise is an integrity failure

	{blobs.ErrNoCopies, exitUnreachable}, {blobs.ErrNoCopy, exitUnreachable}, {blobs.ErrPlacement, exitUnreachable},
	{server.ErrAway, exitUnreachable}, {api.ErrUnreachable, exitUnreachable}, {api.Unavailable, exitUnreachable}, {api.NoPlacement, exitUnreachable},

	{descriptor.ErrPath, exitUsage}, {drive.ErrDepth, exitUsage}, {drive.ErrPattern, exitUsage},
	{link.ErrURL, exitUsage}, {transfer.ErrServer, exitUsage}, {transfer.ErrNotOne, exitUsage}, {keys.ErrName, exitUsage},
	{mirror.ErrFolder, exitUsage}, {mirror.ErrNotFolder, exitUsage},
}

func exitCode(err error) int {
	var usage *usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, new(*keys.WordError)):
		return exitKey
	case errors.As(err, new(*drive.Alarm)):
		return exitAlarm
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

// goesOn is a transfer that failed and of which something is kept: the same
// command goes on from there.
type goesOn struct{ err error }

func (g *goesOn) Error() string { return g.err.Error() }
func (g *goesOn) Unwrap() error { return g.err }

// explain adds to some errors what they mean here, what is safe and what to do.
func explain(err error) string {
	text := words(err)
	if errors.As(err, new(*drive.Alarm)) {
		return text + "\n" + alarmAdvice
	}
	var on *goesOn
	for _, a := range advice {
		if !errors.Is(err, a.err) {
			continue
		}
		more := a.text
		if errors.As(err, &on) {
			more = strings.TrimSpace(more + " " + a.again)
		}
		if more != "" {
			text += "\n" + more
		}
		break
	}
	return text
}

// alarmAdvice follows on an alarm.
const alarmAdvice = "Nothing was taken over or changed. Either the service lost or changed something of your drive, or somebody did in its name. Compare with another of your devices, and ask the operator before you go on."

// words is what an error says, where its own words are those of the format.
func words(err error) string {
	var file *source.Error
	switch {
	case errors.Is(err, transfer.ErrIntegrity):
	case errors.Is(err, descriptor.ErrBundle):
		return fmt.Sprintf("too many at once: a link lists %d files and folders at most, whose names and times take %s. Send them in parts, or as one archive",
			descriptor.MaxEntries, size(descriptor.MaxBundle))
	case errors.Is(err, seal.ErrLength) && errors.As(err, &file):
		return fmt.Sprintf("%s: too large: a file may have about %s at most. Send it in parts", descriptor.Display(file.Local), size(seal.MaxLength))
	}
	return err.Error()
}

// advice is what follows on some errors: text always, again where something is
// kept that the same command goes on from. The first that fits counts.
var advice = []struct {
	err         error
	text, again string
}{
	{link.ErrNoKey, "The key is the part of a link after #. Without it nobody, the server included, can open the files.", ""},
	{link.ErrPasswordNeeded, "Give it with --password-file FILE, or run this in a terminal to be asked.", ""},
	{keys.ErrContact, "Nobody was added. Somebody put another key under this account, or the code is not for this service: ask for it again, by another way.", ""},
	{journal.ErrLocked, "Its keys were changed, and the new ones have not come: ask who shares it to invite you again.", ""},
	{account.ErrLoggedOut, "Log in with: holdfast login", ""},
	{api.AccountSessionOver, "Log in again: holdfast logout, then holdfast login", ""},
	{api.CodeNeeded, "Run this in a terminal to be asked for it, or give it with --code-file.", ""},
	{api.CodeWrong, "A code works once, and for about a minute: wait for the next one, and check the clock of the device that shows it. A recovery code works as well.", ""},
	{api.NewCodeWrong, "Nothing was changed. Check the secret in the device, and the clocks.", ""},
	{api.NameTaken, "Nothing was made. Choose another name, or leave it out to be offered one.", ""},
	{api.RateLimited, "Nothing was changed.", ""},
	{api.OverQuota, "Nothing was published. 'holdfast du' shows what takes room; the trash and older versions count.", ""},
	{drive.ErrUnknown, "'holdfast ls' shows what is there.", ""},
	{api.WrongKey, "If the link has a password, check it; else copy the link again, to its very end.", ""},
	{source.ErrMissing, "Nothing was published.", ""},
	{source.ErrUnreadable, "Nothing was published.", ""},
	{api.UploadClosed, "Nothing was published. The same command begins anew.", ""},
	{blobs.ErrNoCopies, "Nothing was published.", "What was stored is kept for a day: run the same command again to go on with the rest."},
	{blobs.ErrNoCopy, "", "Nothing is lost by trying again: run the same command to go on."},
	{blobs.ErrDamaged, "Ask the sender to send it again.", ""},
	{api.NoPlacement, "Nothing was published.", "What was stored is kept for a day: run the same command again later."},
	{api.ErrUntrusted, "Nothing was sent to it. Somebody may be in the way; more often a certificate was not renewed, or a clock is wrong.", "What was transferred is kept: run the same command again to go on."},
	{api.ErrUnreachable, "Check the address and the network.", "What was transferred is kept: run the same command again to go on."},
}
