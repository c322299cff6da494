package store

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"holdfast/format/id"
)

// trashed is a directory in the trash: what was deleted at once of one upload.
type trashed struct {
	upload id.Upload
	usage  Usage
	day    time.Time
	path   string
}

// trashName holds what must be known about the directory without reading it. A
// number keeps apart what is deleted of one upload on one day.
func trashName(u id.Upload, have Usage, number int) string {
	return fmt.Sprintf("%s.%d.%d.%d", hex.EncodeToString(u[:]), have.Blobs, have.Bytes, number)
}

func parseTrash(text string) (t trashed, ok bool) {
	parts := strings.Split(text, ".")
	if len(parts) != 4 {
		return t, false
	}
	if t.upload, ok = parseUpload(parts[0]); !ok {
		return t, false
	}
	var err, err2 error
	t.usage.Blobs, err = strconv.ParseInt(parts[1], 10, 64)
	t.usage.Bytes, err2 = strconv.ParseInt(parts[2], 10, 64)
	return t, err == nil && err2 == nil && t.usage.Blobs >= 0 && t.usage.Bytes >= 0
}

func parseDay(text string) (time.Time, bool) {
	day, err := time.Parse(time.DateOnly, text)
	return day, err == nil
}

// CloseUpload implements Store. The upload is closed durably before its first
// blob moves, so that a crash in between leaves an upload that takes nothing;
// doing it again finishes the work.
func (d *Disk) CloseUpload(key id.Upload) (Usage, error) {
	u := d.use(key)
	defer d.done(u)
	u.mu.Lock()
	defer u.mu.Unlock()
	failures := d.syncFailures()
	if err := d.load(u); err != nil {
		return Usage{}, err
	}
	if err := d.markClosed(u); err != nil {
		return Usage{}, d.fault("close upload", err)
	}
	u.settle()
	d.days.Lock()
	defer d.days.Unlock()
	work := d.throwAway
	if !u.made {
		work = d.trashedBefore
	}
	gone, err := work(u)
	if err == nil {
		err = d.lost(failures)
	}
	return gone, err
}

// settle waits until no blob is between its rename and its sync. It is called
// with mu held and gives it up meanwhile.
func (u *upload) settle() {
	for len(u.fresh) > 0 {
		for _, f := range u.fresh {
			u.mu.Unlock()
			<-f.done
			u.mu.Lock()
			break
		}
	}
}

// throwAway moves the directory of a closed upload to the trash, with u.mu and
// days held.
func (d *Disk) throwAway(u *upload) (Usage, error) {
	// Counted afresh: what a crash or a failed removal left is in there too. Files
	// being written go at once: nobody counts them in the trash, and what they
	// become is refused.
	have, err := d.addUp(d.uploadDir(u.id), true)
	if err != nil {
		return Usage{}, d.fault("delete upload", err)
	}
	day, err := d.trashToday()
	if err != nil {
		return Usage{}, d.fault("delete upload", err)
	}
	// Before the directory goes: a count that no longer finds it must not be told
	// afterwards that it has less.
	d.account(u.id, Usage{-u.held.Blobs, -u.held.Bytes})
	if err := renameFree(d.uploadDir(u.id), day, u.id, have); err != nil {
		d.account(u.id, u.held)
		return Usage{}, d.fault("delete upload", err)
	}
	u.held, u.made = Usage{}, false
	clear(u.poisoned)
	d.mu.Lock()
	d.trash = d.trash.Add(have)
	d.mu.Unlock()
	for _, dir := range []string{day, d.shardDir(u.id)} {
		if err := d.syncShard(dir); err != nil {
			return Usage{}, d.fault("delete upload", err)
		}
	}
	return have, nil
}

// trashToday makes the directory of the day, with days held.
func (d *Disk) trashToday() (string, error) {
	day := d.path(dirTrash, d.opt.Now().UTC().Format(time.DateOnly))
	return day, makeShard(day)
}

// renameFree renames a directory into the day's trash under a name not taken.
func renameFree(from, day string, u id.Upload, have Usage) error {
	for number := 0; ; number++ {
		to := filepath.Join(day, trashName(u, have, number))
		_, err := os.Lstat(to)
		if errors.Is(err, fs.ErrNotExist) {
			return os.Rename(from, to)
		}
		if err != nil {
			return err
		}
	}
}

// trashedBefore is what of an upload lies in the trash already, with days held.
// It is made durable here: whoever moved it may have been killed before.
func (d *Disk) trashedBefore(u *upload) (Usage, error) {
	var sum Usage
	dirs := []string{d.path(dirTrash)}
	if _, err := os.Lstat(d.shardDir(u.id)); err == nil {
		dirs = append(dirs, d.shardDir(u.id))
	}
	err := d.eachTrash(func(t trashed) error {
		if t.upload == u.id {
			sum = sum.Add(t.usage)
			dirs = append(dirs, filepath.Dir(t.path))
		}
		return nil
	})
	for i := 0; err == nil && i < len(dirs); i++ {
		err = d.dirs.sync(dirs[i])
	}
	if err != nil {
		return Usage{}, d.fault("look into the trash", err)
	}
	return sum, nil
}

// Remove implements Store. After a crash half way, doing it again moves the rest;
// the usage in the first directory's name is then too high until it is emptied.
func (d *Disk) Remove(key id.Upload, names []id.Name) (Usage, error) {
	u := d.use(key)
	defer d.done(u)
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := d.load(u); err != nil {
		return Usage{}, err
	}
	u.settle()
	failures := d.syncFailures()
	gone, sizes, err := d.present(u, names)
	if err != nil {
		return Usage{}, err
	}
	d.days.Lock()
	defer d.days.Unlock()
	if gone.Blobs == 0 { // moved before, perhaps by one whose sync failed or who was killed
		return Usage{}, errors.Join(d.removedBefore(u), d.lost(failures))
	}
	day, err := d.trashToday()
	if err != nil {
		return Usage{}, d.fault("delete blobs", err)
	}
	bin, err := makeBin(day, key, gone)
	if err != nil {
		return Usage{}, d.fault("delete blobs", err)
	}
	for name, size := range sizes {
		from := d.blobFile(Key{key, name})
		if err := os.Rename(from, filepath.Join(bin, filepath.Base(from))); err != nil {
			return Usage{}, d.fault("delete blobs", err)
		}
		u.held = u.held.Sub(Usage{1, size})
		d.account(key, Usage{-1, -size})
	}
	d.mu.Lock()
	d.trash = d.trash.Add(gone)
	d.mu.Unlock()
	for _, sync := range []func() error{
		func() error { return d.dirs.sync(bin) },
		func() error { return d.syncShard(day) },
		func() error { return d.dirs.sync(d.uploadDir(key)) },
	} {
		if err := sync(); err != nil {
			return Usage{}, d.fault("delete blobs", err)
		}
	}
	return gone, d.lost(failures)
}

// removedBefore makes durable what of an upload was moved to the trash, with days held.
func (d *Disk) removedBefore(u *upload) error {
	if _, err := d.trashedBefore(u); err != nil {
		return err
	}
	var dirs []string
	if _, err := os.Lstat(d.uploadDir(u.id)); err == nil {
		dirs = append(dirs, d.uploadDir(u.id))
	}
	err := d.eachTrash(func(t trashed) error {
		if t.upload == u.id {
			dirs = append(dirs, t.path)
		}
		return nil
	})
	for i := 0; err == nil && i < len(dirs); i++ {
		err = d.dirs.sync(dirs[i])
	}
	if err != nil {
		return d.fault("look into the trash", err)
	}
	return nil
}

// present finds which of the names are held, with u.mu held.
func (d *Disk) present(u *upload, names []id.Name) (Usage, map[id.Name]int64, error) {
	var sum Usage
	sizes := map[id.Name]int64{}
	for _, name := range names {
		size, ok, err := d.shown(u, name)
		if err != nil {
			return Usage{}, nil, err
		}
		if _, twice := sizes[name]; ok && !twice {
			sizes[name] = size
			sum = sum.Add(Usage{1, size})
		}
	}
	return sum, sizes, nil
}

// makeBin makes a directory for part of an upload.
func makeBin(day string, u id.Upload, have Usage) (string, error) {
	for number := 0; ; number++ {
		bin := filepath.Join(day, trashName(u, have, number))
		err := os.Mkdir(bin, 0o700)
		if !errors.Is(err, fs.ErrExist) {
			return bin, err
		}
	}
}

// EmptyTrash implements Store.
func (d *Disk) EmptyTrash(before time.Time) (Usage, error) {
	first := before.UTC().Truncate(24 * time.Hour)
	old, gone, err := d.trashBefore(first)
	if err != nil {
		return gone, d.fault("empty trash", err)
	}
	for _, t := range old {
		if err := os.RemoveAll(t.path); err != nil {
			return gone, d.fault("empty trash", err)
		}
		gone = gone.Add(t.usage)
		d.mu.Lock()
		d.trash = d.trash.Sub(t.usage)
		d.mu.Unlock()
	}
	return gone, d.removeEmptyDays(first)
}

// trashBefore empties the quarantine, of which there is little, and lists what was
// put into the trash before a day. Whoever fills a directory there holds days, so
// that those listed are complete and nobody's any more: removing them, which takes
// long, needs no lock.
func (d *Disk) trashBefore(first time.Time) (old []trashed, gone Usage, err error) {
	d.days.Lock()
	defer d.days.Unlock()
	err = d.eachTrash(func(t trashed) error {
		if t.day.Before(first) {
			old = append(old, t)
		}
		return nil
	})
	if err == nil {
		gone, err = d.emptyQuarantine(first)
	}
	return old, gone, err
}

func (d *Disk) removeEmptyDays(first time.Time) error {
	d.days.Lock()
	defer d.days.Unlock()
	days, err := os.ReadDir(d.path(dirTrash))
	if err != nil {
		return d.fault("empty trash", err)
	}
	for _, entry := range days {
		if day, ok := parseDay(entry.Name()); ok && day.Before(first) {
			if os.Remove(d.path(dirTrash, entry.Name())) == nil { // else it is in use again
				d.mu.Lock()
				delete(d.shards, d.path(dirTrash, entry.Name()))
				d.mu.Unlock()
			}
		}
	}
	return nil
}
