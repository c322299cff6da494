package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"holdfast/client/resume"
	"holdfast/client/source"
	"holdfast/client/target"
	"holdfast/format/descriptor"
	"holdfast/format/id"

	"golang.org/x/sync/errgroup"
)

const (
	// savers is how many files are written at once.
	savers = inFlight
	// batch is how many revisions are asked for at once: their extents fit in one
	// answer unless many of them are large.
	batch = 1024
	// slack is what must stay free besides the files.
	slack = 1 << 20
)

// save is a receive to disk.
type save struct {
	d       *download
	entries []descriptor.Descriptor
	force   bool
	skip    bool // what is there already, by size and time, is not fetched
	folder  *target.Folder
	copies  map[int]bool // entries with the revision of another one
	paths   []string     // of the entries, below the folder

	mu    sync.Mutex // guards what follows
	state *resume.Receive
	kept  int64
	done  map[int]bool // entries that have their names
	bad   damage       // files that are not what was shared
}

// toDisk writes every entry below the target; first tells that no earlier try began to.
func (s *Share) toDisk(ctx context.Context, o ReceiveOptions, state *resume.Receive, first bool) (got *Received, err error) {
	dir, name := s.where(o.Target)
	v := &save{d: s.download, entries: s.Entries, force: o.Force, state: state, done: map[int]bool{}}
	first = first && s.Bundle && !o.Force // what is there is none of ours
	if first && o.Target == "" && dir != "." {
		if err := newFolder(dir); err != nil {
			return nil, err
		}
	}
	if v.folder, err = target.Open(dir); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, v.folder.Close()) }()
	planner, err := v.plan()
	if err != nil {
		return nil, err
	}
	got = &Received{Share: s, Renamed: planner.Renamed()}
	if name != "" {
		v.paths[0], got.Renamed = name, nil
	}
	if first {
		if err := v.hidden(func(int) bool { return true }); err != nil {
			return nil, err
		}
	}
	todo, err := v.survey()
	if err != nil {
		return nil, err
	}
	if err := s.withSession(ctx, state, func() error { return v.run(ctx, todo) }); err != nil {
		return nil, err
	}
	for _, path := range v.paths {
		got.Paths = append(got.Paths, v.folder.Path(path))
	}
	got.Kept, got.Folder = v.kept, v.folder.Path(".")
	return got, nil
}

// plan gives every entry its path below the target.
func (v *save) plan() (*descriptor.Planner, error) {
	folds := descriptor.FoldsNames(runtime.GOOS)
	if !folds && len(v.entries) > 1 {
		var err error
		if folds, err = v.folder.Folds(); err != nil {
			return nil, err
		}
	}
	planner := descriptor.NewPlanner(runtime.GOOS, folds)
	for _, d := range v.entries {
		path, err := planner.Plan(d.Path, d.Kind)
		if err != nil {
			return nil, integrity(err)
		}
		v.paths = append(v.paths, path)
	}
	return planner, nil
}

// survey looks at what is there before the download is counted, and returns the
// numbers of the files that are to be fetched.
func (v *save) survey() ([]int, error) {
	var todo []int
	var need int64
	for i, d := range v.entries {
		if d.Kind != descriptor.File {
			continue
		}
		there, err := v.arrived(i)
		if err == nil && !there && v.skip {
			there, err = v.alike(i)
		}
		if err != nil {
			return nil, err
		}
		if there {
			v.kept += d.Content.Size
			v.d.report.progress(Written, d.Content.Size)
			continue
		}
		if err := v.folder.Vacant(v.paths[i], v.force); err != nil {
			return nil, err
		}
		todo = append(todo, i)
		need += d.Content.Size
	}
	// A part of an earlier try takes room already, so that only a first try is measured.
	if free, known := v.folder.Free(); known && v.state.Session == "" && need+slack > free {
		return nil, fmt.Errorf("%w (%d bytes are needed, %d are free)", target.ErrFull, need, free)
	}
	return todo, nil
}

// arrived tells whether an earlier try wrote the file, and nobody changed it since.
func (v *save) arrived(i int) (bool, error) {
	a, known := v.state.Arrived[v.key(i)]
	if !known {
		return false, nil
	}
	info, err := v.folder.Stat(v.paths[i])
	if err != nil || info == nil {
		return false, err
	}
	now := source.Of(info)
	if a != (resume.Arrived{Size: now.Size, ModTime: now.ModTime, Inode: now.Inode}) {
		return false, nil
	}
	v.folder.Own(info)
	return true, nil
}

// alike tells whether something stands there that is the file, by its size, its time
// and whether it can be run.
func (v *save) alike(i int) (bool, error) {
	info, err := v.folder.Stat(v.paths[i])
	if err != nil || info == nil || !info.Mode().IsRegular() || !Same(source.Of(info), v.entries[i]) {
		return false, err
	}
	v.folder.Own(info)
	return true, nil
}

// key names a file in the state: another revision is another file.
func (v *save) key(i int) string {
	return v.entries[i].Content.Revision.String() + " " + v.folder.Path(v.paths[i])
}

// run fetches what is to do. A file that is damaged keeps none of the others from
// coming; it is reported when they are there.
func (v *save) run(ctx context.Context, todo []int) error {
	// Called again when the session ended, it goes on.
	todo = slices.DeleteFunc(slices.Clone(todo), func(i int) bool { return v.done[i] })
	v.bad = nil
	if err := v.folders(); err != nil {
		return err
	}
	err := v.fetch(ctx, todo)
	if err == nil {
		err = v.finish()
	}
	if len(v.bad) > 0 {
		return errors.Join(err, v.bad)
	}
	return err
}

// fetch asks for some revisions after others, of several folders at once, and fetches
// what it is told of them.
func (v *save) fetch(ctx context.Context, todo []int) error {
	g, under := errgroup.WithContext(ctx)
	g.SetLimit(savers)
	var askers errgroup.Group
	askers.SetLimit(inFlight)
	for _, some := range v.d.origin.apart(v.entries, todo) {
		askers.Go(func() error {
			for len(some) > 0 && under.Err() == nil {
				left, err := v.portion(under, g, some)
				if err != nil {
					return err
				}
				some = left
			}
			return nil
		})
	}
	asked := askers.Wait()
	if err := g.Wait(); err != nil {
		if errors.Is(asked, err) {
			return err // which ended the asking too
		}
		return errors.Join(err, asked)
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause // what was under way may have come to its end all the same
	}
	return asked
}

// portion asks for as many revisions as one answer holds, starts to fetch them,
// and returns the files that are left.
func (v *save) portion(ctx context.Context, g *errgroup.Group, todo []int) ([]int, error) {
	ask := todo[:min(batch, len(todo))]
	contents := make([]descriptor.Content, len(ask))
	for n, i := range ask {
		contents[n] = *v.entries[i].Content
	}
	revs, lies, err := v.d.records(ctx, contents)
	if err != nil {
		return nil, err
	}
	var small []member
	var left []int
	for _, i := range ask {
		revision := v.entries[i].Content.Revision
		r := revs[revision]
		switch {
		case lies[revision] != nil:
			if err := v.spoilt(i, lies[revision]); err != nil {
				return nil, err
			}
		case r == nil:
			left = append(left, i)
		case r.pieces > 1 || r.length > maxPacked:
			g.Go(func() error { return v.large(ctx, i, r) })
		default:
			small = append(small, member{i, r, r.extents[0]})
		}
	}
	for _, p := range join(small) {
		g.Go(func() error { return v.pack(ctx, p) })
	}
	return append(left, todo[len(ask):]...), nil
}

// folders makes all folders, those of files too.
func (v *save) folders() error {
	made := map[string]bool{".": true}
	for i, d := range v.entries {
		dir := v.paths[i]
		if d.Kind == descriptor.File {
			dir = parent(dir)
		}
		if made[dir] {
			continue
		}
		if err := v.folder.Mkdir(dir); err != nil {
			return err
		}
		made[dir] = true
	}
	return nil
}

// finish makes the names of all that was written durable, and gives the folders
// their times, inner ones first, now that nothing is written in them any more.
func (v *save) finish() error {
	for _, dir := range above(v.paths) {
		if err := v.folder.Sync(dir); err != nil {
			return err
		}
	}
	for i := len(v.entries) - 1; i >= 0; i-- {
		d := v.entries[i]
		t, known := d.Time()
		if d.Kind != descriptor.Folder || !known {
			continue
		}
		if err := v.folder.SetTime(v.paths[i], t); err != nil {
			return err
		}
	}
	return nil
}

// above are all folders, up to the target, that paths need to be found again:
// those that no entry lists too.
func above(paths []string) (dirs []string) {
	seen := map[string]bool{}
	for _, path := range paths {
		for dir := parent(path); !seen[dir]; dir = parent(dir) { // the target, ".", is its own parent
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// large fetches a file that has blobs of its own, going on where a part of it is.
func (v *save) large(ctx context.Context, i int, r *revision) error {
	part, err := v.part(i)
	if err != nil {
		return err
	}
	err = v.assemble(ctx, r, part)
	switch {
	case errors.Is(err, ErrIntegrity):
		return v.spoilt(i, errors.Join(err, part.Discard()))
	case err != nil:
		return v.about(i, errors.Join(err, part.Keep()))
	}
	return v.whole(i, part)
}

// part is what there is of a file, under a hidden name made from its revision; the
// drive may have copies of one revision side by side, of which each has a part.
func (v *save) part(i int) (*target.Part, error) {
	revision := v.entries[i].Content.Revision
	if v.copies[i] {
		sum := sha256.Sum256([]byte(revision.String() + v.paths[i]))
		revision = id.Revision(sum[:len(revision)])
	}
	return v.folder.Part(v.paths[i], revision)
}

// whole gives a file that passed every check its name.
func (v *save) whole(i int, part *target.Part) error {
	d := v.entries[i]
	f := target.Final{Executable: d.Executable, Force: v.force}
	if t, known := d.Time(); known {
		f.ModTime = t
	}
	if err := part.Finish(f); err != nil {
		return errors.Join(err, v.unfinished(part, err))
	}
	return v.remember(i)
}

// unfinished leaves a part that could not get its name, except where another
// file has it: then it would only be in the way.
func (v *save) unfinished(part *target.Part, err error) error {
	if errors.Is(err, target.ErrExists) {
		return part.Discard()
	}
	return part.Keep()
}

func (v *save) remember(i int) error {
	info, err := v.folder.Stat(v.paths[i])
	if err != nil || info == nil {
		return err // somebody took it away: it was there
	}
	now := source.Of(info)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.done[i] = true
	return v.state.Add(v.key(i), resume.Arrived{Size: now.Size, ModTime: now.ModTime, Inode: now.Inode})
}

// spoilt takes an error about one file. Damage waits for the others to come;
// anything else ends the receive.
func (v *save) spoilt(i int, err error) error {
	err = v.about(i, err)
	if !errors.Is(err, ErrIntegrity) {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.bad = append(v.bad, err)
	return nil
}

// damage is what was wrong with some files.
type damage []error

// told is how many damaged files are named.
const told = 10

// Error names the first files.
func (d damage) Error() string {
	var lines []string
	for _, err := range d[:min(told, len(d))] {
		lines = append(lines, err.Error())
	}
	if more := len(d) - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more files", more))
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives all of them.
func (d damage) Unwrap() []error { return d }

// about names the file that an error is about.
func (v *save) about(i int, err error) error {
	var named *target.Error
	if errors.As(err, &named) {
		return err
	}
	return fmt.Errorf("%s: %w", descriptor.Display(v.entries[i].Path), err)
}
