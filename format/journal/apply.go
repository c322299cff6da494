package journal

import (
	"holdfast/format/descriptor"
	"holdfast/format/id"
)

// change is what an entry's operations are applied in.
type change struct {
	*State
	first bool // the next operation is the entry's first
}

// apply does one operation, or says why it cannot be done. A failure may leave
// the state changed: the caller takes it back.
func (c *change) apply(op *Operation) error {
	first := c.first
	c.first = false
	switch op.What {
	case OpPut:
		return c.put(op)
	case OpRename:
		return c.onEntry(op, func(e *Entry) error { return c.rename(e, op.Name) })
	case OpRemove:
		return c.onEntry(op, func(e *Entry) error { return c.trash(e, *op.Day) })
	case OpRestore:
		return c.onEntry(op, func(e *Entry) error { return c.restore(e, op.Name) })
	case OpPurge:
		return c.onEntry(op, c.purge)
	case OpForget:
		return c.onEntry(op, func(e *Entry) error { return c.forget(e, *op.Revision) })
	case OpMoveOut:
		return c.onEntry(op, func(e *Entry) error { return c.moveOut(e, *op.Folder) })
	case OpMoveIn:
		return c.moveIn(op)
	case OpCheckpoint:
		return c.checkpoint(op, first)
	case OpEpoch:
		return c.epoch(op, first)
	case OpRekey:
		return c.onEntry(op, func(e *Entry) error { return c.rekey(e, op.Child) })
	case OpHead:
		return c.head(Head{Folder: *op.Folder, Seq: op.Seq, Hash: *op.Hash})
	case OpForgetHead:
		return c.forgetHead(*op.Folder)
	}
	return wrong("operation %d", op.What)
}

func (c *change) onEntry(op *Operation, do func(*Entry) error) error {
	e, ok := c.entries[*op.Entry]
	if !ok {
		return wrong("operation %d on an entry that is not there", op.What)
	}
	return do(e)
}

// name checks that no other live entry has the name.
func (c *change) nameFree(name string) error {
	if _, taken := c.names[name]; taken {
		return wrong("two entries of one name")
	}
	return nil
}

func (c *change) put(op *Operation) error {
	if e, ok := c.entries[*op.Entry]; ok {
		return c.update(e, op.Descriptor)
	}
	if err := c.nameFree(op.Descriptor.Path); err != nil {
		return err
	}
	if op.Child != nil {
		if op.Child.AdminFolder != c.chain.Folder || op.Child.AdminEpoch != c.chain.Epoch {
			return wrong("a new folder's admin key comes from elsewhere")
		}
		if err := c.newChild(op.Child); err != nil {
			return err
		}
	}
	c.set(*op.Entry, nil, &Entry{ID: *op.Entry, Descriptor: op.Descriptor, Child: op.Child})
	return nil
}

// newChild checks the keys of a child that comes into the folder.
func (c *change) newChild(child *Child) error {
	if _, known := c.children[child.Folder]; known || child.Folder == c.chain.Folder {
		return wrong("a folder twice")
	}
	return c.childKeys(child)
}

// childKeys checks what can be checked of a child's keys: that they are sealed by
// this folder as it is now, and that an admin key that is said to be this
// folder's is.
func (c *change) childKeys(child *Child) error {
	if child.Parent != c.chain.Epoch {
		return wrong("keys sealed in epoch %d, the present one is %d", child.Parent, c.chain.Epoch)
	}
	if child.AdminFolder != c.chain.Folder {
		return nil
	}
	if child.AdminEpoch > int64(len(c.epochs)) {
		return wrong("an admin key of an epoch to come")
	}
	if child.SealedAdmin == nil && child.Admin != c.epochs[child.AdminEpoch-1].Admin {
		return wrong("the admin key is not this folder's")
	}
	return nil
}

// update gives a live file another descriptor: what it was becomes a version.
func (c *change) update(e *Entry, d *descriptor.Descriptor) error {
	old := e.Descriptor
	switch {
	case e.Trashed:
		return wrong("put of an entry that is in the trash")
	case e.IsFolder() || d.Kind != descriptor.File:
		return wrong("put of a folder that is there")
	case d.Path != old.Path:
		return wrong("put under another name than the entry's")
	}
	next := *d
	if d.Content.Revision == old.Content.Revision {
		if *d.Content != *old.Content {
			return wrong("another content of the same revision")
		}
		next.Content, next.Versions = old.Content, old.Versions
		c.set(e.ID, e, &Entry{ID: e.ID, Descriptor: &next})
		return nil
	}
	versions := make([]descriptor.Version, 1, min(len(old.Versions)+1, descriptor.MaxVersions))
	versions[0] = descriptor.Version{Content: *old.Content, ModTime: old.ModTime, ModNanos: old.ModNanos}
	for _, v := range old.Versions {
		if v.Content.Revision == d.Content.Revision {
			if v.Content != *d.Content {
				return wrong("another content of the same revision")
			}
			continue
		}
		if len(versions) < descriptor.MaxVersions {
			versions = append(versions, v)
		}
	}
	next.Versions = versions
	c.set(e.ID, e, &Entry{ID: e.ID, Descriptor: &next})
	return nil
}

// named is e under another name.
func (e *Entry) named(name string) *Entry {
	next, d := *e, *e.Descriptor
	d.Path = name
	next.Descriptor = &d
	return &next
}

func (c *change) rename(e *Entry, name string) error {
	if name == e.Name() {
		return nil
	}
	if !e.Trashed {
		if err := c.nameFree(name); err != nil {
			return err
		}
	}
	c.set(e.ID, e, e.named(name))
	return nil
}

func (c *change) trash(e *Entry, day int64) error {
	if e.Trashed {
		return wrong("removal of what is in the trash")
	}
	next := *e
	next.Trashed, next.Day = true, day
	c.set(e.ID, e, &next)
	return nil
}

func (c *change) restore(e *Entry, name string) error {
	if !e.Trashed {
		return wrong("restoring what is not in the trash")
	}
	if err := c.nameFree(name); err != nil {
		return err
	}
	next := e.named(name)
	next.Trashed, next.Day = false, 0
	c.set(e.ID, e, next)
	return nil
}

func (c *change) purge(e *Entry) error {
	if !e.Trashed {
		return wrong("purging what is not in the trash")
	}
	c.set(e.ID, e, nil)
	return nil
}

func (c *change) forget(e *Entry, revision id.Revision) error {
	for i, v := range e.Descriptor.Versions {
		if v.Content.Revision != revision {
			continue
		}
		next, d := *e, *e.Descriptor
		d.Versions = nil
		if rest := len(e.Descriptor.Versions) - 1; rest > 0 {
			d.Versions = append(make([]descriptor.Version, 0, rest), e.Descriptor.Versions[:i]...)
			d.Versions = append(d.Versions, e.Descriptor.Versions[i+1:]...)
		}
		next.Descriptor = &d
		c.set(e.ID, e, &next)
		return nil
	}
	return wrong("forgetting a version that is not there")
}

func (c *change) moveOut(e *Entry, into id.Folder) error {
	if e.Trashed || into == c.chain.Folder {
		return wrong("moving what is in the trash, or into the same folder")
	}
	c.set(e.ID, e, nil)
	return nil
}

func (c *change) moveIn(op *Operation) error {
	if _, known := c.entries[*op.Entry]; known || *op.Folder == c.chain.Folder {
		return wrong("moving in what is there, or from the same folder")
	}
	if err := c.nameFree(op.Descriptor.Path); err != nil {
		return err
	}
	if op.Child != nil {
		if err := c.newChild(op.Child); err != nil {
			return err
		}
	}
	c.set(*op.Entry, nil, &Entry{ID: *op.Entry, Descriptor: op.Descriptor, Child: op.Child})
	return nil
}

func (c *change) rekey(e *Entry, child *Child) error {
	switch {
	case e.Child == nil || e.Child.Folder != child.Folder:
		return wrong("keys of another folder")
	case child.Epoch < e.Child.Epoch:
		return wrong("keys of an epoch before the present one")
	case child.Epoch == e.Child.Epoch && child.Anchor() != e.Child.Anchor():
		return wrong("other keys of the same epoch")
	case child.AdminFolder != c.chain.Folder || child.AdminEpoch != c.chain.Epoch:
		return wrong("the admin key comes from elsewhere")
	}
	if err := c.childKeys(child); err != nil {
		return err
	}
	next := *e
	next.Child = child
	c.set(e.ID, e, &next)
	return nil
}

// checkpoint checks that the operation stands where it may, and is of the state
// before the entry; that the digest is right, State.Apply checks before.
func (c *change) checkpoint(op *Operation, first bool) error {
	if !first {
		return wrong("a checkpoint that is not the first operation")
	}
	if op.Seq != c.chain.Seq || *op.Hash != c.chain.Hash {
		return wrong("a checkpoint of another place in the journal")
	}
	return nil
}

func (c *change) epoch(op *Operation, first bool) error {
	if !first {
		return wrong("an epoch that begins in the middle of an entry")
	}
	if (op.ReadKey == nil) != (c.chain.Epoch == 0) {
		return wrong("every epoch but the first has the read key of the one before")
	}
	return nil
}

func (c *change) head(h Head) error {
	if before, known := c.heads[h.Folder]; known && h.Seq <= before.Seq || h.Folder == c.chain.Folder {
		return wrong("a head that goes back")
	}
	c.setHead(h.Folder, &h)
	return nil
}

func (c *change) forgetHead(folder id.Folder) error {
	if _, known := c.heads[folder]; !known {
		return wrong("forgetting a head that is not there")
	}
	c.setHead(folder, nil)
	return nil
}
