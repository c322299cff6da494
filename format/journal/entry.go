package journal

import (
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"holdfast/format/id"
	"holdfast/format/wire"
)

// Start are the keys of an epoch, in the entry that begins it, with the consent
// of the epoch before.
type Start struct {
	Write    PublicKey                    `cbor:"1,keyasint"`
	Admin    PublicKey                    `cbor:"2,keyasint"`
	Handover *[ed25519.SignatureSize]byte `cbor:"3,keyasint,omitempty"`
}

// Public are the keys alone.
func (s Start) Public() Public { return Public{Write: s.Write, Admin: s.Admin} }

// Outer is what a server sees of an entry (docs/format.md §21).
type Outer struct {
	Folder         id.Folder     `cbor:"1,keyasint"`
	Seq            int64         `cbor:"2,keyasint"`
	Epoch          int64         `cbor:"3,keyasint"`
	Previous       Hash          `cbor:"4,keyasint"`
	Added          []id.Revision `cbor:"5,keyasint,omitempty"`
	Dropped        []id.Revision `cbor:"6,keyasint,omitempty"`
	FoldersAdded   []id.Folder   `cbor:"7,keyasint,omitempty"`
	FoldersDropped []id.Folder   `cbor:"8,keyasint,omitempty"`
	Sealed         []byte        `cbor:"9,keyasint"`
	Start          *Start        `cbor:"10,keyasint,omitempty"`
	Pages          []Hash        `cbor:"11,keyasint,omitempty"`

	hash    Hash // of the envelope
	byAdmin bool // the signature is the admin key's
}

// Hash is the entry's hash: what the next entry names as its previous.
func (o *Outer) Hash() Hash { return o.hash }

// Head is the folder's head once the entry is its last.
func (o *Outer) Head() Head { return Head{Folder: o.Folder, Seq: o.Seq, Hash: o.hash} }

// ByAdmin tells whether the admin key signed the entry.
func (o *Outer) ByAdmin() bool { return o.byAdmin }

func (o *Outer) place() place {
	return place{folder: o.Folder, seq: o.Seq, epoch: o.Epoch, previous: o.Previous}
}

// envelope is an entry whose signature was not checked yet.
type envelope struct {
	wire.Envelope
	hash Hash
}

// parseEnvelope decodes an entry's envelope, which has one form: an unknown key,
// which the signature does not cover, would give one entry two hashes. The
// result is a view of raw.
func parseEnvelope(raw []byte) (envelope, error) {
	var e envelope
	r := wire.NewReader(raw, MaxEntry, true)
	m := r.Map()
	for m.Next() {
		switch m.Key {
		case 1:
			e.Type = r.Text()
		case 2:
			r.Fixed(e.Key[:])
		case 3:
			e.Payload = r.Bytes()
		case 4:
			e.Signature = r.Bytes()
		default:
			m.Unknown()
		}
	}
	m.Need(0b1_1110)
	if r.OK() && len(e.Signature) != ed25519.SignatureSize {
		r.Fail("signature of %d bytes", len(e.Signature))
	}
	if err := r.End(); err != nil {
		return envelope{}, err
	}
	e.hash = sha256.Sum256(raw)
	return e, nil
}

// decodeOuter decodes a payload; nothing in it may be believed yet. Sealed is a
// view of it.
func decodeOuter(payload []byte) (*Outer, error) {
	o := &Outer{}
	r := wire.NewReader(payload, MaxEntry, false)
	m := r.Map()
	for m.Next() {
		switch m.Key {
		case 1:
			r.Fixed(o.Folder[:])
		case 2:
			o.Seq = r.Uint()
		case 3:
			o.Epoch = r.Uint()
		case 4:
			r.Fixed(o.Previous[:])
		case 5:
			o.Added = readIDs[id.Revision](r)
		case 6:
			o.Dropped = readIDs[id.Revision](r)
		case 7:
			o.FoldersAdded = readIDs[id.Folder](r)
		case 8:
			o.FoldersDropped = readIDs[id.Folder](r)
		case 9:
			o.Sealed = r.Bytes()
		case 10:
			o.Start = readStart(r)
		case 11:
			o.Pages = readHashes(r)
		default:
			m.Unknown()
		}
	}
	m.Need(0b10_0001_1110)
	if r.OK() {
		r.Note(o.check())
	}
	return o, r.End()
}

// readIDs makes room for as many as are announced, which is no more than there
// are bytes for: MaxIDs of 16 bytes.
func readIDs[T ~[id.Size]byte](r *wire.Reader) []T {
	out := make([]T, r.Array(MaxIDs))
	for i := range out {
		r.Fixed(out[i][:])
	}
	r.Leave()
	return out
}

// Claimed is the folder that an entry says it is of, with its seq, and nothing of it
// verified: for a server, which looks the folder's chain up by it.
func Claimed(raw []byte) (folder id.Folder, seq int64, err error) {
	e, err := parseEnvelope(raw)
	if err != nil {
		return id.Folder{}, 0, alarm(id.Folder{}, Encoding, 0, err)
	}
	o, err := decodeOuter(e.Payload)
	if err != nil {
		return id.Folder{}, 0, alarm(id.Folder{}, Encoding, 0, err)
	}
	return o.Folder, o.Seq, nil
}

func readHashes(r *wire.Reader) []Hash {
	out := make([]Hash, r.Array(MaxPages))
	for i := range out {
		r.Fixed(out[i][:])
	}
	r.Leave()
	return out
}

func readStart(r *wire.Reader) *Start {
	s := &Start{}
	m := r.Map()
	for m.Next() {
		switch m.Key {
		case 1:
			r.Fixed(s.Write[:])
		case 2:
			r.Fixed(s.Admin[:])
		case 3:
			s.Handover = &[ed25519.SignatureSize]byte{}
			r.Fixed(s.Handover[:])
		default:
			m.Unknown()
		}
	}
	m.Need(0b110)
	return s
}

func (o *Outer) check() error {
	if o.Seq < 1 || o.Seq > wire.MaxInt {
		return fmt.Errorf("%w: seq %d", ErrEncoding, o.Seq)
	}
	if err := checkEpoch(o.Epoch); err != nil {
		return err
	}
	for _, list := range []error{
		ascending(o.Added), ascending(o.Dropped), ascending(o.FoldersAdded), ascending(o.FoldersDropped),
	} {
		if list != nil {
			return list
		}
	}
	if o.Start != nil && (o.Start.Handover == nil) != (o.Epoch == 1) {
		return fmt.Errorf("%w: every epoch but the first has a handover", ErrEncoding)
	}
	return nil
}

// compareIDs orders ids as bytes.
func compareIDs[T ~[id.Size]byte](a, b T) int {
	if c := cmp.Compare(binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(b[:8])); c != 0 {
		return c
	}
	return cmp.Compare(binary.BigEndian.Uint64(a[8:]), binary.BigEndian.Uint64(b[8:]))
}

func ascending[T ~[id.Size]byte](ids []T) error {
	for i := 1; i < len(ids); i++ {
		if compareIDs(ids[i-1], ids[i]) >= 0 {
			return fmt.Errorf("%w: ids out of order, or one twice", ErrEncoding)
		}
	}
	return nil
}

// encode signs o, checked, and returns the entry.
func (o *Outer) encode(key ed25519.PrivateKey) ([]byte, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	for _, n := range []int{len(o.Added), len(o.Dropped), len(o.FoldersAdded), len(o.FoldersDropped)} {
		if n > MaxIDs {
			return nil, fmt.Errorf("%w: %d ids, at most %d in one entry", ErrTooLarge, n, MaxIDs)
		}
	}
	raw := wire.Seal(entryType, key, wire.Marshal(o))
	if len(raw) > MaxEntry {
		return nil, fmt.Errorf("%w: %d bytes, at most %d in one entry", ErrTooLarge, len(raw), MaxEntry)
	}
	return raw, nil
}

const handoverLabel = "holdfast/v1/handover\x00"

// handover is what the admin key of the epoch before signs.
func handover(p place, keys Public) []byte {
	msg := append([]byte(handoverLabel), p.aad()...)
	msg = append(msg, keys.Write[:]...)
	return append(msg, keys.Admin[:]...)
}

func handOver(previous AdminSeed, p place, keys Public) *[ed25519.SignatureSize]byte {
	return (*[ed25519.SignatureSize]byte)(ed25519.Sign(previous.key(), handover(p, keys)))
}

func (s Start) verify(previous PublicKey, p place) bool {
	return s.Handover != nil && ed25519.Verify(previous[:], handover(p, s.Public()), s.Handover[:])
}

// sorted are the ids in order, none twice.
func sorted[T ~[id.Size]byte](ids []T) []T {
	slices.SortFunc(ids, compareIDs[T])
	return slices.Compact(ids)
}
