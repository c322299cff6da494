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

	caseWarm = "list a folder of 100,000 entries, by a client that was just opened, with its cache"
	caseCold = "list a folder of 100,000 entries, by a client that was just opened, without a cache"
	caseAdd  = "add one entry to that folder"
)

// journalReplay runs the journal's own benchmark on one processor.
func journalReplay(ctx context.Context, b *Bench, r *record) error {
	return b.benchmark(ctx, r, "format/journal", "^BenchmarkReplay$", 1, map[string]sample{
		"BenchmarkReplay": {Case: caseReplay, Ops: replayOperations},
	})
}

// listing runs the drive's benchmark: client and service in one process, over HTTP.
func listing(ctx context.Context, b *Bench, r *record) error {
	return b.benchmark(ctx, r, "cluster", "^BenchmarkListing$", 0, map[string]sample{
		"BenchmarkListing/warm": {Case: caseWarm}, "BenchmarkListing/cold": {Case: caseCold}, "BenchmarkListing/add": {Case: caseAdd},
	})
}

var benchmarkLine = regexp.MustCompile(`(?m)^(Benchmark[\w/]+?)(?:-\d+)?\s+\d+\s+(\d+) ns/op(?:\s+(\d+) B-sent/op)?`)

// benchmark runs a benchmark of the project's packages, a process each time. Names say
// which of its lines are wanted, and as what they count: the process also prepares what is
// measured, so that its own time does not.
func (b *Bench) benchmark(ctx context.Context, r *record, pkg, name string, processors int, wanted map[string]sample) error {
	test := b.path("benchmark.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", test, "./"+pkg)
	build.Dir = filepath.Dir(b.Web)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the benchmark: %w: %s", err, tail(string(out)))
	}
	args := []string{"-test.run", "^$", "-test.bench", name, "-test.benchtime", "1x"}
	if processors > 0 {
		args = append(args, "-test.cpu", strconv.Itoa(processors))
	}
	for round := range Rounds + 1 {
		ran, out, err := b.timed(ctx, job{name: test, args: args})
		if err != nil {
			return err
		}
		found := benchmarkLine.FindAllSubmatch(out, -1)
		if len(found) != len(wanted) {
			return fmt.Errorf("the benchmark says %s", tail(string(out)))
		}
		for _, line := range found {
			s, ok := wanted[string(line[1])]
			if !ok {
				return fmt.Errorf("the benchmark has %s", line[1])
			}
			took, err := strconv.ParseInt(string(line[2]), 10, 64)
			if err != nil {
				return err
			}
			s.Subject, s.Round, s.Seconds, s.Command = holdfast, round, float64(took)/1e9, ran.Command
			if len(line[3]) > 0 {
				if s.Sent, err = strconv.ParseInt(string(line[3]), 10, 64); err != nil {
					return err
				}
			}
			r.add(s)
		}
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

// most is a value whose median may not exceed a bound; a bound of 0 is none.
func most(r *record, row, what, in string, value func(sample) float64, bound float64, unit string) figure {
	v, ok := r.of(in, holdfast, value)
	if !ok {
		return figure{}
	}
	f := figure{row: row, what: what, ours: show(v, unit), value: number(v.median) + " " + unit, met: bound == 0 || v.median <= bound}
	if bound > 0 {
		f.target = fmt.Sprintf("≤ %g %s", bound, unit)
	}
	return f
}

func operations(s sample) float64 { return float64(s.Ops) / s.Seconds }
func sent(s sample) float64       { return float64(s.Sent) }

// drives are the rows of accounts and drives.
func drives(all map[string]*record) []figure {
	l := all["listing"]
	return []figure{
		most(l, "B1", caseCold, caseCold, seconds, 2, "s"),
		most(l, "B1", caseWarm, caseWarm, seconds, 0.2, "s"),
		most(l, "B1", caseAdd+" (no target)", caseAdd, seconds, 0, "s"),
		most(l, "B1", caseAdd+": bodies of requests, without checkpoints", caseAdd, sent, 4096, "bytes"),
		least(all["journal"], "B4", caseReplay+", one processor", caseReplay, holdfast, operations, 300_000, "operations a second"),
	}
}
