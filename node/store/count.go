package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"holdfast/format/id"
	"holdfast/node/durable"
)

// recountAfter is the pause after a count that failed.
const recountAfter = time.Minute

// totals is the content of the usage file.
type totals struct {
	Held Usage `json:"held"`
	// Exact is written when the store is closed in peace. Without it the numbers
	// are an estimate.
	Exact bool `json:"exact"`
}

// recount adds up all blobs again in the background, shard by shard, while the
// store is in use. It is guarded by Disk.mu.
type recount struct {
	sum   Usage
	shard int // the one being counted; those before are in sum
	// waiting has the uploads of this shard that are not in sum yet. An upload
	// that is not in it is counted, or was made later and had nothing before.
	waiting map[id.Upload]bool
}

// account changes the totals by what an upload gained or lost. It is called with
// the upload's lock held, so that it falls before or after the upload's count.
func (d *Disk) account(u id.Upload, change Usage) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held = d.held.Add(change)
	if c := d.counting; c != nil {
		if at := int(u[0]); at < c.shard || at == c.shard && !c.waiting[u] {
			c.sum = c.sum.Add(change)
		}
	}
}

// startCounting takes the totals from the last time, and counts again unless
// they were written in peace.
func (d *Disk) startCounting() error {
	var last totals
	raw, err := os.ReadFile(d.path(fileUsage))
	if err == nil {
		err = json.Unmarshal(raw, &last)
	}
	if err != nil { // missing or damaged: nothing rests on it
		last = totals{}
	}
	d.held = last.Held
	if last.Exact {
		// From now on the file is out of date, and says so.
		return d.saveTotals(totals{Held: last.Held})
	}
	d.counting = &recount{shard: -1}
	d.stopped.Go(d.countUntilDone)
	return nil
}

// countUntilDone begins anew after an error: until the count is right no mass
// deletion is done.
func (d *Disk) countUntilDone() {
	for {
		err := d.count()
		if err == nil || errors.Is(err, errStopped) {
			return
		}
		d.fault("count blobs", err)
		timer := time.NewTimer(recountAfter)
		select {
		case <-d.stop:
			timer.Stop()
			return
		case <-timer.C:
		}
		d.mu.Lock()
		d.counting = &recount{shard: -1}
		d.mu.Unlock()
	}
}

func (d *Disk) saveTotals(t totals) error {
	raw, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return durable.WriteFile(d.path(fileUsage), raw)
}

var errStopped = errors.New("store: closing")

func (d *Disk) count() error {
	for i := range 256 {
		uploads, err := d.snapshot(i)
		if err != nil {
			return err
		}
		for _, u := range uploads {
			select {
			case <-d.stop:
				return errStopped
			default:
			}
			if err := d.countUpload(u); err != nil {
				return err
			}
		}
	}
	d.mu.Lock()
	d.held, d.counting = d.counting.sum, nil
	d.mu.Unlock()
	return nil
}

// snapshot makes shard i the one being counted and lists its uploads. Both
// happen under the lock: an upload whose directory is made later is seen by
// account only.
func (d *Disk) snapshot(i int) ([]id.Upload, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	entries, err := os.ReadDir(d.path(dirBlobs, fmt.Sprintf("%02x", i)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	waiting := make(map[id.Upload]bool, len(entries))
	uploads := make([]id.Upload, 0, len(entries))
	for _, entry := range entries {
		if u, ok := parseUpload(entry.Name()); ok {
			waiting[u] = true
			uploads = append(uploads, u)
		}
	}
	d.counting.shard, d.counting.waiting = i, waiting
	return uploads, nil
}

func (d *Disk) countUpload(key id.Upload) error {
	u := d.use(key)
	defer d.done(u)
	u.mu.Lock()
	defer u.mu.Unlock()
	have := u.held
	if u.loaded {
		for _, f := range u.fresh { // account is still to be called for these
			have = have.Sub(Usage{1, f.size})
		}
	} else {
		var err error
		if have, err = d.addUp(d.uploadDir(key), false); err != nil {
			return err
		}
	}
	d.mu.Lock()
	d.counting.sum = d.counting.sum.Add(have)
	delete(d.counting.waiting, key)
	d.mu.Unlock()
	return nil
}

// trashUsage reads the totals of the trash from the names in it.
func (d *Disk) trashUsage() (Usage, error) {
	var sum Usage
	err := d.eachTrash(func(t trashed) error {
		sum = sum.Add(t.usage)
		return nil
	})
	return sum, err
}

// eachTrash calls f for what is in the trash.
func (d *Disk) eachTrash(f func(trashed) error) error {
	days, err := os.ReadDir(d.path(dirTrash))
	if err != nil {
		return err
	}
	for _, day := range days {
		date, ok := parseDay(day.Name())
		if !ok {
			continue
		}
		entries, err := os.ReadDir(d.path(dirTrash, day.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for _, entry := range entries {
			t, ok := parseTrash(entry.Name())
			if !ok {
				continue
			}
			t.path, t.day = filepath.Join(d.path(dirTrash, day.Name()), entry.Name()), date
			if err := f(t); err != nil {
				return err
			}
		}
	}
	return nil
}
