package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"holdfast/format/id"
)

// diskReader is an open blob file.
type diskReader struct {
	*os.File
	size int64
}

// Open implements Store.
func (d *Disk) Open(key Key) (Reader, error) {
	file, err := os.Open(d.blobFile(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrUnknown
	}
	if isBusy(err) {
		return nil, fmt.Errorf("open blob: %w: %w", ErrBusy, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open blob: %w: %w", ErrIO, err)
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("open blob: %w: %w", ErrIO, err)
	}
	return &diskReader{File: file, size: info.Size()}, nil
}

func (r *diskReader) Size() int64 { return r.size }

// WriteNext lets the system copy from file to socket where it can.
func (r *diskReader) WriteNext(w io.Writer, n int64) (int64, error) {
	return io.CopyN(w, r.File, n)
}

// Stat implements Store.
func (d *Disk) Stat(key Key) (int64, error) {
	u := d.use(key.Upload)
	defer d.done(u)
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := d.load(u); err != nil {
		return 0, err
	}
	size, ok, err := d.shown(u, key.Name)
	if err == nil && (!ok || u.closed) {
		err = ErrUnknown
	}
	return size, err
}

// List implements Store. Names are picked while the directory is read, so that
// an upload of any number of blobs takes little memory.
func (d *Disk) List(key id.Upload, after id.Name, limit int) ([]Entry, error) {
	u := d.use(key)
	defer d.done(u)
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := d.load(u); err != nil {
		return nil, err
	}
	if u.closed || limit < 1 {
		return nil, nil
	}
	names, err := d.firstNames(u, after, limit)
	if err != nil {
		return nil, d.fault("list blobs", err)
	}
	entries := make([]Entry, 0, len(names))
	for _, name := range names {
		size, ok, err := d.shown(u, name)
		if err != nil {
			return nil, err
		}
		if ok {
			entries = append(entries, Entry{name, size})
		}
	}
	return entries, nil
}

func (d *Disk) firstNames(u *upload, after id.Name, limit int) ([]id.Name, error) {
	byName := func(a, b id.Name) int { return bytes.Compare(a[:], b[:]) }
	var names []id.Name
	err := eachFile(d.uploadDir(u.id), func(text string) error {
		if name, ok := parseName(text); ok && byName(name, after) > 0 && u.fresh[name] == nil && !u.poisoned[name] {
			names = append(names, name)
		}
		if len(names) >= 4*limit {
			slices.SortFunc(names, byName)
			names = names[:limit]
		}
		return nil
	})
	slices.SortFunc(names, byName)
	return names[:min(limit, len(names))], err
}

// Usage implements Store.
func (d *Disk) Usage(key id.Upload) (Usage, error) {
	u := d.use(key)
	defer d.done(u)
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := d.load(u); err != nil {
		return Usage{}, err
	}
	return u.held, nil
}
