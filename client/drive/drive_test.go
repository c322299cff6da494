package drive

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/format/descriptor"
	"holdfast/format/id"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// file describes a file with a content of its own.
func file(name string) descriptor.Descriptor {
	return descriptor.Descriptor{Path: name, Kind: descriptor.File, Content: &descriptor.Content{
		File: id.New[id.File](), Revision: id.New[id.Revision](), Key: descriptor.Key(id.New32()), Size: int64(len(name)),
	}}
}

func (d *device) put(paths ...string) {
	d.t.Helper()
	var all []NewFile
	for _, p := range paths {
		i := strings.LastIndex(p, "/")
		all = append(all, NewFile{p[:i], file(p[i+1:])})
	}
	_, err := d.Put(d.t.Context(), all, nil)
	must(d.t, err)
}

func (d *device) mkdir(paths ...string) {
	d.t.Helper()
	_, err := d.Mkdir(d.t.Context(), paths, true)
	must(d.t, err)
}

// tree are all paths, folders with a slash behind them.
func (d *device) tree() string {
	d.t.Helper()
	var all []string
	must(d.t, d.Walk(d.t.Context(), "/", func(i Item) error {
		path := i.Path
		if i.IsFolder() && path != "/" {
			path += "/"
		}
		all = append(all, path)
		return nil
	}))
	slices.Sort(all)
	return strings.Join(all, " ")
}

func (d *device) wants(want string) {
	d.t.Helper()
	if have := d.tree(); have != strings.TrimSpace("/ "+want) {
		d.t.Fatalf("have %s, want / %s", have, want)
	}
}

func is(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("have %v, want %v", err, want)
	}
}

func TestFirstUse(t *testing.T) {
	f := newFake(t)
	a := someAccount()
	one, two := f.device(a), f.device(a)
	one.wants("")
	one.mkdir("/a/b", "/c")
	one.put("/a/x", "/a/b/y")
	two.wants("/a/ /a/b/ /a/b/y /a/x /c/")
	again := f.deviceAt(a, one.home)
	f.took()
	items, err := again.List(t.Context(), "/a/b")
	must(t, err)
	if r := f.took(); len(r) != 1 || len(items) != 1 || items[0].Path != "/a/b/y" {
		t.Errorf("%v for %v", r, items)
	}
}

func TestTwoDevicesFoundAtOnce(t *testing.T) {
	f := newFake(t)
	a := someAccount()
	one, two := f.device(a), f.device(a)
	raced := false
	f.before = func() {
		if !raced {
			raced = true
			two.mkdir("/two")
		}
	}
	one.mkdir("/one")
	one.wants("/one/ /two/")
	two.wants("/one/ /two/")
}

func TestMoves(t *testing.T) {
	f := newFake(t)
	a := someAccount()
	one, two := f.device(a), f.device(a)
	ctx := t.Context()
	one.mkdir("/a/b/c", "/d")
	one.put("/a/b/c/x", "/y")
	for _, m := range []struct{ from, to string }{{"/a/b", "/d"}, {"/y", "/a/z"}, {"/d/b/c", "/D"}, {"/d/c/x", "/a"}, {"/d", "/Dd"}} {
		_, err := one.Move(ctx, []string{m.from}, m.to)
		must(t, err)
	}
	two.wants("/Dd/ /Dd/b/ /Dd/c/ /a/ /a/x /a/z")
	_, err := two.Move(ctx, []string{"/Dd"}, "/dd")
	must(t, err)
	for _, m := range []struct {
		from, to string
		want     error
	}{{"/dd", "/dd/b", ErrInside}, {"/", "/a", ErrRoot}, {"/nothing", "/a", ErrNotFound}, {"/a/x", "/b/c", ErrNotFound}, {"/a/x/y", "/a", ErrNotFolder}} {
		_, err := two.Move(ctx, []string{m.from}, m.to)
		is(t, err, m.want)
	}
	_, err = two.Move(ctx, []string{"/a/x"}, "/a/z") // what was there goes into the trash
	must(t, err)
	one.wants("/a/ /a/z /dd/ /dd/b/ /dd/c/")
	one.put("/dd/c/more")
	two.wants("/a/ /a/z /dd/ /dd/b/ /dd/c/ /dd/c/more")
}

func TestTrash(t *testing.T) {
	f := newFake(t)
	a := someAccount()
	one, two := f.device(a), f.device(a)
	ctx := t.Context()
	one.mkdir("/a/b")
	one.put("/a/b/x", "/a/y")
	_, err := one.Remove(ctx, []string{"/a/y", "/a/b"})
	must(t, err)
	two.wants("/a/")
	trash, err := two.Trash(ctx, "/", true)
	must(t, err)
	if len(trash) != 2 {
		t.Fatalf("%v", trash)
	}
	two.put("/a/y")
	back, _, err := two.Restore(ctx, []string{"/a/y", "/a/b"})
	must(t, err)
	if !slices.Equal(back, []string{"/a/y (2)", "/a/b"}) {
		t.Errorf("%v", back)
	}
	one.wants("/a/ /a/b/ /a/b/x /a/y /a/y (2)")
	_, err = one.Remove(ctx, []string{"/a"})
	must(t, err)
	is(t, one.Purge(ctx, []string{"/b"}), ErrNotTrashed)
	one.mkdir("/b")
	_, err = one.Remove(ctx, []string{"/b"})
	must(t, err)
	must(t, one.Purge(ctx, []string{"/b"}))
	n, err := one.Empty(ctx, "/", true, 0)
	must(t, err)
	if n != 1 {
		t.Errorf("%d ended", n)
	}
	two.wants("")
	if one.heads.state == nil || len(slices.Collect(one.heads.state.Heads())) != 1 {
		t.Errorf("heads go on with folders that ended")
	}
	_, _, err = two.Restore(ctx, []string{"/a"})
	is(t, err, ErrNotTrashed)
}

func TestCopies(t *testing.T) {
	f := newFake(t)
	a := someAccount()
	one, two := f.device(a), f.device(a)
	one.mkdir("/a/b", "/to")
	one.put("/a/b/x", "/a/y")
	_, err := one.Copy(t.Context(), []string{"/a"}, "/to")
	must(t, err)
	_, err = one.Copy(t.Context(), []string{"/a/y"}, "/z")
	must(t, err)
	_, err = one.Copy(t.Context(), []string{"/a"}, "/a/b")
	is(t, err, ErrInside)
	two.wants("/a/ /a/b/ /a/b/x /a/y /to/ /to/a/ /to/a/b/ /to/a/b/x /to/a/y /z")
	two.put("/to/a/b/x")
	one.wants("/a/ /a/b/ /a/b/x /a/y /to/ /to/a/ /to/a/b/ /to/a/b/x /to/a/y /z")
	_, all, err := one.Versions(t.Context(), "/to/a/b/x")
	must(t, err)
	if len(all) != 2 {
		t.Fatalf("%d versions", len(all))
	}
	_, err = one.RestoreVersion(t.Context(), "/to/a/b/x", all[1].Content.Revision)
	must(t, err)
	_, now, err := two.Versions(t.Context(), "/to/a/b/x")
	must(t, err)
	if len(now) != 2 || now[0].Content != all[1].Content {
		t.Error("the version is not the present one")
	}
}

// TestNothingIsLost: devices that write at once.
func TestNothingIsLost(t *testing.T) {
	f := newFake(t)
	a := someAccount()
	f.device(a).mkdir("/common")
	var wait sync.WaitGroup
	const devices, each = 3, 8
	for n := range devices {
		d := f.device(a)
		wait.Go(func() {
			for i := range each {
				name := string(rune('a'+n)) + string(rune('a'+i))
				if _, err := d.Put(t.Context(), []NewFile{{"/common", file(name)}, {"/common/same", file("same")}}, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	d := f.device(a)
	all, err := d.List(t.Context(), "/common")
	must(t, err)
	contents := 0
	must(t, d.Walk(t.Context(), "/common", func(i Item) error {
		if !i.IsFolder() && strings.Contains(i.Path, "/same") {
			contents += 1 + len(i.Descriptor().Versions)
		}
		return nil
	}))
	if len(all) < devices*each+1 || contents != devices*each {
		t.Errorf("%d entries, %d contents of what has one name", len(all), contents)
	}
}

func TestLostAnswers(t *testing.T) {
	f := newFake(t)
	d := f.device(someAccount())
	d.mkdir("/a")
	before := f.commits
	f.lose = 2
	d.put("/a/x")
	d.wants("/a/ /a/x")
	if f.commits != before+1 {
		t.Errorf("%d commits", f.commits-before)
	}
}

func TestNames(t *testing.T) {
	f := newFake(t)
	d := f.device(someAccount())
	d.mkdir("/Stra\u00dfe", "/caf\u00e9")
	for typed, found := range map[string]string{"/STRASSE": "/Stra\u00dfe", "/cafe\u0301": "/caf\u00e9", "//caf\u00e9/.": "/caf\u00e9", "": "/"} {
		i, err := d.Resolve(t.Context(), typed)
		must(t, err)
		if i.Path != found {
			t.Errorf("%q is %q", typed, i.Path)
		}
	}
	for path, want := range map[string]error{
		"/a/../b": descriptor.ErrPath, "/" + strings.Repeat("n", 256): descriptor.ErrPath, strings.Repeat("/a", 301): ErrDepth, "/nothing/x": ErrNotFound,
	} {
		_, err := d.Resolve(t.Context(), path)
		is(t, err, want)
		_, err = d.Mkdir(t.Context(), []string{path}, false)
		is(t, err, want)
	}
	_, err := d.Mkdir(t.Context(), []string{"/strasse"}, false)
	is(t, err, ErrExists)
	_, err = d.Put(t.Context(), []NewFile{{"/", file("x")}, {"/", file("X")}}, nil)
	is(t, err, ErrTwice)
	deep := strings.Repeat("/a", 299)
	d.mkdir(deep)
	_, err = d.Mkdir(t.Context(), []string{deep + "/b", deep + "/b/c"}, true)
	is(t, err, ErrDepth)
	second := f.device(d.access)
	if _, err := second.Resolve(t.Context(), deep); err != nil {
		t.Error(err)
	}
}

// TestMany: what does not fit one commit is done in several, and a folder whose entries
// do not fit one entry of its journal is put at once all the same.
func TestMany(t *testing.T) {
	f := newFake(t)
	a := someAccount()
	d := f.device(a)
	long := strings.Repeat("n", 250)
	var all []NewFile
	for i := range MaxFiles {
		about := file(fmt.Sprintf("%s%05d", long, i))
		about.MediaType, about.Thumbnail = "x/"+strings.Repeat("y", 126), file("t").Content
		all = append(all, NewFile{"/many", about})
	}
	for range 2 { // into a new folder, then as versions into one that is there
		before := f.commits
		_, err := d.Put(t.Context(), all, nil)
		must(t, err)
		if f.commits > before+2 || len(f.sizes) < 3 {
			t.Errorf("%d commits, entries of %v", f.commits-before, f.sizes)
		}
		for i := range all {
			c := *file("x").Content
			all[i].Descriptor.Content = &c
		}
	}
	_, err := d.Put(t.Context(), append(all, all[0]), nil)
	is(t, err, ErrTooMany)
	before := f.commits
	for range 2 { // the second time above what one commit takes
		d.mkdir("/copies")
		_, err = d.Copy(t.Context(), []string{"/many"}, "/copies")
		must(t, err)
		d.put("/many/one more")
		_, err = d.Move(t.Context(), []string{"/copies"}, "/copies of some time")
		must(t, err)
	}
	if f.commits-before < 8 {
		t.Errorf("%d commits", f.commits-before)
	}
	two := f.device(a)
	total, _, err := two.Usage(t.Context(), "/")
	must(t, err)
	if want := int64(3*MaxFiles + 2); total.Files < want {
		t.Errorf("%d files, want %d", total.Files, want)
	}
	items, err := two.Glob(t.Context(), "/many/n*")
	must(t, err)
	var paths []string
	for _, i := range items {
		paths = append(paths, i.Path)
	}
	_, err = two.Remove(t.Context(), paths)
	must(t, err)
	left, err := d.List(t.Context(), "/many")
	must(t, err)
	if len(left) != 1 {
		t.Errorf("%d left", len(left))
	}
}

// TestGlobs: patterns, and names that look like patterns.
func TestGlobs(t *testing.T) {
	f := newFake(t)
	d := f.device(someAccount())
	d.mkdir("/a/b/c", "/[x]")
	d.put("/a/1.jpg", "/a/b/2.jpg", "/a/b/c/3.jpg", "/a/b/c/4.png", "/[x]/5", "/a/*")
	for pattern, want := range map[string]string{
		"/a/*.jpg": "/a/1.jpg", "/**/*.jpg": "/a/1.jpg /a/b/2.jpg /a/b/c/3.jpg", "/a/**/?.png": "/a/b/c/4.png", "/[x]/5": "/[x]/5", "/a/*": "/a/*",
		"/a/b/**": "/a/b/2.jpg /a/b/c /a/b/c/3.jpg /a/b/c/4.png", "/a/[ab]/[0-9].jpg": "/a/b/2.jpg", "/A/B": "/a/b", "/*": "/[x] /a",
	} {
		items, err := d.Glob(t.Context(), pattern)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
		var have []string
		for _, i := range items {
			have = append(have, i.Path)
		}
		if strings.Join(have, " ") != want {
			t.Errorf("%s: %v, want %s", pattern, have, want)
		}
	}
	_, err := d.Glob(t.Context(), "/z*")
	is(t, err, ErrNotFound)
	_, err = d.Glob(t.Context(), "/a/[")
	is(t, err, ErrPattern)
}

// TestOldTrashGoes: after 30 days, when something in its folder is written.
func TestOldTrashGoes(t *testing.T) {
	f := newFake(t)
	d := f.device(someAccount())
	now := time.Now()
	d.now = func() time.Time { return now }
	d.put("/folder/x", "/folder/y")
	_, err := d.Remove(t.Context(), []string{"/folder/x"})
	must(t, err)
	for _, c := range []struct{ days, left int }{{29, 1}, {2, 0}} {
		now = now.Add(time.Duration(c.days) * 24 * time.Hour)
		d.put("/folder/" + fmt.Sprint(c.days))
		trash, err := d.Trash(t.Context(), "/folder", false)
		must(t, err)
		if len(trash) != c.left {
			t.Errorf("after %d more days: %d in the trash", c.days, len(trash))
		}
	}
	total, each, err := d.Usage(t.Context(), "/")
	must(t, err)
	if total.Files != 3 || each["/folder"].Files != 3 || total.Folders != 2 {
		t.Errorf("%+v, %+v", total, each)
	}
}

// TestKnownFolderCostsOneRequest: whatever its depth, to a program that was just started.
func TestKnownFolderCostsOneRequest(t *testing.T) {
	f := newFake(t)
	a := someAccount()
	d := f.device(a)
	path := strings.Repeat("/deep", 40)
	d.mkdir(path)
	for _, again := range []*device{d, f.deviceAt(a, d.home)} {
		f.took()
		_, err := again.List(t.Context(), path)
		must(t, err)
		if r := f.took(); len(r) != 1 {
			t.Errorf("%d requests", len(r))
		}
	}
}

// TestNoAnswer: who cannot know whether a change was made says so.
func TestNoAnswer(t *testing.T) {
	f := newFake(t)
	d := f.device(someAccount())
	d.mkdir("/a")
	d.Patience = time.Millisecond
	f.lose = 1000
	_, err := d.Mkdir(t.Context(), []string{"/b"}, false)
	is(t, err, ErrUnknown)
	is(t, err, api.ErrUnreachable)
	f.lose = 0
	d.wants("/a/ /b/")
}

// TestMovedOutOfWhatALinkOpens: whoever has a link to a folder has the keys of all below
// it; what is moved out gets others, what moves within does not.
func TestMovedOutOfWhatALinkOpens(t *testing.T) {
	f := newFake(t)
	one := f.device(someAccount())
	one.mkdir("/a/b/c", "/a/d", "/e")
	i, err := one.Resolve(t.Context(), "/a")
	must(t, err)
	f.mu.Lock()
	f.links = append(f.links, api.DriveLink{Folder: i.Self})
	f.mu.Unlock()
	var told []string
	one.Rekeyed = func(path string, done, all int) { told = append(told, fmt.Sprint(path, " ", done, "/", all)) }
	for _, m := range []struct{ from, to, want string }{
		{"/a/b", "/a/d", ""}, {"/e", "/a", ""}, {"/a/d/b", "/", "/b 0/2 /b 1/2 /b 2/2"}, {"/b", "/B", ""}, {"/a", "/B", ""},
	} {
		told = nil
		_, err := one.Move(t.Context(), []string{m.from}, m.to)
		must(t, err)
		if have := strings.Join(told, " "); have != m.want {
			t.Errorf("%s to %s: %s, want %s", m.from, m.to, have, m.want)
		}
	}
	one.wants("/B/ /B/a/ /B/a/d/ /B/a/e/ /B/c/")
	must(t, one.Walk(t.Context(), "/B", func(Item) error { return nil }))
}
