package drive

import (
	"context"

	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/server/internal/share"
	"holdfast/server/internal/upload"
)

// Store keeps drives. Every method is atomic; those that write are durable when they
// return. storetest.Drives checks implementations.
type Store interface {
	// ReadDrive runs f on one state of the store, as the account sees it.
	ReadDrive(ctx context.Context, account id.Account, f func(Reader) error) error
	// CommitDrive runs f in one transaction. Everything that f does, and nothing else,
	// is there when it returns nil; after an error nothing is. f may run again.
	CommitDrive(ctx context.Context, account id.Account, f func(Tx) error) error
	// ReadLink and EndLink are share.Store's.
	ReadLink(ctx context.Context, handle id.Handle, f func(share.Link, share.Reader) error) error
	EndLink(ctx context.Context, handle id.Handle, state share.State, day int64) error
	// ReadLinkFolders is ReadLink with a Reader of the link's folder and all below it, in
	// which its caller is a reader. It is nil for links that open no folder.
	ReadLinkFolders(ctx context.Context, handle id.Handle, f func(share.Link, share.Reader, Reader) error) error
	// DropFolders does up to limit parts of removing what lay in folders that were
	// dropped, on that day, and returns how many it did.
	DropFolders(ctx context.Context, day int64, limit int) (int, error)
	// DropPages removes pages that no entry names and that were kept before that day.
	DropPages(ctx context.Context, before int64, limit int) (int, error)
	// ForgetAnswers drops answers of commits before that day.
	ForgetAnswers(ctx context.Context, before int64, limit int) (int, error)
}

// Reader sees one state.
type Reader interface {
	// Folder tells of a folder whose id is or was used; known is false for any other.
	Folder(ctx context.Context, folder id.Folder) (f Folder, known bool, err error)
	// Answer is the account's answer to a commit of that key.
	Answer(ctx context.Context, key id.Commit) (a Answer, known bool, err error)
	// Entries of a folder after a seq, in sequence, up to room bytes; one at least if
	// must is set and there is one.
	Entries(ctx context.Context, f Folder, after, room int64, must bool) ([][]byte, error)
	// Checkpoint is the seq of the entry that names the folder's newest checkpoint, and
	// the hashes of its pages; 0 if there is none.
	Checkpoint(ctx context.Context, f Folder) (seq int64, pages []journal.Hash, err error)
	// Page of a checkpoint, or ErrNotFound.
	Page(ctx context.Context, f Folder, hash journal.Hash) ([]byte, error)
	// Grants on the folder itself that stand, up to limit.
	Grants(ctx context.Context, f Folder, limit int) ([][]byte, error)
	// Granted are the grants for the account in others' drives, the newest first, of
	// folders that lie in a root.
	Granted(ctx context.Context, limit int) ([]Granted, error)
	Usage(ctx context.Context) (Usage, error)
	// Links that the account made and that have not ended, the newest first, up to limit.
	Links(ctx context.Context, limit int) ([]OwnLink, error)
	// Revisions that the folder holds.
	Revisions(f Folder) share.Source
}

// Tx is what a commit does.
type Tx interface {
	// Take holds the account's drive, which it makes if need be (account.ErrUnknown if
	// there is no such account), and those in which the
	// folders lie, until the transaction ends: nothing in them changes meanwhile. Called
	// once, before everything else. Folders whose ids were never used are left out.
	Take(ctx context.Context, folders []id.Folder) (own int64, found map[id.Folder]Folder, err error)
	// Answer is as Reader's.
	Answer(ctx context.Context, key id.Commit) (a Answer, known bool, err error)
	// Upload is an upload as it stands, with what a commit of it does.
	Upload(ctx context.Context, id id.Upload) (upload.Upload, upload.Tx, error)

	// AddFolder adds a folder without entries to a drive, as a root until it is placed.
	// It fails with ErrFolderExists if the id was ever used.
	AddFolder(ctx context.Context, drive int64, folder id.Folder) (key int64, err error)
	// PlaceFolder puts a folder into another, and raises the heights above it.
	PlaceFolder(ctx context.Context, folder, parent int64) error
	// Depth is as Folder.Depth, as things stand now.
	Depth(ctx context.Context, folder int64) (int, error)
	// DropFolder takes a folder out of the one that it lies in. What lies in it is
	// nobody's from now on, and removed by and by.
	DropFolder(ctx context.Context, folder int64) error

	// Append adds an entry, with which the folder's chain ends in next.
	Append(ctx context.Context, folder int64, raw []byte, next journal.Chain) error
	// KeepPages keeps pages of a checkpoint by their hashes; those that are there
	// already are kept from that day on. It returns how many bytes were added, or
	// ErrOverLimit if the folder's were more than most.
	KeepPages(ctx context.Context, folder int64, pages map[journal.Hash][]byte, day, most int64) (added int64, err error)
	// NameCheckpoint replaces the folder's checkpoint by one of kept pages, or fails
	// with ErrPageMissing. It returns how many bytes of the one before are gone.
	NameCheckpoint(ctx context.Context, folder, seq int64, pages []journal.Hash) (gone int64, err error)

	// Readable tells whether a folder holds the revision in which the account has a role.
	Readable(ctx context.Context, revision id.Revision) (bool, error)
	// Holds tells whether the folder holds all of the revisions.
	Holds(ctx context.Context, folder int64, revisions []id.Revision) (bool, error)
	// Hold lets a folder of a drive hold revisions, and returns the bytes of those that
	// the drive held nowhere before. It fails with ErrRevisionUnknown if there is no such
	// revision, and with ErrEntry if the folder holds one of them.
	Hold(ctx context.Context, drive, folder int64, revisions []id.Revision) (charged int64, err error)
	// Release takes revisions from a folder of a drive, and returns the bytes of those
	// that the drive holds nowhere now. Revisions that no drive holds and no link opens
	// are destroyed, and uploads of which none is left ordered away. It fails with
	// ErrEntry if the folder does not hold one of them.
	Release(ctx context.Context, drive, folder int64, revisions []id.Revision, day int64) (freed int64, err error)
	// Charge adds to what a drive holds and to what its journals take, unless the first
	// with all reservations would become more than quota (ErrQuota), or the second more
	// than most (ErrOverLimit). What becomes less is always taken.
	Charge(ctx context.Context, drive, bytes, journals, quota, most int64) error

	// SetGrant stores a grant to an account, or fails with ErrGrant if one of this or a
	// later serial is there, and with ErrOverLimit if the folder had more than most.
	SetGrant(ctx context.Context, folder int64, g Grant, most int) error
	// Link is a link as it stands, whoever made it, until the transaction ends:
	// share.ErrNotFound if there is none.
	Link(ctx context.Context, handle id.Handle) (share.Link, share.Reader, error)
	// AddLink adds a link of the account, whose drive is own, to what is in a folder. It
	// fails with upload.ErrLinkExists if the handle was ever used, and with ErrOverLimit if
	// the account had more than most.
	AddLink(ctx context.Context, own, folder int64, l NewLink, most int) error
	// Done keeps the answer to the commit.
	Done(ctx context.Context, key id.Commit, a Answer, day int64) error
}
