package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Quarantine implements Store.
func (d *Disk) Quarantine(key Key) error {
	u := d.use(key.Upload)
	defer d.done(u)
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := d.load(u); err != nil {
		return err
	}
	size, ok, err := d.shown(u, key.Name)
	if err != nil {
		return err
	}
	if !ok {
		return ErrUnknown
	}
	d.days.Lock()
	defer d.days.Unlock()
	// A crash before the sync shows the blob again, and the next partial read
	// brings it back here: nothing is lost by it.
	if err := d.isolate(key, size); err != nil {
		return d.fault("quarantine", err)
	}
	u.held = u.held.Sub(Usage{1, size})
	d.account(u.id, Usage{-1, -size})
	for _, dir := range []string{d.path(dirQuarantine), d.uploadDir(u.id)} {
		if err := d.dirs.sync(dir); err != nil {
			return d.fault("quarantine", err)
		}
	}
	return nil
}

// isolate moves a blob to the quarantine, over an older one of the same name,
// with days held.
func (d *Disk) isolate(key Key, size int64) error {
	from := d.blobFile(key)
	to := d.path(dirQuarantine, filepath.Base(filepath.Dir(from))+"."+filepath.Base(from))
	more := Usage{1, size}
	if old, err := os.Lstat(to); err == nil {
		more = more.Sub(Usage{1, old.Size()})
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Chtimes(from, time.Time{}, d.opt.Now()); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	d.mu.Lock()
	d.damaged = d.damaged.Add(more)
	d.mu.Unlock()
	return nil
}

// quarantined adds up what is there.
func (d *Disk) quarantined() (sum Usage, err error) {
	err = eachFile(d.path(dirQuarantine), func(text string) error {
		info, err := os.Lstat(d.path(dirQuarantine, text))
		if errors.Is(err, fs.ErrNotExist) {
			return nil // its owner looked at it and took it away
		}
		if err == nil {
			sum = sum.Add(Usage{1, info.Size()})
		}
		return err
	})
	return sum, err
}

// emptyQuarantine destroys what came there before a day, with days held, and
// counts what is left: its owner may have taken some away.
func (d *Disk) emptyQuarantine(first time.Time) (gone Usage, err error) {
	err = eachFile(d.path(dirQuarantine), func(text string) error {
		path := d.path(dirQuarantine, text)
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !info.ModTime().Before(first) {
			return err
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		gone = gone.Add(Usage{1, info.Size()})
		return nil
	})
	left, countErr := d.quarantined()
	if countErr == nil {
		d.mu.Lock()
		d.damaged = left
		d.mu.Unlock()
	}
	return gone, errors.Join(err, countErr)
}
