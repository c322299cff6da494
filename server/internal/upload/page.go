package upload

import (
	"fmt"

	"holdfast/format/id"
	"holdfast/format/pad"
	"holdfast/format/ticket"
	"holdfast/format/wire"
)

// Blob is a blob that an upload stored.
type Blob = ticket.Stored

// Revision is a revision to be committed.
type Revision struct {
	ID         id.Revision `cbor:"1,keyasint"`
	ReleaseKey id.Bytes32  `cbor:"2,keyasint"`
	Commitment id.Bytes32  `cbor:"3,keyasint"`
	Root       id.Bytes32  `cbor:"4,keyasint"`
	Salt       id.Bytes32  `cbor:"5,keyasint"`
	Prefix     [7]byte     `cbor:"6,keyasint"`
	Length     int64       `cbor:"7,keyasint"`
	Extents    []Extent    `cbor:"8,keyasint"`
}

// Extent is a part of the blob with that number in the upload.
type Extent struct {
	_              struct{} `cbor:",toarray"`
	Blob           int64
	Offset, Length int64
}

// Page is part of what an upload brings, as it arrived.
type Page struct {
	Blobs     []Blob     `cbor:"1,keyasint"`
	Receipts  []string   `cbor:"2,keyasint"`
	Revisions []Revision `cbor:"3,keyasint"`
}

// staged is a page whose parts were checked, each for itself.
type staged struct {
	Blobs     []Blob      `cbor:"1,keyasint"`
	Receipts  []statement `cbor:"2,keyasint"`
	Revisions []Revision  `cbor:"3,keyasint"`
}

// statement is what a receipt says; its signature was checked.
type statement struct {
	Node  id.Node `cbor:"1,keyasint"`
	Blobs []Blob  `cbor:"2,keyasint"`
}

const (
	// maxPages of an upload; with api.MaxPage far more than the greatest send takes.
	maxPages = 256
	// maxBlobs of an upload, and so the memory that a commit takes; at 8 MiB each
	// it is 2 TiB.
	maxBlobs = 1 << 18
	// maxRevisions of an upload: the files of the greatest bundle, as many
	// thumbnails, and the listing.
	maxRevisions = 1<<19 + 1
	// maxExtents of a revision (docs/format.md §5).
	maxExtents = 1 << 20
	// maxStaged is what the pages of one upload may take here, and maxAllStaged
	// those of all that are open. The budget bounds it too: the smallest file takes
	// 1,080 bytes at nodes, and 250 here with its blob and receipts of a pack of
	// its own; an upload may take a part of stagedPart of its budget.
	maxStaged     = 256 << 20
	maxAllStaged  = 2 << 30
	stagedPart    = 2
	stagedAtLeast = 64 << 10
)

// Stream lengths (docs/format.md §4): a header, then segments with a tag each.
const (
	header  = 40
	tag     = 16
	segment = 256 << 10 // with its tag; the header counts as part of the first
)

// ValidLength tells whether length is that of a stream over some padded plaintext.
func ValidLength(length int64) bool {
	if length < header+tag+pad.Min || length > pad.Max {
		return false
	}
	segments := (length + segment - 1) / segment
	return pad.IsLength(length - header - tag*segments)
}

// check tells whether a revision holds together in itself; whether its blobs
// are there and long enough is seen at the commit.
func (r *Revision) check() error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: revision %s: %s", ErrRevision, r.ID, fmt.Sprintf(format, args...))
	}
	if r.ID.IsZero() {
		return refuse("its id is missing")
	}
	zero := id.Bytes32{}
	if r.ReleaseKey == zero || r.Commitment == zero || r.Root == zero || r.Salt == zero {
		return refuse("a key, commitment, root or salt is missing")
	}
	if !ValidLength(r.Length) {
		return refuse("%d bytes is the length of no padded stream", r.Length)
	}
	if len(r.Extents) < 1 || len(r.Extents) > maxExtents {
		return refuse("%d extents, 1 to %d allowed", len(r.Extents), maxExtents)
	}
	left := r.Length
	for n, e := range r.Extents {
		if e.Blob < 0 || e.Blob >= maxBlobs {
			return refuse("extent %d: no blob has number %d", n, e.Blob)
		}
		if e.Offset < 0 || e.Length < 1 || e.Offset > ticket.MaxBlob || e.Length > ticket.MaxBlob-e.Offset {
			return refuse("extent %d: %d bytes from %d on lie in no blob", n, e.Length, e.Offset)
		}
		left -= e.Length // no overflow: 2^20 extents of at most 2^23 bytes
	}
	if left != 0 {
		return refuse("its extents are %d bytes long, the stream %d", r.Length-left, r.Length)
	}
	return nil
}

// checkParts checks what needs no more than the page.
func (p *Page) checkParts() error {
	names := make(map[id.Name]bool, len(p.Blobs))
	for _, b := range p.Blobs {
		if b.Size < 1 || b.Size > ticket.MaxBlob {
			return fmt.Errorf("%w: blob %s of %d bytes, 1 to %d allowed", ErrRequest, b.Name, b.Size, ticket.MaxBlob)
		}
		if names[b.Name] {
			return fmt.Errorf("%w: blob %s twice", ErrRequest, b.Name)
		}
		names[b.Name] = true
	}
	ids := make(map[id.Revision]bool, len(p.Revisions))
	for i := range p.Revisions {
		r := &p.Revisions[i]
		if err := r.check(); err != nil {
			return err
		}
		if ids[r.ID] {
			return fmt.Errorf("%w: revision %s twice", ErrRevision, r.ID)
		}
		ids[r.ID] = true
	}
	return nil
}

func (p *staged) encode() []byte { return wire.Marshal(p) }

func decodeStaged(body []byte) (*staged, error) {
	var p staged
	if err := wire.Unmarshal(body, maxStaged, &p); err != nil {
		return nil, fmt.Errorf("read staged page: %w", err)
	}
	return &p, nil
}
