//go:build linux

package bench

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

const (
	caseReplay       = "verify and replay a journal of 1,000,000 operations in entries of 64"
	replayOperations = 1_000_000
)

var replayLine = regexp.MustCompile(`BenchmarkReplay\s+1\s+(\d+) ns/op`)

// journalReplay runs the journal's own benchmark on one processor, a process each time.
func journalReplay(ctx context.Context, b *Bench, r *record) error {
	test := b.path("journal.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", test, "./format/journal")
	build.Dir = filepath.Dir(b.Web)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the benchmark: %w: %s", err, tail(string(out)))
	}
	for round := range Rounds + 1 {
		s, out, err := b.timed(ctx, job{name: test, args: []string{"-test.run", "^$", "-test.bench", "^BenchmarkReplay$", "-test.cpu", "1", "-test.benchtime", "1x"}})
		if err != nil {
			return err
		}
		found := replayLine.FindSubmatch(out)
		if found == nil {
			return fmt.Errorf("the benchmark says %s", tail(string(out)))
		}
		took, err := strconv.ParseInt(string(found[1]), 10, 64)
		if err != nil {
			return err
		}
		// The process also makes the journal, which does not count.
		s.Case, s.Subject, s.Round, s.Ops, s.Seconds, s.CPU = caseReplay, holdfast, round, replayOperations, float64(took)/1e9, 0
		r.add(s)
	}
	return nil
}

// least is a value whose median has to reach a target.
func least(r *record, row, what, in, subject string, value func(sample) float64, target float64, unit string) figure {
	v, ok := r.of(in, subject, value)
	if !ok {
		return figure{}
	}
	return figure{row: row, what: what, ours: show(v, unit), value: fmt.Sprintf("%s %s", number(v.median), unit), target: fmt.Sprintf("≥ %g %s", target, unit), met: v.median >= target}
}

func operations(s sample) float64 { return float64(s.Ops) / s.Seconds }
