package mirror

import (
	"cmp"
	"context"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"holdfast/client/drive"
	"holdfast/client/transfer"
)

// DownOptions says what comes out of the drive.
type DownOptions struct {
	// Remote are paths or patterns of files and folders.
	Remote []string
	// Target is the folder to write to; of a single file also the file. "" is the
	// current folder.
	Target string
	// Force replaces files that are there and differ.
	Force bool
	transfer.Report
	// Planned is told once how much it is; may be nil.
	Planned func(files, bytes int64)
}

// Got is what came.
type Got struct {
	*transfer.Fetched
	Entries      []transfer.Held
	Files, Bytes int64
}

// find finds what paths and patterns name.
func (m *Mirror) find(ctx context.Context, remote []string) (all []drive.Item, err error) {
	for _, pattern := range remote {
		found, err := m.Paths.Glob(ctx, pattern)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, &drive.Error{Path: pattern, Err: drive.ErrNotFound}
		}
		all = append(all, found...)
	}
	return all, nil
}

// Get writes files and folders to this machine.
func (m *Mirror) Get(ctx context.Context, o DownOptions) (Got, error) {
	items, err := m.find(ctx, o.Remote)
	if err != nil {
		return Got{}, err
	}
	var g Got
	tops := map[string]string{}
	for _, i := range items {
		top := path.Base(i.Path)
		if before, taken := tops[top]; taken {
			if before == i.Path {
				continue // two patterns that fit it
			}
			return Got{}, &Error{i.Path, ErrClash}
		}
		tops[top] = i.Path
		if err := g.add(ctx, m.Paths, i); err != nil {
			return Got{}, err
		}
	}
	slices.SortFunc(g.Entries, func(a, b transfer.Held) int { return cmp.Compare(a.Path, b.Path) })
	f := transfer.FetchOptions{Entries: g.Entries, Target: o.Target, Force: o.Force, Report: o.Report}
	f.Planned = func(files, bytes int64) {
		g.Files, g.Bytes = files, bytes
		if o.Planned != nil {
			o.Planned(files, bytes)
		}
	}
	if len(items) == 1 && !items[0].IsFolder() {
		f.Target, f.Name = single(o.Target)
	}
	if f.Target == "" {
		f.Target = "."
	}
	g.Fetched, err = m.Contents.Fetch(ctx, f)
	return g, err
}

// single splits the target of one file into a folder and the file's name there.
func single(target string) (dir, name string) {
	if target == "" {
		return ".", ""
	}
	if info, err := os.Stat(target); err == nil && info.IsDir() || strings.HasSuffix(target, string(filepath.Separator)) {
		return target, ""
	}
	return filepath.Dir(target), filepath.Base(target)
}

// add adds an item and what is in it, under its own name.
func (g *Got) add(ctx context.Context, p Paths, top drive.Item) error {
	above := strings.TrimSuffix(path.Dir(top.Path), "/") + "/"
	one := func(i drive.Item) error {
		if i.Entry == nil {
			return nil // the root, which has no name
		}
		h := held(i)
		h.Path = strings.TrimPrefix(i.Path, above)
		g.Entries = append(g.Entries, h)
		return nil
	}
	if !top.IsFolder() {
		return one(top)
	}
	return p.Walk(ctx, top.Path, one)
}

// held is what an item's content is.
func held(i drive.Item) transfer.Held {
	h := transfer.Held{Folder: i.Folder, Descriptor: *i.Descriptor()}
	h.Versions, h.Thumbnail = nil, nil
	return h
}

// Span is a part of a file: Length bytes from Offset, or all from there on if Length is
// below 0.
type Span struct{ Offset, Length int64 }

// Cat writes the contents of files to w, one after the other; of one file also a part.
// When the error is not nil, what was written must not be used.
func (m *Mirror) Cat(ctx context.Context, remote []string, part *Span, w io.Writer, report transfer.Report) error {
	items, err := m.find(ctx, remote)
	if err != nil {
		return err
	}
	for _, i := range items {
		if i.IsFolder() {
			return &drive.Error{Path: i.Path, Err: drive.ErrIsFolder}
		}
	}
	for _, i := range items {
		h := held(i)
		if part == nil {
			err = m.Contents.Stream(ctx, h, w, report)
		} else {
			err = m.Contents.Range(ctx, h, part.Offset, part.within(h.Content.Size), w, report)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// within is how much of the part there is in a file of that size.
func (s Span) within(size int64) int64 {
	if most := max(size-s.Offset, 0); s.Length < 0 || s.Length > most {
		return most
	}
	return s.Length
}
