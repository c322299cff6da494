package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	"holdfast/node/durable"
)

// ErrLocked: another process has this store open.
var ErrLocked = errors.New("store: in use by another process")

// fault turns an error of the system into one of this package, and remembers
// what it says about the disk.
func (d *Disk) fault(doing string, err error) error {
	switch {
	case errors.Is(err, durable.ErrSync): // whatever the system calls it
	case isBusy(err):
		return fmt.Errorf("%s: %w: %w", doing, ErrBusy, err)
	case isNoSpace(err):
		d.mu.Lock()
		d.noRoom = d.opt.Now()
		d.mu.Unlock()
		return fmt.Errorf("%s: %w: %w", doing, ErrFull, err)
	}
	// After a failed sync the kernel may drop what it could not write and report
	// success the next time, so that nothing more is taken on trust.
	d.mu.Lock()
	d.broken = true
	d.mu.Unlock()
	return fmt.Errorf("%s: %w: %w", doing, ErrIO, err)
}

// syncDir syncs a directory for all who wait for it. A failure counts before any
// of them is woken: the kernel tells it once, so that the next sync of the same
// directory succeeds, whatever became of the names in it.
func (d *Disk) syncDir(dir string) error {
	err := d.opt.syncDir(dir)
	if errors.Is(err, durable.ErrSync) {
		d.mu.Lock()
		d.broken = true
		d.failures++
		d.mu.Unlock()
	}
	return err
}

// syncFailures is how many syncs of directories have failed. Whoever changes
// names asks before, and lost afterwards.
func (d *Disk) syncFailures() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failures
}

// sound refuses to trust a disk that has failed, and names changed since then of
// which some may be lost.
func (d *Disk) sound(since int) error {
	d.mu.Lock()
	broken := d.broken
	d.mu.Unlock()
	if broken {
		return fmt.Errorf("commit blob: %w", ErrIO)
	}
	return d.lost(since)
}

// lost tells that names changed since then may not be durable, although their
// own sync succeeded: another one failed, and took the kernel's error with it.
// That the disk has passed its test meanwhile does not bring them back.
func (d *Disk) lost(since int) error {
	if d.syncFailures() != since {
		return fmt.Errorf("%w: a sync failed meanwhile", ErrIO)
	}
	return nil
}

// reserve sets size bytes aside for a writer, or tells why not.
func (d *Disk) reserve(size int64) error {
	free, _, err := freeSpace(d.root)
	if err != nil {
		return d.fault("reserve", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.broken:
		return ErrIO
	case d.recentlyFull():
		return ErrFull
	}
	arriving := d.arriving.Add(Usage{1, size})
	switch {
	case d.held.Add(d.trash).Add(d.damaged).Add(arriving).Room() > d.opt.Capacity:
		return fmt.Errorf("%w: the capacity of %d bytes is used", ErrFull, d.opt.Capacity)
	case free-arriving.Room() < d.opt.Reserve:
		return fmt.Errorf("%w: %d bytes are free on the disk, %d stay reserved", ErrFull, free, d.opt.Reserve)
	}
	d.arriving = arriving
	return nil
}

func (d *Disk) unreserve(size int64) {
	d.mu.Lock()
	d.arriving = d.arriving.Sub(Usage{1, size})
	d.mu.Unlock()
}

// recentlyFull is called with mu held.
func (d *Disk) recentlyFull() bool {
	since := d.opt.Now().Sub(d.noRoom)
	return since >= 0 && since < noRoomFor
}

// Status implements Store.
func (d *Disk) Status() Status {
	free, _, err := freeSpace(d.root)
	d.mu.Lock()
	defer d.mu.Unlock()
	s := Status{
		Held: d.held, Trash: d.trash, Quarantine: d.damaged, Arriving: d.arriving.Bytes,
		Capacity: d.opt.Capacity, Counted: d.counting == nil,
	}
	// Less than a blob's room says "full" before the first refusal; a store too
	// small for that is full when nothing at all is left.
	left := min(d.opt.Capacity-s.Used(), free-d.opt.Reserve)
	switch {
	case d.broken || err != nil:
		s.Reason = IOError
	case d.recentlyFull() || left < min(room, d.opt.Capacity/8):
		s.Reason = Full
	}
	return s
}

// SelfTest implements Store: it writes, syncs, renames, reads back and removes a
// file, and syncs the directory. When it passes, the disk is trusted again; what
// had failed was removed and never acknowledged.
func (d *Disk) SelfTest() error {
	if err := d.tryDisk(); err != nil {
		return d.fault("self-test", err)
	}
	d.mu.Lock()
	d.broken = false
	d.mu.Unlock()
	return nil
}

func (d *Disk) tryDisk() error {
	path := d.path("self-test")
	want := bytes.Repeat([]byte(time.Now().UTC().Format(time.RFC3339Nano)), 1<<11)
	defer os.Remove(path)
	if err := durable.WriteFile(path, want); err != nil {
		os.Remove(path + durable.Suffix)
		return err
	}
	got, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return errors.New("read back other bytes than were written")
	}
	return nil
}
