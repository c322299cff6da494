package descriptor

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

type planned struct {
	path string
	kind Kind
	want string
}

func TestPlanner(t *testing.T) {
	long := strings.Repeat("n", 255)
	cases := []struct {
		name    string
		goos    string
		fold    bool
		entries []planned
		renamed []Renaming
	}{
		{"nothing to do", "linux", false, []planned{{"a", File, "a"}, {"b", Folder, "b"}, {"b/c", File, "b/c"}, {"d/e/f", File, "d/e/f"}}, nil},
		{"case on Linux", "linux", false, []planned{{"README", File, "README"}, {"readme", File, "readme"}}, nil},
		{"case on macOS", "darwin", true, []planned{{"README.md", File, "README.md"}, {"ReadMe.md", File, "ReadMe (2).md"}, {"readme.md", File, "readme (3).md"}},
			[]Renaming{{"ReadMe.md", "ReadMe (2).md"}, {"readme.md", "readme (3).md"}}},
		{"composition on macOS", "darwin", true, []planned{{"e\u0301", File, "e\u0301"}, {"\u00e9", File, "\u00e9 (2)"}}, []Renaming{{"\u00e9", "\u00e9 (2)"}}},
		{"composition on Linux", "linux", false, []planned{{"e\u0301", File, "e\u0301"}, {"\u00e9", File, "\u00e9"}}, nil},
		{"folding letters", "windows", true, []planned{{"k", File, "k"}, {"\u212a", File, "\u212a (2)"}, {"\u03c3", File, "\u03c3"}, {"\u03c2", File, "\u03c2 (2)"}},
			[]Renaming{{"\u212a", "\u212a (2)"}, {"\u03c2", "\u03c2 (2)"}}},
		{"invisible characters", "darwin", true, []planned{{"a", File, "a"}, {"a\u200d", File, "a\u200d (2)"}}, []Renaming{{"a\u200d", "a\u200d (2)"}}},
		{"clash after replacing", "windows", true, []planned{{"a:b", File, "a_b"}, {"a?b", File, "a_b (2)"}, {"a_b", File, "a_b (3)"}},
			[]Renaming{{"a:b", "a_b"}, {"a?b", "a_b (2)"}, {"a_b", "a_b (3)"}}},
		{"number is taken", "linux", false, []planned{{"a\x01", File, "a_"}, {"a_ (2)", File, "a_ (2)"}, {"a\x02", File, "a_ (3)"}, {"a_ (3)", File, "a_ (3) (2)"}},
			[]Renaming{{"a\x01", "a_"}, {"a\x02", "a_ (3)"}, {"a_ (3)", "a_ (3) (2)"}}},
		{"folders clash, what is in them follows", "darwin", true, []planned{{"Docs/a", File, "Docs/a"}, {"docs/a", File, "docs (2)/a"}, {"docs/b", File, "docs (2)/b"}},
			[]Renaming{{"docs", "docs (2)"}}},
		{"file and folder clash", "windows", true, []planned{{"A", File, "A"}, {"a/x", File, "a (2)/x"}}, []Renaming{{"a", "a (2)"}}},
		{"folder after what is in it", "linux", false, []planned{{"d/x", File, "d/x"}, {"d", Folder, "d"}}, nil},
		{"parent renamed, child too", "windows", true, []planned{{"con/nul", File, "_con/_nul"}}, []Renaming{{"con", "_con"}, {"con/nul", "_con/_nul"}}},
		{"extension is kept", "linux", false, []planned{{"a\x01.tar", File, "a_.tar"}, {"a\x02.tar", File, "a_ (2).tar"}}, []Renaming{{"a\x01.tar", "a_.tar"}, {"a\x02.tar", "a_ (2).tar"}}},
		{"hidden files have no extension", "darwin", true, []planned{{".profile", File, ".profile"}, {".Profile", File, ".Profile (2)"}}, []Renaming{{".Profile", ".Profile (2)"}}},
		{"long names are cut for the number", "darwin", true, []planned{{long, File, long}, {strings.ToUpper(long), File, strings.ToUpper(long[:246]) + " (2)"}},
			[]Renaming{{strings.ToUpper(long), strings.ToUpper(long[:246]) + " (2)"}}},
		{"hostile components", "linux", false, []planned{{"../a", File, "__/a"}, {"./a", File, "_/a"}}, []Renaming{{"..", "__"}, {".", "_"}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := NewPlanner(c.goos, c.fold)
			for _, e := range c.entries {
				if have, err := p.Plan(e.path, e.kind); err != nil || have != e.want {
					t.Errorf("%q comes to %q, %v; want %q", e.path, have, err, e.want)
				}
			}
			if !reflect.DeepEqual(p.Renamed(), c.renamed) {
				t.Errorf("renamed %q, want %q", p.Renamed(), c.renamed)
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
