package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"holdfast/format/id"
)

// markClosed makes the tombstone, with u.mu held.
func (d *Disk) markClosed(u *upload) error {
	// In memory first: no writer passes from here on, even if the disk fails now.
	u.closed = true
	if u.tombstone {
		return nil
	}
	path := d.closedFile(u.id)
	if err := makeShard(filepath.Dir(path)); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	err = os.Chtimes(path, time.Time{}, d.opt.Now()) // from when ForgetClosed counts
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err := d.syncShard(filepath.Dir(path)); err != nil {
		return err
	}
	u.tombstone = true
	return nil
}

// ForgetClosed implements Store. Nothing is synced: a tombstone that a crash
// brings back does no harm.
func (d *Disk) ForgetClosed(before time.Time) (int, error) {
	count := 0
	for i := range 256 {
		var old []id.Upload
		dir := d.path(dirClosed, fmt.Sprintf("%02x", i))
		err := eachFile(dir, func(text string) error {
			u, ok := parseUpload(text)
			if !ok {
				return nil
			}
			info, err := os.Lstat(filepath.Join(dir, text))
			if err == nil && info.ModTime().Before(before) {
				old = append(old, u)
			}
			return err
		})
		if err != nil {
			return count, d.fault("forget closed uploads", err)
		}
		for _, key := range old {
			gone, err := d.forgetClosed(key, before)
			if err != nil {
				return count, err
			}
			if gone {
				count++
			}
		}
	}
	return count, nil
}

func (d *Disk) forgetClosed(key id.Upload, before time.Time) (bool, error) {
	u := d.use(key)
	defer d.done(u)
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := d.load(u); err != nil {
		return false, err
	}
	info, err := os.Lstat(d.closedFile(key))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, d.fault("forget closed uploads", err)
	}
	if !info.ModTime().Before(before) || u.made { // closed again; or not thrown away yet
		return false, nil
	}
	if err := os.Remove(d.closedFile(key)); err != nil {
		return false, d.fault("forget closed uploads", err)
	}
	u.closed, u.tombstone = false, false
	return true, nil
}
