package drive

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"holdfast/format/journal"
)

func asKind(err error, kind journal.Kind) bool {
	var a *Alarm
	return errors.As(err, &a) && a.Kind == kind
}

// cached is the file of a folder's cache.
func (d *device) cached(path string) string {
	d.t.Helper()
	i, err := d.Resolve(d.t.Context(), path)
	must(d.t, err)
	return d.store.file(i.Self)
}

// lose removes all caches; pins stay.
func (d *device) lose() {
	paths, err := filepath.Glob(filepath.Join(d.store.dir, "cache", "*"))
	must(d.t, err)
	for _, path := range paths {
		must(d.t, os.Remove(path))
	}
}

// TestChangedCaches: whatever is changed in a cache is noticed, and what the drive says
// afterwards is right. A cache that is cut says less, and nothing false.
func TestChangedCaches(t *testing.T) {
	f := newFake(t)
	a := someAccount()
	d := f.device(a)
	d.mkdir("/folder")
	d.put("/folder/one", "/folder/two")
	d.put("/folder/three") // behind the pages
	path := d.cached("/folder")
	good, err := os.ReadFile(path)
	must(t, err)
	for at := 0; at < len(good); at += max(1, len(good)/60) {
		for name, bad := range map[string][]byte{
			"bit": append(append(append([]byte(nil), good[:at]...), good[at]^1), good[at+1:]...),
			"cut": good[:at],
		} {
			must(t, os.WriteFile(path, bad, 0o600))
			again := f.deviceAt(a, d.home)
			warned := false
			again.Warn = func(string) { warned = true }
			items, err := again.List(t.Context(), "/folder")
			if err != nil || len(items) != 3 {
				t.Fatalf("%s at %d: %v, %v", name, at, items, err)
			}
			if name == "bit" && !warned && !inLength(good, at) {
				t.Fatalf("a bit at %d was not noticed", at)
			}
			if now, err := os.ReadFile(path); err != nil || len(now) < 500 {
				t.Fatalf("%s at %d: the cache was not made anew: %d bytes, %v", name, at, len(now), err)
			}
		}
	}
}

// inLength tells whether a byte is one of a frame's length: changed, the file seems cut.
func inLength(b []byte, at int) bool {
	for i := 0; i < len(b); {
		if at > i && at <= i+4 {
			return true
		}
		i += 5 + int(b[i+1])<<24 + int(b[i+2])<<16 + int(b[i+3])<<8 + int(b[i+4])
	}
	return false
}

// TestCachesSayNothing: neither names nor keys stand in them.
func TestCachesSayNothing(t *testing.T) {
	f := newFake(t)
	d := f.device(someAccount())
	d.mkdir("/a telling name")
	d.put("/a telling name/and another one")
	must(t, filepath.WalkDir(d.home, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		must(t, err)
		raw, err := os.ReadFile(path)
		must(t, err)
		if strings.Contains(string(raw), "another one") || strings.Contains(string(raw), "telling") || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %o", path, info.Mode())
		}
		return nil
	}))
}

// TestDamagedPins: without pins an older state would pass, so that nobody goes on
// without them unasked.
func TestDamagedPins(t *testing.T) {
	f := newFake(t)
	a := someAccount()
	d := f.device(a)
	d.mkdir("/folder")
	raw, err := os.ReadFile(d.store.pins())
	must(t, err)
	raw[len(raw)/2] ^= 1
	must(t, os.WriteFile(d.store.pins(), raw, 0o600))
	_, err = newStoreOpen(d)
	is(t, err, ErrPins)
}

func newStoreOpen(d *device) (seen, error) { return d.store.readSeen() }

// TestCheckpointBeyondAPin: a device that lost its cache starts from a checkpoint, and
// holds it against what it saw before.
func TestCheckpointBeyondAPin(t *testing.T) {
	f := newFake(t)
	a := someAccount()
	one, two := f.device(a), f.device(a)
	one.mkdir("/folder")
	folder, err := two.List(t.Context(), "/folder")
	must(t, err)
	if len(folder) != 0 {
		t.Fatal(folder)
	}
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf("/folder/%d", i))
	}
	one.put(many...)
	one.put("/folder/more") // with a checkpoint
	i, err := one.Resolve(t.Context(), "/folder")
	must(t, err)
	if f.folders[i.Self].named == nil {
		t.Fatal("no checkpoint")
	}
	two.lose()
	again := f.deviceAt(a, two.home)
	items, err := again.List(t.Context(), "/folder")
	must(t, err)
	if len(items) != 301 {
		t.Errorf("%d entries", len(items))
	}
	// The same, for one that saw another first entry.
	third := f.device(a)
	must(t, third.seen.pins.Set(journal.Head{Folder: i.Self, Seq: 1, Hash: journal.Hash{1}}))
	_, err = third.List(t.Context(), "/folder")
	if !asKind(err, journal.Fork) {
		t.Errorf("another history: %v", err)
	}
}

// TestProcessesShareAHome: they lose nothing of each other's, and no pin goes back.
func TestProcessesShareAHome(t *testing.T) {
	f := newFake(t)
	a := someAccount()
	first := f.device(a)
	first.mkdir("/folder")
	var wait sync.WaitGroup
	const processes, each = 3, 5
	for n := range processes {
		d := f.deviceAt(a, first.home)
		wait.Go(func() {
			for i := range each {
				if _, err := d.Put(t.Context(), []NewFile{{"/folder", file(fmt.Sprint(n, " ", i))}}, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	last := f.deviceAt(a, first.home)
	items, err := last.List(t.Context(), "/folder")
	must(t, err)
	if len(items) != processes*each {
		t.Errorf("%d entries", len(items))
	}
}
