package upload

import (
	"context"
	"time"

	"holdfast/format/id"
	"holdfast/server/internal/placement"
	"holdfast/server/internal/share"
)

// Store keeps uploads. Every method is atomic; those that write are durable when
// they return. storetest.Uploads checks implementations.
type Store interface {
	// TakeOpen counts an upload that is opened, of all servers, or returns how long
	// to wait until one may be.
	TakeOpen(ctx context.Context, now time.Time, opens Opens) (wait time.Duration, err error)
	// Placing returns when no other caller, on any server, is between Placing and
	// leave: from looking at the room of nodes to reserving it.
	Placing(ctx context.Context) (leave func(), err error)
	// OpenUpload adds an open upload with its chains, and reserves its budget. It
	// fails with ErrNoCapacity if more than reserved bytes would be reserved, or
	// by more than count uploads. One for an account's drive is counted there as well,
	// and fails with ErrQuota beyond quota bytes, what the drive holds included.
	OpenUpload(ctx context.Context, u Upload, reserved int64, count int, quota int64) error
	// Reserved is the sum of the budgets of open uploads, and of abandoned ones
	// that ReleaseUploads has not come to.
	Reserved(ctx context.Context) (int64, error)
	// ReservedAt is the same for each node of placement.Expected of the uploads'
	// chains; nodes without reservations may be left out.
	ReservedAt(ctx context.Context) (map[id.Node]int64, error)
	// Upload fails with ErrUnknown, also for one that was forgotten.
	Upload(ctx context.Context, upload id.Upload) (Upload, error)
	// AddChains adds chains to an open upload, or fails with ErrClosed.
	AddChains(ctx context.Context, upload id.Upload, chains []placement.Chain) error
	// ExtendUpload raises an open upload's budget, or fails with ErrClosed or,
	// like OpenUpload, with ErrNoCapacity or ErrQuota. A lower budget changes nothing.
	ExtendUpload(ctx context.Context, upload id.Upload, budget, reserved, quota int64) error
	// StagePage keeps a page of an open upload, in the place of one with the
	// same number. It fails with ErrClosed, and with ErrOverLimit if all pages
	// together would take more than most bytes, and with ErrNoCapacity if those of
	// all open uploads would take more than all.
	StagePage(ctx context.Context, upload id.Upload, page int, body []byte, most, all int64) error
	// CommitUpload runs f in one transaction, in which it sees the upload as it
	// stands then. Everything that f does, and nothing else, is there when it
	// returns nil; after an error nothing is.
	CommitUpload(ctx context.Context, upload id.Upload, f func(Upload, Tx) error) error
	// AbandonUpload closes an open upload, drops its pages, and orders it away
	// at every node of its chains. It fails with ErrClosed if it is not open.
	AbandonUpload(ctx context.Context, upload id.Upload, day int64) error
	// ReleaseUploads ends the reservations of up to limit abandoned uploads that no
	// member has yet to delete, and returns how many.
	ReleaseUploads(ctx context.Context, limit int) (int, error)
	// OverdueUploads are open uploads that close at or before now.
	OverdueUploads(ctx context.Context, now int64, limit int) ([]id.Upload, error)
	// ForgetUploads drops secret and answer of committed uploads that closed
	// before that day, and abandoned ones as a whole, up to limit.
	ForgetUploads(ctx context.Context, before int64, limit int) (int, error)
}

// Opens is how many uploads may be opened: one every so often, and a burst of
// them where none was for a while.
type Opens struct {
	Every time.Duration
	Burst int
}

// Tx is what a commit does.
type Tx interface {
	// Page returns a staged page's body, or ErrPageMissing.
	Page(ctx context.Context, page int) ([]byte, error)
	// AddBlob adds the next blob; they are numbered from 0. It fails with
	// ErrRevision if the upload has that name already.
	AddBlob(ctx context.Context, b Blob) error
	// AddCopies notes the nodes that hold a blob, and how many copies more are wanted.
	AddCopies(ctx context.Context, blob int, nodes []id.Node, wanted int) error
	// AddRevision makes the commit fail with ErrRevision, at once or later, if its
	// id is in use.
	AddRevision(ctx context.Context, r *Revision) error
	// AddLink fails with ErrLinkExists if its handle was ever used.
	AddLink(ctx context.Context, l share.Link) error
	// Close makes the upload committed, with all that was added in its place, drops its pages and reservation, and keeps of its chains
	// who their nodes are and which of them hold blobs.
	Close(ctx context.Context, day int64, digest, answer []byte, holders []id.Node) error
}
