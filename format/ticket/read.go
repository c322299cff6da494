package ticket

import (
	"slices"
	"time"

	"holdfast/format/id"
)

// Limits of read tickets.
const (
	MaxReaders = 16
	MaxUploads = 64
	MaxRanges  = 64
)

// Range is a part of a blob.
type Range struct {
	_      struct{} `cbor:",toarray"`
	Name   id.Name
	Offset int64
	Length int64
}

// Check tells whether the range could lie within a blob.
func (r Range) Check() error {
	if r.Offset < 0 || r.Length < 1 || r.Length > MaxBlob-r.Offset {
		return refuse("%d bytes from %d on lie in no blob", r.Length, r.Offset)
	}
	return nil
}

// Reads are ranges of blobs of one upload.
type Reads struct {
	Upload id.Upload `cbor:"1,keyasint"`
	Ranges []Range   `cbor:"2,keyasint"`
}

// ReadTicket is the right to read ranges of blobs at some nodes.
type ReadTicket struct {
	Nodes   []id.Node `cbor:"1,keyasint"`
	Reads   []Reads   `cbor:"2,keyasint"`
	Expires int64     `cbor:"3,keyasint"` // Unix seconds
}

func (ReadTicket) kind() string            { return "read-ticket" }
func (ReadTicket) signer() (id.Node, bool) { return id.Node{}, false }

// Check implements Payload.
func (t ReadTicket) Check() error {
	if err := checkUints(t.Expires); err != nil {
		return err
	}
	if err := checkCount("nodes", len(t.Nodes), MaxReaders); err != nil {
		return err
	}
	if err := checkCount("uploads", len(t.Reads), MaxUploads); err != nil {
		return err
	}
	for _, reads := range t.Reads {
		if err := checkCount("ranges", len(reads.Ranges), MaxRanges); err != nil {
			return err
		}
		for _, r := range reads.Ranges {
			if err := r.Check(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Allows tells whether that node may now give out length bytes from offset on
// of the blob with that name of that upload: they must lie in one listed range.
func (t ReadTicket) Allows(node id.Node, upload id.Upload, name id.Name, offset, length int64, now time.Time) error {
	if err := expired(t.Expires, now); err != nil {
		return err
	}
	if !slices.Contains(t.Nodes, node) {
		return ErrOtherNode
	}
	want := Range{Name: name, Offset: offset, Length: length}
	if want.Check() != nil {
		return ErrNotListed
	}
	for _, reads := range t.Reads {
		if reads.Upload == upload && slices.ContainsFunc(reads.Ranges, want.within) {
			return nil
		}
	}
	return ErrNotListed
}

// within tells whether r lies within listed; both are checked, so that nothing overflows.
func (r Range) within(listed Range) bool {
	return r.Name == listed.Name && r.Offset >= listed.Offset && r.Offset+r.Length <= listed.Offset+listed.Length
}
