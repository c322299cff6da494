package store

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"holdfast/format/id"
	"holdfast/node/durable"
)

// upload is what the store remembers of an upload while it is in use. refs is
// guarded by Disk.mu, everything else by mu.
type upload struct {
	id   id.Upload
	refs int

	mu     sync.Mutex
	loaded bool // closed and held are read from the disk
	closed bool
	held   Usage
	// tombstone: closing was made durable by this process.
	tombstone bool
	// made: the directory exists; synced: its name is durable. madeAt is how many
	// syncs had failed when this process made it: while its name is not durable, one
	// that fails later may be about it.
	made, synced bool
	madeAt       int
	// arriving has the names being written, with their sizes until committed.
	arriving map[id.Name]*arrival
	// fresh has blobs that are renamed but whose directory is not synced yet.
	// They are not shown.
	fresh map[id.Name]*freshBlob
	// poisoned has blobs whose sync failed and that could not be removed.
	poisoned map[id.Name]bool
}

// arrival counts the writers of one blob; its size counts once in the budget.
type arrival struct {
	writers int
	size    int64
}

type freshBlob struct {
	size int64
	done chan struct{}
	err  error // set before done is closed
}

// use returns the upload's state, unlocked and perhaps not loaded. The caller
// calls done with it.
func (d *Disk) use(key id.Upload) *upload {
	d.mu.Lock()
	defer d.mu.Unlock()
	u := d.uploads[key]
	if u == nil {
		if len(d.uploads) >= keepUploads {
			d.forget()
		}
		u = &upload{id: key, arriving: map[id.Name]*arrival{}, fresh: map[id.Name]*freshBlob{}, poisoned: map[id.Name]bool{}}
		d.uploads[key] = u
	}
	u.refs++
	return u
}

func (d *Disk) done(u *upload) {
	d.mu.Lock()
	u.refs--
	d.mu.Unlock()
}

// forget drops uploads that nobody uses, a quarter at most. A poisoned blob is
// remembered until the process ends. It is called with mu held; an upload
// without refs has nobody who could be holding its lock.
func (d *Disk) forget() {
	left := keepUploads / 4
	for key, u := range d.uploads {
		if u.refs == 0 && len(u.poisoned) == 0 {
			delete(d.uploads, key)
			if left--; left == 0 {
				return
			}
		}
	}
}

// load reads what the disk knows of an upload, with u.mu held. Before anything
// found there is believed, its directory and the parent are synced: a process
// that was killed may have renamed a blob and never got round to it.
func (d *Disk) load(u *upload) error {
	if u.loaded {
		return nil
	}
	_, err := os.Lstat(d.closedFile(u.id))
	if err == nil {
		u.closed = true
	} else if !errors.Is(err, fs.ErrNotExist) {
		return d.fault("load upload", err)
	}
	dir := d.uploadDir(u.id)
	if _, err := os.Lstat(dir); err == nil {
		if err := d.dirs.sync(dir); err != nil {
			return d.fault("load upload", err)
		}
		if err := d.syncShard(d.shardDir(u.id)); err != nil {
			return d.fault("load upload", err)
		}
		u.made, u.synced = true, true
		if u.held, err = d.addUp(dir, false); err != nil {
			return d.fault("load upload", err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return d.fault("load upload", err)
	}
	u.loaded = true
	return nil
}

// addUp counts the blobs in a directory, which may be missing, and removes what
// an earlier process left half written; with all, also what is being written.
func (d *Disk) addUp(dir string, all bool) (Usage, error) {
	var sum Usage
	err := eachFile(dir, func(text string) error {
		if strings.HasSuffix(text, durable.Suffix) && (all || !strings.Contains(text, "."+d.boot+"-")) {
			if err := os.Remove(filepath.Join(dir, text)); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil // its writer was quicker
		}
		if _, ok := parseName(text); !ok {
			return nil
		}
		info, err := os.Lstat(filepath.Join(dir, text))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		sum = sum.Add(Usage{1, info.Size()})
		return nil
	})
	return sum, err
}

// eachFile calls f for the names in a directory, in no order, holding a few of
// them in memory only. A missing directory has none.
func eachFile(dir string, f func(text string) error) error {
	handle, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer handle.Close()
	for {
		names, err := handle.Readdirnames(1024)
		for _, text := range names {
			if err := f(text); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// shown tells whether a blob is held durably, with u.mu held and u loaded.
func (d *Disk) shown(u *upload, name id.Name) (size int64, ok bool, err error) {
	if u.fresh[name] != nil || u.poisoned[name] {
		return 0, false, nil
	}
	info, err := os.Lstat(d.blobFile(Key{u.id, name}))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, d.fault("look for blob", err)
	}
	return info.Size(), true, nil
}

// spoken is what the upload holds and expects, with u.mu held.
func (u *upload) spoken() Usage {
	sum := u.held
	for _, a := range u.arriving {
		if a.size > 0 { // else it is held
			sum = sum.Add(Usage{1, a.size})
		}
	}
	return sum
}

// expect counts a writer in, or refuses it with ErrBudget, with u.mu held.
func (u *upload) expect(name id.Name, size, budget int64) error {
	a := u.arriving[name]
	more := Usage{1, size}
	switch {
	case u.fresh[name] != nil: // counted as held already
		more = Usage{}
	case a != nil && a.size > 0:
		more = Usage{0, max(0, size-a.size)}
	}
	if u.spoken().Add(more).exceeds(budget) {
		return ErrBudget
	}
	if a == nil {
		a = &arrival{}
		u.arriving[name] = a
	}
	a.writers++
	a.size += more.Bytes
	return nil
}

// unexpect counts a writer out, with u.mu held.
func (u *upload) unexpect(name id.Name) {
	a := u.arriving[name]
	if a.writers--; a.writers == 0 {
		delete(u.arriving, name)
	}
}
