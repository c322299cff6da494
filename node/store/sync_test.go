package store

import (
	"errors"
	"fmt"
	"holdfast/format/id"
	"sync"
	"syscall"
	"testing"

	"holdfast/format/blob"
	"holdfast/node/durable"
)

// faultyDirs lets a test fail the syncs of one directory. The kernel's way: an
// error is told once, the next sync succeeds.
type faultyDirs struct {
	mu   sync.Mutex // guards what follows
	dir  string
	hook func(call int) error // nil: a real sync
	call int
}

func (f *faultyDirs) sync(dir string) error {
	f.mu.Lock()
	hook := f.hook
	if dir != f.dir {
		hook = nil
	}
	if hook != nil {
		f.call++
	}
	call := f.call
	f.mu.Unlock()
	if hook == nil {
		return durable.SyncDir(dir)
	}
	return hook(call)
}

func failedSync(cause error) error {
	return fmt.Errorf("sync directory: %w: %w", durable.ErrSync, cause)
}

// TestFailedSyncFailsAllWhoWait: several blobs of an upload are renamed, the sync
// of their directory fails and takes the error with it, and the one that follows
// succeeds. None of them is acknowledged, whatever the error's name, and though
// the disk passes its test in between.
func TestFailedSyncFailsAllWhoWait(t *testing.T) {
	for _, c := range []struct {
		name   string
		cause  error
		tested bool
	}{
		{"input/output error", syscall.EIO, false},
		{"disk full", syscall.ENOSPC, false},
		{"quota", syscall.EDQUOT, false},
		{"tested meanwhile", syscall.EIO, true},
	} {
		t.Run(c.name, func(t *testing.T) { failedSyncs(t, c.cause, c.tested) })
	}
}

func failedSyncs(t *testing.T, cause error, tested bool) {
	faulty := &faultyDirs{}
	d, err := OpenDisk(t.TempDir(), Options{Capacity: 1 << 30, syncDir: faulty.sync})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	key, data := testKey("there before")
	if err := put(d, key, data); err != nil {
		t.Fatal(err)
	}
	const writers = 8
	running, release := make(chan struct{}), make(chan struct{})
	faulty.mu.Lock()
	faulty.dir = d.uploadDir(key.Upload)
	faulty.hook = func(call int) error {
		if call == 1 {
			close(running)
			<-release
			return failedSync(cause)
		}
		if got := d.Status().Reason; got != IOError {
			t.Errorf("a sync after the failed one finds the disk %q", got)
		}
		if tested {
			if err := d.SelfTest(); err != nil {
				t.Error(err)
			}
		}
		return nil
	}
	faulty.mu.Unlock()
	results := make(chan error, writers)
	write := func(i int) {
		data := fmt.Appendf(nil, "blob %d", i)
		results <- put(d, Key{key.Upload, blob.Name(data)}, data)
	}
	go write(0)
	<-running
	for i := 1; i < writers; i++ {
		go write(i)
	}
	u := d.use(key.Upload)
	for renamed := 0; renamed < writers; { // all are between rename and sync
		u.mu.Lock()
		renamed = len(u.fresh)
		u.mu.Unlock()
	}
	d.done(u)
	close(release)
	for range writers {
		if err := <-results; !errors.Is(err, ErrIO) {
			t.Errorf("have %v, want ErrIO", err)
		}
	}
	if got, err := d.List(key.Upload, [32]byte{}, 10); err != nil || len(got) != 1 || got[0].Name != key.Name {
		t.Errorf("listed: %v, %v", got, err)
	}
}

// TestFailedSyncOfADeletion: an order is not done while its traces may be lost.
func TestFailedSyncOfADeletion(t *testing.T) {
	faulty := &faultyDirs{}
	d, err := OpenDisk(t.TempDir(), Options{Capacity: 1 << 30, syncDir: faulty.sync})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	key, data := testKey("deleted")
	if err := put(d, key, data); err != nil {
		t.Fatal(err)
	}
	faulty.dir = d.shardDir(key.Upload)
	faulty.hook = func(call int) error {
		if call == 1 {
			return failedSync(syscall.ENOSPC)
		}
		return nil
	}
	if _, err := d.CloseUpload(key.Upload); !errors.Is(err, ErrIO) {
		t.Fatalf("have %v, want ErrIO", err)
	}
	if err := d.SelfTest(); err != nil {
		t.Fatal(err)
	}
	if got, err := d.CloseUpload(key.Upload); err != nil || got.Blobs != 1 {
		t.Fatalf("done again: %+v, %v", got, err)
	}
}

// TestFailedSyncOfRemovedBlobs: the blobs are moved, a sync fails, and the order
// is done again: there is nothing left to move, and the move must be durable all
// the same before it is acknowledged.
func TestFailedSyncOfRemovedBlobs(t *testing.T) {
	faulty := &faultyDirs{}
	d, err := OpenDisk(t.TempDir(), Options{Capacity: 1 << 30, syncDir: faulty.sync})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	key, data := testKey("removed")
	if err := put(d, key, data); err != nil {
		t.Fatal(err)
	}
	faulty.dir = d.uploadDir(key.Upload)
	fail, again := true, 0
	faulty.hook = func(int) error {
		if fail {
			return failedSync(syscall.EIO)
		}
		again++
		return nil
	}
	if _, err := d.Remove(key.Upload, []id.Name{key.Name}); !errors.Is(err, ErrIO) {
		t.Fatalf("have %v, want ErrIO", err)
	}
	fail = false
	if err := d.SelfTest(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Remove(key.Upload, []id.Name{key.Name}); err != nil || again == 0 {
		t.Fatalf("done again: %v, the folder was synced %d times", err, again)
	}
}

// TestFolderMadeBeforeAFailedSync: a writer has made its upload's directory; then
// another one's sync of the directory above fails, and takes the error with it.
// The first writer's own sync succeeds and says nothing: it is not acknowledged,
// and its next try, which makes the directory anew, is.
func TestFolderMadeBeforeAFailedSync(t *testing.T) {
	faulty := &faultyDirs{}
	d, err := OpenDisk(t.TempDir(), Options{Capacity: 1 << 30, syncDir: faulty.sync})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	key, data := testKey("slow")
	w, err := d.Begin(key, int64(len(data)), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	faulty.mu.Lock()
	faulty.dir = d.shardDir(key.Upload)
	faulty.hook = func(call int) error {
		if call == 1 {
			return failedSync(syscall.EIO)
		}
		return durable.SyncDir(d.shardDir(key.Upload))
	}
	faulty.mu.Unlock()
	if err := d.syncShard(d.shardDir(key.Upload)); err == nil {
		t.Fatal("the sync did not fail")
	}
	if err := d.SelfTest(); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); !errors.Is(err, ErrIO) {
		t.Fatalf("a blob in a directory that may be lost is acknowledged: %v", err)
	}
	if err := put(d, key, data); err != nil {
		t.Fatalf("the next try: %v", err)
	}
}
