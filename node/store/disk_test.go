package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/node/store"
	"holdfast/node/store/storetest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const roomy = 1 << 30

func open(t *testing.T, dir string, opt store.Options) *store.Disk {
	t.Helper()
	if opt.Capacity == 0 {
		opt.Capacity = roomy
	}
	d, err := store.OpenDisk(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func shut(t *testing.T, d *store.Disk) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func counted(t *testing.T, d *store.Disk) store.Status {
	t.Helper()
	for range 10_000 {
		if s := d.Status(); s.Counted {
			return s
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("counting does not end")
	return store.Status{}
}

func TestContractDisk(t *testing.T) {
	storetest.Run(t, func(t *testing.T, capacity int64, now func() time.Time) store.Store {
		d := open(t, t.TempDir(), store.Options{Capacity: capacity, Now: now})
		counted(t, d)
		t.Cleanup(func() { shut(t, d) })
		return d
	})
}

func TestContractMem(t *testing.T) {
	storetest.Run(t, func(t *testing.T, capacity int64, now func() time.Time) store.Store {
		return store.NewMem(capacity, now)
	})
}

func TestLockedAgainstASecondProcess(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, store.Options{})
	if _, err := store.OpenDisk(dir, store.Options{Capacity: 1}); !errors.Is(err, store.ErrLocked) {
		t.Fatalf("have %v, want ErrLocked", err)
	}
	shut(t, d)
	shut(t, open(t, dir, store.Options{}))
}

// half is the upload of which one blob was half written.
var half = id.Upload{78}

// fill stores a few blobs in several uploads, closes one of them and leaves a
// writer half way.
func fill(t *testing.T, d *store.Disk) (held []storetest.Blob, gone storetest.Blob) {
	t.Helper()
	for i := range 20 {
		b := storetest.Make(id.Upload{byte(i * 12), 1}, uint64(i), 1000+i)
		must(t, storetest.Put(d, b, roomy))
		held = append(held, b)
	}
	gone = storetest.Make(id.Upload{77}, 99, 5000)
	must(t, storetest.Put(d, gone, roomy))
	_, err := d.CloseUpload(gone.Key.Upload)
	must(t, err)
	cut := storetest.Make(half, 98, 5000)
	w, err := d.Begin(cut.Key, 5000, roomy)
	must(t, err)
	_, err = w.Write(cut.Data[:3000])
	must(t, err)
	return held, gone
}

func TestStartsAgain(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		exact bool // without counting
	}{
		{"in peace", func(*testing.T, string) {}, true},
		{"usage file lost", func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "usage"))) }, false},
		{"usage file damaged", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "usage"), []byte("{"), 0o600))
		}, false},
		{"usage file of a crash", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "usage"), []byte(`{"held":{"Blobs":3,"Bytes":7},"exact":false}`), 0o600))
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			d := open(t, dir, store.Options{})
			counted(t, d)
			held, gone := fill(t, d)
			before := d.Status()
			shut(t, d)
			c.spoil(t, dir)

			d = open(t, dir, store.Options{})
			defer func() { shut(t, d) }()
			if c.exact && !d.Status().Counted {
				t.Error("counts again after a clean stop")
			}
			after := counted(t, d)
			if after.Held != before.Held || after.Trash != before.Trash || after.Arriving != 0 {
				t.Fatalf("before %+v, after %+v", before, after)
			}
			for _, b := range held {
				got, err := storetest.Get(d, b.Key)
				if err != nil || !bytes.Equal(got, b.Data) {
					t.Fatalf("lost: %v", err)
				}
			}
			if err := storetest.Put(d, gone, roomy); !errors.Is(err, store.ErrClosed) {
				t.Fatalf("the closed upload is open again: %v", err)
			}
			if usage, err := d.CloseUpload(gone.Key.Upload); err != nil || usage.Bytes != 5000 {
				t.Fatalf("closed again: %+v, %v", usage, err)
			}
			// What was half written goes when the upload is counted or used.
			if _, err := d.List(half, id.Name{}, 1); err != nil {
				t.Fatal(err)
			}
			left, err := filepath.Glob(filepath.Join(dir, "blobs/*/*/*.new"))
			if err != nil || len(left) != 0 {
				t.Fatalf("left half written: %v, %v", left, err)
			}
		})
	}
}

// TestCountsWhileInUse runs the count against writers and deletions, again and
// again: the sum must be that of the uploads.
func TestCountsWhileInUse(t *testing.T) {
	dir := t.TempDir()
	for round := range 5 {
		must(t, os.RemoveAll(filepath.Join(dir, "usage")))
		d := open(t, dir, store.Options{})
		done := make(chan bool)
		for worker := range 4 {
			go func() {
				defer func() { done <- true }()
				for i := range 30 {
					up := id.Upload{byte(i * 9), byte(worker), byte(i % 3 * round)}
					b := storetest.Make(up, uint64(round), 500+i)
					if err := storetest.Put(d, b, roomy); err != nil && !errors.Is(err, store.ErrExists) && !errors.Is(err, store.ErrClosed) {
						t.Error(err)
					}
					if i%7 == round {
						if _, err := d.CloseUpload(up); err != nil {
							t.Error(err)
						}
					}
				}
			}()
		}
		for range 4 {
			<-done
		}
		got := counted(t, d)
		shut(t, d)
		must(t, os.Remove(filepath.Join(dir, "usage")))
		d = open(t, dir, store.Options{})
		want := counted(t, d)
		shut(t, d)
		if got.Held != want.Held || got.Trash != want.Trash {
			t.Fatalf("round %d: counted in use %+v, in peace %+v", round, got, want)
		}
	}
}

func TestDiskFaults(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, store.Options{})
	defer func() { shut(t, d) }()
	counted(t, d)
	good := storetest.Make(id.New[id.Upload](), 1, 3000)
	must(t, storetest.Put(d, good, roomy))

	// The directory goes away between write and commit.
	bad := storetest.Make(id.Upload{0xaa, 1}, 2, 3000)
	w, err := d.Begin(bad.Key, 3000, roomy)
	must(t, err)
	_, err = w.Write(bad.Data)
	must(t, err)
	shard := filepath.Join(dir, "blobs", "aa")
	must(t, os.Rename(shard, shard+"-away"))
	if err := w.Commit(); !errors.Is(err, store.ErrIO) {
		t.Fatalf("have %v, want ErrIO", err)
	}
	if got := d.Status(); got.Reason != store.IOError || got.Held.Blobs != 1 || got.Arriving != 0 {
		t.Fatalf("status %+v", got)
	}
	if err := storetest.Put(d, storetest.Make(id.New[id.Upload](), 3, 10), roomy); !errors.Is(err, store.ErrIO) {
		t.Fatalf("have %v, want ErrIO until the self-test", err)
	}
	if _, err := storetest.Get(d, good.Key); err != nil {
		t.Fatal("old data:", err)
	}
	if err := storetest.Put(d, good, roomy); !errors.Is(err, store.ErrExists) {
		t.Fatalf("what is held is held: %v", err)
	}

	// A disk that does not even take a file does not pass the self-test.
	must(t, os.Mkdir(filepath.Join(dir, "self-test"), 0o700))
	if err := d.SelfTest(); !errors.Is(err, store.ErrIO) {
		t.Fatalf("self-test: %v", err)
	}
	must(t, os.RemoveAll(filepath.Join(dir, "self-test")))
	must(t, os.Rename(shard+"-away", shard))
	must(t, d.SelfTest())
	must(t, storetest.Put(d, bad, roomy))
}

func TestReserveKeepsTheDiskFree(t *testing.T) {
	d := open(t, t.TempDir(), store.Options{Reserve: 1 << 60})
	defer func() { shut(t, d) }()
	if got := d.Status().Reason; got != store.Full {
		t.Fatalf("reason %q, want full", got)
	}
	if err := storetest.Put(d, storetest.Make(id.New[id.Upload](), 1, 10), roomy); !errors.Is(err, store.ErrFull) {
		t.Fatalf("have %v, want ErrFull", err)
	}
}

func TestOpenFailsWithoutLeavingTheLock(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "blobs"), nil, 0o600))
	if _, err := store.OpenDisk(dir, store.Options{Capacity: 1}); err == nil {
		t.Fatal("opened a store whose blobs are a file")
	}
	must(t, os.Remove(filepath.Join(dir, "blobs")))
	shut(t, open(t, dir, store.Options{}))
	if _, err := store.OpenDisk(filepath.Join(dir, "usage"), store.Options{}); !errors.Is(err, syscall.ENOTDIR) && err == nil {
		t.Fatal("opened a file")
	}
}
