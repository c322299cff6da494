package journal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
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
	Added          []id.Revision `cbor:"5,keyasint,omitempty" most:"65536"` // MaxIDs
	Dropped        []id.Revision `cbor:"6,keyasint,omitempty" most:"65536"`
	FoldersAdded   []id.Folder   `cbor:"7,keyasint,omitempty" most:"65536"`
	FoldersDropped []id.Folder   `cbor:"8,keyasint,omitempty" most:"65536"`
	Sealed         []byte        `cbor:"9,keyasint"`
	Start          *Start        `cbor:"10,keyasint,omitempty"`
	Pages          []Hash        `cbor:"11,keyasint,omitempty" most:"4096"` // MaxPages

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
// which the signature does not cover, would give one entry two hashes.
func parseEnvelope(raw []byte) (envelope, error) {
	e, err := wire.ParseMax(raw, MaxEntry)
	if err != nil {
		return envelope{}, err
	}
	if !bytes.Equal(wire.Marshal(e), raw) {
		return envelope{}, fmt.Errorf("%w: an envelope with more than it has", ErrEncoding)
	}
	return envelope{Envelope: e, hash: sha256.Sum256(raw)}, nil
}

// decodeOuter decodes a payload; nothing in it may be believed yet.
func decodeOuter(payload []byte) (*Outer, error) {
	o := &Outer{}
	if err := wire.Unmarshal(payload, MaxEntry, o); err != nil {
		return nil, err
	}
	return o, o.check()
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

func compareIDs[T ~[id.Size]byte](a, b T) int { return bytes.Compare(a[:], b[:]) }

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
