package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// tally counts tests; failures are named again at the end.
type tally struct {
	passed, failed, skipped int
	names                   []string
}

func (t *tally) pass(n int) { t.passed += n }

func (t *tally) fail(format string, args ...any) {
	t.failed++
	t.names = append(t.names, fmt.Sprintf(format, args...))
}

func (t *tally) skip(name string) {
	t.skipped++
	t.names = append(t.names, "skipped: "+name)
}

// stage is one part of the test run. Stages are in the order in which a fault
// is cheapest to find.
type stage struct {
	name string
	run  func(context.Context, *tally) error
}

func stages() []stage {
	return []stage{
		{"format", checkFormatted},
		{"web-build", func(ctx context.Context, t *tally) error { return counted(t, "web build", buildWeb(ctx)) }},
		{"vet", checkVet},
		{"generated", checkGenerated},
		{"go", goTests},
		{"web", webTests},
		{"python", pythonTests},
		{"browsers", browserTests},
		{"faults", faultTests},
		{"mutants", mutantTests},
	}
}

// test runs the named stages, or all; for "mutants" further words choose mutants.
func test(ctx context.Context, args []string) error {
	if err := installPackages(ctx); err != nil {
		return err
	}
	all := stages()
	if len(args) > 0 && args[0] == "mutants" {
		chosenMutants = args[1:]
		args = args[:1]
	}
	for _, name := range args {
		if !slices.ContainsFunc(all, func(s stage) bool { return s.name == name }) {
			return fmt.Errorf("no stage %q", name)
		}
	}
	total := &tally{}
	for _, s := range all {
		if len(args) > 0 && !slices.Contains(args, s.name) {
			continue
		}
		before, start := *total, time.Now()
		if err := s.run(ctx, total); err != nil {
			total.fail("stage %s: %v", s.name, err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		fmt.Printf("%-10s %5d passed %3d failed %3d skipped  %6.1f s\n", s.name, total.passed-before.passed,
			total.failed-before.failed, total.skipped-before.skipped, time.Since(start).Seconds())
	}
	return total.report()
}

func (t *tally) report() error {
	for _, name := range t.names {
		fmt.Println("  ✗", name)
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
	if t.failed > 0 || t.skipped > 0 || t.passed == 0 {
		return errors.New("the tests do not hold")
	}
	return nil
}

// counted turns a step without tests of its own into one.
func counted(t *tally, name string, err error) error {
	if err != nil {
		t.fail("%s: %v", name, err)
		return nil
	}
	t.pass(1)
	return nil
}

func checkFormatted(ctx context.Context, t *tally) error {
	out, err := exec.CommandContext(ctx, "gofmt", "-l", "api", "certs", "client", "cluster", "cmd", "dev", "faults", "format", "node", "server", "threats", "web/embed.go").CombinedOutput()
	if err == nil && len(out) > 0 {
		err = fmt.Errorf("gofmt -w these: %s", strings.Fields(string(out)))
	} else if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return counted(t, "gofmt", err)
}

func checkVet(ctx context.Context, t *tally) error {
	if err := counted(t, "go vet", step(ctx, ".", "go", "vet", "./...")); err != nil {
		return err
	}
	if err := step(ctx, "tools", "go", "build", "-o", "../"+cacheDir+"/staticcheck", "honnef.co/go/tools/cmd/staticcheck"); err != nil {
		return err
	}
	if err := counted(t, "staticcheck", step(ctx, ".", cacheDir+"/staticcheck", "./...")); err != nil {
		return err
	}
	for _, system := range []string{"windows", "darwin"} {
		if err := counted(t, "go vet for "+system, vetFor(ctx, system)); err != nil {
			return err
		}
	}
	return nil
}

// vetFor compiles, tests included, what contributors on another system have.
func vetFor(ctx context.Context, system string) error {
	cmd := command(ctx, ".", "go", "vet", "./...")
	cmd.Env = append(os.Environ(), "GOOS="+system)
	if out, err := cmd.Output(); err != nil {
		return fmt.Errorf("GOOS=%s go vet ./...: %w\n%s", system, err, out)
	}
	return nil
}

// checkGenerated makes generated files anew in a clean tree and compares.
func checkGenerated(ctx context.Context, t *tally) error {
	if err := counted(t, "licences of dependencies", licencesFresh(ctx)); err != nil {
		return err
	}
	return counted(t, "generated files are fresh", step(ctx, ".", "go", "test", "-count=1", "./api/...", "./cmd/holdfast", "-run", "Fresh"))
}

func generate(ctx context.Context) error {
	return step(ctx, ".", "go", "test", "-count=1", "./api/...", "./cmd/holdfast", "-run", "Fresh", "-update")
}

func webTests(ctx context.Context, t *tally) error {
	if err := buildWeb(ctx); err != nil {
		return err
	}
	for _, script := range []string{"lint", "check"} {
		if err := counted(t, "npm run "+script, step(ctx, "web", "npm", "run", "--silent", script)); err != nil {
			return err
		}
	}
	return vitest(ctx, t, "web", "vite.config.ts")
}

func pythonTests(ctx context.Context, t *tally) error {
	cmd := command(ctx, ".", "/usr/bin/python3", "-B", "format/testdata/decoder/test_vectors.py")
	out, err := cmd.Output()
	return plainResult(t, "python decoder", string(out), err)
}

// plainResult reads the line "N passed, N failed" that our own runners end with.
func plainResult(t *tally, name, out string, err error) error {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var passed, failed int
	if _, scan := fmt.Sscanf(lines[len(lines)-1], "%d passed, %d failed", &passed, &failed); scan != nil {
		return fmt.Errorf("%s printed no result (%w): %s", name, errors.Join(err, scan), out)
	}
	t.pass(passed)
	if failed > 0 || err != nil || passed == 0 {
		fmt.Fprintln(os.Stderr, out)
		t.fail("%s: %d failed: %v", name, failed, err)
	}
	return nil
}

func browserTests(ctx context.Context, t *tally) error {
	if err := buildWeb(ctx); err != nil {
		return err
	}
	if err := buildProgram(ctx); err != nil {
		return err
	}
	return vitest(ctx, t, "web", "vitest.browser.config.ts")
}
