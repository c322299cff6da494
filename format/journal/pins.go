package journal

import (
	"crypto/sha256"
	"fmt"
	"iter"
	"maps"
	"slices"

	"holdfast/format/id"
	"holdfast/format/wire"
)

// Pins are the heads that a device saw last: what a server that serves
// yesterday's state, or two devices two states, is found by. The zero Pins are
// empty and ready to use.
type Pins struct{ heads map[id.Folder]Head }

// Get is the pin of a folder.
func (p *Pins) Get(folder id.Folder) (Head, bool) {
	h, ok := p.heads[folder]
	return h, ok
}

// Set pins h, which the caller has verified. It refuses to go back.
func (p *Pins) Set(h Head) error {
	if err := p.Check(h); err != nil {
		return err
	}
	if p.heads == nil {
		p.heads = map[id.Folder]Head{}
	}
	p.heads[h.Folder] = h
	return nil
}

// Forget drops the pin of a folder that ended.
func (p *Pins) Forget(folder id.Folder) { delete(p.heads, folder) }

// Len is how many folders are pinned.
func (p *Pins) Len() int { return len(p.heads) }

// All are the pins, in no order.
func (p *Pins) All() iter.Seq[Head] { return maps.Values(p.heads) }

// Check holds a head that is claimed, or was verified, against the pin. Seq 0
// says that there is no journal. A head beyond the pin passes: that it follows
// from the pin, the entries between them show (State.Apply, or Bridge).
func (p *Pins) Check(h Head) error {
	pin, known := p.heads[h.Folder]
	if !known {
		return nil
	}
	return pin.Against(h)
}

// Against checks that h can be a head of the journal which had the head pin.
func (pin Head) Against(h Head) error {
	switch {
	case h.Seq == 0:
		return alarm(pin.Folder, Missing, 0, wrong("entry %d was seen", pin.Seq))
	case h.Seq < pin.Seq:
		return alarm(pin.Folder, Rollback, h.Seq, wrong("entry %d was seen", pin.Seq))
	case h.Seq == pin.Seq && h.Hash != pin.Hash:
		return alarm(pin.Folder, Fork, h.Seq, wrong("another entry was seen in its place"))
	}
	return nil
}

// Bridge checks that the entries between a pin and a later verified head lead
// from the one to the other: for a state that starts beyond what was seen. Their
// signatures need no check, the hashes end in a head that is verified.
func Bridge(pin Head, entries [][]byte, head Head) error {
	if err := pin.Against(head); err != nil {
		return err
	}
	at := pin
	for _, raw := range entries {
		e, err := parseEnvelope(raw)
		if err != nil {
			return alarm(pin.Folder, Encoding, at.Seq+1, err)
		}
		o, err := decodeOuter(e.Payload)
		switch {
		case err != nil:
			return alarm(pin.Folder, Encoding, at.Seq+1, err)
		case o.Folder != pin.Folder:
			return alarm(pin.Folder, Foreign, o.Seq, nil)
		case o.Seq != at.Seq+1:
			return alarm(pin.Folder, Gap, o.Seq, wrong("entry %d is before it", at.Seq))
		case o.Previous != at.Hash:
			return alarm(pin.Folder, Fork, o.Seq, wrong("it follows another entry %d", at.Seq))
		}
		at.Seq, at.Hash = o.Seq, sha256.Sum256(raw)
	}
	switch {
	case at.Seq != head.Seq:
		return alarm(pin.Folder, Gap, head.Seq, wrong("the entries end at %d", at.Seq))
	case at.Hash != head.Hash:
		return alarm(pin.Folder, Fork, head.Seq, nil)
	}
	return nil
}

// pinned is Pins as encoded.
type pinned struct {
	Heads []Head `cbor:"1,keyasint" most:"1048576"` // MaxPins
}

// Encode is the one form of p.
func (p *Pins) Encode() ([]byte, error) {
	if len(p.heads) > MaxPins {
		return nil, fmt.Errorf("%w: %d pins", ErrTooLarge, len(p.heads))
	}
	out := pinned{Heads: []Head{}}
	for _, h := range p.heads {
		out.Heads = append(out.Heads, h)
	}
	slices.SortFunc(out.Heads, func(a, b Head) int { return compareIDs(a.Folder, b.Folder) })
	return wire.Marshal(out), nil
}

// DecodePins is the reverse of Encode.
func DecodePins(b []byte) (*Pins, error) {
	var in pinned
	if err := wire.Unmarshal(b, MaxPinBytes, &in); err != nil {
		return nil, fmt.Errorf("pins: %w", err)
	}
	p := &Pins{heads: make(map[id.Folder]Head, len(in.Heads))}
	for i, h := range in.Heads {
		if h.Seq < 1 || h.Seq > wire.MaxInt || i > 0 && compareIDs(in.Heads[i-1].Folder, h.Folder) >= 0 {
			return nil, fmt.Errorf("pins: %w: out of order, or no seq", ErrEncoding)
		}
		p.heads[h.Folder] = h
	}
	return p, nil
}

// HeadOf is the head that heads know of a folder.
func (s *State) HeadOf(folder id.Folder) (Head, bool) {
	h, ok := s.heads[folder]
	return h, ok
}

// Heads are all heads that this journal, an account's heads, knows, by folder.
func (s *State) Heads() iter.Seq[Head] { return slices.Values(s.sortedHeads()) }

// CheckHeads holds what a server claims of folders against heads: for a device
// that saw none of them before. It returns every alarm. A folder of which heads
// know nothing is not looked at; one that is beyond its head is to be replayed
// through it (Head.Against, Bridge).
func (s *State) CheckHeads(claimed func(id.Folder) Head) []error {
	var out []error
	for known := range s.Heads() {
		h := claimed(known.Folder)
		h.Folder = known.Folder
		if err := known.Against(h); err != nil {
			out = append(out, err)
		}
	}
	return out
}
