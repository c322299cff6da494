package drive

import (
	"context"
	"errors"

	"holdfast/format/descriptor"
	"holdfast/format/journal"
)

// target is where something goes: a folder, and the name that it has there.
type target struct {
	in   *folder
	name string
	over *journal.Entry // a file of that name that is there
}

// targets finds where several things go: into a folder that is there, under their names;
// or one thing under the path itself.
func (d *Drive) targets(ctx context.Context, from []place, to string) ([]target, error) {
	names, err := split(to)
	if err != nil {
		return nil, err
	}
	p, err := d.walk(ctx, names, true)
	if err != nil {
		return nil, err
	}
	f := p.last()
	into := len(p.rest) == 0 && (p.entry == nil || p.entry.IsFolder())
	switch {
	case len(from) == 1 && p.entry != nil && p.entry.ID == from[0].entry.ID: // its own name, or one that is taken for it
		return []target{{in: from[0].last(), name: names[len(names)-1], over: p.entry}}, nil
	case into:
		var all []target
		for _, s := range from {
			t := target{in: f, name: s.entry.Name()}
			if e, there := find(f.state, t.name); there && e.ID != s.entry.ID {
				t.over = e
			}
			all = append(all, t)
		}
		return all, nil
	case len(from) > 1 && p.entry != nil:
		return nil, &Error{whole(names), ErrNotFolder}
	case len(from) > 1:
		return nil, &Error{join(f.path, p.rest[0]), ErrNotFound}
	case len(p.rest) == 1 && p.entry == nil:
		return []target{{in: f, name: p.rest[0]}}, nil
	case p.entry != nil:
		return []target{{in: f, name: p.entry.Name(), over: p.entry}}, nil
	}
	return nil, &Error{join(f.path, p.rest[0]), ErrNotFound}
}

// Move moves files and folders into a folder, or one of them to a new path, in one
// commit. A file in its place goes into the trash there; a folder is not replaced. A
// folder that comes out of a shared one gets new keys.
func (d *Drive) Move(ctx context.Context, from []string, to string) (out Result, err error) {
	err = d.do(ctx, func() error {
		if err := d.goOn(ctx); err != nil {
			return err
		}
		places, err := d.entries(ctx, from)
		if err != nil {
			return err
		}
		targets, err := d.targets(ctx, places, to)
		if err != nil {
			return err
		}
		c := d.change()
		for i, p := range places {
			if err := c.move(p.last(), p.entry, targets[i]); err != nil {
				return err
			}
		}
		leaving, err := d.leaving(ctx, places, targets)
		if err == nil {
			err = d.noteLeaving(leaving, targets)
		}
		if err != nil {
			return err
		}
		if out, err = d.commit(ctx, c); err == nil {
			return d.left(ctx, leaving, targets)
		}
		if !errors.Is(err, ErrUnknown) { // else it may have moved
			for _, f := range leaving {
				err = errors.Join(err, d.store.forgetRekey(f.id))
			}
		}
		return err
	})
	return out, err
}

func (c *change) move(from *folder, e *journal.Entry, to target) error {
	path := join(to.in.path, to.name)
	if to.over != nil && to.over.ID != e.ID {
		if to.over.IsFolder() || e.IsFolder() {
			return &Error{path, ErrExists}
		}
		c.add(to.in, journal.RemoveOn(to.over.ID, c.d.today()))
	}
	if err := descriptor.CheckName(to.name); err != nil {
		return &Error{path, err}
	}
	if from == to.in {
		if to.name != e.Name() {
			c.add(from, journal.RenameTo(e.ID, to.name))
		}
		return nil
	}
	if from.root() != to.in.root() {
		return &Error{path, ErrOwner}
	}
	var child *journal.Child
	if e.Child != nil {
		moved, err := c.d.child(from, e)
		if err != nil {
			return err
		}
		for _, at := range to.in.above() {
			if at == moved {
				return &Error{path, ErrInside}
			}
		}
		sealed, err := c.d.sealFor(to.in, moved)
		if err != nil {
			return err
		}
		child = &sealed
		c.into = append(c.into, to.in)
	}
	out, in := journal.Move(e, from.id, to.in.id, to.name, child)
	c.add(from, out)
	c.add(to.in, in)
	return nil
}

// Copy copies files, and folders with all in them, into a folder, or one of them to a new
// path. No content moves; versions and trash stay behind. A file in the place of a copy
// gets it as its newest version. A tree too large for one commit comes in several, from
// the top down.
func (d *Drive) Copy(ctx context.Context, from []string, to string) (out Result, err error) {
	err = d.do(ctx, func() error {
		places, err := d.entries(ctx, from)
		if err != nil {
			return err
		}
		targets, err := d.targets(ctx, places, to)
		if err != nil {
			return err
		}
		k := &copying{d: d, c: d.change(), out: &out}
		for i, p := range places {
			if err := k.one(ctx, p.last(), p.entry, targets[i]); err != nil {
				return err
			}
		}
		return k.commit(ctx)
	})
	return out, err
}

// copying is a copy under way.
type copying struct {
	d   *Drive
	c   *change
	n   int // files and folders in it
	out *Result
}

// maxCopied is how many files and folders one commit copies.
const maxCopied = MaxFiles

func (k *copying) commit(ctx context.Context) error {
	got, err := k.d.commit(ctx, k.c)
	k.out.Notices = append(k.out.Notices, got.Notices...)
	k.c, k.n = k.d.change(), 0
	return err
}

func (k *copying) one(ctx context.Context, from *folder, e *journal.Entry, to target) error {
	path := join(to.in.path, to.name)
	if err := descriptor.CheckName(to.name); err != nil {
		return &Error{path, err}
	}
	about := *e.Descriptor
	about.Path, about.Versions = to.name, nil
	if e.Child == nil {
		if to.in == from && to.name == e.Name() {
			return &Error{path, ErrExists}
		}
		k.n++
		return k.c.putFile(to.in, about)
	}
	if to.over != nil || to.in == from && to.name == e.Name() {
		return &Error{path, ErrExists}
	}
	source, err := k.d.child(from, e)
	if err != nil {
		return err
	}
	for _, at := range to.in.above() {
		if at == source {
			return &Error{path, ErrInside}
		}
	}
	if err := k.d.refresh(ctx, source); err != nil {
		return err
	}
	if err := k.d.there(ctx, chain(source)); err != nil {
		return err
	}
	return k.tree(ctx, source, to.in, about)
}

// tree copies a folder below top; folders get keys of their own.
func (k *copying) tree(ctx context.Context, source, top *folder, about descriptor.Descriptor) error {
	copies := map[*folder]*folder{}
	return k.d.tree(ctx, source, func(f *folder) error {
		into, as := top, about
		if f != source {
			e, _ := f.parent.state.Child(f.id)
			into, as = copies[f.parent], *e.Descriptor
		}
		if err := k.room(ctx, 1); err != nil {
			return err
		}
		made, err := k.c.makeAs(into, newEntry(), as)
		if err != nil {
			return err
		}
		copies[f] = made
		for _, e := range f.state.List() {
			if e.Child != nil {
				continue
			}
			if err := k.room(ctx, 1); err != nil {
				return err
			}
			file := *e.Descriptor
			file.Versions = nil
			k.c.add(made, journal.PutFile(newEntry(), file))
		}
		return nil
	})
}

// room commits what there is where no more fits.
func (k *copying) room(ctx context.Context, more int) error {
	if k.n+more > maxCopied {
		if err := k.commit(ctx); err != nil {
			return err
		}
	}
	k.n += more
	return nil
}
