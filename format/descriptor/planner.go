package descriptor

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// ErrPlanned: a path was planned before, as another kind of entry or as a file.
var ErrPlanned = errors.New("descriptor: two entries with one path")

// maxNumber is the room kept for the number of a name that was taken: as many
// digits as MaxEntries, a space and parentheses.
const maxNumber = len(" (262144)")

// Renaming is an entry, or a folder above one, that is written under another
// name than its own. Path is the entry's own path, Local the whole path it has below the target.
type Renaming struct {
	Path  string
	Local string
}

// Planner gives the entries of one bundle their places below one target folder,
// so that no two come to one place: not after LocalPath replaced characters,
// and, where the file system does not tell them apart, not by case, composition
// of letters or invisible characters. It is deterministic: the same paths in
// the same order get the same places, so that a receive that is repeated finds
// what it wrote. It does not look at the disk. Not safe for concurrent use.
type Planner struct {
	goos  string
	fold  bool
	caser cases.Caser
	root  *place
	done  []Renaming
}

// place is a planned entry and its local path. Folders have what is in them.
type place struct {
	local   string
	kind    Kind
	listed  bool              // planned itself, not only as a parent
	entries map[string]*place // by the component of the path
	taken   map[string]bool   // folded local names
	numbers map[string]int    // last number given, by folded stem and extension
}

func newFolder(local string) *place {
	return &place{local: local, kind: Folder, entries: map[string]*place{}, taken: map[string]bool{}, numbers: map[string]int{}}
}

// FoldsNames tells whether file systems of goos usually take names that differ
// in case or composition only for one.
func FoldsNames(goos string) bool { return goos == windows || goos == "darwin" || goos == "ios" }

// NewPlanner returns a planner for a target on the operating system goos. fold
// says that the target's file system takes names that differ in case or
// composition only for one; FoldsNames knows the usual answer.
func NewPlanner(goos string, fold bool) *Planner {
	return &Planner{goos: goos, fold: fold, caser: cases.Fold(), root: newFolder("")}
}

// Plan gives the entry with that path its local path, separated by slashes. It
// wants each path once, a folder's before or after what is in it.
func (p *Planner) Plan(path string, kind Kind) (string, error) {
	at := p.root
	names := strings.Split(path, "/")
	for i, name := range names {
		if name == "" {
			return "", fmt.Errorf("%w: empty, or an empty component", ErrPath)
		}
		last := i == len(names)-1
		want := Folder
		if last {
			want = kind
		}
		next := at.entries[name]
		if next == nil {
			next = p.add(at, name, strings.Join(names[:i+1], "/"), want)
		} else if next.kind != want || last && next.listed {
			return "", fmt.Errorf("%w: %s", ErrPlanned, Display(path))
		}
		next.listed = next.listed || last
		at = next
	}
	return at.local, nil
}

// Renamed lists what is written under another name than its own, in the order
// of planning: what a person should be told. A renamed folder stands there
// once, what is in it only if it is renamed itself.
func (p *Planner) Renamed() []Renaming { return p.done }

func (p *Planner) add(parent *place, name, path string, kind Kind) *place {
	local := p.free(parent, localName(name, p.goos))
	parent.taken[p.key(local)] = true
	child := &place{kind: kind}
	if kind == Folder {
		child = newFolder("")
	}
	child.local = local
	if parent.local != "" {
		child.local = parent.local + "/" + local
	}
	parent.entries[name] = child
	if local != name {
		p.done = append(p.done, Renaming{Path: path, Local: child.local})
	}
	return child
}

// free is local, or local with the lowest number after the last one given that
// is not taken. Names that would get the same numbered names share a counter,
// so that a hostile bundle of like names costs no more than their count.
func (p *Planner) free(parent *place, local string) string {
	if !parent.taken[p.key(local)] {
		return local
	}
	const most = MaxName - maxNumber
	series := p.key(fit(local, "", most))
	for n := max(parent.numbers[series], 1) + 1; ; n++ {
		suffix := fmt.Sprintf(" (%d)", n)
		numbered := fit(local, suffix, most+len(suffix))
		if !parent.taken[p.key(numbered)] {
			parent.numbers[series] = n
			return numbered
		}
	}
}

// key is what the target's file system compares names by. Where it folds them,
// the key takes more names for one than any of them does: full case folding,
// canonical decomposition, invisible characters dropped.
func (p *Planner) key(name string) string {
	if !p.fold {
		return name
	}
	name = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, norm.NFD.String(name))
	return norm.NFD.String(p.caser.String(name))
}
