package home

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"holdfast/format/id"
)

func open(t *testing.T) Dir {
	t.Helper()
	d, err := Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestEverythingIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if err := os.MkdirAll(path+"/resume", 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	sub, err := d.Sub("resume")
	if err != nil {
		t.Fatal(err)
	}
	locked, err := OpenLocked(sub + "/x")
	if err != nil {
		t.Fatal(err)
	}
	defer locked.Close()
	s := Send{Handle: id.New[id.Handle](), Manage: "m"}
	if err := d.SaveSend(s); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{
		path: 0o700, sub: 0o700, path + "/sends": 0o700,
		sub + "/x": 0o600, path + "/sends/" + s.Handle.String() + ".json": 0o600,
	} {
		if have := mode(t, path); have != want {
			t.Errorf("%s has mode %o", path, have)
		}
	}
}

func TestOneProcessATransfer(t *testing.T) {
	path := t.TempDir() + "/x"
	first, err := OpenLocked(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLocked(path); !errors.Is(err, ErrBusy) {
		t.Fatalf("second: %v", err)
	}
	// A file that its holder removed is no lock any more.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second, err := OpenLocked(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(first.Close(), second.Close()); err != nil {
		t.Fatal(err)
	}
	third, err := OpenLocked(path)
	if err != nil {
		t.Fatal(err)
	}
	third.Close()
}

func TestSends(t *testing.T) {
	d := open(t)
	if all, err := d.Sends(); err != nil || len(all) != 0 {
		t.Fatalf("%v, %v", all, err)
	}
	older := Send{Server: "https://a", Handle: id.New[id.Handle](), Manage: "one", Name: "a\tb", Created: 5, Places: []string{"X (DE)"}}
	newer := Send{Server: "https://b", Handle: id.New[id.Handle](), Manage: "two", Created: 6}
	for _, s := range []Send{older, newer, older} {
		if err := d.SaveSend(s); err != nil {
			t.Fatal(err)
		}
	}
	all, err := d.Sends()
	if err != nil || !reflect.DeepEqual(all, []Send{newer, older}) {
		t.Fatalf("%+v, %v", all, err)
	}
	if got, err := d.FindSend(older.Handle); err != nil || !reflect.DeepEqual(got, older) {
		t.Fatalf("%+v, %v", got, err)
	}
	for range 2 {
		if err := d.ForgetSend(older.Handle); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.FindSend(older.Handle); !errors.Is(err, ErrUnknownSend) {
		t.Fatalf("forgotten: %v", err)
	}
}

func TestWriteFileKeepsTheOldOneOnFailure(t *testing.T) {
	dir := t.TempDir()
	path := dir + "/folder"
	if err := os.MkdirAll(path+"/full", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, []byte("x")); err == nil {
		t.Fatal("a folder was replaced by a file")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("something was left behind: %v", entries)
	}
}

func TestDefaultFollowsTheEnvironment(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", "/state")
	if got, err := Default(); err != nil || got != "/state/holdfast" {
		t.Errorf("%s, %v", got, err)
	}
	t.Setenv("XDG_STATE_HOME", "relative")
	t.Setenv("HOME", "/home/someone")
	if got, err := Default(); err != nil || got != "/home/someone/.local/state/holdfast" {
		t.Errorf("%s, %v", got, err)
	}
}
