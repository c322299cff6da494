package store

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"holdfast/format/blob"
	"holdfast/format/id"
)

// TestOrderMeetsBegin has an order to delete the upload come at the last moment
// before a writer's file is made: one of the two waits for the other.
func TestOrderMeetsBegin(t *testing.T) {
	var d *Disk
	key, data := testKey("met by an order")
	between := func(path string) (*os.File, error) {
		d.mu.Lock()
		u := d.uploads[key.Upload]
		d.mu.Unlock()
		if u.mu.TryLock() { // nobody keeps the order from being done now
			u.mu.Unlock()
			if _, err := d.CloseUpload(key.Upload); err != nil {
				t.Error(err)
			}
		}
		return createFile(path)
	}
	d, err := OpenDisk(t.TempDir(), Options{Capacity: 1 << 30, create: between})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := put(d, key, data); err != nil && !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if got := d.Status().Reason; got != Writable {
		t.Errorf("the disk counts as %s", got)
	}
}

// TestClosingUnderWriters: whoever begins a blob while its upload is closed is
// told so; the disk does not count as broken, and nothing is left behind.
func TestClosingUnderWriters(t *testing.T) {
	dir := t.TempDir()
	d, err := OpenDisk(dir, Options{Capacity: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for round := range uint32(20) {
		up := id.New[id.Upload]()
		var writers sync.WaitGroup
		closing := make(chan struct{}) // when half of the writers have begun a blob
		var begun sync.WaitGroup
		begun.Add(4)
		for i := range uint32(8) {
			writers.Go(func() {
				for j := range uint32(12) {
					data := binary.BigEndian.AppendUint32(nil, round<<16|i<<8|j)
					err := put(d, Key{up, blob.Name(data)}, data)
					if err != nil && !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					if i < 4 && j == round%8 {
						begun.Done()
					}
				}
			})
		}
		go func() {
			begun.Wait()
			close(closing)
		}()
		<-closing
		if _, err := d.CloseUpload(up); err != nil {
			t.Error(err)
		}
		writers.Wait()
		if got := d.Status().Reason; got != Writable {
			t.Fatalf("round %d: the disk counts as %s", round, got)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "trash/*/*/*.new"))
	if err != nil || len(left) != 0 {
		t.Fatalf("left half written in the trash: %d, %v", len(left), err)
	}
}

// TestEmptyingUnderDeletions: a node that keeps no trash empties the day's while
// orders fill it.
func TestEmptyingUnderDeletions(t *testing.T) {
	d, err := OpenDisk(t.TempDir(), Options{Capacity: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	over := make(chan struct{})
	var emptier sync.WaitGroup
	emptier.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
			}
			if _, err := d.EmptyTrash(time.Now().Add(48 * time.Hour)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	key, data := testKey("deleted")
	for range 40 {
		key.Upload = id.New[id.Upload]()
		if err := put(d, key, data); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Remove(key.Upload, []id.Name{key.Name}); err != nil {
			t.Fatal(err)
		}
		if err := put(d, key, data); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second looks into the trash
			if _, err := d.CloseUpload(key.Upload); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(over)
	emptier.Wait()
	if got := d.Status(); got.Reason != Writable || got.Trash.Blobs < 0 || got.Held.Blobs != 0 {
		t.Fatalf("%+v", got)
	}
}

// TestClosedUploadsKeepNoHalfBlobs: what was being written when the upload was
// closed takes no room in the trash, where nobody would count it.
func TestClosedUploadsKeepNoHalfBlobs(t *testing.T) {
	dir := t.TempDir()
	d, err := OpenDisk(dir, Options{Capacity: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	key, data := testKey("half")
	w, err := d.Begin(key, int64(len(data)), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if _, err := d.CloseUpload(key.Upload); err != nil {
		t.Fatal(err)
	}
	var files []string
	err = filepath.WalkDir(d.path(dirTrash), func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) != 0 {
		t.Fatalf("in the trash: %v, %v", files, err)
	}
	if err := w.Commit(); !errors.Is(err, ErrClosed) {
		t.Fatalf("have %v, want ErrClosed", err)
	}
}
