// Package source finds out what is to be sent: files and folders as they stand
// on this machine, with what identifies them, so that a file that changes while
// it is read, or between two tries, is noticed. It follows no symbolic link and
// reads no special file; it reports them. It knows no network and no keys.
package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"holdfast/format/descriptor"
)

// Errors of this package.
var (
	// ErrMissing: there is no such file.
	ErrMissing = errors.New("there is no such file or folder")
	// ErrUnreadable: the file may not be read, or reading failed.
	ErrUnreadable = errors.New("cannot be read")
	// ErrChanged: the file is not what it was when the send began.
	ErrChanged = errors.New("changed while it was read; nothing was published. Send it again once it rests")
	// ErrName: a name that cannot be carried to other systems.
	ErrName = errors.New("has a name that cannot be sent; rename it")
	// ErrDeep: below more folders than a bundle allows.
	ErrDeep = fmt.Errorf("lies more than %d folders deep; send the folders in it, or one archive of all", descriptor.MaxDepth-1)
	// ErrClash: two things to send would have one name.
	ErrClash = errors.New("two of the things to send have the same name; send them apart, or rename one")
	// ErrNothing: nothing is left to send.
	ErrNothing = errors.New("nothing to send")
)

// Error is an error about one file.
type Error struct {
	Local string
	Err   error
}

// Error names the file as it may be shown.
func (e *Error) Error() string { return fmt.Sprintf("%s: %v", descriptor.Display(e.Local), e.Err) }

// Unwrap gives the reason.
func (e *Error) Unwrap() error { return e.Err }

// Stamp is what tells one state of a file from another. A file system without
// inode numbers or change times leaves those zero.
type Stamp struct {
	Size       int64  `json:"size"`
	ModTime    int64  `json:"mtime"` // nanoseconds since 1970
	Device     uint64 `json:"dev,omitempty"`
	Inode      uint64 `json:"ino,omitempty"`
	ChangeTime int64  `json:"ctime,omitempty"` // nanoseconds; nobody can set it back
	Executable bool   `json:"exec,omitempty"`
}

// Reason says why something is skipped.
type Reason string

// Reasons.
const (
	Symlink Reason = "a symbolic link; links are not followed"
	Special Reason = "neither a file nor a folder"
)

// Skipped is something in a folder that is not sent.
type Skipped struct {
	Local  string
	Reason Reason
}

// Entry is a file or folder to send.
type Entry struct {
	// Path is what it is called in the bundle, components separated by slashes.
	Path string
	// Local is where it stands here, absolute.
	Local  string
	Folder bool
	Stamp
}

// Tree is all that is to be sent, sorted by path.
type Tree struct {
	Entries []Entry
	Skipped []Skipped
}

// Single is the one file of a send of one file, or nil.
func (t Tree) Single() *Entry {
	if len(t.Entries) == 1 && !t.Entries[0].Folder {
		return &t.Entries[0]
	}
	return nil
}

// Open opens the file for reading. It fails with ErrChanged if something else
// stands there than when the tree was walked.
func (e Entry) Open() (*os.File, error) {
	f, err := os.OpenFile(e.Local, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, &Error{e.Local, reason(err)}
	}
	if err := e.Unchanged(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Unchanged fails with ErrChanged if the open file is not what was walked. Time
// of change is not looked at: it moves with the number of hard links too.
func (e Entry) Unchanged(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return &Error{e.Local, reason(err)}
	}
	now := stamp(info)
	if !info.Mode().IsRegular() || now.Size != e.Size || now.ModTime != e.ModTime || now.Inode != e.Inode || now.Device != e.Device {
		return &Error{e.Local, ErrChanged}
	}
	return nil
}

func stamp(info fs.FileInfo) Stamp {
	s := Stamp{Size: info.Size(), ModTime: info.ModTime().UnixNano(), Executable: info.Mode()&0o100 != 0}
	fillStamp(&s, info)
	return s
}

// reason keeps the cause without the path, which Error states.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return ErrMissing
	}
	return fmt.Errorf("%w (%w)", ErrUnreadable, err)
}

// Of is the stamp of a file.
func Of(info fs.FileInfo) Stamp { return stamp(info) }
