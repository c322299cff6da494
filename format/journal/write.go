package journal

import (
	"crypto/ed25519"
	"fmt"
)

// Pen is what somebody writes with: the keys that they have of the present
// epoch, and, in shared folders, their own.
type Pen struct {
	Keys   Keys
	Signer *Signer
}

// Found is the first entry of a folder: it begins epoch 1 under these keys, which
// need hold no admin seed if admin is somebody else's public key.
func Found(anchor Anchor, p Pen, ops ...Operation) ([]byte, error) {
	if anchor.Epoch != 1 {
		return nil, fmt.Errorf("%w: a folder begins in epoch 1", ErrRight)
	}
	s := Begin(anchor)
	start := &Start{Write: anchor.Public.Write, Admin: anchor.Public.Admin}
	return s.write(p, draft{start: start, epoch: 1, ops: append([]Operation{{What: OpEpoch}}, ops...)})
}

// Write is the next entry of s, which does ops. It does not change s: Apply does,
// once the server has taken the entry.
func (s *State) Write(p Pen, ops ...Operation) ([]byte, error) {
	return s.write(p, draft{epoch: s.chain.Epoch, ops: ops})
}

// WriteCheckpoint is Write for an entry that names a checkpoint of s, as c holds it.
func (s *State) WriteCheckpoint(p Pen, c Checkpoint, ops ...Operation) ([]byte, error) {
	first := Operation{What: OpCheckpoint, Seq: c.Head.Seq, Hash: &c.Head.Hash, Digest: &c.Digest}
	return s.write(p, draft{epoch: s.chain.Epoch, pages: c.Hashes, ops: append([]Operation{first}, ops...)})
}

// WriteEpoch is the entry that begins the next epoch under other keys. It takes
// the present epoch's read key and admin seed.
func (s *State) WriteEpoch(p Pen, next Keys, ops ...Operation) ([]byte, error) {
	if p.Keys.Read.IsZero() || p.Keys.Admin.IsZero() || p.Keys.Admin.public() != s.chain.Keys.Admin {
		return nil, fmt.Errorf("%w: a new epoch takes the admin key", ErrRight)
	}
	if next.Read.IsZero() || next.Write.IsZero() || next.Admin.IsZero() {
		return nil, fmt.Errorf("%w: a new epoch takes all its keys", ErrRight)
	}
	before := p.Keys.Read
	d := draft{epoch: s.chain.Epoch + 1, ops: append([]Operation{{What: OpEpoch, ReadKey: &before}}, ops...)}
	public := next.Public()
	d.start = &Start{Write: public.Write, Admin: public.Admin, Handover: handOver(p.Keys.Admin, s.next(d.epoch), public)}
	p.Keys = next
	return s.write(p, d)
}

// draft is an entry in the making.
type draft struct {
	start *Start
	epoch int64
	pages []Hash
	ops   []Operation
}

// next is the place of the next entry.
func (s *State) next(epoch int64) place {
	return place{folder: s.chain.Folder, seq: s.chain.Seq + 1, epoch: epoch, previous: s.chain.Hash}
}

func (s *State) write(p Pen, d draft) ([]byte, error) {
	at := s.next(d.epoch)
	done, err := s.try(d, at)
	if err != nil {
		return nil, err
	}
	key, err := s.signingKey(p, d)
	if err != nil {
		return nil, err
	}
	b := body{Operations: d.ops}
	if p.Signer != nil {
		b.Author = p.Signer.sign(at, d.ops)
	}
	o := &Outer{
		Folder: at.folder, Seq: at.seq, Epoch: at.epoch, Previous: at.previous,
		Added: done.added, Dropped: done.dropped, FoldersAdded: done.foldersAdded, FoldersDropped: done.foldersDropped,
		Sealed: sealBody(p.Keys.Read, at, b), Start: d.start, Pages: d.pages,
	}
	return o.encode(key)
}

// try does the operations, notes their effect, and takes them back.
func (s *State) try(d draft, at place) (effect, error) {
	if len(d.ops) == 0 || len(d.ops) > MaxOperations {
		return effect{}, fmt.Errorf("%w: %d operations, 1 to %d in one entry", ErrTooLarge, len(d.ops), MaxOperations)
	}
	if err := checkEpoch(d.epoch); err != nil {
		return effect{}, err
	}
	for i := range d.ops {
		if err := d.ops[i].check(d.ops[i].keys()); err != nil {
			return effect{}, err
		}
		if d.ops[i].Descriptor != nil {
			if err := d.ops[i].Descriptor.Check(); err != nil {
				return effect{}, err
			}
		}
	}
	s.begin()
	defer s.takeBack()
	if err := s.applyAll(d.start, at, d.ops); err != nil {
		return effect{}, fmt.Errorf("journal: %w", err)
	}
	if name, clash := s.newClash(); clash {
		return effect{}, fmt.Errorf("%w: %q", ErrClash, name)
	}
	return s.effect(), nil
}

// newClash finds a name that the change brought and that clashes now.
func (s *State) newClash() (string, bool) {
	s.fold()
	for _, u := range s.undo {
		if u.head != nil {
			continue
		}
		e, there := s.entries[u.id]
		if !there || e.Trashed || u.before != nil && !u.before.Trashed && u.before.Name() == e.Name() {
			continue
		}
		if s.clash(e.Name()) > 1 {
			return e.Name(), true
		}
	}
	return "", false
}

// signingKey is the key that d takes, if p has it.
func (s *State) signingKey(p Pen, d draft) (ed25519.PrivateKey, error) {
	keys := s.chain.Keys
	if d.start != nil {
		keys = d.start.Public()
	}
	admin := d.start != nil && d.epoch > 1
	for i := range d.ops {
		admin = admin || d.ops[i].What == OpRekey
	}
	switch {
	case p.Keys.Read.IsZero():
		return nil, fmt.Errorf("%w: writing takes the read key", ErrRight)
	case admin && !p.Keys.Admin.IsZero() && p.Keys.Admin.public() == keys.Admin:
		return p.Keys.Admin.key(), nil
	case admin:
		return nil, fmt.Errorf("%w: this takes the admin key", ErrRight)
	case !p.Keys.Write.IsZero() && p.Keys.Write.public() == keys.Write:
		return p.Keys.Write.key(), nil
	}
	return nil, fmt.Errorf("%w: this takes the write key", ErrRight)
}
