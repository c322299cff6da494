package resume

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"sync"
	"testing"

	"holdfast/client/home"
	"holdfast/client/source"
	"holdfast/format/id"
)

func begin(t *testing.T, path string, files ...File) *Log {
	t.Helper()
	l, s, err := Open(path)
	if err != nil || s != nil {
		t.Fatalf("%v, %v", s, err)
	}
	if err := l.Start(Head{Upload: id.New[id.Upload](), Secret: "s", Link: id.New32()}, files); err != nil {
		t.Fatal(err)
	}
	return l
}

func reopen(t *testing.T, l *Log) (*Log, *State) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, s, err := Open(l.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, s
}

func draw(n int) File { return Draw(n, "/x", source.Stamp{Size: 5, ModTime: 7, Inode: 9}) }

func blobOf(parts ...int) Blob {
	b := Blob{Name: id.New32(), Size: 100}
	for _, f := range parts {
		root := id.Bytes32(id.New32())
		b.Parts = append(b.Parts, Part{File: f, Root: &root})
	}
	return b
}

func TestLogTellsWhatWasWritten(t *testing.T) {
	path := t.TempDir() + "/log"
	zero, one := draw(0), draw(1)
	l := begin(t, path, zero, one)
	if _, _, err := Open(path); !errors.Is(err, home.ErrBusy) {
		t.Fatalf("opened twice: %v", err)
	}
	b := blobOf(0, 1)
	if err := errors.Join(l.Write(Record{Blob: &b}), l.Note(Record{Receipt: "r"})); err != nil {
		t.Fatal(err)
	}
	_, s := reopen(t, l)
	want := NewState(s.Head)
	want.Files, want.Blobs, want.Receipts = map[int]File{0: zero, 1: one}, []Blob{b}, []string{"r"}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("have %+v\nwant %+v", s, want)
	}
	if zero.Keys().K == one.Keys().K || zero.Params() == one.Params() || s.Files[0].Keys() != zero.Keys() || s.Files[0].Params() != zero.Params() {
		t.Error("keys do not come back as they were")
	}
}

func TestRedrawnRevisionDropsItsBlobs(t *testing.T) {
	l := begin(t, t.TempDir()+"/log", draw(0), draw(1), draw(2))
	pack, own := blobOf(0, 1), blobOf(2)
	zero, one := draw(0), draw(1)
	if err := l.Write(Record{Blob: &pack}, Record{Blob: &own}, Record{Files: []File{zero, one}}); err != nil {
		t.Fatal(err)
	}
	_, s := reopen(t, l)
	if len(s.Blobs) != 1 || s.Blobs[0].Name != own.Name || s.Abandoned != 100 || s.Files[1].K != one.K || len(s.Tainted) != 0 {
		t.Errorf("%+v", s)
	}
}

// TestHalfADecisionTaintsTheRest: whoever draws one file of a blob anew, and not
// the others, may not use the others' keys.
func TestHalfADecisionTaintsTheRest(t *testing.T) {
	l := begin(t, t.TempDir()+"/log", draw(0), draw(1), draw(2))
	pack, own := blobOf(0, 1), blobOf(2)
	if err := l.Write(Record{Blob: &pack}, Record{Blob: &own}, Record{Files: []File{draw(1)}}); err != nil {
		t.Fatal(err)
	}
	l, s := reopen(t, l)
	if !maps.Equal(s.Tainted, map[int]bool{0: true}) {
		t.Errorf("tainted: %v", s.Tainted)
	}
	if err := l.Write(Record{Files: []File{draw(0)}}); err != nil {
		t.Fatal(err)
	}
	if _, s := reopen(t, l); len(s.Tainted) != 0 {
		t.Errorf("tainted although drawn anew: %v", s.Tainted)
	}
}

// history writes a log of draws, blobs and redraws at random, half of which leave
// members of a blob out.
func history(t *testing.T, rng *rand.Rand, path string) {
	t.Helper()
	const files = 6
	var all []File
	for n := range files {
		all = append(all, draw(n))
	}
	l := begin(t, path, all...)
	for range 12 {
		some := rng.Perm(files)[:1+rng.IntN(files-1)]
		var rec Record
		switch rng.IntN(3) {
		case 0:
			b := blobOf(some...)
			rec.Blob = &b
		case 1:
			rec.Receipt = "r"
		default:
			for _, n := range some {
				rec.Files = append(rec.Files, draw(n))
			}
		}
		if err := l.Write(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestEveryPrefixKeepsNames: threat 12. Wherever a log ends, at a line or within
// one, no key may be used whose blobs are not all known by name.
func TestEveryPrefixKeepsNames(t *testing.T) {
	rng := rand.New(rand.NewPCG(12, 1))
	for range 20 {
		path := t.TempDir() + "/log"
		history(t, rng, path)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sealed := map[id.Bytes32][]id.Name{} // by file key, the blobs that it is in
		now := map[int]File{}
		for end, from := 0, 0; end < len(raw); from = end {
			end += bytes.IndexByte(raw[end:], '\n') + 1
			for _, cut := range []int{from + 1, (from + end) / 2, end - 1} { // torn: as if the line were not there
				keepsNames(t, raw[:cut], sealed)
			}
			var rec Record
			if err := json.Unmarshal(raw[from:end], &rec); err != nil {
				t.Fatal(err)
			}
			for _, f := range rec.Files {
				now[f.Number] = f
			}
			if rec.Blob != nil {
				for _, p := range rec.Blob.Parts {
					k := now[p.File].K
					sealed[k] = append(sealed[k], rec.Blob.Name)
				}
			}
			keepsNames(t, raw[:end], sealed)
		}
	}
}

func keepsNames(t *testing.T, raw []byte, sealed map[id.Bytes32][]id.Name) {
	t.Helper()
	s, _, err := read(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if s == nil {
		return // nothing of it is used
	}
	known := map[id.Name]bool{}
	for _, b := range s.Blobs {
		known[b.Name] = true
	}
	for n, f := range s.Files {
		for _, name := range sealed[f.K] {
			if !known[name] && !s.Tainted[n] {
				t.Fatalf("after %d bytes the keys of file %d may be used, and blob %s of it is forgotten", len(raw), n, name)
			}
		}
	}
}

func TestTornAndDamagedLogs(t *testing.T) {
	for name, c := range map[string]struct {
		damage func([]byte) []byte
		blobs  int
		usable bool
	}{
		"whole":             {func(b []byte) []byte { return b }, 2, true},
		"last line torn":    {func(b []byte) []byte { return b[:len(b)-9] }, 1, true},
		"zeros at the end":  {func(b []byte) []byte { return append(b, make([]byte, 50)...) }, 2, true},
		"a line damaged":    {func(b []byte) []byte { b[len(b)/2] = 0; b[len(b)/2+1] = '\n'; return b }, 0, false},
		"no head":           {func([]byte) []byte { return []byte("{\"receipt\":\"r\"}\n") }, 0, false},
		"other version":     {func([]byte) []byte { return []byte("{\"head\":{\"version\":1}}\n") }, 0, false},
		"an unknown record": {func(b []byte) []byte { return append(b, "{\"later\":1}\n"...) }, 0, false},
		"empty":             {func([]byte) []byte { return nil }, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir() + "/log"
			l := begin(t, path, draw(0))
			a, b := blobOf(0), blobOf(0)
			if err := errors.Join(l.Write(Record{Blob: &a}, Record{Blob: &b}), l.Close()); err != nil {
				t.Fatal(err)
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, c.damage(raw), 0o600); err != nil {
				t.Fatal(err)
			}
			l, s, err := Open(path)
			if err != nil || (s != nil) != c.usable || s != nil && len(s.Blobs) != c.blobs {
				t.Fatalf("%+v, %v", s, err)
			}
			if s == nil {
				l.Close()
				return
			}
			// What is written now must be readable behind what was kept.
			if err := l.Write(Record{Receipt: "later"}); err != nil {
				t.Fatal(err)
			}
			if _, s := reopen(t, l); s == nil || len(s.Blobs) != c.blobs || len(s.Receipts) != 1 {
				t.Errorf("after going on: %+v", s)
			}
		})
	}
}

func TestConcurrentWritesAreAllThere(t *testing.T) {
	l := begin(t, t.TempDir()+"/log", draw(0))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				b := blobOf(0)
				if err := l.Write(Record{Blob: &b}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if l.synced != l.written {
		t.Errorf("%d of %d are durable", l.synced, l.written)
	}
	if _, s := reopen(t, l); len(s.Blobs) != 160 {
		t.Errorf("%d blobs", len(s.Blobs))
	}
}

func TestFailureStays(t *testing.T) {
	l := begin(t, t.TempDir()+"/log")
	l.file.Close()
	if err := l.Write(Record{Receipt: "r"}); !errors.Is(err, ErrWrite) {
		t.Fatalf("first: %v", err)
	}
	if err := l.Note(Record{Receipt: "r"}); !errors.Is(err, ErrWrite) {
		t.Fatalf("second: %v", err)
	}
}

func TestErase(t *testing.T) {
	path := t.TempDir() + "/log"
	l := begin(t, path, draw(0))
	if err := l.Erase(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("{\"head\":{\"version\":2}}\n{\"files\":[{\"n\":0}]}\n{\"blob\":{\"parts\":[{\"f\":0}]}}\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := t.TempDir() + "/log"
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		l, s, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if s != nil && s.Head.Version != Version {
			t.Error("a state of another version")
		}
	})
}
