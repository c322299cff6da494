package source

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/format/descriptor"
)

func write(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWalkListsEverythingSorted(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/tree/b.txt", "b", 0o644)
	write(t, dir+"/tree/a/deep/run.sh", "#!", 0o755)
	write(t, dir+"/tree/a-before-slash", "", 0o644)
	os.Mkdir(dir+"/tree/empty", 0o755)
	os.Symlink("b.txt", dir+"/tree/link")
	os.Symlink("a", dir+"/tree/linked-folder")
	socket, err := net.Listen("unix", dir+"/tree/socket")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	single := write(t, dir+"/other.txt", "other", 0o644)

	tree, err := Walk(context.Background(), []string{dir + "/tree/", single})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range tree.Entries {
		line := e.Path
		if e.Folder {
			line += "/"
		}
		if e.Executable {
			line += "*"
		}
		got = append(got, line)
	}
	want := "other.txt tree/ tree/a/ tree/a-before-slash tree/a/deep/ tree/a/deep/run.sh* tree/b.txt tree/empty/"
	if strings.Join(got, " ") != want {
		t.Errorf("have %v\nwant %v", got, want)
	}
	if len(tree.Skipped) != 3 {
		t.Errorf("skipped: %v", tree.Skipped)
	}
	for _, s := range tree.Skipped {
		if (s.Reason == Special) != strings.HasSuffix(s.Local, "socket") {
			t.Errorf("%s: %s", s.Local, s.Reason)
		}
	}
	if tree.Single() != nil {
		t.Error("a bundle is no single file")
	}
}

func TestWalkRefuses(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir+"/x/file", "x", 0o644)
	clash := write(t, dir+"/y/file", "y", 0o644)
	link := dir + "/link"
	os.Symlink(file, link)
	notText := write(t, dir+"/bad/\xff", "", 0o644)
	deep := dir + "/d" + strings.Repeat("/d", descriptor.MaxDepth-1)
	write(t, deep+"/file", "x", 0o644)
	pipe := dir + "/socket"
	socket, err := net.Listen("unix", pipe)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for name, c := range map[string]struct {
		paths []string
		want  error
	}{
		"missing":           {[]string{dir + "/none"}, ErrMissing},
		"empty name":        {[]string{""}, ErrMissing},
		"below a file":      {[]string{file + "/none"}, ErrUnreadable},
		"two of one name":   {[]string{file, clash}, ErrClash},
		"only a link":       {[]string{link}, ErrNothing},
		"only a socket":     {[]string{pipe}, ErrNothing},
		"nothing at all":    {nil, ErrNothing},
		"name not UTF-8":    {[]string{notText}, ErrName},
		"same, in a folder": {[]string{dir + "/bad"}, ErrName},
		"the root":          {[]string{"/"}, ErrName},
		"too deep":          {[]string{dir + "/d"}, ErrDeep},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Walk(context.Background(), c.paths)
			if !errors.Is(err, c.want) {
				t.Errorf("have %v, want %v", err, c.want)
			}
		})
	}
	if tree, err := Walk(context.Background(), []string{dir + "/d/d"}); err != nil || len(tree.Entries) != descriptor.MaxDepth {
		t.Errorf("as deep as allowed: %d entries, %v", len(tree.Entries), err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Walk(ctx, []string{dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestOpenNoticesChanges(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"appended": func(p string) error {
			f, err := os.OpenFile(p, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			f.WriteString("more")
			return f.Close()
		},
		"other time": func(p string) error { return os.Chtimes(p, time.Time{}, time.Unix(1, 5)) },
		"replaced": func(p string) error {
			info, err := os.Stat(p)
			if err != nil {
				return err
			}
			if err := os.WriteFile(p+".new", []byte("text"), 0o644); err != nil {
				return err
			}
			return errors.Join(os.Chtimes(p+".new", time.Time{}, info.ModTime()), os.Rename(p+".new", p))
		},
		"a link now": func(p string) error { return errors.Join(os.Rename(p, p+".old"), os.Symlink(p+".old", p)) },
		"a folder":   func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o755)) },
		"gone":       os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, t.TempDir()+"/file", "text", 0o644)
			tree, err := Walk(context.Background(), []string{path})
			if err != nil {
				t.Fatal(err)
			}
			f, err := tree.Single().Open()
			if err != nil {
				t.Fatal(err)
			}
			if err := tree.Single().Unchanged(f); err != nil {
				t.Fatal(err)
			}
			f.Close()
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			if f, err := tree.Single().Open(); err == nil {
				f.Close()
				t.Fatal("opened")
			} else if !errors.Is(err, ErrChanged) && !errors.Is(err, ErrMissing) && !errors.Is(err, ErrUnreadable) {
				t.Fatal(err)
			}
		})
	}
}
