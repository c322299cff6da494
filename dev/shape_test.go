package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Sizes in lines. Tests may be longer where their cap says so: tables are.
const (
	maxGoFile, maxGoFunc       = 600, 80
	maxTypeScript, maxTestCode = 400, 500
	maxSvelte                  = 200
)

// exceptions are larger than they may be: what, since when, why, and no larger
// than lines. One that is not needed any more fails the test.
var exceptions = map[string]struct {
	lines      int
	since, why string
}{
	"format/wire/vectors_test.go badCBOR":    {110, "2026-11-24", "one table of vectors"},
	"node/peers_test.go TestSecondNodeFails": {88, "2026-11-24", "one story of two nodes; to be cut"},
	"web/src/api/types.gen.ts":               {2000, "2026-11-24", "generated"},
}

// within tells whether something is no larger than it may be, and remembers
// which exceptions were needed.
func within(t *testing.T, used map[string]bool, what string, lines, most int) {
	t.Helper()
	if lines <= most {
		return
	}
	if e, ok := exceptions[what]; ok && lines <= e.lines {
		used[what] = true
		return
	}
	t.Errorf("%s has %d lines, %d is the most: cut it where its parts have names of their own", what, lines, most)
}

func text(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile("../" + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestSizes(t *testing.T) {
	used := map[string]bool{}
	for _, name := range trackedFiles(t) {
		most := 0
		switch {
		case strings.HasSuffix(name, ".go"):
			most = maxGoFile
			functionSizes(t, used, name)
		case strings.HasSuffix(name, ".test.ts"), strings.HasSuffix(name, ".kit.ts"):
			most = maxTestCode
		case strings.HasSuffix(name, ".ts"):
			most = maxTypeScript
		case strings.HasSuffix(name, ".svelte"):
			most = maxSvelte
		default:
			continue
		}
		within(t, used, name, strings.Count(text(t, name), "\n"), most)
	}
	for what := range exceptions {
		if !used[what] {
			t.Errorf("the exception of %s is not needed any more", what)
		}
	}
}

func functionSizes(t *testing.T, used map[string]bool, name string) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "../"+name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			within(t, used, name+" "+f.Name.Name, set.Position(f.End()).Line-set.Position(f.Pos()).Line+1, maxGoFunc)
		}
	}
}

// TestNames: a package is named for what it is, not for being of use.
func TestNames(t *testing.T) {
	vague := []string{"util", "utils", "common", "helper", "helpers", "manager", "types", "pkg", "misc", "shared", "lib", "core", "base"}
	for _, name := range trackedFiles(t) {
		if slices.ContainsFunc(strings.Split(path.Dir(name), "/"), func(folder string) bool { return slices.Contains(vague, strings.ToLower(folder)) }) {
			t.Errorf("%s stands in a folder whose name says nothing", name)
		}
	}
}

// foreign are words of the place where somebody happened to work: folders of a
// machine, and hosts that packages came from. They are cut here, so that this
// file does not hold them.
var foreign = []string{"/wo" + "rk/", "/ro" + "ot/", "/tmp/ba" + "sh_", "proxy.golang" + ".org", "sum.golang" + ".org", "registry.npm" + "js.org", "deb.debian" + ".org"}

func TestNothingOfOneMachine(t *testing.T) {
	for _, name := range trackedFiles(t) {
		content := text(t, name)
		for _, word := range foreign {
			if strings.Contains(content, word) {
				t.Errorf("%s holds %q", name, word)
			}
		}
	}
}

// untyped is how TypeScript is written around its types. The word "any" in prose has no colon, "as" or bracket before it.
var untyped = regexp.MustCompile(`(:|\bas|<|\||=>)\s*any\s*([=;,)\]}>|&{[]|$)|\bany\[\]|@ts-(ignore|nocheck|expect-error)|noExplicitAny`)

func TestTypeScriptIsTyped(t *testing.T) {
	for _, name := range trackedFiles(t) {
		if !strings.HasSuffix(name, ".ts") && !strings.HasSuffix(name, ".svelte") {
			continue
		}
		for i, line := range strings.Split(text(t, name), "\n") {
			if untyped.MatchString(line) {
				t.Errorf("%s:%d: %s", name, i+1, strings.TrimSpace(line))
			}
		}
	}
	for line, want := range map[string]bool{"let x: any;": true, "let x: any = 1;": true, "x:any": true, "f(x as any)": true, "Array<any>": true, "x: any[] = []": true, "// @ts-ignore": true, "() => any": true,
		"AbortSignal.any([a, b])": false, "// any of them: any order": false, "it('bears any length')": false} {
		if untyped.MatchString(line) != want {
			t.Errorf("%q is wrongly judged", line)
		}
	}
	var lint struct {
		Linter struct {
			Rules struct {
				Suspicious map[string]string `json:"suspicious"`
			} `json:"rules"`
		} `json:"linter"`
	}
	if err := json.Unmarshal([]byte(text(t, "web/biome.json")), &lint); err != nil {
		t.Fatal(err)
	}
	if lint.Linter.Rules.Suspicious["noExplicitAny"] != "error" || strings.Count(text(t, "web/biome.json"), "noExplicitAny") != 1 {
		t.Error("web/biome.json allows any")
	}
	if !strings.Contains(text(t, "web/tsconfig.base.json"), `"strict": true`) {
		t.Error("web/tsconfig.base.json is not strict")
	}
}
