package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// slowPackages run in a stage of their own: they start the built program.
var slowPackages = []string{"holdfast/faults"}

func goTests(ctx context.Context, t *tally) error {
	out, err := exec.CommandContext(ctx, "go", "list", "./...").Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	var packages []string
	for _, p := range strings.Fields(string(out)) {
		if !slices.Contains(slowPackages, p) {
			packages = append(packages, p)
		}
	}
	return goTest(ctx, t, append([]string{"-timeout", "10m", "-vet=off"}, packages...)...)
}

func faultTests(ctx context.Context, t *tally) error {
	return goTest(ctx, t, append([]string{"-timeout", "15m", "-count=1", "-vet=off"}, slowPackages...)...)
}

// goEvent is a line of go test -json (go doc test2json).
type goEvent struct{ Action, Package, Test, Output string }

// goTest runs go test -json and counts each test and subtest; a package that
// fails outside a test (build, panic) counts as one failure.
func goTest(ctx context.Context, t *tally, args ...string) error {
	cmd := command(ctx, ".", "go", append([]string{"test", "-json"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	readErr := readGoEvents(out, t)
	waitErr := cmd.Wait()
	var exit *exec.ExitError
	if waitErr != nil && !errors.As(waitErr, &exit) {
		return waitErr
	}
	if waitErr != nil && t.failed == 0 {
		t.fail("go test ended with %v and named no failure", waitErr)
	}
	return readErr
}

func readGoEvents(r io.Reader, t *tally) error {
	output := map[string]*strings.Builder{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e goEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(os.Stderr, lines.Text())
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			if output[key] == nil {
				output[key] = &strings.Builder{}
			}
			output[key].WriteString(e.Output)
		case "pass":
			if e.Test != "" {
				t.pass(1)
			}
			delete(output, key)
		case "skip":
			if e.Test != "" {
				t.skip(key)
			}
		case "fail":
			if b := output[key]; b != nil {
				fmt.Fprint(os.Stderr, b.String())
			}
			t.fail("%s", key)
		}
	}
	return lines.Err()
}

// vitestReport is what vitest's JSON reporter writes, as far as we read it.
type vitestReport struct {
	NumPassedTests, NumFailedTests, NumPendingTests, NumTodoTests int
	Success                                                       bool
	TestResults                                                   []struct {
		Name, Status, Message string
		AssertionResults      []struct {
			FullName, Status string
			FailureMessages  []string
		}
	}
}

func vitest(ctx context.Context, t *tally, dir, config string) error {
	report, err := filepath.Abs(filepath.Join(cacheDir, config+".json"))
	if err != nil {
		return err
	}
	if err := os.Remove(report); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	runErr := step(ctx, dir, "npx", "--no-install", "vitest", "run", "--config", config, "--reporter=json", "--outputFile="+report)
	raw, err := os.ReadFile(report)
	if err != nil {
		return fmt.Errorf("vitest left no report: %w", errors.Join(runErr, err))
	}
	var r vitestReport
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("vitest's report: %w", err)
	}
	t.pass(r.NumPassedTests)
	for _, file := range r.TestResults {
		if file.Status == "failed" && len(file.AssertionResults) == 0 {
			t.fail("%s: %s", file.Name, file.Message)
		}
		for _, a := range file.AssertionResults {
			switch a.Status {
			case "passed":
			case "failed":
				fmt.Fprintln(os.Stderr, strings.Join(a.FailureMessages, "\n"))
				t.fail("%s: %s", config, a.FullName)
			default:
				t.skip(a.FullName)
			}
		}
	}
	if runErr != nil && r.Success {
		return runErr
	}
	return nil
}
