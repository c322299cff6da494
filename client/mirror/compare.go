package mirror

import (
	"context"
	"errors"
	"path"
	"strings"

	"holdfast/client/drive"
	"holdfast/client/source"
	"holdfast/client/transfer"
	"holdfast/format/descriptor"
	"holdfast/format/seal"
)

// tree is what the drive has at some paths and below them.
type tree struct {
	items []*drive.Item // a folder before what is in it
	exact map[string]*drive.Item
	alike map[string]*drive.Item // by folded path
	met   map[string]bool        // paths that something here belongs to
}

func newTree() *tree {
	return &tree{exact: map[string]*drive.Item{}, alike: map[string]*drive.Item{}, met: map[string]bool{}}
}

func (t *tree) add(i drive.Item) error {
	t.items = append(t.items, &i)
	t.exact[i.Path] = &i
	if folded := descriptor.Fold(i.Path); t.alike[folded] == nil {
		t.alike[folded] = &i
	}
	return nil
}

// read adds what is at a path; that nothing is there is good as well.
func (t *tree) read(ctx context.Context, p Paths, at string) error {
	err := p.Walk(ctx, at, t.add)
	if errors.Is(err, drive.ErrNotFound) {
		return nil
	}
	return err
}

// find finds what a name of this machine belongs to: the drive keeps no two names that
// some system takes for one (docs/format.md §22).
func (t *tree) find(at string) *drive.Item {
	if i := t.exact[at]; i != nil {
		return i
	}
	return t.alike[descriptor.Fold(at)]
}

// names gives things of this machine their paths in the drive.
type names struct {
	of    map[string]string // by local path of a folder: its path in the drive
	taken map[string]bool   // folded paths
}

// place is the path of an entry whose folder has one. A name that clashes with that of
// an entry before it is numbered, in the same way each time.
func (n *names) place(folder, name string) (at string, numbered bool) {
	at = path.Join(folder, name)
	for i := 2; n.taken[descriptor.Fold(at)]; i++ {
		at, numbered = path.Join(folder, descriptor.Numbered(name, i)), true
	}
	n.taken[descriptor.Fold(at)] = true
	return at, numbered
}

// compare finds what is to be done so that the drive has the entries, whose roots have
// places already.
func (c *Changes) compare(entries []source.Entry, n *names, there *tree, force, replace bool) error {
	filled := map[string]bool{} // folders that files are put into
	var folders []Change
	for _, e := range entries {
		at, known := n.of[e.Path]
		numbered := false
		if !known {
			at, numbered = n.place(n.of[path.Dir(e.Path)], path.Base(e.Path))
		}
		item := there.find(at)
		if item != nil && item.IsFolder() != e.Folder {
			if !replace {
				return &Error{at, ErrKind}
			}
			c.All = append(c.All, removal(item, true))
			there.drop(item)
			item = nil
		}
		if item != nil {
			at = item.Path
			there.met[at] = true
		}
		if e.Folder {
			n.of[e.Path] = at
			if item == nil {
				folders = append(folders, Change{Kind: Made, Path: at, Local: e.Local, entry: e})
			}
			continue
		}
		if c.file(e, at, item, numbered, force) {
			fill(filled, at)
		}
	}
	for _, f := range folders {
		if !filled[f.Path] {
			c.All = append(c.All, f)
		}
	}
	return c.count()
}

// drop takes an item, and all that is in it, for gone.
func (t *tree) drop(gone *drive.Item) {
	for _, i := range t.items {
		if i == gone || strings.HasPrefix(i.Path, gone.Path+"/") {
			t.met[i.Path] = true
			delete(t.exact, i.Path)
			delete(t.alike, descriptor.Fold(i.Path))
		}
	}
}

// fill marks the folders above a file that is put.
func fill(filled map[string]bool, at string) {
	for dir := path.Dir(at); !filled[dir]; dir = path.Dir(dir) {
		filled[dir] = true
	}
}

// file compares one file and tells whether it is to be stored.
func (c *Changes) file(e source.Entry, at string, item *drive.Item, numbered, force bool) bool {
	change := Change{Kind: New, Path: at, Local: e.Local, Bytes: e.Size, entry: e, item: item}
	if numbered {
		change.Kind = Renamed
	}
	if item != nil {
		change.Kind = Changed
		d := *item.Descriptor()
		if !force {
			if transfer.Same(e.Stamp, d) {
				c.Unchanged++
				return false
			}
			if d.Executable = e.Executable; transfer.Same(e.Stamp, d) {
				change.Kind = Marked
			}
		}
	}
	c.All = append(c.All, change)
	return change.Kind != Marked
}

// stored tells whether a change takes content.
func (c Change) stored() bool { return c.Kind == New || c.Kind == Changed || c.Kind == Renamed }

func (c *Changes) count() error {
	for _, change := range c.All {
		if !change.stored() {
			continue
		}
		length, err := seal.PaddedStreamLength(change.Bytes)
		if err != nil {
			return &source.Error{Local: change.Local, Err: err}
		}
		c.Files++
		c.Bytes += change.Bytes
		c.Stored += length
	}
	return nil
}

// remove adds what nothing here belongs to, without what is in it.
func (c *Changes) remove(there *tree, root string) {
	gone := ""
	for _, i := range there.items {
		if i.Path == root || there.met[i.Path] || gone != "" && strings.HasPrefix(i.Path, gone+"/") {
			continue
		}
		gone = i.Path
		c.All = append(c.All, removal(i, false))
	}
}

func removal(i *drive.Item, first bool) Change {
	c := Change{Kind: Removed, Path: i.Path, item: i, first: first}
	if !i.IsFolder() {
		c.Bytes = i.Descriptor().Content.Size
	}
	return c
}
