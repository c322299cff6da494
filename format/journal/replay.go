package journal

import (
	"crypto/ed25519"
	"fmt"

	"holdfast/format/id"
)

// Opener has what it takes to read a folder's entries.
type Opener struct {
	keys map[int64]ReadKey
	// Member, if it is set, gives the identity key of an account, nil if it is not
	// known. Entries of known members must be signed by them.
	Member func(id.Account) ed25519.PublicKey
	// Signed wants every entry to name a known member.
	Signed bool
}

// NewOpener opens entries of that epoch.
func NewOpener(epoch int64, key ReadKey) *Opener {
	return &Opener{keys: map[int64]ReadKey{epoch: key}}
}

// Learn adds the read key of another epoch.
func (o *Opener) Learn(epoch int64, key ReadKey) { o.keys[epoch] = key }

// Key is the read key of an epoch.
func (o *Opener) Key(epoch int64) (ReadKey, error) {
	key, ok := o.keys[epoch]
	if !ok {
		return ReadKey{}, fmt.Errorf("%w: epoch %d", ErrLocked, epoch)
	}
	return key, nil
}

// LearnFrom takes the read keys of earlier epochs out of the entries that began
// later ones, given in their order, so that somebody who was let in later can
// replay from the start. The entries are not verified by this: replaying them
// is, and a wrong key opens nothing.
func (o *Opener) LearnFrom(starts [][]byte) {
	for i := len(starts) - 1; i >= 0; i-- {
		e, err := parseEnvelope(starts[i])
		if err != nil {
			continue // replaying it will say so
		}
		outer, err := decodeOuter(e.Payload)
		if err != nil || outer.Start == nil {
			continue
		}
		key, known := o.keys[outer.Epoch]
		if !known {
			continue
		}
		b, err := openBody(key, outer.place(), outer.Sealed)
		if err != nil {
			continue
		}
		o.learnFrom(outer, b)
	}
}

func (o *Opener) learnFrom(outer *Outer, b body) {
	if first := b.Operations[0]; first.What == OpEpoch && first.ReadKey != nil {
		if _, known := o.keys[outer.Epoch-1]; !known {
			o.keys[outer.Epoch-1] = *first.ReadKey
		}
	}
}

// Apply verifies raw as the next entry and does its operations, or changes
// nothing and returns an Alarm, or ErrLocked for an epoch whose read key o has not.
func (s *State) Apply(raw []byte, o *Opener) (*Outer, error) {
	outer, next, err := s.chain.Check(raw)
	if err != nil {
		return nil, s.blame(raw, o, err)
	}
	if err := s.anchored(outer); err != nil {
		return nil, err
	}
	if err := s.meets(next.Head()); err != nil {
		return nil, err
	}
	key, err := o.Key(outer.Epoch)
	if err != nil {
		return nil, err
	}
	b, err := openBody(key, outer.place(), outer.Sealed)
	if err != nil {
		return nil, alarm(s.chain.Folder, Operations, outer.Seq, err)
	}
	if err := o.author(outer, b); err != nil {
		return nil, err
	}
	s.begin()
	if err := s.do(outer, b.Operations); err != nil {
		s.takeBack()
		return nil, err
	}
	s.settle()
	s.chain = next
	o.learnFrom(outer, b)
	return outer, nil
}

// anchored checks an entry that begins the anchor's epoch.
func (s *State) anchored(o *Outer) error {
	if o.Start != nil && o.Epoch == s.anchor.Epoch && o.Start.Public() != s.anchor.Public {
		return alarm(s.chain.Folder, Foreign, o.Seq, wrong("the keys of epoch %d are others", o.Epoch))
	}
	return nil
}

// blame looks whether an entry that no writer signed was made by a reader.
func (s *State) blame(raw []byte, o *Opener, err error) error {
	a, ok := err.(*Alarm)
	if !ok || a.Kind != Foreign && a.Kind != Planted {
		return err
	}
	_, outer, parsed := s.chain.parse(raw)
	if parsed != nil {
		return err
	}
	key, locked := o.Key(outer.Epoch)
	if locked != nil {
		return err
	}
	if _, closed := openBody(key, outer.place(), outer.Sealed); closed != nil {
		return err
	}
	return alarm(s.chain.Folder, ReaderWrote, outer.Seq, err)
}

// author checks the member's signature.
func (o *Opener) author(outer *Outer, b body) error {
	if o.Member == nil {
		return nil
	}
	var key ed25519.PublicKey
	if b.Author != nil {
		key = o.Member(b.Author.Account)
	}
	switch {
	case key == nil && o.Signed:
		return alarm(outer.Folder, BadAuthor, outer.Seq, wrong("by no member who is known"))
	case key != nil && !b.Author.verify(outer.place(), b.encoded, key):
		return alarm(outer.Folder, BadAuthor, outer.Seq, nil)
	}
	return nil
}

// do applies the operations and holds the outer part against what they did.
func (s *State) do(outer *Outer, ops []Operation) error {
	if err := rights(outer, ops); err != nil {
		return err
	}
	if err := s.verifyCheckpoint(outer, ops[0]); err != nil {
		return err
	}
	if err := s.applyAll(outer.Start, outer.place(), ops); err != nil {
		return alarm(outer.Folder, Operations, outer.Seq, err)
	}
	if !s.effect().agrees(outer) {
		return alarm(outer.Folder, Disagreement, outer.Seq, wrong("ids added or dropped"))
	}
	return nil
}

// rights checks what the operations say about the entry as a whole.
func rights(outer *Outer, ops []Operation) error {
	if (ops[0].What == OpEpoch) != (outer.Start != nil) {
		return alarm(outer.Folder, Disagreement, outer.Seq, wrong("the start of an epoch"))
	}
	if (ops[0].What == OpCheckpoint) != (outer.Pages != nil) {
		return alarm(outer.Folder, Disagreement, outer.Seq, wrong("the pages of a checkpoint"))
	}
	for i := range ops {
		if ops[i].What == OpRekey && !outer.byAdmin {
			return alarm(outer.Folder, NotAdmin, outer.Seq, wrong("a child was given keys with the write key"))
		}
	}
	return nil
}

// applyAll does all operations of one entry. A failure leaves the state changed:
// the caller takes it back.
func (s *State) applyAll(start *Start, at place, ops []Operation) error {
	c := change{State: s, first: true}
	for i := range ops {
		if err := c.apply(&ops[i]); err != nil {
			return err
		}
		switch {
		case i == 0 && start != nil: // what follows is sealed in the new epoch
			s.enter(*start, at)
		case i == 0 && ops[0].What == OpCheckpoint:
			s.tail = 0
		}
	}
	s.tail += len(ops)
	return nil
}

// enter begins an epoch.
func (s *State) enter(start Start, at place) {
	s.epochs = append(s.epochs, epochStart{Seq: at.seq, Previous: at.previous, Write: start.Write, Admin: start.Admin, Handover: start.Handover})
	s.chain.Epoch, s.chain.Keys = at.epoch, start.Public()
}
