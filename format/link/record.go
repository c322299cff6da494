package link

import (
	"fmt"

	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/seal"
	"holdfast/format/wire"
)

// MaxRecord is the greatest size of a sealed link record in bytes.
const MaxRecord = 64 << 10

// recordType is the type under which link records are sealed (docs/format.md §6).
const recordType = "link"

// ErrTarget: a record that is not one of docs/format.md §11. It is wire.ErrEncoding too.
const ErrTarget = invalid("link: record not allowed")

type invalid string

// Error is the message.
func (e invalid) Error() string { return string(e) }

// Unwrap makes the error a wire.ErrEncoding.
func (invalid) Unwrap() error { return wire.ErrEncoding }

// Kind is what a link opens.
type Kind int64

// The kinds of link; every other number is refused.
const (
	OneFile  Kind = 1
	Bundle   Kind = 2
	OfFolder Kind = 3
)

// Folder is a folder of a drive as a link tells of it: what opens its journal, and the
// journal's last entry when the link was made.
type Folder struct {
	ID    id.Folder
	Epoch int64
	// Read is the read key of that epoch; Write and Admin are public keys.
	Read         Secret
	Write, Admin id.Bytes32
	Name         string
	Seq          int64
	Hash         id.Bytes32
}

// maxEpoch is the greatest epoch of a folder (docs/format.md §20).
const maxEpoch = 4096

// Record is what the sender seals for whoever holds the link: a file's
// descriptor, the content stream of a bundle with its totals, or a folder.
type Record struct {
	Kind   Kind
	File   *descriptor.Descriptor // OneFile only
	Bundle *descriptor.Content    // Bundle only
	Files  int64                  // Bundle only: files in it
	Bytes  int64                  // Bundle only: sum of their true sizes
	Folder *Folder                // OfFolder only
}

// plain is the record as encoded: the totals are pointers because they are
// absent for one file and present for a bundle even when they are 0.
type plain struct {
	Kind   Kind                   `cbor:"1,keyasint"`
	File   *descriptor.Descriptor `cbor:"2,keyasint,omitempty"`
	Bundle *descriptor.Content    `cbor:"3,keyasint,omitempty"`
	Files  *int64                 `cbor:"4,keyasint,omitempty"`
	Bytes  *int64                 `cbor:"5,keyasint,omitempty"`
	Folder *id.Folder             `cbor:"6,keyasint,omitempty"`
	Epoch  *int64                 `cbor:"7,keyasint,omitempty"`
	Read   *Secret                `cbor:"8,keyasint,omitempty"`
	Write  *id.Bytes32            `cbor:"9,keyasint,omitempty"`
	Admin  *id.Bytes32            `cbor:"10,keyasint,omitempty"`
	Name   *string                `cbor:"11,keyasint,omitempty"`
	Seq    *int64                 `cbor:"12,keyasint,omitempty"`
	Hash   *id.Bytes32            `cbor:"13,keyasint,omitempty"`
}

// ofFolder tells how many of a folder's keys are there.
func (p plain) ofFolder() (n int) {
	for _, there := range []bool{p.Folder != nil, p.Epoch != nil, p.Read != nil, p.Write != nil, p.Admin != nil, p.Name != nil, p.Seq != nil, p.Hash != nil} {
		if there {
			n++
		}
	}
	return n
}

// ForFile is the record of a link to one file.
func ForFile(d descriptor.Descriptor) Record { return Record{Kind: OneFile, File: &d} }

// ForBundle is the record of a link to a bundle whose own stream is content.
func ForBundle(content descriptor.Content, b descriptor.Bundle) (Record, error) {
	files, bytes, err := b.Totals()
	if err != nil {
		return Record{}, fmt.Errorf("link record: %w", err)
	}
	return Record{Kind: Bundle, Bundle: &content, Files: files, Bytes: bytes}, nil
}

// ForFolder is the record of a link to a folder.
func ForFolder(f Folder) Record { return Record{Kind: OfFolder, Folder: &f} }

func (r Record) plain() plain {
	p := plain{Kind: r.Kind, File: r.File, Bundle: r.Bundle}
	if r.Kind == Bundle || r.Files != 0 || r.Bytes != 0 { // out of place they are for check to refuse
		p.Files, p.Bytes = &r.Files, &r.Bytes
	}
	if f := r.Folder; f != nil {
		p.Folder, p.Epoch, p.Read, p.Write, p.Admin, p.Name, p.Seq, p.Hash = &f.ID, &f.Epoch, &f.Read, &f.Write, &f.Admin, &f.Name, &f.Seq, &f.Hash
	}
	return p
}

func (p plain) check() error {
	if n := p.ofFolder(); p.Kind != OfFolder && n > 0 {
		return fmt.Errorf("%w: kind %d with %d keys of a folder", ErrTarget, p.Kind, n)
	}
	switch p.Kind {
	case OfFolder:
		return p.checkFolder()
	case OneFile:
		if p.File == nil || p.Bundle != nil || p.Files != nil || p.Bytes != nil {
			return fmt.Errorf("%w: one file wants its descriptor and nothing else", ErrTarget)
		}
		if p.File.Kind != descriptor.File {
			return fmt.Errorf("%w: the one file is a folder", ErrTarget)
		}
		if err := descriptor.CheckName(p.File.Path); err != nil {
			return fmt.Errorf("link record: %w", err)
		}
		return p.File.Check()
	case Bundle:
		if p.File != nil || p.Bundle == nil || p.Files == nil || p.Bytes == nil {
			return fmt.Errorf("%w: a bundle wants content, count and bytes and nothing else", ErrTarget)
		}
		for _, n := range []int64{*p.Files, *p.Bytes} {
			if n < 0 || n > wire.MaxInt {
				return fmt.Errorf("%w: number %d", ErrTarget, n)
			}
		}
		return p.Bundle.Check()
	}
	return fmt.Errorf("%w: kind %d", ErrTarget, p.Kind)
}

// folderKeys is how many keys tell of a folder.
const folderKeys = 8

func (p plain) checkFolder() error {
	switch {
	case p.ofFolder() != folderKeys || p.File != nil || p.Bundle != nil || p.Files != nil || p.Bytes != nil:
		return fmt.Errorf("%w: a folder wants all that tells of one and nothing else", ErrTarget)
	case *p.Epoch < 1 || *p.Epoch > maxEpoch:
		return fmt.Errorf("%w: epoch %d, 1 to %d allowed", ErrTarget, *p.Epoch, maxEpoch)
	case *p.Seq < 1 || *p.Seq > wire.MaxInt:
		return fmt.Errorf("%w: a head at %d", ErrTarget, *p.Seq)
	}
	if err := descriptor.CheckName(*p.Name); err != nil {
		return fmt.Errorf("link record: %w", err)
	}
	return nil
}

// Check tells whether r obeys docs/format.md §11.
func (r Record) Check() error { return r.plain().check() }

// Matches tells whether a bundle is the one whose totals the record states.
func (r Record) Matches(b descriptor.Bundle) error {
	files, bytes, err := b.Totals()
	if err != nil {
		return fmt.Errorf("link record: %w", err)
	}
	if r.Kind != Bundle || files != r.Files || bytes != r.Bytes {
		return fmt.Errorf("%w: it states %d files of %d bytes, the bundle lists %d of %d", ErrTarget, r.Files, r.Bytes, files, bytes)
	}
	return nil
}

// SealRecord checks r and seals it under a link's record key for its handle.
func SealRecord(key Secret, handle id.Handle, r Record) ([]byte, error) {
	p := r.plain()
	if err := p.check(); err != nil {
		return nil, err
	}
	sealed := seal.SealRecord(key, recordType, handle[:], wire.Marshal(p))
	if len(sealed) > MaxRecord {
		return nil, fmt.Errorf("%w: %d bytes sealed, at most %d allowed: leave out older versions", ErrTarget, len(sealed), MaxRecord)
	}
	return sealed, nil
}

// OpenRecord opens what SealRecord made. Its error is seal.ErrCommitment for
// another key or handle, seal.ErrVersion or seal.ErrRecord for damage, and
// wire.ErrEncoding for a record that opens and is not one of this version.
func OpenRecord(key Secret, handle id.Handle, sealed []byte) (Record, error) {
	b, err := seal.OpenRecord(key, recordType, handle[:], sealed, MaxRecord)
	if err != nil {
		return Record{}, fmt.Errorf("link record: %w", err)
	}
	var p plain
	if err := wire.Unmarshal(b, MaxRecord, &p); err != nil {
		return Record{}, fmt.Errorf("link record: %w", err)
	}
	if err := p.check(); err != nil {
		return Record{}, err
	}
	r := Record{Kind: p.Kind, File: p.File, Bundle: p.Bundle}
	if p.Kind == Bundle {
		r.Files, r.Bytes = *p.Files, *p.Bytes
	}
	if p.Kind == OfFolder {
		r.Folder = &Folder{ID: *p.Folder, Epoch: *p.Epoch, Read: *p.Read, Write: *p.Write, Admin: *p.Admin, Name: *p.Name, Seq: *p.Seq, Hash: *p.Hash}
	}
	return r, nil
}
