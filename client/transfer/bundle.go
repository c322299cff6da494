package transfer

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"holdfast/client/target"
	"holdfast/format/descriptor"
)

// ErrHidden: a bundle would put files into a hidden folder that is here already,
// such as .ssh or .git, where programs obey them.
var ErrHidden = errors.New("a hidden folder of that name is here already, and programs may obey what is put into it. Choose another place with -o, or write into it with --force")

// folder is where a bundle goes that nobody gave a place. With one thing at its
// top, the current folder; with several, a folder of their own, so that they do
// not mix with what is there. Its name is the bundle's title, unless that is
// missing or would hide it.
func (s *Share) folder() string {
	if s.oneTop() {
		return "."
	}
	name := s.Title
	if name == "" || strings.HasPrefix(name, ".") {
		name = "holdfast-" + s.link.Handle.String()[:8]
	}
	return descriptor.LocalPath(name, runtime.GOOS)
}

func (s *Share) oneTop() bool {
	first, _, _ := strings.Cut(s.Entries[0].Path, "/")
	for _, d := range s.Entries {
		if top, _, _ := strings.Cut(d.Path, "/"); top != first {
			return false
		}
	}
	return true
}

// newFolder fails with target.ErrExists if something stands where a bundle is to
// have a folder of its own.
func newFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	return &target.Error{Path: dir, Err: target.ErrExists}
}

// hidden fails with ErrHidden if one of these entries would be written into a hidden
// folder that is there. The target's own path may be hidden: a person chose it.
func (v *save) hidden(written func(entry int) bool) error {
	looked := map[string]bool{".": true}
	for i, d := range v.entries {
		if !written(i) {
			continue
		}
		dir := v.paths[i]
		if d.Kind == descriptor.File {
			dir = path.Dir(dir)
		}
		for ; !looked[dir]; dir = path.Dir(dir) {
			looked[dir] = true
			if !strings.HasPrefix(path.Base(dir), ".") {
				continue
			}
			there, err := v.folder.Stat(dir)
			if err != nil {
				return err
			}
			if there != nil {
				return &target.Error{Path: filepath.FromSlash(dir), Err: ErrHidden}
			}
		}
	}
	return nil
}
