package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"holdfast/api"
	"holdfast/client/resume"
	"holdfast/client/source"
	"holdfast/client/target"
	"holdfast/format/descriptor"
	"holdfast/format/id"
)

// Held is a file or folder of the drive, and the folder whose journal says so.
type Held struct {
	Folder id.Folder
	// Descriptor's Path says where it goes below the target.
	descriptor.Descriptor
}

// Same tells whether a file on this disk is the one described, as far as can be seen
// without reading it: by size, time, and whether it can be run.
func Same(here source.Stamp, there descriptor.Descriptor) bool {
	t, known := there.Time()
	return known && there.Kind == descriptor.File && here.Size == there.Content.Size &&
		here.ModTime == t.UnixNano() && here.Executable == there.Executable
}

// folders are folders of the drive: an origin.
type folders struct {
	d  *Drive
	of map[id.Revision]id.Folder
}

func (f *folders) args(folder id.Folder) api.Args {
	return api.Args{Path: map[string]string{"folder": folder.String()}, Secret: f.d.token}
}

// revisions asks the folder of the first one for those of them that it is to hold.
func (f *folders) revisions(ctx context.Context, want []id.Revision) (api.RevisionsPage, error) {
	folder := f.of[want[0]]
	here := slices.DeleteFunc(slices.Clone(want), func(r id.Revision) bool { return f.of[r] != folder })
	return api.FolderRevisions.Call(ctx, f.d.c.caller(), f.args(folder), api.FolderRevisionsRequest{Revisions: here})
}

func (f *folders) extents(ctx context.Context, r id.Revision, from, count int) (api.ExtentsPage, error) {
	req := api.FolderExtentsRequest{Revision: r, From: from, Count: count}
	return api.FolderExtents.Call(ctx, f.d.c.caller(), f.args(f.of[r]), req)
}

// apart groups entries by folder: each folder is asked for its own.
func (f *folders) apart(entries []descriptor.Descriptor, todo []int) (groups [][]int) {
	index := map[id.Folder]int{}
	for _, i := range todo {
		folder := f.of[entries[i].Content.Revision]
		at, known := index[folder]
		if !known {
			at = len(groups)
			index[folder] = at
			groups = append(groups, nil)
		}
		groups[at] = append(groups[at], i)
	}
	return groups
}

func (d *Drive) download(report Report, files ...Held) *download {
	from := &folders{d: d, of: map[id.Revision]id.Folder{}}
	for _, h := range files {
		if h.Kind == descriptor.File {
			from.of[h.Content.Revision] = h.Folder
		}
	}
	return newDownload(d.c, report, from)
}

// Stream writes the content of a file to w in order. Every byte was verified, but
// that the stream is whole and the one meant shows only at its end: when the error is
// not nil, what was written must not be used.
func (d *Drive) Stream(ctx context.Context, of Held, w io.Writer, report Report) error {
	return d.download(report, of).stream(ctx, of.Descriptor, w)
}

// Range writes length bytes from offset of a file to w. What FileReader says of its
// bytes holds for these too.
func (d *Drive) Range(ctx context.Context, of Held, offset, length int64, w io.Writer, report Report) error {
	return d.download(report, of).part(ctx, of.Descriptor, offset, length, w)
}

// Reader opens a file for reading at random. Reads end with ctx.
func (d *Drive) Reader(ctx context.Context, of Held, report Report) (*FileReader, error) {
	return d.download(report, of).reader(ctx, of.Descriptor)
}

// FetchOptions says what to fetch, and where it goes.
type FetchOptions struct {
	// Entries are files and folders, sorted by path as bytes.
	Entries []Held
	// Target is the folder to write to. Name, with one file, is the file's name there,
	// whatever it is; without it names are made such as this system takes.
	Target, Name string
	// Force replaces files that are there. Those that are the same already, by size and
	// time, are left alone with or without it.
	Force bool
	Report
	// Planned is told once how much is to come, what is there included; may be nil.
	Planned func(files, bytes int64)
}

// Fetched is what was written.
type Fetched struct {
	// Paths are the places of the entries.
	Paths   []string
	Renamed []descriptor.Renaming
	// Kept are the bytes of files that were there already, or that an earlier try had fetched.
	Kept int64
}

// begun marks the state of a fetch that has begun to write.
const begun = "begun"

// Fetch writes files and folders below the target. Repeated after an interruption it
// goes on. Where files are damaged (ErrIntegrity) all others are written.
func (d *Drive) Fetch(ctx context.Context, o FetchOptions) (*Fetched, error) {
	to, err := filepath.Abs(o.Target)
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	at, err := d.state("get", to, o.Name)
	if err != nil {
		return nil, err
	}
	state, err := resume.OpenReceive(at)
	if err != nil {
		return nil, err
	}
	got, err := d.fetch(ctx, o, state)
	if err != nil {
		if state.Session == "" {
			return nil, errors.Join(err, state.Erase())
		}
		return nil, errors.Join(err, state.Close())
	}
	return got, state.Erase()
}

func (d *Drive) fetch(ctx context.Context, o FetchOptions, state *resume.Receive) (got *Fetched, err error) {
	v := &save{d: d.download(o.Report, o.Entries...), force: o.Force, skip: true, state: state, done: map[int]bool{}}
	files, size := v.list(o.Entries)
	if v.folder, err = target.Open(o.Target); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, v.folder.Close()) }()
	planner, err := v.plan()
	if err != nil {
		return nil, err
	}
	got = &Fetched{Renamed: planner.Renamed()}
	if o.Name != "" {
		v.paths[0], got.Renamed = o.Name, nil
	}
	if o.Planned != nil {
		o.Planned(files, size)
	}
	todo, err := v.survey()
	if err != nil {
		return nil, err
	}
	if err := v.start(todo); err != nil {
		return nil, err
	}
	if err := v.run(ctx, todo); err != nil {
		return nil, err
	}
	for _, path := range v.paths {
		got.Paths = append(got.Paths, v.folder.Path(path))
	}
	got.Kept = v.kept
	return got, nil
}

// list takes the entries, and returns how many files they are, of how many bytes.
func (v *save) list(entries []Held) (files, size int64) {
	seen := map[id.Revision]bool{}
	v.copies = map[int]bool{}
	for i, h := range entries {
		v.entries = append(v.entries, h.Descriptor)
		if h.Kind != descriptor.File {
			continue
		}
		files++
		size += h.Content.Size
		v.copies[i] = seen[h.Content.Revision]
		seen[h.Content.Revision] = true
	}
	return files, size
}

// start notes that a fetch begins to write, unless one did before.
func (v *save) start(todo []int) error {
	if v.state.Session != "" {
		return nil
	}
	if !v.force {
		coming := map[int]bool{}
		for _, i := range todo {
			coming[i] = true
		}
		if err := v.hidden(func(i int) bool { return coming[i] }); err != nil {
			return err
		}
	}
	return v.state.SetSession(begun)
}
