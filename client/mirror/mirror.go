// Package mirror brings files of this machine into the drive, and back: it compares
// trees, so that what is the same is left alone, and moves the rest in batches, each an
// upload and a commit of its own. It promises that a repeated call goes on where the
// one before it ended, and that what it replaces or removes in the drive can be had
// back: as an older version, or from the trash. It prints nothing.
package mirror

import (
	"context"
	"errors"
	"fmt"

	"holdfast/api"
	"holdfast/client/drive"
	"holdfast/client/fleet"
	"holdfast/client/source"
	"holdfast/client/transfer"
	"holdfast/format/descriptor"
)

// Errors of this package.
var (
	// ErrFolder: a folder is to be put, and nobody said so.
	ErrFolder = errors.New("is a folder; put it with -r")
	// ErrNotFolder: what is to be synced is no folder.
	ErrNotFolder = errors.New("is not a folder; put takes files")
	// ErrKind: a file here and a folder there, or the other way round.
	ErrKind = errors.New("is a folder on one side and a file on the other; nothing was changed. Move one of them away")
	// ErrRestless: files changed or went away while they were read, each time.
	ErrRestless = errors.New("changes while it is read, or went away; everything else was stored. The same command tries again")
	// ErrClash: two things to fetch have one name.
	ErrClash = errors.New("two of the things to get have the same name; get them apart")
)

// Error is what is wrong with a path.
type Error struct {
	Path string
	Err  error
}

// Error names the path as it may be shown.
func (e *Error) Error() string { return fmt.Sprintf("%s: %v", descriptor.Display(e.Path), e.Err) }

// Unwrap gives the reason.
func (e *Error) Unwrap() error { return e.Err }

// Paths is what is needed of a *drive.Drive.
type Paths interface {
	Resolve(ctx context.Context, path string) (drive.Item, error)
	Glob(ctx context.Context, pattern string) ([]drive.Item, error)
	Walk(ctx context.Context, path string, do func(drive.Item) error) error
	Mkdir(ctx context.Context, paths []string, parents bool) (drive.Result, error)
	Remove(ctx context.Context, paths []string) (drive.Result, error)
	Put(ctx context.Context, files []drive.NewFile, upload *api.DriveUpload) (drive.Result, error)
}

// Mirror is a drive with its contents.
type Mirror struct {
	Paths    Paths
	Contents *transfer.Drive
}

// Kind is what is done to something in the drive.
type Kind string

// Kinds of changes.
const (
	New     Kind = "new"
	Changed Kind = "changed"    // what it was becomes an older version
	Marked  Kind = "marked"     // only whether it can be run: no content is moved
	Made    Kind = "folder"     // a folder that is to be there, though nothing is in it
	Removed Kind = "removed"    // into the trash
	Renamed Kind = "renumbered" // new, under a number: its name clashes with another one here
)

// Change is what is done to one file or folder of the drive.
type Change struct {
	Kind  Kind
	Path  string // in the drive
	Local string
	Bytes int64

	entry source.Entry
	item  *drive.Item // what is there; nil for what is new
	first bool        // removed before anything else: what is put there is of the other kind
}

// Changes are what is to be done, in the order in which it is done.
type Changes struct {
	All       []Change
	Unchanged int64
	Skipped   []source.Skipped
	// Files are to be stored, of Bytes bytes, which take Stored at each node.
	Files, Bytes, Stored int64
}

// Done is what became of it.
type Done struct {
	Changes
	Commits int
	Nodes   []fleet.Node // that hold what was stored
	Notices []drive.Notice

	left []Change // files that were not what they had been when they were read
}
