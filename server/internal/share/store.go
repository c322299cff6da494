package share

import (
	"context"

	"holdfast/format/id"
)

// Store keeps links. Every method is atomic; those that write are durable when
// they return. storetest.Links checks implementations.
type Store interface {
	// ReadLink runs f on one state of the store, of which it sees the link with
	// that handle. It fails with ErrNotFound if there is none.
	ReadLink(ctx context.Context, handle id.Handle, f func(Link, Reader) error) error
	// FailLink replaces Reader.Tries by what change makes of it; nothing happens
	// in between. What change returns as an error is returned.
	FailLink(ctx context.Context, handle id.Handle, change func(free int64) (int64, error)) error
	// StartSession counts a download and adds a session, if the link is live,
	// has not expired at now, and has a download left: else ErrExpired and the
	// like, or ErrUsedUp. If the link has more than most sessions alive then, the
	// oldest end, by when they would. A session with that hash that is alive at now is found again:
	// nothing is counted or changed. It returns the link with its new count, and
	// when the session ends.
	StartSession(ctx context.Context, handle id.Handle, s Session, now int64, most int) (l Link, ends int64, err error)
	// EndLink ends a live link: its upload, revisions, extents, blobs, sessions,
	// record and hashes are destroyed, all but Handle, Manage, State and
	// EndedDay, and every node that the upload's tickets named gets an order to
	// delete it. A link that has ended already stays as it is.
	EndLink(ctx context.Context, handle id.Handle, state State, day int64) error
	// ExpiredLinks are live links that expire at or before now.
	ExpiredLinks(ctx context.Context, now int64, limit int) ([]id.Handle, error)
	// SpentLinks are live links with no download left and no session alive at now.
	SpentLinks(ctx context.Context, now int64, limit int) ([]id.Handle, error)
	// DropSessions removes sessions that ended at or before now, up to limit.
	DropSessions(ctx context.Context, now int64, limit int) (int, error)
	// DropTries removes tries that are free again at now, up to limit.
	DropTries(ctx context.Context, now int64, limit int) (int, error)
}

// Reader sees one link.
type Reader interface {
	// Tries is when all tries of the handle are free again, in Unix seconds, or 0.
	Tries(ctx context.Context) (int64, error)
	// Session returns when the session with that hash ends, or 0.
	Session(ctx context.Context, hash [32]byte) (int64, error)
	// Revisions come in a fixed order; those after a position, from 0 on.
	Revisions(ctx context.Context, after int64, limit int) ([]Revision, error)
	Source
	// Holders are the nodes that store any blob of the link.
	Holders(ctx context.Context) ([]id.Node, error)
}

// Source sees the revisions that a link or a folder opens.
type Source interface {
	// RevisionByID fails with ErrNotFound if it is none of them.
	RevisionByID(ctx context.Context, revision id.Revision) (Revision, error)
	// Extents of a revision, from number from on.
	Extents(ctx context.Context, r Revision, from, limit int) ([]Extent, error)
	// Copies are the nodes that store a blob.
	Copies(ctx context.Context, b Blob) ([]id.Node, error)
}

// Session is the right to what follows a counted download.
type Session struct {
	Hash    [32]byte
	Expires int64
}

// Revision as it is given out.
type Revision struct {
	// Position orders the link's revisions; the store chooses it.
	Position   int64
	ID         id.Revision
	ReleaseKey id.Bytes32
	Commitment id.Bytes32
	Root       id.Bytes32
	Salt       id.Bytes32
	Prefix     [7]byte
	Length     int64
	// Count of its extents.
	Count int
}

// Blob as it is stored. Key is the store's.
type Blob struct {
	Key    int64
	Upload id.Upload
	Name   id.Name
	Size   int64
}

// Extent is a part of a blob.
type Extent struct {
	Blob           Blob
	Offset, Length int64
}
