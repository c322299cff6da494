package source

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"holdfast/format/descriptor"
)

// Walk lists files and folders with everything in them. Each of them stands in
// the tree under its own last name.
func Walk(ctx context.Context, paths []string) (Tree, error) {
	w := walker{ctx: ctx, from: map[string]string{}}
	for _, path := range paths {
		if err := w.root(path); err != nil {
			return Tree{}, err
		}
	}
	if len(w.tree.Entries) == 0 {
		if len(w.tree.Skipped) > 0 {
			s := w.tree.Skipped[0]
			return Tree{}, &Error{s.Local, fmt.Errorf("%w: it is %s", ErrNothing, s.Reason)}
		}
		return Tree{}, ErrNothing
	}
	slices.SortFunc(w.tree.Entries, func(a, b Entry) int { return cmp.Compare(a.Path, b.Path) })
	return w.tree, nil
}

type walker struct {
	ctx  context.Context
	tree Tree
	from map[string]string // names at the top, and what they came from
}

func (w *walker) root(path string) error {
	if path == "" {
		return &Error{path, ErrMissing}
	}
	local, err := filepath.Abs(path)
	if err != nil {
		return &Error{path, reason(err)}
	}
	info, err := os.Lstat(local)
	if err != nil {
		return &Error{path, reason(err)}
	}
	name := filepath.Base(local)
	if _, taken := w.from[name]; taken {
		return &Error{path, ErrClash}
	}
	w.from[name] = local
	return w.add(name, local, info)
}

func (w *walker) add(path, local string, info fs.FileInfo) error {
	if err := context.Cause(w.ctx); err != nil {
		return err
	}
	mode := info.Mode()
	switch {
	case mode&fs.ModeSymlink != 0:
		w.tree.Skipped = append(w.tree.Skipped, Skipped{local, Symlink})
		return nil
	case !mode.IsDir() && !mode.IsRegular():
		w.tree.Skipped = append(w.tree.Skipped, Skipped{local, Special})
		return nil
	}
	if descriptor.CheckPath(path) != nil {
		return &Error{local, ErrName}
	}
	if descriptor.CheckDepth(path) != nil {
		return &Error{local, ErrDeep}
	}
	if err := readable(local, mode.IsDir()); err != nil {
		return &Error{local, reason(err)}
	}
	e := Entry{Path: path, Local: local, Folder: mode.IsDir(), Stamp: stamp(info)}
	if e.Folder {
		e.Size, e.Executable = 0, false
	}
	w.tree.Entries = append(w.tree.Entries, e)
	if e.Folder {
		return w.folder(path, local)
	}
	return nil
}

func (w *walker) folder(path, local string) error {
	entries, err := os.ReadDir(local)
	if err != nil {
		return &Error{local, reason(err)}
	}
	for _, entry := range entries {
		below := filepath.Join(local, entry.Name())
		info, err := entry.Info()
		if err != nil {
			return &Error{below, reason(err)}
		}
		if err := w.add(strings.TrimSuffix(path, "/")+"/"+entry.Name(), below, info); err != nil {
			return err
		}
	}
	return nil
}
