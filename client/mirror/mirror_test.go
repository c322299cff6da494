package mirror

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/client/drive"
	"holdfast/client/source"
	"holdfast/client/target"
	"holdfast/client/transfer"
)

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) write(name, text string) string {
	r.t.Helper()
	at := r.path(name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o644)); err != nil {
		r.t.Fatal(err)
	}
	return at
}

func (r *rig) read(name string) string {
	r.t.Helper()
	raw, err := os.ReadFile(r.path(name))
	if err != nil {
		r.t.Error(err)
	}
	return string(raw)
}

func (r *rig) put(o UpOptions) Done {
	r.t.Helper()
	d, err := r.Put(r.t.Context(), o)
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

func (r *rig) sync(o UpOptions) Done {
	r.t.Helper()
	d, err := r.Sync(r.t.Context(), o)
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

// told writes changes as lines.
func told(d Done) string {
	var lines []string
	for _, c := range d.All {
		lines = append(lines, fmt.Sprintf("%s %s", c.Kind, c.Path))
	}
	return strings.Join(lines, "\n")
}

func (r *rig) has(want ...string) {
	r.t.Helper()
	if have := r.shelf.paths(); !slices.Equal(have, append([]string{"/"}, want...)) {
		r.t.Errorf("the drive has %v", have)
	}
}

func TestPutPlaces(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	one, two := r.write("one", "1"), r.write("two", "2")
	r.put(UpOptions{Local: []string{one}, Remote: "/a/named"})
	r.put(UpOptions{Local: []string{one}, Remote: "b/"})
	r.put(UpOptions{Local: []string{one, two}, Remote: "c"})
	r.put(UpOptions{Local: []string{two}, Remote: "c"})
	r.put(UpOptions{Local: []string{two}, Remote: ""})
	r.has("/a", "/a/named", "/b", "/b/one", "/c", "/c/one", "/c/two", "/two")
	var out bytes.Buffer
	if err := r.Cat(t.Context(), []string{"/a/named", "two"}, nil, &out, transfer.Report{}); err != nil || out.String() != "12" {
		t.Errorf("%q, %v", &out, err)
	}
	if _, err := r.Put(t.Context(), UpOptions{Local: []string{r.path("")}, Remote: "d"}); !errors.Is(err, ErrFolder) {
		t.Errorf("have %v", err)
	}
	if _, err := r.Put(t.Context(), UpOptions{Local: []string{r.path("missing")}, Remote: "d"}); !errors.Is(err, source.ErrMissing) {
		t.Errorf("have %v", err)
	}
}

func TestUnchangedIsLeftAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("tree/a", "a")
	r.write("tree/sub/b", "b")
	if err := os.MkdirAll(r.path("tree/empty/deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	o := UpOptions{Local: []string{r.path("tree")}, Remote: "/x", Folders: true}
	d := r.put(o)
	if told(d) != "new /x/tree/a\nnew /x/tree/sub/b\nfolder /x/tree/empty\nfolder /x/tree/empty/deep" || d.Commits != 2 || d.Unchanged != 0 {
		t.Errorf("%d commits:\n%s", d.Commits, told(d))
	}
	r.has("/x", "/x/tree", "/x/tree/a", "/x/tree/empty", "/x/tree/empty/deep", "/x/tree/sub", "/x/tree/sub/b")
	r.fresh()
	if d = r.put(o); told(d) != "" || d.Commits != 0 || d.Unchanged != 2 || r.fresh() != 0 {
		t.Errorf("%d commits:\n%s", d.Commits, told(d))
	}
	if err := os.Chmod(r.path("tree/a"), 0o755); err != nil {
		t.Fatal(err)
	}
	if d = r.put(o); told(d) != "marked /x/tree/a" || r.fresh() != 0 || !r.shelf.files["/x/tree/a"].Executable {
		t.Errorf("%d commits:\n%s", d.Commits, told(d))
	}
	r.write("tree/a", "other")
	if d = r.put(o); told(d) != "changed /x/tree/a" || r.fresh() == 0 {
		t.Errorf("%d commits:\n%s", d.Commits, told(d))
	}
	o.Force = true
	if d = r.put(o); told(d) != "changed /x/tree/a\nchanged /x/tree/sub/b" {
		t.Errorf("forced:\n%s", told(d))
	}
}

func TestSync(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("tree/a", "a")
	r.write("tree/sub/b", "b")
	o := UpOptions{Local: []string{r.path("tree")}, Remote: "/copy", Delete: true}
	r.sync(o)
	r.has("/copy", "/copy/a", "/copy/sub", "/copy/sub/b")
	if err := os.RemoveAll(r.path("tree/sub")); err != nil {
		t.Fatal(err)
	}
	r.write("tree/sub", "a file now")
	if err := errors.Join(os.Remove(r.path("tree/a")), os.MkdirAll(r.path("tree/a"), 0o755)); err != nil {
		t.Fatal(err)
	}
	r.write("tree/a/c", "c")
	r.put(UpOptions{Local: []string{r.write("gone", "x"), r.write("f", "x")}, Remote: "/copy/old/er"})
	kept := o
	kept.Delete = false
	if _, err := r.Sync(t.Context(), kept); !errors.Is(err, ErrKind) {
		t.Errorf("have %v", err)
	}
	dry := o
	dry.Dry = true
	want := "removed /copy/a\nnew /copy/a/c\nremoved /copy/sub\nnew /copy/sub\nremoved /copy/old"
	if before := r.shelf.paths(); told(r.sync(dry)) != want || !slices.Equal(r.shelf.paths(), before) {
		t.Errorf("a dry run:\n%s", told(r.sync(dry)))
	}
	if d := r.sync(o); told(d) != want || d.Commits != 3 {
		t.Errorf("%d commits:\n%s", d.Commits, told(d))
	}
	r.has("/copy", "/copy/a", "/copy/a/c", "/copy/sub")
	if !slices.Equal(r.shelf.trash, []string{"/copy/a", "/copy/sub", "/copy/old"}) {
		t.Errorf("trash: %v", r.shelf.trash)
	}
	if _, err := r.Sync(t.Context(), UpOptions{Local: []string{r.path("tree/sub")}, Remote: "x"}); !errors.Is(err, ErrNotFolder) {
		t.Errorf("have %v", err)
	}
}

// TestNamesThatClash: names that some system takes for one are numbered in the drive,
// each time alike.
func TestNamesThatClash(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, name := range []string{"A.txt", "a.txt", "\u00e9", "e\u0301"} {
		r.write("tree/"+name, name)
	}
	o := UpOptions{Local: []string{r.path("tree")}, Remote: "/c"}
	d := r.sync(o)
	if told(d) != "new /c/A.txt\nrenumbered /c/a (2).txt\nnew /c/e\u0301\nrenumbered /c/\u00e9 (2)" {
		t.Errorf("\n%s", told(d))
	}
	if d = r.sync(o); told(d) != "" || d.Unchanged != 4 {
		t.Errorf("again:\n%s", told(d))
	}
}

// TestManyFilesAreFewCommits: bad luck with one of them does not undo those before.
func TestManyFilesAreFewCommits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const files = 2*batchFiles + 10
	for i := range files {
		r.write(fmt.Sprintf("tree/%d/%d", i%50, i), fmt.Sprint(i))
	}
	o := UpOptions{Local: []string{r.path("tree")}, Remote: "/m"}
	if d := r.sync(o); d.Commits != 3 || len(r.shelf.files) != files {
		t.Errorf("%d commits, %d files", d.Commits, len(r.shelf.files))
	}
	r.fresh()
	if d := r.sync(o); d.Commits != 0 || r.fresh() != 0 || d.Unchanged != files {
		t.Errorf("%d commits", d.Commits)
	}
}

// TestCommitFails: what is stored waits for the next try, unless it can never be committed.
func TestCommitFails(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	o := UpOptions{Local: []string{r.write("f", strings.Repeat("x", 1<<20))}, Remote: "/"}
	for _, c := range []struct {
		err   error
		again bool // is stored again
	}{
		{api.NewProblem(api.AccountSessionOver, "over"), false},
		{api.NewProblem(api.ReceiptsMissing, "missing"), true},
	} {
		r.fresh()
		r.shelf.fail = c.err
		if _, err := r.Put(t.Context(), o); !errors.Is(err, c.err) {
			t.Fatalf("have %v", err)
		}
		if r.fresh() == 0 && c.again {
			t.Error("nothing was stored")
		}
		r.put(o)
		if again := r.fresh() > 0; again != c.again {
			t.Errorf("after %v: stored again: %v", c.err, again)
		}
		if err := os.Chtimes(r.path("f"), time.Time{}, time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRestlessFiles: a file that changed since the tree was looked at is stored as it is
// now; one that went away keeps none of the others from being stored.
func TestRestlessFiles(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, name := range []string{"a", "b", "c", "d"} {
		r.write("tree/"+name, name)
	}
	o := UpOptions{Local: []string{r.path("tree")}, Remote: "/x"}
	o.Planned = func(Changes) {
		r.write("tree/b", "longer than it was")
		if err := os.Remove(r.path("tree/c")); err != nil {
			t.Error(err)
		}
	}
	_, err := r.Sync(t.Context(), o)
	if !errors.Is(err, ErrRestless) || !strings.Contains(err.Error(), r.path("tree/c")) || strings.Contains(err.Error(), r.path("tree/b")) {
		t.Errorf("have %v", err)
	}
	r.has("/x", "/x/a", "/x/b", "/x/d")
	var out bytes.Buffer
	if err := r.Cat(t.Context(), []string{"/x/*"}, nil, &out, transfer.Report{}); err != nil || out.String() != "alonger than it wasd" {
		t.Errorf("%q, %v", &out, err)
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("tree/a.txt", "a")
	r.write("tree/sub/b.txt", "b")
	r.write("tree/sub/c.bin", "c")
	r.put(UpOptions{Local: []string{r.path("tree")}, Remote: "/", Folders: true})
	get := func(o DownOptions) Got {
		t.Helper()
		g, err := r.Get(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	get(DownOptions{Remote: []string{"/tree"}, Target: r.path("out")})
	if r.read("out/tree/a.txt") != "a" || r.read("out/tree/sub/c.bin") != "c" {
		t.Error("another content")
	}
	get(DownOptions{Remote: []string{"/"}, Target: r.path("all")})
	get(DownOptions{Remote: []string{"/tree/a.txt"}, Target: r.path("named")})
	get(DownOptions{Remote: []string{"/tree/sub/*.txt", "/tree/*/b.*", "/tree/a.txt"}, Target: r.path("some")})
	if r.read("all/tree/sub/b.txt") != "b" || r.read("named") != "a" || r.read("some/b.txt") != "b" || r.read("some/a.txt") != "a" {
		t.Error("another content")
	}
	r.write("named", "mine")
	if _, err := r.Get(t.Context(), DownOptions{Remote: []string{"/tree/a.txt"}, Target: r.path("named")}); !errors.Is(err, target.ErrExists) {
		t.Errorf("have %v", err)
	}
	if _, err := r.Get(t.Context(), DownOptions{Remote: []string{"/tree/x*"}}); !errors.Is(err, drive.ErrNotFound) {
		t.Errorf("have %v", err)
	}
	if _, err := r.Get(t.Context(), DownOptions{Remote: []string{"/tree", "/tree/../tree/sub", "/tree/sub"}, Target: r.path("x")}); err != nil {
		t.Errorf("have %v", err)
	}
	var part bytes.Buffer
	if err := r.Cat(t.Context(), []string{"/tree/a.txt"}, &Span{0, -1}, &part, transfer.Report{}); err != nil || part.String() != "a" {
		t.Errorf("%q, %v", &part, err)
	}
	if err := r.Cat(t.Context(), []string{"/tree"}, nil, &part, transfer.Report{}); !errors.Is(err, drive.ErrIsFolder) {
		t.Errorf("have %v", err)
	}
}
