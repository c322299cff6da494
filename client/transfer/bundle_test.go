package transfer

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"holdfast/client/target"
)

// several sends two files and a folder with a hidden one in it.
func (s *stage) several(title string, large int) *Result {
	s.t.Helper()
	paths := []string{s.write("one", bytesOf(1, large)), s.write("two", []byte("2"))}
	s.write("tree/.git/config", []byte("obey"))
	return s.send(SendOptions{Paths: append(paths, filepath.Join(s.dir, "src", "tree")), Name: title})
}

// top lists what stands directly in a folder.
func top(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestSeveralThingsGetAFolder(t *testing.T) {
	s := newStage(t)
	untitled := s.several("", 10)
	fallback := "holdfast-" + untitled.Handle.String()[:8]
	for name, c := range map[string]struct {
		r    *Result
		want string
	}{
		"with a title":       {s.several("Two things", 10), "Two things"},
		"without one":        {untitled, fallback},
		"with a hidden name": {s.several(".ssh", 10), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			got, err := s.receive(c.r, ReceiveOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" {
				c.want = "holdfast-" + c.r.Handle.String()[:8]
			}
			if names := top(t, "."); !slices.Equal(names, []string{c.want}) || filepath.Base(got.Folder) != c.want {
				t.Errorf("here: %q, told: %s", names, got.Folder)
			}
			if raw, err := os.ReadFile(filepath.Join(c.want, "two")); err != nil || string(raw) != "2" {
				t.Errorf("%q, %v", raw, err)
			}
			if _, err := s.receive(c.r, ReceiveOptions{}); !errors.Is(err, target.ErrExists) {
				t.Errorf("received again into the same folder: %v", err)
			}
		})
	}
}

// TestFoldersOfOthersAreLeftAlone: a title names a new folder, whatever is free
// in one that is there.
func TestFoldersOfOthersAreLeftAlone(t *testing.T) {
	s := newStage(t)
	r := s.several("bin", 10)
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("bin/mine", 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := s.receive(r, ReceiveOptions{}); !errors.Is(err, target.ErrExists) || s.Downloads() != 0 {
		t.Fatalf("%v, %d downloads", err, s.Downloads())
	}
	if names := top(t, "bin"); !slices.Equal(names, []string{"mine"}) {
		t.Errorf("in it: %q", names)
	}
	if _, err := s.receive(r, ReceiveOptions{Force: true}); err != nil {
		t.Error(err)
	}
}

// TestOneTreeIsPutHere: it has a folder already.
func TestOneTreeIsPutHere(t *testing.T) {
	s := newStage(t)
	s.write("tree/.git/config", []byte("obey"))
	r := s.send(SendOptions{Paths: []string{filepath.Join(s.dir, "src", "tree")}, Name: "Title"})
	t.Chdir(t.TempDir())
	if _, err := s.receive(r, ReceiveOptions{}); err != nil {
		t.Fatal(err)
	}
	if names := top(t, "."); !slices.Equal(names, []string{"tree"}) {
		t.Errorf("here: %q", names)
	}
}

// TestHiddenFoldersAreNotFilled: threat 20. Nothing is put into a hidden folder
// that is there, with -o or without, unless a person says so.
func TestHiddenFoldersAreNotFilled(t *testing.T) {
	s := newStage(t)
	s.write("tree/.git/config", []byte("obey"))
	s.write(".ssh/authorized_keys", []byte("evil"))
	src := filepath.Join(s.dir, "src")
	for name, c := range map[string]struct{ path, hidden string }{
		"at the top": {".ssh", ".ssh"},
		"below":      {"tree", "tree/.git"},
	} {
		t.Run(name, func(t *testing.T) {
			r := s.send(SendOptions{Paths: []string{filepath.Join(src, c.path)}})
			t.Chdir(t.TempDir())
			if err := os.MkdirAll(c.hidden, 0o755); err != nil {
				t.Fatal(err)
			}
			before := s.Downloads()
			for _, o := range []ReceiveOptions{{}, {Target: "."}} {
				if _, err := s.receive(r, o); !errors.Is(err, ErrHidden) || len(top(t, c.hidden)) != 0 {
					t.Errorf("to %q: %v", o.Target, err)
				}
			}
			if s.Downloads() != before {
				t.Error("a download was counted for nothing")
			}
			if _, err := s.receive(r, ReceiveOptions{Force: true}); err != nil || len(top(t, c.hidden)) != 1 {
				t.Errorf("forced: %v", err)
			}
		})
	}
}

// TestSeveralThingsResume: the folder of an earlier try, hidden ones in it too, is
// the one that it goes on in.
func TestSeveralThingsResume(t *testing.T) {
	s := newStage(t)
	r := s.several("Three things", 90*mib)
	t.Chdir(t.TempDir())
	s.cut(r, "", 20*mib)
	got, err := s.receive(r, ReceiveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if names := top(t, "Three things"); got.Kept == 0 || s.Downloads() != 1 || !slices.Equal(names, []string{"one", "tree", "two"}) {
		t.Errorf("%d kept, %d downloads, %q", got.Kept, s.Downloads(), names)
	}
}
