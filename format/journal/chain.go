package journal

import (
	"fmt"

	"holdfast/format/id"
	"holdfast/format/wire"
)

// Chain is the verified end of a folder's journal, as far as public keys tell:
// what a server keeps of each folder, and the outer half of a client's State.
// The zero Chain of a folder stands before its first entry.
type Chain struct {
	Folder id.Folder
	Seq    int64
	Hash   Hash
	Epoch  int64
	Keys   Public
}

// Head is the chain's place.
func (c Chain) Head() Head { return Head{Folder: c.Folder, Seq: c.Seq, Hash: c.Hash} }

// Check verifies that raw is the next entry of c, and returns it with the chain
// that ends in it. It cannot tell whether the ids agree with the sealed
// operations: State.Apply does. What it refuses is an Alarm.
func (c Chain) Check(raw []byte) (*Outer, Chain, error) {
	e, o, err := c.parse(raw)
	if err != nil {
		return nil, c, err
	}
	next, err := c.follow(e, o)
	if err != nil {
		return nil, c, err
	}
	return o, next, nil
}

// parse decodes an entry and checks that it claims to be of this folder.
func (c Chain) parse(raw []byte) (envelope, *Outer, error) {
	e, err := parseEnvelope(raw)
	if err != nil {
		return envelope{}, nil, alarm(c.Folder, Encoding, c.Seq+1, err)
	}
	if e.Type != entryType {
		return envelope{}, nil, alarm(c.Folder, Foreign, c.Seq+1, fmt.Errorf("%w: type %.64q", wire.ErrEnvelope, e.Type))
	}
	o, err := decodeOuter(e.Payload)
	if err != nil {
		return envelope{}, nil, alarm(c.Folder, Encoding, c.Seq+1, err)
	}
	if o.Folder != c.Folder {
		return envelope{}, nil, alarm(c.Folder, Foreign, o.Seq, wrong("it is of folder %s", o.Folder))
	}
	o.hash = e.hash
	return e, o, nil
}

// follow checks that a decoded entry is the next, in the order of §21.
func (c Chain) follow(e envelope, o *Outer) (Chain, error) {
	keys, err := c.keysOf(o)
	if err != nil {
		return c, err
	}
	if err := c.signature(e, o, keys); err != nil {
		return c, err
	}
	if err := c.position(o); err != nil {
		return c, err
	}
	if o.Start != nil {
		if err := c.start(o); err != nil {
			return c, err
		}
	}
	return Chain{Folder: c.Folder, Seq: o.Seq, Hash: o.hash, Epoch: o.Epoch, Keys: keys}, nil
}

// keysOf are the keys of which one must have signed o.
func (c Chain) keysOf(o *Outer) (Public, error) {
	switch {
	case o.Start == nil && o.Epoch == c.Epoch:
		return c.Keys, nil
	case o.Start != nil && o.Epoch == c.Epoch+1:
		return o.Start.Public(), nil
	}
	// Beside the next place, what is missing or old is what to tell.
	if o.Seq != c.Seq+1 {
		return Public{}, c.position(o)
	}
	return Public{}, alarm(c.Folder, Epoch, o.Seq, wrong("epoch %d, the folder's is %d", o.Epoch, c.Epoch))
}

func (c Chain) signature(e envelope, o *Outer, keys Public) error {
	key := keys.Write
	switch e.Key {
	case keys.Admin.ID():
		key, o.byAdmin = keys.Admin, true
	case keys.Write.ID():
	default:
		return alarm(c.Folder, Foreign, o.Seq, wire.ErrEnvelope)
	}
	if _, err := e.Verify(entryType, key[:]); err != nil {
		return alarm(c.Folder, Planted, o.Seq, err)
	}
	return nil
}

// position checks seq and previous.
func (c Chain) position(o *Outer) error {
	switch {
	case o.Seq > c.Seq+1:
		return alarm(c.Folder, Gap, o.Seq, wrong("the last one seen is %d", c.Seq))
	case o.Seq == c.Seq && o.hash != c.Hash:
		return alarm(c.Folder, Fork, o.Seq, nil)
	case o.Seq <= c.Seq:
		return alarm(c.Folder, Rollback, o.Seq, wrong("entry %d was seen", c.Seq))
	case o.Previous != c.Hash:
		return alarm(c.Folder, Fork, o.Seq, wrong("it follows another entry %d", c.Seq))
	}
	return nil
}

// start checks the right to begin an epoch. The first is begun by whoever makes
// the folder; that its keys are the right ones, the anchor tells.
func (c Chain) start(o *Outer) error {
	if o.Epoch == 1 {
		return nil
	}
	if !o.byAdmin {
		return alarm(c.Folder, NotAdmin, o.Seq, wrong("an epoch begun with the write key"))
	}
	if !o.Start.verify(c.Keys.Admin, o.place()) {
		return alarm(c.Folder, NotAdmin, o.Seq, wrong("the epoch before did not consent"))
	}
	return nil
}
