package drive

import (
	"context"
	"slices"

	"holdfast/format/id"
	"holdfast/format/journal"
)

// entry finds what paths lead to, which must not be the root, with the folder in which
// it lies.
func (d *Drive) entries(ctx context.Context, paths []string) ([]place, error) {
	all, err := splitAll(paths)
	if err != nil {
		return nil, err
	}
	places, err := d.walkAll(ctx, all, false)
	if err != nil {
		return nil, err
	}
	for i, p := range places {
		switch {
		case len(all[i]) == 0:
			return nil, &Error{"/", ErrRoot}
		case p.entry == nil:
			return nil, &Error{join(p.last().path, p.rest[0]), ErrNotFound}
		}
	}
	return places, nil
}

// maxRemoved is how much one commit removes.
const maxRemoved = 8192

// Remove puts files and folders into the trash of the folders in which they lie; more
// than 8,192 of them in several commits.
func (d *Drive) Remove(ctx context.Context, paths []string) (out Result, err error) {
	err = d.do(ctx, func() error {
		places, err := d.entries(ctx, paths)
		if err != nil {
			return err
		}
		done := map[id.Entry]bool{}
		for some := range slices.Chunk(places, maxRemoved) {
			c := d.change()
			for _, p := range some {
				if !done[p.entry.ID] {
					done[p.entry.ID] = true
					c.add(p.last(), journal.RemoveOn(p.entry.ID, d.today()))
				}
			}
			r, err := d.commit(ctx, c)
			out.Notices = append(out.Notices, r.Notices...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// Trashed is something in the trash of a folder.
type Trashed struct {
	Item       // where it was, under the name that it had
	Day  int64 // since when, in days since 1970-01-01 UTC
}

// Trash lists what lies in the trash of a folder and, with below, of all live folders
// below it.
func (d *Drive) Trash(ctx context.Context, path string, below bool) (all []Trashed, err error) {
	err = d.do(ctx, func() error {
		return d.eachFolder(ctx, path, below, func(f *folder) error {
			for _, e := range f.state.Trash() {
				all = append(all, Trashed{f.item(e), e.Day})
			}
			return nil
		})
	})
	return all, err
}

// eachFolder visits a folder and, with below, all live ones below it.
func (d *Drive) eachFolder(ctx context.Context, path string, below bool, do func(*folder) error) error {
	p, i, err := d.resolve(ctx, path, true)
	if err != nil {
		return err
	}
	if !i.IsFolder() {
		return &Error{i.Path, ErrNotFolder}
	}
	if !below {
		return do(p.last())
	}
	return d.tree(ctx, p.last(), func(f *folder) error { return do(f) })
}

// Restore takes things out of the trash, each named by the path that it had: the one that
// was removed last, where there are several. A name that is taken is numbered; what they
// are called now is returned in the order of the paths.
func (d *Drive) Restore(ctx context.Context, paths []string) (back []string, out Result, err error) {
	err = d.do(ctx, func() error {
		all, err := splitAll(paths)
		if err != nil {
			return err
		}
		c := d.change()
		for _, names := range all {
			f, e, err := d.inTrash(ctx, names)
			if err != nil {
				return err
			}
			name := f.state.Free(e.Name())
			c.add(f, journal.RestoreAs(e.ID, name))
			back = append(back, join(f.path, name))
		}
		out, err = d.commit(ctx, c)
		return err
	})
	return back, out, err
}

// inTrash finds what was removed last from a path.
func (d *Drive) inTrash(ctx context.Context, names []string) (*folder, *journal.Entry, error) {
	if len(names) == 0 {
		return nil, nil, &Error{"/", ErrRoot}
	}
	above, name := names[:len(names)-1], names[len(names)-1]
	p, err := d.walk(ctx, above, true)
	if err != nil {
		return nil, nil, err
	}
	f := p.last()
	if len(p.rest) > 0 {
		return nil, nil, &Error{join(f.path, p.rest[0]), ErrNotFound}
	}
	if p.entry != nil && !p.entry.IsFolder() {
		return nil, nil, &Error{whole(above), ErrNotFolder}
	}
	var found *journal.Entry
	for _, e := range f.state.Trash() {
		if e.Name() == name {
			found = e
		}
	}
	if found == nil {
		return nil, nil, &Error{join(f.path, name), ErrNotTrashed}
	}
	return f, found, nil
}

// Purge ends things in the trash for good, each named by the path that it had.
func (d *Drive) Purge(ctx context.Context, paths []string) error {
	return d.do(ctx, func() error {
		all, err := splitAll(paths)
		if err != nil {
			return err
		}
		c := d.change()
		for _, names := range all {
			f, e, err := d.inTrash(ctx, names)
			if err != nil {
				return err
			}
			if err := d.forgetBelow(ctx, c, f, e); err != nil {
				return err
			}
			c.purge(f, e)
		}
		_, err = d.commit(ctx, c)
		return err
	})
}

// Empty ends for good what is in the trash of a folder and, with below, of all below it,
// where it has been there for at least that many days. It returns how many things ended.
func (d *Drive) Empty(ctx context.Context, path string, below bool, days int64) (n int, err error) {
	err = d.do(ctx, func() error {
		var all []*folder
		if err := d.eachFolder(ctx, path, below, func(f *folder) error {
			all = append(all, f)
			return nil
		}); err != nil {
			return err
		}
		for _, f := range all {
			done, err := d.emptyOne(ctx, f, d.today()-days)
			n += done
			if err != nil {
				return err
			}
		}
		return nil
	})
	return n, err
}

func (d *Drive) emptyOne(ctx context.Context, f *folder, before int64) (n int, err error) {
	for {
		c, count := d.change(), 0
		for _, e := range f.state.Trash() {
			if e.Day > before || count == MaxFiles {
				break
			}
			if err := d.forgetBelow(ctx, c, f, e); err != nil {
				return n, err
			}
			c.purge(f, e)
			count++
		}
		if count == 0 {
			return n, nil
		}
		if _, err := d.commit(ctx, c); err != nil {
			return n, err
		}
		n += count
	}
}

// forgetBelow has heads forget what lies in a folder that ends.
func (d *Drive) forgetBelow(ctx context.Context, c *change, f *folder, e *journal.Entry) error {
	if e.Child == nil {
		return nil
	}
	top, err := d.child(f, e)
	if err != nil {
		return err
	}
	if err := d.refresh(ctx, top); err != nil {
		return err
	}
	if top.gone {
		return top.alarm(journal.Missing, "its parent's journal has it")
	}
	return d.treeOf(ctx, top, true, func(below *folder) error {
		if below != top {
			c.forget = append(c.forget, below.id)
		}
		return nil
	})
}
