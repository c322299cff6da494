package mirror

import (
	"cmp"
	"context"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"holdfast/api"
	"holdfast/client/drive"
	"holdfast/client/home"
	"holdfast/client/internal/fake"
	"holdfast/client/transfer"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/journal"
)

// shelf is a drive in memory, with paths as they are.
type shelf struct {
	service *fake.Service
	folders map[string]id.Folder // by path
	files   map[string]descriptor.Descriptor
	commits int
	fail    error // of the next Put
	trash   []string
}

func (s *shelf) item(at string) (drive.Item, bool) {
	if d, ok := s.files[at]; ok {
		return drive.Item{Path: at, Folder: s.folders[path.Dir(at)], Entry: &journal.Entry{Descriptor: &d}}, true
	}
	if f, ok := s.folders[at]; ok {
		i := drive.Item{Path: at, Self: f}
		if at != "/" {
			i.Folder = s.folders[path.Dir(at)]
			i.Entry = &journal.Entry{Descriptor: &descriptor.Descriptor{Path: path.Base(at), Kind: descriptor.Folder}}
		}
		return i, true
	}
	return drive.Item{}, false
}

func (s *shelf) Resolve(_ context.Context, at string) (drive.Item, error) {
	i, ok := s.item(path.Clean("/" + at))
	if !ok {
		return i, &drive.Error{Path: at, Err: drive.ErrNotFound}
	}
	return i, nil
}

func (s *shelf) paths() (all []string) {
	for p := range s.folders {
		all = append(all, p)
	}
	for p := range s.files {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b string) int {
		return cmp.Compare(strings.ReplaceAll(a, "/", "\x01"), strings.ReplaceAll(b, "/", "\x01"))
	})
	return all
}

func (s *shelf) Glob(_ context.Context, pattern string) (found []drive.Item, err error) {
	for _, p := range s.paths() {
		if ok, err := path.Match(path.Clean("/"+pattern), p); err != nil {
			return nil, err
		} else if ok {
			i, _ := s.item(p)
			found = append(found, i)
		}
	}
	return found, nil
}

func (s *shelf) Walk(ctx context.Context, at string, do func(drive.Item) error) error {
	if _, err := s.Resolve(ctx, at); err != nil {
		return err
	}
	at = path.Clean("/" + at)
	for _, p := range s.paths() {
		if p == at || strings.HasPrefix(p, strings.TrimSuffix(at, "/")+"/") {
			i, _ := s.item(p)
			if err := do(i); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *shelf) mkdir(at string) {
	for ; s.folders[at].IsZero(); at = path.Dir(at) {
		s.folders[at] = id.New[id.Folder]()
	}
}

func (s *shelf) Mkdir(_ context.Context, paths []string, _ bool) (drive.Result, error) {
	s.commits++
	for _, p := range paths {
		s.mkdir(p)
	}
	return drive.Result{}, nil
}

func (s *shelf) Remove(_ context.Context, paths []string) (drive.Result, error) {
	s.commits++
	for _, gone := range paths {
		s.trash = append(s.trash, gone)
		for _, p := range s.paths() {
			if p == gone || strings.HasPrefix(p, gone+"/") {
				delete(s.files, p)
				delete(s.folders, p)
			}
		}
	}
	return drive.Result{}, nil
}

func (s *shelf) Put(_ context.Context, files []drive.NewFile, upload *api.DriveUpload) (drive.Result, error) {
	if err := s.fail; err != nil {
		s.fail = nil
		return drive.Result{}, err
	}
	s.commits++
	var into []id.Folder
	for _, f := range files {
		s.mkdir(f.Folder)
		into = append(into, s.folders[f.Folder])
		s.files[path.Join(f.Folder, f.Descriptor.Path)] = f.Descriptor
	}
	slices.SortFunc(into, func(a, b id.Folder) int { return cmp.Compare(a.String(), b.String()) })
	if upload == nil {
		return drive.Result{}, nil
	}
	return drive.Result{}, s.service.Hold(*upload, slices.Compact(into)...)
}

// rig is a mirror over a shelf and a fake service.
type rig struct {
	*Mirror
	shelf *shelf
	t     *testing.T
	dir   string
	sent  int64
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir()}
	r.shelf = &shelf{service: fake.New(t, "DE", "NZ"), folders: map[string]id.Folder{"/": id.New[id.Folder]()}, files: map[string]descriptor.Descriptor{}}
	dir, err := home.Open(filepath.Join(r.dir, "home"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := transfer.New(r.shelf.service.URL, nil, dir)
	if err != nil {
		t.Fatal(err)
	}
	r.Mirror = &Mirror{Paths: r.shelf, Contents: c.Drive(id.Account{1}, fake.Session)}
	return r
}

// fresh is how many bytes of content left since it was asked last.
func (r *rig) fresh() int64 {
	var sum int64
	for _, n := range r.shelf.service.Nodes {
		sum += n.Bytes.Load()
	}
	sum, r.sent = sum-r.sent, sum
	return sum
}
