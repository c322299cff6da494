package transfer

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"holdfast/api"
	"holdfast/client/internal/fake"
	"holdfast/client/source"
	"holdfast/client/target"
	"holdfast/format/descriptor"
	"holdfast/format/id"
)

func (s *stage) drive() *Drive { return s.c.Drive(id.Account{7}, fake.Session) }

// walked are the entries of a tree, without the tree's own name before them.
func (s *stage) walked(root string) []source.Entry {
	s.t.Helper()
	tree, err := source.Walk(s.t.Context(), []string{root})
	if err != nil {
		s.t.Fatal(err)
	}
	return tree.Entries
}

// put stores a tree and makes a folder hold all of it.
func (s *stage) put(folder id.Folder, o StoreOptions) []Held {
	s.t.Helper()
	got, err := s.drive().Store(s.t.Context(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := errors.Join(s.Hold(got.Upload, folder), got.Done()); err != nil {
		s.t.Fatal(err)
	}
	var held []Held
	next := 0
	for _, e := range o.Files {
		d := descriptor.Descriptor{Path: e.Path, Kind: descriptor.Folder}
		if !e.Folder {
			d = got.Files[next]
			d.Path = e.Path
			next++
		}
		held = append(held, Held{folder, d})
	}
	return held
}

func (s *stage) fetch(o FetchOptions) *Fetched {
	s.t.Helper()
	got, err := s.drive().Fetch(s.t.Context(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

func alike(t *testing.T, a, b string) {
	t.Helper()
	names := left(t, a)
	if other := left(t, b); strings.Join(names, "\n") != strings.Join(other, "\n") {
		t.Fatalf("%v instead of %v", other, names)
	}
	for _, name := range names {
		one, two := filepath.Join(a, name), filepath.Join(b, name)
		infoA, errA := os.Stat(one)
		infoB, errB := os.Stat(two)
		if err := errors.Join(errA, errB); err != nil {
			t.Fatal(err)
		}
		if infoA.IsDir() {
			continue
		}
		rawA, errA := os.ReadFile(one)
		rawB, errB := os.ReadFile(two)
		if err := errors.Join(errA, errB); err != nil || !bytes.Equal(rawA, rawB) {
			t.Errorf("%s differs, %v", name, err)
		}
		if !infoA.ModTime().Equal(infoB.ModTime()) || infoA.Mode() != infoB.Mode() {
			t.Errorf("%s: %v %v instead of %v %v", name, infoB.ModTime(), infoB.Mode(), infoA.ModTime(), infoA.Mode())
		}
	}
}

func TestDriveStoresAndFetches(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.Limits.MaxUploadBytes = 1 // of sends without an account
	root := s.makeTree()
	if err := os.Remove(filepath.Join(root, "link")); err != nil { // which is not followed
		t.Fatal(err)
	}
	folder := id.New[id.Folder]()
	held := s.put(folder, StoreOptions{Files: s.walked(root), Goal: "tree"})
	out := filepath.Join(s.dir, "out")
	s.fetch(FetchOptions{Entries: held, Target: out})
	alike(t, root, filepath.Join(out, filepath.Base(root)))
	if states := s.states(); len(states) != 0 || s.Open() != 0 {
		t.Errorf("left: %v, %d uploads", states, s.Open())
	}
	before := s.gets.Load()
	got := s.fetch(FetchOptions{Entries: held, Target: out})
	if s.gets.Load() != before || got.Kept == 0 {
		t.Errorf("%d requests for what is there", s.gets.Load()-before)
	}
	// What is there and different is not replaced, unless it is asked for.
	changed := filepath.Join(out, "tree", "small")
	if err := os.WriteFile(changed, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.drive().Fetch(t.Context(), FetchOptions{Entries: held, Target: out}); !errors.Is(err, target.ErrExists) {
		t.Errorf("have %v", err)
	}
	s.fetch(FetchOptions{Entries: held, Target: out, Force: true})
	alike(t, root, filepath.Join(out, "tree"))
}

func TestDriveStreamsAndRanges(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	want := bytesOf(5, 20*mib)
	held := s.put(id.New[id.Folder](), StoreOptions{Files: s.walked(s.write("file", want))})
	var all, part bytes.Buffer
	if err := s.drive().Stream(t.Context(), held[0], &all, Report{}); err != nil || !bytes.Equal(all.Bytes(), want) {
		t.Errorf("%d bytes, %v", all.Len(), err)
	}
	if err := s.drive().Range(t.Context(), held[0], 9*mib, 1000, &part, Report{}); err != nil || !bytes.Equal(part.Bytes(), want[9*mib:][:1000]) {
		t.Errorf("%d bytes, %v", part.Len(), err)
	}
	other := held[0]
	other.Folder = id.New[id.Folder]() // where it is not
	if err := s.drive().Stream(t.Context(), other, &part, Report{}); !errors.Is(err, api.NotFound) {
		t.Errorf("have %v", err)
	}
}

// TestFetchFromSeveralFolders: a tree lies in many folders, of which each is asked for
// what it holds; a copy is the same revision, in the same folder or in another.
func TestFetchFromSeveralFolders(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	one, two := id.New[id.Folder](), id.New[id.Folder]()
	a := s.put(one, StoreOptions{Files: s.walked(s.write("a", bytesOf(1, 3*mib)))})
	b := s.put(two, StoreOptions{Files: s.walked(s.write("b", []byte("b")))})
	c := s.put(one, StoreOptions{Files: s.walked(s.write("c", []byte("c")))})
	again, large := c[0], a[0]
	again.Path, large.Path = "d", "e"
	got := s.fetch(FetchOptions{Entries: []Held{a[0], b[0], c[0], again, large}, Target: filepath.Join(s.dir, "out")})
	for i, want := range [][]byte{bytesOf(1, 3*mib), []byte("b"), []byte("c"), []byte("c"), bytesOf(1, 3*mib)} {
		if raw, err := os.ReadFile(got.Paths[i]); err != nil || !bytes.Equal(raw, want) {
			t.Errorf("%d: %d bytes, %v", i, len(raw), err)
		}
	}
}

// TestStoreResumes: a put that was killed goes on, also when other files are to be
// stored than at the first try, and no key meets two plaintexts.
func TestStoreResumes(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	w := s.tap(nil)
	for i, name := range []string{"tree/a", "tree/b", "tree/c"} {
		s.write(name, bytesOf(uint64(i), 24*mib))
	}
	s.write("tree/d", []byte("small"))
	root := filepath.Join(s.dir, "src", "tree")
	o := StoreOptions{Files: s.walked(root), Goal: "goal"}
	ctx, cancel := context.WithCancel(t.Context())
	var stored atomic.Int32
	o.Progress = func(stage Stage, _ int64) {
		if stage == StoredTwo && stored.Add(1) == 5 {
			cancel()
		}
	}
	if _, err := s.drive().Store(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("have %v", err)
	}
	s.c = s.client()
	first := s.sentBytes()
	if err := errors.Join(os.Remove(filepath.Join(root, "c")), os.WriteFile(filepath.Join(root, "d"), []byte("other"), 0o644)); err != nil {
		t.Fatal(err)
	}
	s.write("tree/e", []byte("new"))
	s.tap(nil)
	var plan Plan
	o = StoreOptions{Files: s.walked(root), Goal: "goal", Planned: func(p Plan) { plan = p }}
	held := s.put(id.New[id.Folder](), o)
	w.noncesUsedOnce(t)
	if again := s.sentBytes() - first; !plan.Resumed || plan.Kept < 4*8*mib || again > plan.Stored-plan.Kept+inFlight*8*mib || s.Calls("openDriveUpload") != 1 {
		t.Errorf("%d bytes at first, %d then, %+v", first, again, plan)
	}
	out := filepath.Join(s.dir, "out")
	s.fetch(FetchOptions{Entries: held, Target: out})
	alike(t, root, filepath.Join(out, "tree"))
}

// TestStoreAfterALostAnswer: the commit succeeded, and nobody here knows: what is
// still to be stored goes into an upload of its own, under keys of its own.
func TestStoreAfterALostAnswer(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	w := s.tap(nil)
	o := StoreOptions{Files: s.walked(s.write("a", bytesOf(1, mib))), Goal: "goal"}
	got, err := s.drive().Store(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Hold(got.Upload, id.New[id.Folder]()), got.Keep()); err != nil {
		t.Fatal(err)
	}
	again, err := s.drive().Store(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if again.Upload.Upload == got.Upload.Upload || again.Files[0].Content.Revision == got.Files[0].Content.Revision {
		t.Error("a closed upload was taken up")
	}
	w.noncesUsedOnce(t)
	if err := again.Abandon(); err != nil || s.Open() != 0 || len(s.states()) != 0 {
		t.Errorf("%v, %d uploads are open, left: %v", err, s.Open(), s.states())
	}
}

func TestStoreNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	_, err := s.drive().Store(t.Context(), StoreOptions{Files: []source.Entry{{Path: "f", Folder: true}}})
	if !errors.Is(err, source.ErrNothing) || s.Calls("openDriveUpload") != 0 {
		t.Errorf("have %v", err)
	}
}

// TestFetchResumes: what came before the interruption is not fetched again.
func TestFetchResumes(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	want := bytesOf(6, 60*mib)
	held := s.put(id.New[id.Folder](), StoreOptions{Files: s.walked(s.write("file", want))})
	out := filepath.Join(s.dir, "out")
	ctx, cancel := context.WithCancel(t.Context())
	var written atomic.Int64
	o := FetchOptions{Entries: held, Target: out}
	o.Progress = func(stage Stage, n int64) {
		if stage == Written && written.Add(n) > 30*mib {
			cancel()
		}
	}
	if _, err := s.drive().Fetch(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("have %v", err)
	}
	if names := left(t, out); len(names) != 1 || !strings.HasPrefix(names[0], ".holdfast-part-") {
		t.Errorf("visible: %v", names)
	}
	o.Progress = nil
	got := s.fetch(o)
	if raw, err := os.ReadFile(got.Paths[0]); err != nil || !bytes.Equal(raw, want) || got.Kept < 24*mib || len(s.states()) != 0 {
		t.Errorf("%d bytes, %v; %d kept", len(raw), err, got.Kept)
	}
}

// TestFetchBelievesNoServer: threat 12 for the drive. What a server says of a revision
// is held against what the journal says; other files come all the same.
func TestFetchBelievesNoServer(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	held := s.put(id.New[id.Folder](), StoreOptions{Files: s.walked(s.makeTree())})
	var victim id.Revision
	for _, h := range held {
		if h.Path == "tree/small" {
			victim = h.Content.Revision
		}
	}
	for name, change := range map[string]func(*api.PlacedRevision){
		"root":        func(r *api.PlacedRevision) { r.Root[0] ^= 1 },
		"commitment":  func(r *api.PlacedRevision) { r.Commitment[0] ^= 1 },
		"length":      func(r *api.PlacedRevision) { r.Length++ },
		"release key": func(r *api.PlacedRevision) { r.ReleaseKey[0] ^= 1 },
		"salt":        func(r *api.PlacedRevision) { r.Salt[0] ^= 1 },
	} {
		s.Change = func(_ string, answer any) {
			page, ok := answer.(*api.RevisionsPage)
			if !ok {
				return
			}
			for i := range page.Revisions {
				if page.Revisions[i].ID == victim {
					change(&page.Revisions[i])
				}
			}
		}
		out := filepath.Join(s.dir, "out-"+name)
		_, err := s.drive().Fetch(t.Context(), FetchOptions{Entries: held, Target: out})
		if !errors.Is(err, ErrIntegrity) {
			t.Errorf("%s: have %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(out, "tree/small")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: a file is there: %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(out, "tree/sub/large")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
