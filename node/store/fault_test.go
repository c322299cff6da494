package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/format/blob"
)

func TestFaultsAreToldApart(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for _, c := range []struct {
		name   string
		err    error
		want   error
		reason Reason
	}{
		{"disk full", syscall.ENOSPC, ErrFull, Full},
		{"quota", syscall.EDQUOT, ErrFull, Full},
		{"input/output error", syscall.EIO, ErrIO, IOError},
		{"read-only file system", syscall.EROFS, ErrIO, IOError},
		{"directory gone", syscall.ENOENT, ErrIO, IOError},
		{"too many open files", syscall.EMFILE, ErrBusy, Writable},
		{"too many in the system", syscall.ENFILE, ErrBusy, Writable},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := OpenDisk(t.TempDir(), Options{Capacity: 1 << 30, Now: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			err = d.fault("write", fmt.Errorf("x: %w", &fs.PathError{Op: "write", Path: "p", Err: c.err}))
			if !errors.Is(err, c.want) || !errors.Is(err, c.err) {
				t.Fatalf("have %v, want %v", err, c.want)
			}
			if got := d.Status().Reason; got != c.reason {
				t.Fatalf("reason %q, want %q", got, c.reason)
			}
			now = now.Add(noRoomFor) // full passes by itself, a broken disk does not
			if got := d.Status().Reason; (got == Writable) == (c.reason == IOError) {
				t.Fatalf("later: reason %q", got)
			}
		})
	}
}

// TestLargeBlobsAreBegunEarly: of a large blob all but the end is on its way to the
// disk before the sync; where that fails the write fails.
func TestLargeBlobsAreBegunEarly(t *testing.T) {
	var ranges [][2]int64
	var failure error
	d, err := OpenDisk(t.TempDir(), Options{Capacity: 1 << 30, begin: func(f *os.File, from, n int64) error {
		if info, err := f.Stat(); err != nil || info.Size() < from+n {
			t.Errorf("%d bytes from %d on are not there yet: %v", n, from, err)
		}
		ranges = append(ranges, [2]int64{from, n})
		return failure
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	write := func(name string, size int) error {
		data := bytes.Repeat([]byte(name), size/len(name))
		key, _ := testKey(string(data))
		w, err := d.Begin(key, int64(len(data)), 1<<30)
		if err != nil {
			return err
		}
		for part := range slices.Chunk(data, 100_000) {
			if _, err := w.Write(part); err != nil {
				w.Abort(err)
				return err
			}
		}
		return w.Commit()
	}
	if err := write("small", 1<<20); err != nil || ranges != nil {
		t.Fatalf("a small one: %v, begun %v", err, ranges)
	}
	if err := write("large", 8<<20); err != nil {
		t.Fatal(err)
	}
	at := int64(0)
	for _, r := range ranges {
		if r[0] != at || r[1] < 512<<10 || r[1] > 612<<10 {
			t.Fatalf("begun: %v", ranges)
		}
		at += r[1]
	}
	if left := int64(8<<20) - at; left > 612<<10 {
		t.Fatalf("%d bytes are left to the sync", left)
	}
	failure = syscall.EIO
	if err := write("broken", 8<<20); !errors.Is(err, ErrIO) || d.Status().Reason != IOError {
		t.Fatalf("after a failure: %v, %q", err, d.Status().Reason)
	}
}

// TestPoisonedBlobIsNotTrusted: a blob whose directory could not be synced and
// that could not be removed is not shown, and gives way to a good one.
func TestPoisonedBlobIsNotTrusted(t *testing.T) {
	d, err := OpenDisk(t.TempDir(), Options{Capacity: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	key, data := testKey("poisoned")
	if err := put(d, key, data); err != nil {
		t.Fatal(err)
	}
	u := d.use(key.Upload)
	u.mu.Lock()
	u.poisoned[key.Name] = true
	u.held = Usage{}
	u.mu.Unlock()
	if got, err := d.List(key.Upload, [32]byte{}, 10); err != nil || len(got) != 0 {
		t.Fatalf("listed: %v, %v", got, err)
	}
	if err := put(d, key, data); err != nil { // not ErrExists
		t.Fatal(err)
	}
	if got, err := d.List(key.Upload, [32]byte{}, 10); err != nil || len(got) != 1 {
		t.Fatalf("not listed: %v, %v", got, err)
	}
	d.done(u)
}

// TestSecondWriterSharesTheFirstOnesFate: while a blob is renamed but not synced
// it is neither listed nor held, and a second writer waits for the outcome.
func TestSecondWriterSharesTheFirstOnesFate(t *testing.T) {
	for name, fate := range map[string]error{"good": nil, "bad": ErrIO} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) { shareFate(t, dir, name, fate) })
		})
	}
}

func shareFate(t *testing.T, dir, name string, fate error) {
	d, err := OpenDisk(dir, Options{Capacity: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	key, data := testKey(name)
	u := d.use(key.Upload)
	defer d.done(u)
	first := &freshBlob{done: make(chan struct{}), size: int64(len(data))}
	u.mu.Lock()
	u.fresh[key.Name] = first
	u.mu.Unlock()
	result := make(chan error, 1)
	go func() { result <- put(d, key, data) }()
	synctest.Wait()
	if len(result) > 0 {
		t.Fatalf("did not wait: %v", <-result)
	}
	u.mu.Lock()
	delete(u.fresh, key.Name)
	first.err = fate
	close(first.done)
	u.mu.Unlock()
	if err := <-result; !errors.Is(err, fate) || fate == nil && err != nil {
		t.Fatalf("have %v, want %v", err, fate)
	}
}

func testKey(text string) (Key, []byte) {
	data := []byte(text)
	return Key{Upload: [16]byte{1, 2, 3}, Name: blob.Name(data)}, data
}

func put(d *Disk, key Key, data []byte) error {
	w, err := d.Begin(key, int64(len(data)), 1<<30)
	if err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		w.Abort(err)
		return err
	}
	return w.Commit()
}
