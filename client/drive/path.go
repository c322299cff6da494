package drive

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/text/unicode/norm"

	"holdfast/format/descriptor"
	"holdfast/format/journal"
)

// maxDepth is how many folders may lie in each other (docs/protocol.md).
const maxDepth = 300

// split parts a path at its slashes and checks each name. "" and "/" are the root.
func split(path string) ([]string, error) {
	var names []string
	for name := range strings.SplitSeq(path, "/") {
		if name == "" || name == "." {
			continue
		}
		if err := descriptor.CheckName(name); err != nil {
			return nil, &Error{path, fmt.Errorf("%q cannot be a name: %w", descriptor.Display(name), err)}
		}
		if names = append(names, name); len(names) > maxDepth {
			return nil, &Error{"/" + strings.Join(names[:1], "/") + "/…", ErrDepth}
		}
	}
	return names, nil
}

func whole(names []string) string { return "/" + strings.Join(names, "/") }

// find finds a live entry: by its name as it was typed, then in composed form, then by
// the rule under which names clash (docs/format.md §22).
func find(s *journal.State, name string) (*journal.Entry, bool) {
	if e, ok := s.Find(name); ok {
		return e, true
	}
	if e, ok := s.Find(norm.NFC.String(name)); ok {
		return e, true
	}
	if !s.Clashes(name) {
		return nil, false
	}
	folded := descriptor.Fold(name)
	for e := range s.All() {
		if !e.Trashed && descriptor.Fold(e.Name()) == folded {
			return e, true
		}
	}
	return nil, false
}

// place is what a path leads to, as far as it leads anywhere.
type place struct {
	chain []*folder      // from the root; the last one is the item itself if it is a folder that was entered
	entry *journal.Entry // what the last name names, if the path leads to its end
	rest  []string       // names that lead nowhere
}

// last is the folder that the path leads to, or in which its end lies.
func (p place) last() *folder { return p.chain[len(p.chain)-1] }

// walk follows names from the root. With enter the folder at the end is read too.
func (d *Drive) walk(ctx context.Context, names []string, enter bool) (place, error) {
	all, err := d.walkAll(ctx, [][]string{names}, enter)
	if err != nil {
		return place{}, err
	}
	return all[0], nil
}

// walkAll follows several paths. As many folders are read at once as are known.
func (d *Drive) walkAll(ctx context.Context, paths [][]string, enter bool) ([]place, error) {
	for {
		all := make([]place, len(paths))
		asked := map[*folder]bool{}
		var stale []*folder
		for i, names := range paths {
			p, err := d.known(names, enter)
			if err != nil {
				return nil, err
			}
			for _, f := range p.chain {
				if f.round != d.round && !asked[f] {
					asked[f] = true
					stale = append(stale, f)
				}
			}
			all[i] = p
		}
		if err := d.refresh(ctx, stale...); err != nil {
			return nil, err
		}
		for _, p := range all {
			if err := d.there(ctx, p.chain); err != nil {
				return nil, err
			}
		}
		if len(stale) == 0 {
			return all, nil
		}
	}
}

// known follows names as far as states are known.
func (d *Drive) known(names []string, enter bool) (place, error) {
	p := place{chain: []*folder{d.root}, rest: names}
	for i, name := range names {
		f := p.last()
		if err := d.look(f); err != nil {
			return p, err
		}
		if f.state == nil {
			return p, nil
		}
		e, ok := find(f.state, name)
		if !ok {
			m, ok := d.mounted(f, name)
			if !ok {
				return p, nil
			}
			if p.rest = names[i+1:]; len(p.rest) == 0 {
				p.entry = m.entry()
				if !enter {
					return p, nil
				}
			}
			p.chain = append(p.chain, d.folders[m.Folder])
			continue
		}
		p.rest = names[i+1:]
		if len(p.rest) == 0 {
			p.entry = e
		}
		switch {
		case !e.IsFolder() && len(p.rest) > 0:
			if f.round == d.round {
				return p, &Error{join(f.path, e.Name()), ErrNotFolder}
			}
			return p, nil
		case !e.IsFolder() || len(p.rest) == 0 && !enter:
			return p, nil
		}
		c, err := d.child(f, e)
		if err != nil {
			return p, err
		}
		p.chain = append(p.chain, c)
	}
	return p, nil
}

// there wants that the server has the folders. A folder that is missing may have been
// purged since its parent was read: then both are looked at once more, in one moment.
func (d *Drive) there(ctx context.Context, chain []*folder) error {
	for i, f := range chain {
		if f.round != d.round || !f.gone {
			continue
		}
		if f == d.root {
			return d.found(ctx)
		}
		if f.parent == nil {
			return &Error{f.path, ErrUnshared}
		}
		for _, again := range chain[:i+1] {
			again.round = 0
		}
		if err := d.refresh(ctx, chain[:i+1]...); err != nil {
			return err
		}
		if e, still := f.parent.state.Child(f.id); still && f.gone && !f.parent.gone {
			f.path = join(f.parent.path, e.Name())
			return f.alarm(journal.Missing, "its parent's journal has it")
		}
		return &Error{f.path, ErrNotFound}
	}
	return nil
}

// resolve finds what is at a path.
func (d *Drive) resolve(ctx context.Context, path string, enter bool) (place, Item, error) {
	names, err := split(path)
	if err != nil {
		return place{}, Item{}, err
	}
	p, err := d.walk(ctx, names, enter)
	if err != nil {
		return p, Item{}, err
	}
	switch {
	case len(names) == 0:
		return p, d.root.itself(), nil
	case p.entry == nil:
		return p, Item{}, &Error{join(p.last().path, p.rest[0]), ErrNotFound}
	case enter && p.entry.IsFolder():
		return p, p.last().itself(), nil
	}
	return p, p.last().item(p.entry), nil
}

// Resolve finds what is at a path.
func (d *Drive) Resolve(ctx context.Context, path string) (i Item, err error) {
	err = d.do(ctx, func() (err error) {
		_, i, err = d.resolve(ctx, path, false)
		return err
	})
	return i, err
}

// List are the live entries of a folder, sorted by name as bytes.
func (d *Drive) List(ctx context.Context, path string) (all []Item, err error) {
	err = d.do(ctx, func() error {
		p, i, err := d.resolve(ctx, path, true)
		if err != nil {
			return err
		}
		if !i.IsFolder() {
			return &Error{i.Path, ErrNotFolder}
		}
		all = p.last().list()
		if d.holdsMounts(p.last()) {
			for _, m := range d.mounts {
				all = append(all, Item{Path: join(p.last().path, m.name), Folder: p.last().id, Entry: m.entry(), Self: m.Folder})
			}
		}
		return nil
	})
	return all, err
}

func (f *folder) list() []Item {
	entries := f.state.List()
	all := make([]Item, len(entries))
	for i, e := range entries {
		all[i] = f.item(e)
	}
	return all
}
