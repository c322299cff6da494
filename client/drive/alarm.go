package drive

import (
	"errors"
	"fmt"

	"holdfast/format/descriptor"
	"holdfast/format/journal"
)

// Errors of paths and operations, wrapped in an Error that names the path.
var (
	ErrNotFound   = errors.New("there is nothing of this name")
	ErrNotFolder  = errors.New("this is a file, not a folder")
	ErrIsFolder   = errors.New("this is a folder, not a file")
	ErrExists     = errors.New("there is something of this name already")
	ErrDepth      = fmt.Errorf("more than %d folders in each other", maxDepth)
	ErrRoot       = errors.New("the root itself stays where it is")
	ErrInside     = errors.New("a folder cannot go into itself")
	ErrOwner      = errors.New("these folders belong to different accounts; copy it instead, and remove it here")
	ErrTooMany    = fmt.Errorf("too much at once: at most %d files", MaxFiles)
	ErrNotTrashed = errors.New("nothing of this name is in the trash here")
	ErrVersion    = errors.New("the file has no such version")
	ErrTwice      = errors.New("two of them have the same name, or names that some systems take for the same")
	ErrReadOnly   = errors.New("you may read this folder, not change it")
	ErrPattern    = errors.New("not a pattern: a bracket or backslash is left open")
)

var (
	// ErrAnswer: the server's answer contradicts itself.
	ErrAnswer = errors.New("the server's answer does not hold together; nothing was taken from it")
	// ErrPins: what this machine remembers to have seen cannot be read.
	ErrPins = errors.New("what this machine remembers of the drive is damaged")
	// ErrUnknown: a change was sent, and no answer came back: it may have happened.
	ErrUnknown = errors.New("no answer came back, so that it is not known whether the change was made; look before you repeat it")
	// ErrBusy: others changed the same folders each time.
	ErrBusy = errors.New("others are changing the same folders all the time; nothing was changed, try again")
)

// Error is what is wrong with a path.
type Error struct {
	Path string // to the component that is at fault
	Err  error
}

// Error names the path first.
func (e *Error) Error() string { return descriptor.Display(e.Path) + ": " + e.Err.Error() }

// Unwrap gives the reason.
func (e *Error) Unwrap() error { return e.Err }

// Alarm is a fault of the drive that no honest server causes: an older state, another
// version, missing or planted entries. It names the folder by its path.
type Alarm struct {
	Path string // as it was when the folder was found last
	*journal.Alarm
}

// Error names path, entry and kind.
func (a *Alarm) Error() string {
	return "ALARM: " + descriptor.Display(a.Path) + ": the server's answer is not to be believed: " + a.Alarm.Error()
}

// Unwrap gives the journal's alarm, which is an error of its kind.
func (a *Alarm) Unwrap() error { return a.Alarm }

// named puts the folder's path to an alarm.
func (f *folder) named(err error) error {
	var alarm *journal.Alarm
	switch {
	case err == nil || errors.As(err, new(*Alarm)):
		return err
	case errors.As(err, &alarm):
		return &Alarm{f.path, alarm}
	}
	return &Error{f.path, err}
}

func (f *folder) alarm(kind journal.Kind, format string, args ...any) error {
	return &Alarm{f.path, &journal.Alarm{Folder: f.id, Kind: kind, Seq: f.seq(), Cause: fmt.Errorf(format, args...)}}
}
