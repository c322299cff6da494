package descriptor

import (
	"errors"
	"fmt"
	"slices"
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

// maxPlaces is how many places one bundle has at most: its entries, and the
// folders above them.
const maxPlaces = MaxEntries + MaxFolders

// Renaming is an entry, or a folder above one, that is written under another
// name than its own. Path is the entry's own path.
type Renaming struct {
	Path string
	at   *place
}

// Local is the whole path that the entry has below the target. It is put
// together when somebody asks: kept for each folder of a deep path, it would
// take the square of the path's length.
func (r Renaming) Local() string { return r.at.path() }

// Planner gives the entries of one bundle their places below one target folder,
// so that no two come to one place: not after LocalPath replaced characters,
// and, where the file system does not tell them apart, not by case, composition
// of letters or invisible characters. It is deterministic: the same paths in
// the same order get the same places, so that a receive that is repeated finds
// what it wrote. It does not look at the disk. Not safe for concurrent use.
//
// Its memory grows with the number of places, which is bounded (ErrBundle), and
// with the length of their own names, not with that of their paths.
type Planner struct {
	goos    string
	fold    bool
	caser   cases.Caser
	root    *place
	places  map[slot]*place   // by the component of the path
	taken   map[slot]struct{} // by the key of the local name
	numbers map[slot]int      // last number given, by the key of names that are numbered alike
	done    []Renaming
}

// slot is a name in a folder. One map of all slots costs a folder with one
// entry, of which a hostile bundle has many, no more than any other.
type slot struct {
	folder *place
	name   string
}

// place is a planned entry, or a folder above one.
type place struct {
	parent *place // nil at the root
	local  string // its own local name
	kind   Kind
	listed bool // planned itself, not only as a parent
}

// path is the place's local path.
func (p *place) path() string {
	var names []string
	for ; p.parent != nil; p = p.parent {
		names = append(names, p.local)
	}
	slices.Reverse(names)
	return strings.Join(names, "/")
}

// FoldsNames tells whether file systems of goos usually take names that differ
// in case or composition only for one.
func FoldsNames(goos string) bool { return goos == windows || goos == "darwin" || goos == "ios" }

// NewPlanner returns a planner for a target on the operating system goos. fold
// says that the target's file system takes names that differ in case or
// composition only for one; FoldsNames knows the usual answer.
func NewPlanner(goos string, fold bool) *Planner {
	return &Planner{
		goos: goos, fold: fold, caser: cases.Fold(), root: &place{kind: Folder},
		places: map[slot]*place{}, taken: map[slot]struct{}{}, numbers: map[slot]int{},
	}
}

// Plan gives the entry with that path its local path, separated by slashes. It
// wants each path once, a folder's before or after what is in it. It fails for a
// path deeper than MaxDepth (ErrPath), one that does not go with those planned
// before (ErrPlanned), and more places than a bundle may have (ErrBundle).
func (p *Planner) Plan(path string, kind Kind) (string, error) {
	if err := CheckDepth(path); err != nil {
		return "", err
	}
	at, end := p.root, 0
	for name := range strings.SplitSeq(path, "/") {
		if name == "" {
			return "", fmt.Errorf("%w: empty, or an empty component", ErrPath)
		}
		end += len(name)
		last := end == len(path)
		want := Folder
		if last {
			want = kind
		}
		next := p.places[slot{at, name}]
		switch {
		case next == nil && len(p.places) == maxPlaces:
			return "", fmt.Errorf("%w: more than %d places", ErrBundle, maxPlaces)
		case next == nil:
			next = p.add(at, name, path[:end], want)
		case next.kind != want || last && next.listed:
			return "", fmt.Errorf("%w: %s", ErrPlanned, Display(path))
		}
		next.listed = next.listed || last
		at = next
		end++ // the slash
	}
	return at.path(), nil
}

// Renamed lists what is written under another name than its own, in the order
// of planning: what a person should be told. A renamed folder stands there
// once, what is in it only if it is renamed itself.
func (p *Planner) Renamed() []Renaming { return p.done }

func (p *Planner) add(parent *place, name, path string, kind Kind) *place {
	child := &place{parent: parent, local: p.free(parent, localName(name, p.goos)), kind: kind}
	p.taken[slot{parent, p.key(child.local)}] = struct{}{}
	p.places[slot{parent, name}] = child
	if child.local != name {
		p.done = append(p.done, Renaming{Path: path, at: child})
	}
	return child
}

func (p *Planner) isTaken(parent *place, local string) bool {
	_, taken := p.taken[slot{parent, p.key(local)}]
	return taken
}

// free is local, or local with the lowest number after the last one given that
// is not taken. Names that would get the same numbered names share a counter,
// so that a hostile bundle of like names costs no more than their count.
func (p *Planner) free(parent *place, local string) string {
	if !p.isTaken(parent, local) {
		return local
	}
	const most = MaxName - maxNumber
	series := slot{parent, p.key(fit(local, "", most))}
	for n := max(p.numbers[series], 1) + 1; ; n++ {
		suffix := fmt.Sprintf(" (%d)", n)
		numbered := fit(local, suffix, most+len(suffix))
		if !p.isTaken(parent, numbered) {
			p.numbers[series] = n
			return numbered
		}
	}
}

// key is what the target's file system compares names by.
func (p *Planner) key(name string) string {
	if !p.fold {
		return name
	}
	return fold(name, &p.caser)
}

// Fold is what names are compared by where case, composition of letters and
// invisible characters do not count: it takes more names for one than any file
// system does (docs/format.md §22).
func Fold(name string) string {
	caser := cases.Fold()
	return fold(name, &caser)
}

func fold(name string, caser *cases.Caser) string {
	name = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, norm.NFD.String(name))
	return norm.NFD.String(caser.String(name))
}

// Numbered is name with the number n before its extension, cut so that it may
// be a component of a path.
func Numbered(name string, n int) string { return fit(name, fmt.Sprintf(" (%d)", n), MaxName) }
