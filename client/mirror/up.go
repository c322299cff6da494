package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"holdfast/api"
	"holdfast/client/drive"
	"holdfast/client/fleet"
	"holdfast/client/source"
	"holdfast/client/transfer"
)

const (
	// batchFiles and batchBytes bound what one commit waits for.
	batchFiles = drive.MaxFiles
	batchBytes = 4 << 30
)

// UpOptions says what goes into the drive.
type UpOptions struct {
	// Local are files and folders.
	Local []string
	// Remote is where they go. Put puts a single file at this path, unless a folder is
	// there or the path ends with a slash; anything else goes into it as into a folder.
	// Sync makes it what the one local folder is.
	Remote string
	// Folders allows folders to Put.
	Folders bool
	// Delete lets Sync remove what is not here, into the trash.
	Delete bool
	// Force stores files that seem to be the same, too.
	Force bool
	// Dry only finds out what would be done.
	Dry bool
	transfer.Report
	// Planned is told once what is to be done; may be nil. Resumed is told what an
	// earlier try stored already.
	Planned func(Changes)
	Resumed func(kept int64)
}

// Put brings files and folders into the drive.
func (m *Mirror) Put(ctx context.Context, o UpOptions) (Done, error) {
	local, err := source.Walk(ctx, o.Local)
	if err != nil {
		return Done{}, err
	}
	var tops []source.Entry
	for _, e := range local.Entries {
		if strings.Contains(e.Path, "/") {
			continue
		}
		if e.Folder && !o.Folders {
			return Done{}, &Error{e.Local, ErrFolder}
		}
		tops = append(tops, e)
	}
	n := &names{of: map[string]string{}, taken: map[string]bool{}}
	into, err := m.into(ctx, o, tops)
	if err != nil {
		return Done{}, err
	}
	there := newTree()
	for _, e := range tops {
		if at := path.Clean("/" + o.Remote); !into {
			n.of[e.Path] = at
		} else {
			n.of[e.Path], _ = n.place(at, e.Path)
		}
		if err := there.read(ctx, m.Paths, n.of[e.Path]); err != nil {
			return Done{}, err
		}
	}
	c := Changes{Skipped: local.Skipped}
	if err := c.compare(local.Entries, n, there, o.Force, false); err != nil {
		return Done{}, err
	}
	return m.apply(ctx, o, c)
}

// into tells whether the remote path is a folder for what is put.
func (m *Mirror) into(ctx context.Context, o UpOptions, tops []source.Entry) (bool, error) {
	if len(tops) > 1 || tops[0].Folder || strings.HasSuffix(o.Remote, "/") || o.Remote == "" {
		return true, nil
	}
	there, err := m.Paths.Resolve(ctx, o.Remote)
	if errors.Is(err, drive.ErrNotFound) {
		return false, nil
	}
	return err == nil && there.IsFolder(), err
}

// Sync makes a folder of the drive what a local folder is; without Delete nothing of
// the drive goes away.
func (m *Mirror) Sync(ctx context.Context, o UpOptions) (Done, error) {
	local, err := source.Walk(ctx, o.Local)
	if err != nil {
		return Done{}, err
	}
	if len(o.Local) != 1 || !local.Entries[0].Folder {
		return Done{}, &Error{o.Local[0], ErrNotFolder}
	}
	root := path.Clean("/" + o.Remote)
	there := newTree()
	if err := there.read(ctx, m.Paths, root); err != nil {
		return Done{}, err
	}
	n := &names{of: map[string]string{local.Entries[0].Path: root}, taken: map[string]bool{}}
	c := Changes{Skipped: local.Skipped}
	if err := c.compare(local.Entries, n, there, o.Force, o.Delete); err != nil {
		return Done{}, err
	}
	if o.Delete {
		c.remove(there, root)
	}
	return m.apply(ctx, o, c)
}

// apply does what is to be done.
func (m *Mirror) apply(ctx context.Context, o UpOptions, c Changes) (Done, error) {
	d := Done{Changes: c}
	if o.Planned != nil {
		o.Planned(c)
	}
	if o.Dry {
		return d, nil
	}
	goal, err := o.goal()
	if err != nil {
		return d, err
	}
	if err := m.paths(ctx, &d, of(c.All, Removed, true), m.Paths.Remove); err != nil {
		return d, err
	}
	if err := m.files(ctx, &d, o, goal); err != nil {
		return d, err
	}
	if err := m.mark(ctx, &d); err != nil {
		return d, err
	}
	mkdir := func(ctx context.Context, paths []string) (drive.Result, error) {
		return m.Paths.Mkdir(ctx, paths, true)
	}
	if err := m.paths(ctx, &d, of(c.All, Made, false), mkdir); err != nil {
		return d, err
	}
	if err := m.paths(ctx, &d, of(c.All, Removed, false), m.Paths.Remove); err != nil {
		return d, err
	}
	return d, d.restless()
}

// files stores what is to be stored. What changed meanwhile is tried once more as it is
// then, after everything else.
func (m *Mirror) files(ctx context.Context, d *Done, o UpOptions, goal string) error {
	for files := range batches(d.All) {
		if err := m.batch(ctx, d, o, goal, files); err != nil {
			return err
		}
	}
	again := d.left
	d.left = nil
	for i := range again {
		info, err := os.Lstat(again[i].Local)
		if err != nil || !info.Mode().IsRegular() {
			d.left = append(d.left, again[i])
			continue
		}
		again[i].entry.Stamp = source.Of(info)
		again[i].Bytes = again[i].entry.Size
	}
	again = slices.DeleteFunc(again, func(c Change) bool {
		return slices.ContainsFunc(d.left, func(l Change) bool { return l.Local == c.Local })
	})
	for files := range batches(again) {
		if err := m.batch(ctx, d, o, goal, files); err != nil {
			return err
		}
	}
	return nil
}

// restless are the files that could not be stored as they are.
func (d *Done) restless() (err error) {
	for _, c := range d.left {
		err = errors.Join(err, &Error{c.Local, ErrRestless})
	}
	return err
}

// of are the paths of changes of a kind that come first, or of those that do not.
func of(all []Change, k Kind, first bool) (paths []string) {
	for _, c := range all {
		if c.Kind == k && c.first == first {
			paths = append(paths, c.Path)
		}
	}
	return paths
}

// paths does something to paths, as many as a commit takes at once.
func (m *Mirror) paths(ctx context.Context, d *Done, paths []string, do func(context.Context, []string) (drive.Result, error)) error {
	for some := range slices.Chunk(paths, batchFiles) {
		r, err := do(ctx, some)
		if err != nil {
			return err
		}
		d.add(r)
	}
	return nil
}

func (d *Done) add(r drive.Result) {
	d.Commits++
	d.Notices = append(d.Notices, r.Notices...)
}

// goal names this among all that are stored: what is left of it is found by it.
func (o UpOptions) goal() (string, error) {
	wish := []string{path.Clean("/" + o.Remote)}
	for _, p := range o.Local {
		local, err := filepath.Abs(p)
		if err != nil {
			return "", fmt.Errorf("%s: %w", p, err)
		}
		wish = append(wish, local)
	}
	raw, err := json.Marshal(wish)
	return string(raw), err
}

// batches cuts what is to be stored into commits.
func batches(all []Change) func(yield func([]Change) bool) {
	return func(yield func([]Change) bool) {
		var some []Change
		var size int64
		for _, c := range all {
			if !c.stored() {
				continue
			}
			if len(some) == batchFiles || len(some) > 0 && size+c.Bytes > batchBytes {
				if !yield(some) {
					return
				}
				some, size = nil, 0
			}
			some = append(some, c)
			size += c.Bytes
		}
		if len(some) > 0 {
			yield(some)
		}
	}
}

// store stores some files, without those that are no longer what they were; it returns
// nothing if none is left.
func (m *Mirror) store(ctx context.Context, d *Done, o UpOptions, goal string, files []Change) ([]Change, *transfer.Stored, error) {
	store := transfer.StoreOptions{Goal: goal, Report: o.Report}
	store.Planned = func(p transfer.Plan) {
		if p.Resumed && o.Resumed != nil {
			o.Resumed(p.Kept)
		}
	}
	for len(files) > 0 {
		store.Files = nil
		for _, c := range files {
			c.entry.Path = c.Path
			store.Files = append(store.Files, c.entry)
		}
		stored, err := m.Contents.Store(ctx, store)
		var file *source.Error
		changed := errors.Is(err, source.ErrChanged) || errors.Is(err, source.ErrMissing) || errors.Is(err, transfer.ErrUnsettled)
		if !changed || !errors.As(err, &file) {
			return files, stored, err
		}
		at := slices.IndexFunc(files, func(c Change) bool { return c.Local == file.Local })
		if at < 0 {
			return nil, nil, err
		}
		d.left = append(d.left, files[at])
		files = slices.Delete(slices.Clone(files), at, at+1)
	}
	return nil, nil, nil
}

// batch stores some files and commits them.
func (m *Mirror) batch(ctx context.Context, d *Done, o UpOptions, goal string, files []Change) error {
	files, stored, err := m.store(ctx, d, o, goal, files)
	if err != nil || stored == nil {
		return err
	}
	put := make([]drive.NewFile, len(files))
	for i, c := range files {
		put[i] = drive.NewFile{Folder: path.Dir(c.Path), Descriptor: stored.Files[i]}
	}
	r, err := m.Paths.Put(ctx, put, &stored.Upload)
	switch {
	case err == nil:
	case spoilt(err):
		return errors.Join(err, stored.Abandon())
	default: // the same goes on from what is stored
		return errors.Join(err, stored.Keep())
	}
	d.add(r)
	for _, n := range stored.Nodes {
		if !slices.ContainsFunc(d.Nodes, func(known fleet.Node) bool { return known.ID == n.ID }) {
			d.Nodes = append(d.Nodes, n)
		}
	}
	return stored.Done()
}

// spoilt tells whether an upload can never be committed.
func spoilt(err error) bool {
	return slices.ContainsFunc([]error{
		api.UploadUnknown, api.UploadClosed, api.ReceiptInvalid, api.ReceiptsMissing, api.RevisionInvalid, api.RevisionUnknown, api.PageMissing, api.OverLimit,
	}, func(code error) bool { return errors.Is(err, code) })
}

// mark changes what a descriptor says besides the content.
func (m *Mirror) mark(ctx context.Context, d *Done) error {
	var put []drive.NewFile
	for _, c := range d.All {
		if c.Kind != Marked {
			continue
		}
		as := *c.item.Descriptor()
		as.Executable, as.Versions = c.entry.Executable, nil
		put = append(put, drive.NewFile{Folder: path.Dir(c.Path), Descriptor: as})
	}
	for some := range slices.Chunk(put, batchFiles) {
		r, err := m.Paths.Put(ctx, some, nil)
		if err != nil {
			return err
		}
		d.add(r)
	}
	return nil
}
