package licence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// module is what go list tells of one.
type module struct{ Path, Version, Dir string }

// modules lists the modules whose packages args need, for one target; the
// project's own is not among them.
func modules(ctx context.Context, dir, target string, args ...string) ([]module, error) {
	goos, goarch, _ := strings.Cut(target, "/")
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", "-deps", "-json=Module"}, args...)...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list for %s: %w", target, err)
	}
	var all []module
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p struct{ Module *module }
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if p.Module != nil && p.Module.Version != "" && !slices.Contains(all, *p.Module) {
			all = append(all, *p.Module)
		}
	}
}

// Go lists the language's own library and every module that the program needs
// on one of the targets ("linux/amd64"), or that tests and tools need on the
// first of them. Versions of tools (a module of its own) may differ.
func Go(ctx context.Context, root string, targets []string) ([]Dependency, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	std := Dependency{Kind: "Go", Name: "Go's standard library", Version: "of the toolchain", Part: Program}
	all, problem := []Dependency{std}, error(nil)
	problem = all[0].judge(strings.TrimSpace(string(out)), "")
	add := func(part Part, dir, target string, args ...string) error {
		needed, err := modules(ctx, dir, target, args...)
		if err != nil {
			return err
		}
		for _, m := range needed {
			known := func(d Dependency) bool { return d.Name == m.Path && d.Version == m.Version }
			if slices.ContainsFunc(all, known) {
				continue
			}
			d := Dependency{Kind: "Go", Name: m.Path, Version: m.Version, Part: part}
			problem = errors.Join(problem, d.judge(m.Dir, ""))
			all = append(all, d)
		}
		return nil
	}
	for _, target := range targets {
		if err := add(Program, root, target, "./cmd/holdfast"); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(
		add(Building, root, targets[0], "-test", "./..."),
		add(Building, filepath.Join(root, "tools"), targets[0], "tool"),
	); err != nil {
		return nil, err
	}
	return all, problem
}

// locked is a package of package-lock.json.
type locked struct {
	Version  string   `json:"version"`
	License  string   `json:"license"`
	Optional bool     `json:"optional"`
	OS       []string `json:"os"`
	CPU      []string `json:"cpu"`
}

// NPM lists every package of web's package-lock.json. inPage are the names of
// those that the built page holds; see Bundled.
func NPM(web string, inPage []string) ([]Dependency, error) {
	raw, err := os.ReadFile(filepath.Join(web, "package-lock.json"))
	if err != nil {
		return nil, err
	}
	var lock struct {
		Packages map[string]locked `json:"packages"`
	}
	if err := json.Unmarshal(raw, &lock); err != nil {
		return nil, fmt.Errorf("package-lock.json: %w", err)
	}
	var all []Dependency
	var problem error
	for place, l := range lock.Packages {
		if place == "" {
			continue // the project's own
		}
		name := place[strings.LastIndex(place, "node_modules/")+len("node_modules/"):]
		d := Dependency{Kind: "npm", Name: name, Version: l.Version, Part: Building}
		if slices.Contains(inPage, name) {
			d.Part = Page
		}
		problem = errors.Join(problem, d.judgeLocked(filepath.Join(web, filepath.FromSlash(place)), l))
		all = append(all, d)
	}
	for _, name := range inPage {
		if !slices.ContainsFunc(all, func(d Dependency) bool { return d.Name == name }) {
			problem = errors.Join(problem, fmt.Errorf("%s is in the page and not in package-lock.json", name))
		}
	}
	return all, problem
}

// judgeLocked judges a package by its text; one for another system, which is
// not installed here, by what the lock file says. So the result is the same on every system.
func (d *Dependency) judgeLocked(dir string, l locked) error {
	if l.Optional && len(l.OS)+len(l.CPU) > 0 && d.Part == Building {
		d.Licence, d.Note = l.License, "declared; for one kind of machine"
		return d.allowed()
	}
	if _, err := os.Stat(dir); l.Optional && errors.Is(err, fs.ErrNotExist) {
		d.Licence, d.Note = l.License, "declared; not installed everywhere"
		return d.allowed()
	}
	return d.judge(dir, l.License)
}

var inModules = regexp.MustCompile(`^.*node_modules/((?:@[^/]+/)?[^/]+)/`)

// glue are the packages that put pieces of their own into every page that they
// build; source maps do not tell of those.
var glue = []string{"rolldown", "vite"}

// Bundled reads the source maps under dir, a page built with them, and names
// the packages that the page holds pieces of.
func Bundled(dir string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".map" {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var m struct {
			Sources []string `json:"sources"`
		}
		if err := json.Unmarshal(raw, &m); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, source := range m.Sources {
			if found := inModules.FindStringSubmatch(source); found != nil && !slices.Contains(names, found[1]) {
				names = append(names, found[1])
			}
		}
		return nil
	})
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("no source map under %s names a package", dir)
	}
	names = append(names, glue...)
	slices.Sort(names)
	return names, err
}
