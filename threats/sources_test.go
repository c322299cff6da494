package threats

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"holdfast/api"
	"holdfast/client/source"
	"holdfast/client/transfer"
	"holdfast/format/id"
	"holdfast/format/seal"
)

// interrupted sends paths until the commit, which the server does not answer, and
// returns the client's state folder and what was recorded.
func interrupted(t *testing.T, paths []string, stop func(x *exchange) bool) (home string, tp *tape) {
	t.Helper()
	c, home := newClient(t)
	tp = taped(t)
	ctx, cancel := context.WithCancel(limited(t))
	defer cancel()
	play(t, evil{request: func(x *exchange) bool {
		if !stop(x) {
			return false
		}
		cancel()
		return x.refuse(api.Unavailable)
	}})
	if _, err := c.Send(ctx, transfer.SendOptions{Paths: paths}); err == nil {
		t.Fatal("the send was not interrupted")
	}
	honest()
	return home, tp
}

// state is all text that the client keeps to resume.
func state(t *testing.T, home string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		all.Write(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// headers are the salts and prefixes of streams that begin a blob.
func headers(tp *tape) map[string]id.Name {
	out := map[string]id.Name{}
	for name, body := range tp.bodies() {
		if _, err := seal.ParseHeader(body); err == nil {
			out[string(body[:seal.HeaderSize])] = name
		}
	}
	return out
}

// changes are what may happen to a source between two tries.
var changes = map[string]func(t *testing.T, path string){
	"edited": func(t *testing.T, path string) {
		b := noise(9<<20, 20)
		b[12345] ^= 1
		writeFile(t, path, b)
	},
	"edited at the end": func(t *testing.T, path string) {
		b := noise(9<<20, 20)
		b[len(b)-1] ^= 1
		writeFile(t, path, b)
	},
	"grown": func(t *testing.T, path string) { writeFile(t, path, append(noise(9<<20, 20), "one more line"...)) },
	"cut":   func(t *testing.T, path string) { writeFile(t, path, noise(9<<20, 20)[:8<<20]) },
	"replaced": func(t *testing.T, path string) {
		other := writeFile(t, path+".new", noise(9<<20, 21))
		if err := os.Rename(other, path); err != nil {
			t.Fatal(err)
		}
	},
	"edited, its times put back": func(t *testing.T, path string) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		b := noise(9<<20, 20)
		b[8<<20+5] ^= 1
		writeFile(t, path, b)
		if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
	},
}

// TestThreat12ChangedSource: nothing that sealed the first try seals the second
// once the source changed.
func TestThreat12ChangedSource(t *testing.T) {
	moments := map[string]func(x *exchange) bool{
		"before the commit": func(x *exchange) bool { return x.is(api.CommitUpload.Info) },
		"at the second blob": func() func(x *exchange) bool {
			return func(x *exchange) bool { return x.is(api.PutBlob) && len(x.sent) < 8<<20 || x.is(api.CommitUpload.Info) }
		}(),
	}
	for moment, stop := range moments {
		for name, change := range changes {
			if moment != "before the commit" && name != "edited" && name != "grown" {
				continue
			}
			t.Run(name+" "+moment, func(t *testing.T) {
				path := writeFile(t, filepath.Join(t.TempDir(), "log"), noise(9<<20, 20))
				home, first := interrupted(t, []string{path}, stop)
				before := state(t, home)
				change(t, path)
				second := taped(t)
				result, err := clientAt(t, home).Send(limited(t), transfer.SendOptions{Paths: []string{path}})
				if err != nil {
					t.Fatal(err)
				}
				fresh(t, before, first, second, true)
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				(&specimen{link: result.Link, name: "log", plain: want}).whole(t)
			})
		}
	}
	t.Run("unchanged", func(t *testing.T) { // the test sees what it looks for
		path := writeFile(t, filepath.Join(t.TempDir(), "log"), noise(9<<20, 20))
		home, first := interrupted(t, []string{path}, moments["at the second blob"])
		before := state(t, home)
		second := taped(t)
		if _, err := clientAt(t, home).Send(limited(t), transfer.SendOptions{Paths: []string{path}}); err != nil {
			t.Fatal(err)
		}
		fresh(t, before, first, second, false)
	})
}

// fresh wants that what was committed stands nowhere in the earlier state, and
// that no stream was begun twice with other content (or the contrary).
func fresh(t *testing.T, before string, first, second *tape, want bool) {
	t.Helper()
	revisions, _ := second.committed(t)
	if len(revisions) == 0 {
		t.Fatal("nothing was committed")
	}
	for _, r := range revisions {
		for what, text := range map[string]string{"revision": r.ID.String(), "R": r.ReleaseKey.String(), "salt": r.Salt.String()} {
			if strings.Contains(before, text) == want {
				t.Errorf("%s of the first try: in the second %t", what, want)
			}
		}
	}
	begun := headers(first)
	for header, name := range headers(second) {
		if was, used := begun[header]; used && was != name {
			t.Error("one salt and prefix began two different streams")
		}
	}
}

// TestThreat12BundleWithOneChange: of several small files in one pack one changed.
func TestThreat12BundleWithOneChange(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		writeFile(t, filepath.Join(folder, name), noise(5000, name[0]))
	}
	home, first := interrupted(t, []string{folder}, func(x *exchange) bool { return x.is(api.CommitUpload.Info) })
	before := state(t, home)
	writeFile(t, filepath.Join(folder, "b"), noise(5000, 99))
	second := taped(t)
	if _, err := clientAt(t, home).Send(limited(t), transfer.SendOptions{Paths: []string{folder}}); err != nil {
		t.Fatal(err)
	}
	fresh(t, before, first, second, true)
}

// TestThreat12ChangesWhileSent: a file that is written to while it is sent. Either
// nothing is published, or one version whole; and no stream begins twice with
// other content.
func TestThreat12ChangesWhileSent(t *testing.T) {
	path := writeFile(t, filepath.Join(t.TempDir(), "log"), noise(17<<20, 30))
	var once sync.Once
	play(t, evil{request: func(x *exchange) bool {
		if x.is(api.PutBlob) {
			once.Do(func() {
				f, err := os.OpenFile(path, os.O_WRONLY, 0)
				if err == nil {
					_, err = f.WriteAt(bytes.Repeat([]byte("changed "), 1000), 16<<20)
					err = errors.Join(err, f.Close())
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		return false
	}})
	c, home := newClient(t)
	first := taped(t)
	sent, err := c.Send(limited(t), transfer.SendOptions{Paths: []string{path}})
	revisions, _ := first.committed(t)
	if err == nil && len(revisions) != 1 || err != nil && len(revisions) != 0 {
		t.Fatalf("sent with %v, committed %d revisions", err, len(revisions))
	}
	before := ""
	switch {
	case err == nil:
		if err := sent.Forget(); err != nil {
			t.Fatal(err)
		}
	case errors.Is(err, source.ErrChanged), errors.Is(err, transfer.ErrUnsettled):
		before = state(t, home)
	default:
		t.Errorf("sent with %v", err)
	}
	second := taped(t)
	result, err := clientAt(t, home).Send(limited(t), transfer.SendOptions{Paths: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	if len(revisions) == 0 {
		fresh(t, before, first, second, true)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	(&specimen{link: result.Link, name: "log", plain: want}).whole(t)
}
