package descriptor

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"holdfast/format/wire"
)

type planned struct {
	path string
	kind Kind
	want string
}

type renamed struct{ path, local string }

func renamings(p *Planner) (out []renamed) {
	for _, r := range p.Renamed() {
		out = append(out, renamed{r.Path, r.Local()})
	}
	return out
}

func TestPlanner(t *testing.T) {
	long := strings.Repeat("n", 255)
	cases := []struct {
		name    string
		goos    string
		fold    bool
		entries []planned
		renamed []renamed
	}{
		{"nothing to do", "linux", false, []planned{{"a", File, "a"}, {"b", Folder, "b"}, {"b/c", File, "b/c"}, {"d/e/f", File, "d/e/f"}}, nil},
		{"case on Linux", "linux", false, []planned{{"README", File, "README"}, {"readme", File, "readme"}}, nil},
		{"case on macOS", "darwin", true, []planned{{"README.md", File, "README.md"}, {"ReadMe.md", File, "ReadMe (2).md"}, {"readme.md", File, "readme (3).md"}},
			[]renamed{{"ReadMe.md", "ReadMe (2).md"}, {"readme.md", "readme (3).md"}}},
		{"composition on macOS", "darwin", true, []planned{{"e\u0301", File, "e\u0301"}, {"\u00e9", File, "\u00e9 (2)"}}, []renamed{{"\u00e9", "\u00e9 (2)"}}},
		{"composition on Linux", "linux", false, []planned{{"e\u0301", File, "e\u0301"}, {"\u00e9", File, "\u00e9"}}, nil},
		{"folding letters", "windows", true, []planned{{"k", File, "k"}, {"\u212a", File, "\u212a (2)"}, {"\u03c3", File, "\u03c3"}, {"\u03c2", File, "\u03c2 (2)"}},
			[]renamed{{"\u212a", "\u212a (2)"}, {"\u03c2", "\u03c2 (2)"}}},
		{"invisible characters", "darwin", true, []planned{{"a", File, "a"}, {"a\u200d", File, "a\u200d (2)"}}, []renamed{{"a\u200d", "a\u200d (2)"}}},
		{"clash after replacing", "windows", true, []planned{{"a:b", File, "a_b"}, {"a?b", File, "a_b (2)"}, {"a_b", File, "a_b (3)"}},
			[]renamed{{"a:b", "a_b"}, {"a?b", "a_b (2)"}, {"a_b", "a_b (3)"}}},
		{"number is taken", "linux", false, []planned{{"a\x01", File, "a_"}, {"a_ (2)", File, "a_ (2)"}, {"a\x02", File, "a_ (3)"}, {"a_ (3)", File, "a_ (3) (2)"}},
			[]renamed{{"a\x01", "a_"}, {"a\x02", "a_ (3)"}, {"a_ (3)", "a_ (3) (2)"}}},
		{"folders clash, what is in them follows", "darwin", true, []planned{{"Docs/a", File, "Docs/a"}, {"docs/a", File, "docs (2)/a"}, {"docs/b", File, "docs (2)/b"}},
			[]renamed{{"docs", "docs (2)"}}},
		{"file and folder clash", "windows", true, []planned{{"A", File, "A"}, {"a/x", File, "a (2)/x"}}, []renamed{{"a", "a (2)"}}},
		{"folder after what is in it", "linux", false, []planned{{"d/x", File, "d/x"}, {"d", Folder, "d"}}, nil},
		{"parent renamed, child too", "windows", true, []planned{{"con/nul", File, "_con/_nul"}}, []renamed{{"con", "_con"}, {"con/nul", "_con/_nul"}}},
		{"extension is kept", "linux", false, []planned{{"a\x01.tar", File, "a_.tar"}, {"a\x02.tar", File, "a_ (2).tar"}}, []renamed{{"a\x01.tar", "a_.tar"}, {"a\x02.tar", "a_ (2).tar"}}},
		{"hidden files have no extension", "darwin", true, []planned{{".profile", File, ".profile"}, {".Profile", File, ".Profile (2)"}}, []renamed{{".Profile", ".Profile (2)"}}},
		{"long names are cut for the number", "darwin", true, []planned{{long, File, long}, {strings.ToUpper(long), File, strings.ToUpper(long[:246]) + " (2)"}},
			[]renamed{{strings.ToUpper(long), strings.ToUpper(long[:246]) + " (2)"}}},
		{"hostile components", "linux", false, []planned{{"../a", File, "__/a"}, {"./a", File, "_/a"}}, []renamed{{"..", "__"}, {".", "_"}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := NewPlanner(c.goos, c.fold)
			for _, e := range c.entries {
				if have, err := p.Plan(e.path, e.kind); err != nil || have != e.want {
					t.Errorf("%q comes to %q, %v; want %q", e.path, have, err, e.want)
				}
			}
			if have := renamings(p); !reflect.DeepEqual(have, c.renamed) {
				t.Errorf("renamed %q, want %q", have, c.renamed)
			}
		})
	}
}

func TestPlannerRefuses(t *testing.T) {
	cases := []struct {
		name   string
		before []planned
		path   string
		kind   Kind
		want   error
	}{
		{"one path twice", []planned{{"a", File, ""}}, "a", File, ErrPlanned},
		{"one folder twice", []planned{{"a", Folder, ""}}, "a", Folder, ErrPlanned},
		{"folder where a file is", []planned{{"a", File, ""}}, "a", Folder, ErrPlanned},
		{"file where a folder is", []planned{{"a/b", File, ""}}, "a", File, ErrPlanned},
		{"below a file", []planned{{"a", File, ""}}, "a/b", File, ErrPlanned},
		{"empty path", nil, "", File, ErrPath},
		{"absolute path", nil, "/a", File, ErrPath},
		{"empty component", nil, "a//b", File, ErrPath},
		{"slash at the end", nil, "a/", Folder, ErrPath},
		{"deeper than allowed", nil, strings.Repeat("a/", MaxDepth) + "a", File, ErrPath},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := NewPlanner("linux", false)
			for _, e := range c.before {
				if _, err := p.Plan(e.path, e.kind); err != nil {
					t.Fatal(err)
				}
			}
			if local, err := p.Plan(c.path, c.kind); !errors.Is(err, c.want) {
				t.Fatalf("have %q, %v; want %v", local, err, c.want)
			}
		})
	}
}

func TestFoldsNames(t *testing.T) {
	for goos, want := range map[string]bool{"windows": true, "darwin": true, "ios": true, "linux": false, "freebsd": false} {
		if FoldsNames(goos) != want {
			t.Errorf("%s: %v", goos, !want)
		}
	}
}

// TestPlannerKeepsApart plans hostile bundles and checks that no two entries
// come to one place, that none lies below a file, and that planning again gives
// the same.
func TestPlannerKeepsApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		goos := rapid.SampledFrom(systems).Draw(t, "goos")
		fold := rapid.Bool().Draw(t, "fold")
		name := rapid.Custom(func(t *rapid.T) string {
			if n := strings.ReplaceAll(hostile().Draw(t, "n"), "/", ""); n != "" {
				return n
			}
			return "x"
		})
		paths := rapid.SliceOfN(rapid.Map(rapid.SliceOfN(name, 1, 3), func(s []string) string { return strings.Join(s, "/") }), 1, 12).Draw(t, "paths")
		first, second := NewPlanner(goos, fold), NewPlanner(goos, fold)
		kinds, files := map[string]string{}, map[string]bool{}
		for _, path := range paths {
			local, err := first.Plan(path, File)
			again, errAgain := second.Plan(path, File)
			if local != again || (err == nil) != (errAgain == nil) {
				t.Fatalf("%q comes to %q, then to %q", path, local, again)
			}
			if err != nil {
				continue // the drawn paths may clash themselves
			}
			checkLocal(t, local, goos)
			key := compared(local, fold)
			if other, taken := kinds[key]; taken {
				t.Fatalf("%q and %q both come to %q", other, path, local)
			}
			kinds[key], files[key] = path, true
		}
		for key := range files {
			for i := range len(key) {
				if key[i] == '/' && files[key[:i]] {
					t.Fatalf("%q lies below a file", key)
				}
			}
		}
	})
}

// compared is a plain notion of names that a file system takes for one.
func compared(local string, fold bool) string {
	if !fold {
		return local
	}
	return strings.ToLower(strings.ToUpper(norm.NFC.String(local)))
}

// TestPlannerIsLinear plans names that all come to one, of which each would cost
// as many tries as there are names if numbers were not remembered. Tries
// allocate, so that twice the names must not cost much more than twice the
// allocations.
func TestPlannerIsLinear(t *testing.T) {
	controls := func(i int) string {
		return string([]rune{rune(1 + i%30), rune(1 + i/30%30), rune(1 + i/900%30)})
	}
	stem := strings.Repeat("n", 240)
	cutAlike := func(i int) string {
		name := fmt.Sprintf("%s%015d", stem, i/2)
		if i%2 == 1 {
			name = strings.ToUpper(name)
		}
		return name
	}
	for what, name := range map[string]func(int) string{"names of control characters": controls, "long names cut alike": cutAlike} {
		t.Run(what, func(t *testing.T) {
			cost := func(n int) float64 {
				return testing.AllocsPerRun(1, func() {
					p := NewPlanner("windows", true)
					for i := range n {
						if _, err := p.Plan(name(i), Folder); err != nil {
							t.Fatal(err)
						}
					}
				})
			}
			const n = 1000
			if one, two := cost(n), cost(2*n); two > 2.5*one {
				t.Fatalf("%d names cost %.0f allocations, %d cost %.0f", n, one, 2*n, two)
			}
		})
	}
}

// live is how many bytes are held by what make returns and were not before.
func live(make func() any) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	held := make()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(held)
	return after.HeapAlloc - min(before.HeapAlloc, after.HeapAlloc)
}

// chains is n entries, each alone at the end of a chain of folders of its own,
// named by components of width bytes.
func chains(n, depth, width int) []Descriptor {
	rest := strings.Repeat("/"+strings.Repeat("a", width), depth-1)
	entries := make([]Descriptor, n)
	for i := range entries {
		entries[i] = folder(fmt.Sprintf("%0*d", max(width, 6), i) + rest)
	}
	return entries
}

// Threats row 28: what a listing makes a receiver hold grows with the listing's
// size and is bounded, whatever its paths are.
func TestHostileListing(t *testing.T) {
	const perPlace, perByte = 400, 8 // of memory, with room for the maps' growth
	cases := []struct {
		name    string
		goos    string
		entries []Descriptor
		ok      bool
	}{
		{"1 MiB of paths as long as allowed, one letter a folder", "linux", chains(256, 2045, 1), false},
		{"1 MiB of paths as deep and long as allowed", "linux", chains(256, MaxDepth, 31), true},
		{"more than 1 MiB of paths as deep as allowed, one letter a folder", "linux", chains(5000, MaxDepth, 1), false},
		{"as many folders as allowed, as deep as allowed", "linux", chains(MaxFolders/(MaxDepth-1), MaxDepth, 1), true},
		{"as many folders and entries as allowed", "windows", chains(MaxEntries, 2, 1), true},
		{"every folder renamed", "windows", renamedChains(256, MaxDepth), true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := Bundle{Entries: c.entries}
			raw := wire.Marshal(b)
			if _, err := DecodeBundle(raw); (err == nil) != c.ok || err != nil && !errors.Is(err, wire.ErrEncoding) {
				t.Fatalf("%d bytes: %v", len(raw), err)
			}
			p := NewPlanner(c.goos, true)
			held := live(func() any {
				for _, d := range c.entries { // those refused above, too: the planner has bounds of its own
					if _, err := p.Plan(d.Path, d.Kind); err != nil && (c.ok || !errors.Is(err, wire.ErrEncoding)) {
						t.Fatal(err)
					}
				}
				return [...]any{p, p.Renamed()}
			})
			t.Logf("%d bytes of listing: %d places, %d bytes held", len(raw), len(p.places), held)
			if most := uint64(perPlace*len(p.places) + perByte*len(raw)); len(p.places) > maxPlaces || held > most {
				t.Errorf("want at most %d places, %d bytes", maxPlaces, most)
			}
		})
	}
}

func renamedChains(n, depth int) []Descriptor {
	entries := chains(n, depth, 30)
	for i := range entries {
		entries[i].Path = strings.ReplaceAll(entries[i].Path, "/a", "/:a")
	}
	return entries
}
