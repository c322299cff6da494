package target

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"holdfast/format/id"
)

func open(t *testing.T) (*Folder, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "new", "target")
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, dir
}

func begin(t *testing.T, f *Folder, local, text string, revision id.Revision) *Part {
	t.Helper()
	p, err := f.Part(local, revision)
	if err == nil {
		_, err = p.WriteAt([]byte(text), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestFinish(t *testing.T) {
	f, dir := open(t)
	when := time.Unix(1_000_000_000, 123_456_789)
	p := begin(t, f, "run.sh", "#!", id.New[id.Revision]())
	if have := names(t, dir); len(have) != 1 || have[0] == "run.sh" {
		t.Fatalf("before: %v", have)
	}
	if err := p.Finish(Final{ModTime: when, Executable: true}); err != nil {
		t.Fatal(err)
	}
	if have := names(t, dir); !slices.Equal(have, []string{"run.sh"}) {
		t.Fatalf("after: %v", have)
	}
	info, err := os.Stat(filepath.Join(dir, "run.sh"))
	if err != nil || !info.ModTime().Equal(when) || info.Mode()&0o100 == 0 || info.Size() != 2 {
		t.Errorf("%v %v, %v", info.Mode(), info.ModTime(), err)
	}
	plain := begin(t, f, "plain", "x", id.New[id.Revision]())
	if err := plain.Finish(Final{}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "plain")); err != nil || info.Mode()&0o111 != 0 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestFinishReplacesOnlyWhenForced(t *testing.T) {
	for name, stands := range map[string]func(path string) error{
		"file":        func(p string) error { return os.WriteFile(p, []byte("old"), 0o600) },
		"link":        func(p string) error { return os.Symlink("/etc/passwd", p) },
		"broken link": func(p string) error { return os.Symlink("/nowhere/at/all", p) },
	} {
		t.Run(name, func(t *testing.T) {
			f, dir := open(t)
			path := filepath.Join(dir, "file")
			if err := stands(path); err != nil {
				t.Fatal(err)
			}
			if err := f.Vacant("file", false); !errors.Is(err, ErrExists) {
				t.Errorf("vacant: %v", err)
			}
			p := begin(t, f, "file", "new", id.New[id.Revision]())
			if err := p.Finish(Final{}); !errors.Is(err, ErrExists) {
				t.Fatalf("have %v", err)
			}
			if err := errors.Join(f.Vacant("file", true), p.Finish(Final{Force: true})); err != nil {
				t.Fatal(err)
			}
			info, err := os.Lstat(path)
			if err != nil || !info.Mode().IsRegular() || len(names(t, dir)) != 1 {
				t.Errorf("%v, %v", info, err)
			}
		})
	}
}

func TestFoldersInTheWay(t *testing.T) {
	f, dir := open(t)
	if err := errors.Join(f.Mkdir("a/b/c"), f.Mkdir("a/b/c"), os.WriteFile(filepath.Join(dir, "file"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := f.Vacant("a/b", true); !errors.Is(err, ErrFolder) {
		t.Errorf("a folder where a file should be: %v", err)
	}
	for _, path := range []string{"file", "file/below"} {
		if err := f.Mkdir(path); !errors.Is(err, ErrFolder) && path == "file" || err == nil {
			t.Errorf("a file where a folder should be: %v", err)
		}
	}
	if err := f.Vacant("nothing/here", false); err != nil {
		t.Error(err)
	}
}

func TestNothingLeavesTheFolder(t *testing.T) {
	f, dir := open(t)
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := errors.Join(
		os.WriteFile(secret, []byte("secret"), 0o600),
		os.Symlink(outside, filepath.Join(dir, "out")),
		os.Symlink("../../..", filepath.Join(dir, "up")),
	); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"out/file", "up/file", "../file", "/etc/file"} {
		if p, err := f.Part(path, id.New[id.Revision]()); err == nil {
			t.Errorf("%s: opened", path)
			p.Discard()
		}
		if err := f.Mkdir(path); err == nil {
			t.Errorf("%s: made", path)
		}
	}
	if have := names(t, outside); !slices.Equal(have, []string{"secret"}) {
		t.Errorf("outside: %v", have)
	}
}

// TestPartIsNoTrap: a link planted under a part's name is not written through.
func TestPartIsNoTrap(t *testing.T) {
	f, dir := open(t)
	victim := filepath.Join(dir, "victim")
	revision := id.New[id.Revision]()
	if err := errors.Join(os.WriteFile(victim, []byte("keep"), 0o644), os.Symlink("victim", filepath.Join(dir, partPrefix+revision.String()))); err != nil {
		t.Fatal(err)
	}
	if p, err := f.Part("file", revision); err == nil {
		p.Discard()
		t.Fatal("opened a link")
	}
	if raw, _ := os.ReadFile(victim); string(raw) != "keep" {
		t.Error("written through a link")
	}
}

func TestPartResumesForOneAtATime(t *testing.T) {
	f, dir := open(t)
	revision := id.New[id.Revision]()
	p := begin(t, f, "file", "some", revision)
	if _, err := f.Part("file", revision); !errors.Is(err, ErrBusy) {
		t.Fatalf("second: %v", err)
	}
	if err := p.Keep(); err != nil {
		t.Fatal(err)
	}
	p, err := f.Part("file", revision)
	if err != nil {
		t.Fatal(err)
	}
	if size, err := p.Size(); err != nil || size != 4 {
		t.Errorf("%d, %v", size, err)
	}
	b := make([]byte, 4)
	if _, err := p.ReadAt(b, 0); err != nil || string(b) != "some" {
		t.Errorf("%q, %v", b, err)
	}
	if err := errors.Join(p.Truncate(2), p.Discard()); err != nil || len(names(t, dir)) != 0 {
		t.Errorf("%v, left: %v", err, names(t, dir))
	}
}

// TestTwoFinishAtOnce: of two that want one name, one gets it.
func TestTwoFinishAtOnce(t *testing.T) {
	f, dir := open(t)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		p := begin(t, f, "file", string(rune('a'+i)), id.New[id.Revision]())
		wg.Go(func() { errs[i] = p.Finish(Final{}) })
	}
	wg.Wait()
	won := 0
	for i, err := range errs {
		if err == nil {
			won++
			if raw, _ := os.ReadFile(filepath.Join(dir, "file")); string(raw) != string(rune('a'+i)) {
				t.Error("somebody else's content")
			}
		} else if !errors.Is(err, ErrExists) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d finished", won)
	}
}

func TestTimesAndRoom(t *testing.T) {
	f, dir := open(t)
	when := time.Unix(5, 0)
	if err := errors.Join(f.Mkdir("sub"), f.Sync("sub"), f.Sync("."), f.SetTime("sub", when)); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "sub")); err != nil || !info.ModTime().Equal(when) {
		t.Error(info, err)
	}
	if n, known := f.Free(); known && n <= 0 {
		t.Errorf("%d bytes free", n)
	}
	if f.Path("a/b") != filepath.Join(dir, "a", "b") {
		t.Error(f.Path("a/b"))
	}
	if err := f.SetTime("none", when); err == nil {
		t.Error("no error for what is not there")
	}
}

func TestFullDiskIsToldApart(t *testing.T) {
	file, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &Part{local: "file", file: file}
	defer p.Keep()
	var named *Error
	if _, err := p.WriteAt([]byte("x"), 0); !errors.Is(err, ErrFull) || !errors.As(err, &named) || named.Path != "file" {
		t.Errorf("have %v", err)
	}
}

// TestNoEmptyFileStays: a part that cannot get its name, because it is gone say,
// leaves nothing under it, whichever way the system renames.
func TestNoEmptyFileStays(t *testing.T) {
	for name, finish := range map[string]func(p *Part) error{
		"as this system does": func(p *Part) error { return p.Finish(Final{}) },
		"where nothing helps": func(p *Part) error { return p.claim() },
	} {
		t.Run(name, func(t *testing.T) {
			f, dir := open(t)
			p := begin(t, f, "file", "text", id.New[id.Revision]())
			if err := os.Remove(filepath.Join(dir, p.name)); err != nil {
				t.Fatal(err)
			}
			if err := finish(p); err == nil {
				t.Error("no error")
			}
			if have := names(t, dir); len(have) != 0 {
				t.Errorf("left: %v", have)
			}
		})
	}
}

func TestClaimReplacesNothing(t *testing.T) {
	f, dir := open(t)
	if err := begin(t, f, "file", "first", id.New[id.Revision]()).claim(); err != nil {
		t.Fatal(err)
	}
	if err := begin(t, f, "file", "second", id.New[id.Revision]()).claim(); !errors.Is(err, ErrExists) {
		t.Errorf("have %v", err)
	}
	if raw, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(raw) != "first" {
		t.Errorf("%q, %v", raw, err)
	}
}

// TestForceReplacesNothingOfItsOwn: two names that come to one file, as where case
// is folded: the second does not replace the first, of this try or the last one.
func TestForceReplacesNothingOfItsOwn(t *testing.T) {
	for name, first := range map[string]func(t *testing.T, f *Folder, path string){
		"of this try": func(t *testing.T, f *Folder, _ string) {
			if err := begin(t, f, "file", "first", id.New[id.Revision]()).Finish(Final{Force: true}); err != nil {
				t.Fatal(err)
			}
		},
		"of the last try": func(t *testing.T, f *Folder, path string) {
			if err := os.WriteFile(path, []byte("first"), 0o600); err != nil {
				t.Fatal(err)
			}
			info, err := f.Stat("file")
			if err != nil {
				t.Fatal(err)
			}
			f.Own(info)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, dir := open(t)
			first(t, f, filepath.Join(dir, "file"))
			if err := os.Link(filepath.Join(dir, "file"), filepath.Join(dir, "FILE")); err != nil {
				t.Fatal(err)
			}
			p := begin(t, f, "FILE", "second", id.New[id.Revision]())
			if err := p.Finish(Final{Force: true}); !errors.Is(err, ErrTwice) {
				t.Errorf("have %v", err)
			}
			if raw, err := os.ReadFile(filepath.Join(dir, "FILE")); err != nil || string(raw) != "first" {
				t.Errorf("%q, %v", raw, err)
			}
		})
	}
}

func TestFoldsLeavesNothing(t *testing.T) {
	f, dir := open(t)
	if folds, err := f.Folds(); folds || err != nil {
		t.Errorf("%v, %v", folds, err)
	}
	if have := names(t, dir); len(have) != 0 {
		t.Errorf("left: %v", have)
	}
}
