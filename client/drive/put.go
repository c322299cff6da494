package drive

import (
	"context"
	"reflect"

	"holdfast/api"
	"holdfast/format/descriptor"
	"holdfast/format/journal"
)

// NewFile is a file to put.
type NewFile struct {
	Folder string // path of the folder it goes into, which is made if need be
	// Descriptor is the file's; its Path is the name, and it has no versions. A live
	// file of that name gets it as its newest version.
	Descriptor descriptor.Descriptor
}

// MaxFiles is how many files one Put takes at most: so many fit one commit whatever
// their names are.
const MaxFiles = 4096

// Result is what became of a change.
type Result struct {
	Copies  []api.Node // where the upload's blobs stand, if there was one
	Notices []Notice   // what others' changes made of it
}

// Notice tells what became of one part of a change because of what others did
// meanwhile.
type Notice struct {
	Path string // of the folder
	journal.Notice
}

// Mkdir makes folders. With parents it makes those above them too, and what is there
// already is good.
func (d *Drive) Mkdir(ctx context.Context, paths []string, parents bool) (out Result, err error) {
	err = d.do(ctx, func() (err error) {
		out, err = d.mkdir(ctx, paths, parents)
		return err
	})
	return out, err
}

func (d *Drive) mkdir(ctx context.Context, paths []string, parents bool) (Result, error) {
	all, err := splitAll(paths)
	if err != nil {
		return Result{}, err
	}
	places, err := d.walkAll(ctx, all, true)
	if err != nil {
		return Result{}, err
	}
	c := d.change()
	for i, p := range places {
		switch {
		case p.entry != nil && !p.entry.IsFolder():
			return Result{}, &Error{whole(all[i]), ErrExists}
		case len(p.rest) == 0 && !parents:
			return Result{}, &Error{whole(all[i]), ErrExists}
		case len(p.rest) > 1 && !parents:
			// One that this call makes before is good as well.
			at := p.last()
			for _, name := range p.rest[:len(p.rest)-1] {
				next := c.named[nameKey{at, descriptor.Fold(name)}]
				if next == nil {
					return Result{}, &Error{join(at.path, name), ErrNotFound}
				}
				at = next
			}
		}
		if _, err := c.below(p.last(), p.rest); err != nil {
			return Result{}, err
		}
	}
	return d.commit(ctx, c)
}

func splitAll(paths []string) ([][]string, error) {
	all := make([][]string, len(paths))
	for i, path := range paths {
		var err error
		if all[i], err = split(path); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Put puts files, MaxFiles at most, in one commit that closes the upload of their
// contents; without an upload their revisions must be such that the drive holds.
func (d *Drive) Put(ctx context.Context, files []NewFile, upload *api.DriveUpload) (out Result, err error) {
	err = d.do(ctx, func() (err error) {
		out, err = d.putAll(ctx, files, upload)
		return err
	})
	return out, err
}

func (d *Drive) putAll(ctx context.Context, files []NewFile, upload *api.DriveUpload) (Result, error) {
	return d.putFrom(ctx, files, upload, nil)
}

// putFrom puts files whose revisions an upload brings, the drive holds, or links open.
func (d *Drive) putFrom(ctx context.Context, files []NewFile, upload *api.DriveUpload, from []api.LinkSource) (Result, error) {
	if len(files) > MaxFiles {
		return Result{}, ErrTooMany
	}
	folders := make([]string, len(files))
	for i, file := range files {
		folders[i] = file.Folder
	}
	all, err := splitAll(folders)
	if err != nil {
		return Result{}, err
	}
	places, err := d.walkAll(ctx, all, true)
	if err != nil {
		return Result{}, err
	}
	c := d.change()
	c.upload, c.from = upload, from
	for i, p := range places {
		if p.entry != nil && !p.entry.IsFolder() {
			return Result{}, &Error{whole(all[i]), ErrNotFolder}
		}
		f, err := c.below(p.last(), p.rest)
		if err != nil {
			return Result{}, err
		}
		if err := c.putFile(f, files[i].Descriptor); err != nil {
			return Result{}, err
		}
	}
	return d.commit(ctx, c)
}

// putFile puts a file into f: as the newest version of the one that has the name, or as
// a new one.
func (c *change) putFile(f *folder, about descriptor.Descriptor) error {
	path := join(f.path, about.Path)
	if err := descriptor.CheckName(about.Path); err != nil {
		return &Error{path, err}
	}
	key := nameKey{f, descriptor.Fold(about.Path)}
	if _, twice := c.put[key]; twice || c.named[key] != nil {
		return &Error{path, ErrTwice}
	}
	c.put[key] = struct{}{}
	if f.state != nil {
		if e, there := find(f.state, about.Path); there {
			if e.IsFolder() {
				return &Error{path, ErrIsFolder}
			}
			about.Path = e.Name()
			if !sameFile(e.Descriptor, about) {
				c.add(f, journal.PutFile(e.ID, about))
			}
			return nil
		}
	}
	c.add(f, journal.PutFile(newEntry(), about))
	return nil
}

// sameFile tells whether a file is already what is to be put.
func sameFile(have *descriptor.Descriptor, about descriptor.Descriptor) bool {
	now := *have
	now.Versions = nil
	return reflect.DeepEqual(now, about)
}
