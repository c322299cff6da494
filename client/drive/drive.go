// Package drive is the drive of a logged-in account (docs/protocol.md "Drive",
// docs/format.md §20 to §26): paths over folders whose journals a server keeps and
// cannot forge.
//
// It promises that everything it says of the drive was verified against the account's
// keys, the parents' journals, the account's heads and this machine's pins; that what
// does not hold is an Alarm which names folder and kind; and that a change of several
// folders, with the upload that it refers to, happens whole or not at all, also where
// other devices write at once. It moves no content and prints nothing.
package drive

import (
	"context"
	"errors"

	"holdfast/api"
	"holdfast/client/account"
	"holdfast/client/home"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/journal"
)

// Item is a file or folder at a path.
type Item struct {
	Path   string         // from the root, without a slash at its end; "/" is the root
	Folder id.Folder      // in which it lies; zero for the root
	Entry  *journal.Entry // nil for the root
	Self   id.Folder      // of a folder: its own id
}

// IsFolder tells whether it is a folder.
func (i Item) IsFolder() bool { return i.Entry == nil || i.Entry.IsFolder() }

// Descriptor describes a file or folder; the root has none.
func (i Item) Descriptor() *descriptor.Descriptor {
	if i.Entry == nil {
		return nil
	}
	return i.Entry.Descriptor
}

// NewFile is a file to put.
type NewFile struct {
	Folder string // path of the folder it goes into, which is made if need be
	// Descriptor is the file's; its Path is the name, and it has no versions. A live
	// file of that name gets it as its newest version.
	Descriptor descriptor.Descriptor
}

// MaxFiles is how many files one Put takes at most: so many fit one commit whatever
// their names are.
const MaxFiles = 4096

// Result is what became of a change.
type Result struct {
	Copies  []api.Node // where the upload's blobs stand, if there was one
	Notices []Notice   // what others' changes made of it
}

// Notice tells what became of one part of a change because of what others did
// meanwhile.
type Notice struct {
	Path string // of the folder
	journal.Notice
}

// Drive is the drive of one account. Its methods may be called by several goroutines;
// they wait for each other.
type Drive struct{}

var errLater = errors.New("drive: not built yet")

// Open opens an account's drive. It asks the server nothing.
func Open(a account.Access, dir home.Dir, caller api.Caller) (*Drive, error) { return nil, errLater }

// Resolve finds what is at a path.
func (d *Drive) Resolve(ctx context.Context, path string) (Item, error) { return Item{}, errLater }

// List are the live entries of a folder, sorted by name as bytes.
func (d *Drive) List(ctx context.Context, path string) ([]Item, error) { return nil, errLater }

// Walk calls do for what is at a path and for everything live below it: a folder
// before what is in it, siblings by name. It reads folders in batches.
func (d *Drive) Walk(ctx context.Context, path string, do func(Item) error) error { return errLater }

// Glob finds what fits a pattern: path.Match for each component, ** for any number of
// folders. A component that is the name of something stands for itself.
func (d *Drive) Glob(ctx context.Context, pattern string) ([]Item, error) { return nil, errLater }

// Mkdir makes folders. With parents it makes those above them too, and what is there
// already is good.
func (d *Drive) Mkdir(ctx context.Context, paths []string, parents bool) (Result, error) {
	return Result{}, errLater
}

// Remove puts files and folders into the trash of the folders in which they lie.
func (d *Drive) Remove(ctx context.Context, paths []string) (Result, error) {
	return Result{}, errLater
}

// Put puts files, MaxFiles at most, in one commit that closes the upload of their
// contents; without an upload their revisions must be such that the drive holds.
func (d *Drive) Put(ctx context.Context, files []NewFile, upload *api.DriveUpload) (Result, error) {
	return Result{}, errLater
}
