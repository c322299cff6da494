package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// A mutant is a file in mutants/ that removes one check from one source file
// and names the test that must notice:
//
//	row: fault 5, no file fsync
//	file: node/store/disk/write.go
//	test: go ./faults -run TestPowerCut
//	--- find
//	(text that stands exactly once in the file)
//	--- replace
//	(what stands there instead)
//
// "test: web src/format/seal.test.ts" names a vitest file instead, with an
// optional -t filter, "test: browser …" one that runs in real browsers.
type mutant struct {
	name, row, file, test, find, replace string
}

// chosenMutants restricts the stage to some names; empty means all.
var chosenMutants []string

const mutantTimeout = 5 * time.Minute

// mutantsAtOnce: most of them wait for a compiler, a browser or a time-out.
const mutantsAtOnce = 2

const browserConfig = "vitest.browser.config.ts"

func readMutants() ([]mutant, error) {
	paths, err := filepath.Glob("mutants/*.txt")
	if err != nil {
		return nil, err
	}
	var all []mutant
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		m, err := parseMutant(strings.TrimSuffix(filepath.Base(path), ".txt"), string(raw))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if len(chosenMutants) == 0 || slices.Contains(chosenMutants, m.name) {
			all = append(all, m)
		}
	}
	return all, nil
}

func parseMutant(name, text string) (mutant, error) {
	head, rest, ok1 := strings.Cut(text, "--- find\n")
	find, replace, ok2 := strings.Cut(rest, "--- replace\n")
	if !ok1 || !ok2 {
		return mutant{}, errors.New("wants '--- find' and '--- replace'")
	}
	m := mutant{name: name, find: strings.TrimSuffix(find, "\n"), replace: strings.TrimSuffix(replace, "\n")}
	for line := range strings.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "row":
			m.row = value
		case "file":
			m.file = value
		case "test":
			m.test = value
		case "":
		default:
			return mutant{}, fmt.Errorf("unknown key %q", key)
		}
	}
	if m.row == "" || m.file == "" || m.test == "" || m.find == "" {
		return mutant{}, errors.New("wants row, file, test and a text to find")
	}
	return m, nil
}

// mutate returns the file's text with the check removed.
func (m mutant) mutate() (string, error) {
	raw, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(raw), m.find); n != 1 {
		return "", fmt.Errorf("its text stands %d times in %s; the mutant is stale", n, m.file)
	}
	return strings.Replace(string(raw), m.find, m.replace, 1), nil
}

// mutantTests runs each mutant's test and counts it as passed when the test
// turns red, and red because a test failed, not because nothing compiled.
func mutantTests(ctx context.Context, t *tally) error {
	all, err := readMutants()
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return errors.New("no such mutant")
	}
	if err := buildWeb(ctx); err != nil { // brings what the tests of the page need
		return err
	}
	if err := buildProgram(ctx); err != nil {
		return err
	}
	var mu sync.Mutex // guards t
	var wg sync.WaitGroup
	next := make(chan mutant)
	for range mutantsAtOnce {
		wg.Go(func() {
			for m := range next {
				err := m.killed(ctx)
				mu.Lock()
				if err != nil {
					t.fail("mutant %s (%s): %v", m.name, m.row, err)
				} else {
					t.pass(1)
				}
				mu.Unlock()
			}
		})
	}
	for _, m := range all {
		next <- m
	}
	close(next)
	wg.Wait()
	return nil
}

func (m mutant) killed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, mutantTimeout)
	defer cancel()
	text, err := m.mutate()
	if err != nil {
		return err
	}
	kind, args, _ := strings.Cut(m.test, " ")
	switch kind {
	case "go":
		return m.killedByGo(ctx, text, strings.Fields(args))
	case "web":
		return m.killedByWeb(ctx, text, "vite.config.ts", strings.Fields(args))
	case "browser":
		return m.killedByWeb(ctx, text, browserConfig, strings.Fields(args))
	}
	return fmt.Errorf("unknown kind of test %q", kind)
}

// killedByGo puts the mutated text over the file by the go command's own
// overlay; GOFLAGS carries it to tests that build the program themselves.
func (m mutant) killedByGo(ctx context.Context, text string, args []string) error {
	dir, err := filepath.Abs(filepath.Join(cacheDir, "mutants", m.name))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	mutated, overlay := filepath.Join(dir, "mutated.go"), filepath.Join(dir, "overlay.json")
	original, err := filepath.Abs(m.file)
	if err != nil {
		return err
	}
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{original: mutated}})
	if err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(mutated, []byte(text), 0o644), os.WriteFile(overlay, list, 0o644)); err != nil {
		return err
	}
	env := append(os.Environ(), "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+overlay))
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-count=1", "-vet=off", "-failfast"}, args...)...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	return verdict(string(out), err, "--- FAIL")
}

// killedByWeb copies web/ without its dependencies and builds, mutates one file
// there, and runs the test in the copy. For tests in browsers it builds the copy,
// which the program under test then serves instead of the app within it.
func (m mutant) killedByWeb(ctx context.Context, text, config string, args []string) error {
	dir, err := filepath.Abs(filepath.Join(cacheDir, "mutants", m.name))
	if err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir+"/format", 0o755)); err != nil {
		return err
	}
	script := `mkdir -p "$0/web"; tar -C web --exclude=./node_modules --exclude=./dist --exclude=./.vite -cf - . | tar -C "$0/web" -xf -; ln -s "$PWD/web/node_modules" "$0/web/node_modules"; ln -s "$PWD/format/testdata" "$0/format/testdata"; ln -s "$PWD/docs" "$0/docs"`
	if out, err := exec.CommandContext(ctx, "bash", "-c", script, dir).CombinedOutput(); err != nil {
		return fmt.Errorf("copy: %w: %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, m.file), []byte(text), 0o644); err != nil {
		return err
	}
	web := filepath.Join(dir, "web")
	if config == browserConfig {
		build := exec.CommandContext(ctx, "npm", "run", "build")
		build.Dir = web
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build: %w: %s", err, out)
		}
	}
	cmd := exec.CommandContext(ctx, "npx", append([]string{"--no-install", "vitest", "run", "--config", config}, args...)...)
	cmd.Dir = web
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	cmd.Env = append(os.Environ(), "HOLDFAST_PROGRAM="+program, "HOLDFAST_WEB="+filepath.Join(web, "dist"))
	out, err := cmd.CombinedOutput()
	return errors.Join(verdict(string(out), err, "FAIL"), os.RemoveAll(dir))
}

func verdict(out string, err error, red string) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return errors.New("its test stays green: the check is not tested")
	case !errors.As(err, &exit) || !strings.Contains(out, red) || strings.Contains(out, "[build failed]"):
		return fmt.Errorf("its test did not run: %w: %s", err, out)
	}
	return nil
}
