package drive

import (
	"context"
	"path"
	"slices"
	"strings"

	"holdfast/api"
	"holdfast/format/journal"
)

// tree visits a folder that was read, and all live folders below it: a folder before
// those in it, siblings by name.
func (d *Drive) tree(ctx context.Context, top *folder, do func(*folder) error) error {
	return d.treeOf(ctx, top, false, do)
}

// treeOf is tree, with what is in the trash too. It reads many folders at once: the next
// ones in the order in which they are visited.
func (d *Drive) treeOf(ctx context.Context, top *folder, trash bool, do func(*folder) error) error {
	stack := []*folder{top}
	for len(stack) > 0 {
		f := stack[len(stack)-1]
		if f.round != d.round {
			if err := d.ahead(ctx, stack); err != nil {
				return err
			}
		}
		stack = stack[:len(stack)-1]
		if f.gone {
			if err := d.there(ctx, chain(f)); err != nil {
				return err
			}
		}
		if err := do(f); err != nil {
			return err
		}
		below, err := d.childrenOf(f, trash)
		if err != nil {
			return err
		}
		slices.Reverse(below)
		stack = append(stack, below...)
	}
	return nil
}

// ahead reads the last ones on the stack that were not read.
func (d *Drive) ahead(ctx context.Context, stack []*folder) error {
	var next []*folder
	for _, f := range slices.Backward(stack) {
		if f.round != d.round {
			if next = append(next, f); len(next) == api.MaxFolders-1 {
				break
			}
		}
	}
	return d.refresh(ctx, next...)
}

// chain are the folders from the root to f.
func chain(f *folder) []*folder {
	all := f.above()
	slices.Reverse(all)
	return all
}

// childrenOf are the folders in f by name.
func (d *Drive) childrenOf(f *folder, trash bool) (all []*folder, err error) {
	entries := f.state.List()
	if trash {
		entries = append(entries, f.state.Trash()...)
	}
	for _, e := range entries {
		if e.Child == nil {
			continue
		}
		c, err := d.child(f, e)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// Walk calls do for what is at a path and for everything live below it: a folder
// before what is in it, the files of a folder before the folders in it, by name. It
// reads folders in batches. do must not call the drive.
func (d *Drive) Walk(ctx context.Context, path string, do func(Item) error) error {
	return d.do(ctx, func() error {
		p, i, err := d.resolve(ctx, path, true)
		if err != nil {
			return err
		}
		if !i.IsFolder() {
			return do(i)
		}
		return d.tree(ctx, p.last(), func(f *folder) error {
			if err := do(f.itself()); err != nil {
				return err
			}
			for _, i := range f.list() {
				if !i.IsFolder() {
					if err := do(i); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
}

// Glob finds what fits a pattern: path.Match for each component, ** for any number of
// folders. A component that is the name of something stands for itself. What is found
// comes once, in order of paths.
func (d *Drive) Glob(ctx context.Context, pattern string) (all []Item, err error) {
	err = d.do(ctx, func() error {
		var names []string
		for name := range strings.SplitSeq(pattern, "/") {
			if name == "" || name == "." {
				continue
			}
			if _, err := path.Match(name, ""); err != nil {
				return &Error{pattern, ErrPattern}
			}
			names = append(names, name)
		}
		if !IsPattern(pattern) {
			_, i, err := d.resolve(ctx, pattern, false)
			all = []Item{i}
			return err
		}
		at, err := d.globAll(ctx, names)
		all = at
		if err == nil && len(all) == 0 {
			err = &Error{pattern, ErrNotFound}
		}
		return err
	})
	return all, err
}

// IsPattern tells whether a path has what stands for other characters.
func IsPattern(path string) bool { return strings.ContainsAny(path, `*?[\`) }

// globAll goes through the tree level by level, so that a level's folders are read at once.
func (d *Drive) globAll(ctx context.Context, names []string) ([]Item, error) {
	if _, err := d.walk(ctx, nil, true); err != nil {
		return nil, err
	}
	found := map[string]Item{}
	at := []*folder{d.root}
	for i, name := range names {
		last := i == len(names)-1
		if err := d.refresh(ctx, at...); err != nil {
			return nil, err
		}
		var next []*folder
		for _, f := range at {
			if err := d.there(ctx, chain(f)); err != nil {
				return nil, err
			}
			below, err := d.globIn(ctx, f, name, last, found)
			if err != nil {
				return nil, err
			}
			next = append(next, below...)
		}
		at = unique(next)
	}
	var all []Item
	for _, i := range found {
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b Item) int { return strings.Compare(a.Path, b.Path) })
	return all, nil
}

// globIn finds in f what fits a component: the folders to go on in, or, for the last
// component, everything.
func (d *Drive) globIn(ctx context.Context, f *folder, name string, last bool, found map[string]Item) (next []*folder, err error) {
	if name == "**" {
		err := d.tree(ctx, f, func(below *folder) error {
			next = append(next, below)
			if last {
				for _, i := range below.list() {
					found[i.Path] = i
				}
			}
			return nil
		})
		return next, err
	}
	for _, e := range f.fitting(name) {
		if last {
			i := f.item(e)
			found[i.Path] = i
			continue
		}
		if e.Child == nil {
			continue
		}
		c, err := d.child(f, e)
		if err != nil {
			return nil, err
		}
		next = append(next, c)
	}
	return next, nil
}

func (f *folder) fitting(name string) (all []*journal.Entry) {
	if e, ok := find(f.state, name); ok {
		return []*journal.Entry{e}
	}
	if !IsPattern(name) {
		return nil
	}
	for _, e := range f.state.List() {
		if ok, err := path.Match(name, e.Name()); ok && err == nil { // it was tried before
			all = append(all, e)
		}
	}
	return all
}

// Size is what a file or folder takes.
type Size struct {
	Files, Folders int64
	Bytes          int64 // of the files' newest contents, as people know them
	Versions       int64 // bytes of older versions
	Trash          int64 // bytes in the trash
}

// Usage adds up what is at a path and below it. each, which may be nil, is told of every
// folder that is done, with all below it.
func (d *Drive) Usage(ctx context.Context, path string) (total Size, each map[string]Size, err error) {
	each = map[string]Size{}
	err = d.do(ctx, func() error {
		p, i, err := d.resolve(ctx, path, true)
		if err != nil {
			return err
		}
		if !i.IsFolder() {
			total.add(i.Entry)
			return nil
		}
		top := p.last()
		return d.treeOf(ctx, top, true, func(f *folder) error {
			var own Size
			own.Folders = 1
			for e := range f.state.All() {
				own.add(e)
			}
			trashed := f != top && f.inTrash(top)
			if trashed {
				own = Size{Trash: own.Bytes + own.Versions + own.Trash}
			}
			total.plus(own)
			if trashed {
				f = f.liveAbove(top)
			}
			for at := f; ; at = at.parent {
				sum := each[at.path]
				sum.plus(own)
				each[at.path] = sum
				if at == top {
					return nil
				}
			}
		})
	})
	return total, each, err
}

// inTrash tells whether f, or a folder above it and below top, is in the trash.
func (f *folder) inTrash(top *folder) bool { return f.liveAbove(top) != f }

// liveAbove is the lowest folder from f up to top that is not in the trash.
func (f *folder) liveAbove(top *folder) *folder {
	live := f
	for at := f; at != top; at = at.parent {
		if e, ok := at.parent.state.Child(at.id); ok && e.Trashed {
			live = at.parent
		}
	}
	return live
}

func (s *Size) add(e *journal.Entry) {
	if e.IsFolder() {
		return
	}
	old := int64(0)
	for _, v := range e.Descriptor.Versions {
		old += v.Content.Size
	}
	if e.Trashed {
		s.Trash += e.Descriptor.Content.Size + old
		return
	}
	s.Files++
	s.Bytes += e.Descriptor.Content.Size
	s.Versions += old
}

func (s *Size) plus(o Size) {
	s.Files += o.Files
	s.Folders += o.Folders
	s.Bytes += o.Bytes
	s.Versions += o.Versions
	s.Trash += o.Trash
}

// Space is what the server counts of the account's drive.
func (d *Drive) Space(ctx context.Context) (api.DriveView, error) {
	return api.GetDrive.Call(ctx, d.caller, d.args(), api.Empty{})
}
