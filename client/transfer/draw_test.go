package transfer

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"holdfast/client/resume"
	"holdfast/client/source"
)

// prepared draws the files of a tree on the strength of a state, as a send does.
func prepared(t *testing.T, root string, state *resume.State) *send {
	t.Helper()
	tree, err := source.Walk(t.Context(), []string{root})
	if err != nil {
		t.Fatal(err)
	}
	s := &send{storing: storing{tree: tree}}
	if _, err := s.prepare(state); err != nil {
		t.Fatal(err)
	}
	return s
}

// logged is the state that reading the log would give after prepare wrote what
// it returned: only that, not what prepare did in memory.
func logged(t *testing.T, root string, before *resume.State) *resume.State {
	t.Helper()
	after := resume.NewState(before.Head)
	after.Apply(resume.Record{Files: slices.Collect(maps.Values(before.Files))})
	after.Blobs = append(after.Blobs, before.Blobs...)
	tree, err := source.Walk(t.Context(), []string{root})
	if err != nil {
		t.Fatal(err)
	}
	records, err := (&send{storing: storing{tree: tree}}).prepare(before)
	if err != nil {
		t.Fatal(err)
	}
	after.Apply(resume.Record{Files: records})
	return after
}

// TestVanishedFileComesBack: threat 12. A file that shared a blob goes away, a
// send is tried without it, and it comes back with the same stamp (a file system
// without times of change) and other content: its first keys are never used again.
func TestVanishedFileComesBack(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	state := resume.NewState(resume.Head{})
	first := prepared(t, root, state)
	number, keys := 0, map[int]resume.File{}
	pack := resume.Blob{Size: int(first.units[0].size)}
	for _, p := range first.units[0].parts {
		pack.Parts = append(pack.Parts, resume.Part{File: p.file.Number})
	}
	state.Blobs = append(state.Blobs, pack) // it left this machine
	var gone resume.File
	for n, f := range state.Files {
		keys[n] = f
		if f.Local == filepath.Join(root, "b") {
			number, gone = n, f
		}
	}
	if err := os.Rename(filepath.Join(root, "b"), root+".b"); err != nil {
		t.Fatal(err)
	}
	state = logged(t, root, state)
	if len(state.Blobs) != 0 {
		t.Fatal("the pack counts although it will not come out as it was")
	}
	if len(state.Tainted) > 0 {
		t.Errorf("what was written is half a decision: nothing is known of files %v", state.Tainted)
	}
	if err := os.Rename(root+".b", filepath.Join(root, "b")); err != nil {
		t.Fatal(err)
	}
	back := state.Files[number]
	tree, err := source.Walk(t.Context(), []string{root})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range tree.Entries {
		if e.Local == back.Local { // as a file system without times of change says
			back.Stamp = e.Stamp
		}
	}
	state.Files[number] = back
	again := prepared(t, root, state)
	for _, f := range again.files {
		if f.Keys() == gone.Keys() || f.Params() == gone.Params() {
			t.Errorf("the keys of %s are used again, and no name stands beside them", f.Local)
		}
		if f.Keys() == keys[f.Number].Keys() {
			t.Errorf("the keys of %s, of the same pack, are used again", f.Local)
		}
	}
}

// TestTaintedKeysAreNotUsed: a log that ends within a decision is none that this
// version writes; the keys that such a log leaves without names are drawn anew all the same.
func TestTaintedKeysAreNotUsed(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	state := resume.NewState(resume.Head{})
	first := prepared(t, root, state)
	pack := resume.Blob{Size: int(first.units[0].size)}
	for _, p := range first.units[0].parts {
		pack.Parts = append(pack.Parts, resume.Part{File: p.file.Number})
	}
	state.Apply(resume.Record{Blob: &pack}) // it left this machine
	before := maps.Clone(state.Files)
	edited := first.files[1].File
	again := resume.Draw(edited.Number, edited.Local, edited.Stamp)
	state.Apply(resume.Record{Files: []resume.File{again}})
	second := prepared(t, root, state)
	for _, f := range append(second.files, second.listing) {
		if f.Keys() == before[f.Number].Keys() || f.Params() == before[f.Number].Params() {
			t.Errorf("the keys of file %d are used again, and the name of their blob is forgotten", f.Number)
		}
	}
	if len(state.Tainted) > 0 {
		t.Errorf("still tainted: %v", state.Tainted)
	}
}
