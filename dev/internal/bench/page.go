//go:build linux

package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// write makes the page from the raw results, and from nothing else.
func (b *Bench) write() error {
	all := map[string]*record{}
	for _, g := range groups {
		r, err := reload(filepath.Join(b.Results, g.name+".jsonl"))
		if err != nil {
			return err
		}
		all[g.name] = r
	}
	var page bytes.Buffer
	page.WriteString("# Figures\n\nWritten by `go run ./dev bench` from the raw lines in docs/results; never edited by hand. Bytes are pseudo-random, what comes back is compared.\n" +
		"A ratio is the baseline's median time over ours, of runs that took turns, after one that did not count. In brackets: least and greatest. " +
		"What limits each row, and what was tried, stands in [bottlenecks.md](bottlenecks.md).\n\n")
	page.WriteString("| row | what | Holdfast | baseline | figure | target | |\n| --- | --- | --- | --- | --- | --- | --- |\n")
	list := figures(all)
	for _, f := range list {
		mark := "met"
		if !f.met {
			mark = "**missed**"
		}
		if f.target == "" {
			mark = ""
		}
		fmt.Fprintf(&page, "| %s | %s | %s | %s | %s | %s | %s |\n", f.row, f.what, f.ours, f.baseline, f.value, f.target, mark)
		fmt.Fprintf(b.Log, "%-3s %-70s %-26s %-12s %s\n", f.row, f.what, f.value, f.target, mark)
	}
	if r := all["limits"]; r != nil {
		page.WriteString("\n## What the machine gives\n\nMeasured bare of any program: what the rows are held against.\n\n| what | time | a second |\n| --- | --- | --- |\n")
		for _, what := range []string{caseDisk, caseFlush, caseNewFile, caseLoopback} {
			page.WriteString(limitLine(r, what))
		}
	}
	page.WriteString("\n## How it was measured\n")
	for _, g := range groups {
		if r := all[g.name]; r != nil {
			g.describe(&page, r)
		}
	}
	return os.WriteFile(b.Page, page.Bytes(), 0o644)
}

// describe tells a group's machine and every command line.
func (g group) describe(page *bytes.Buffer, r *record) {
	fmt.Fprintf(page, "\n### %s: `go run ./dev bench %s`\n\n", strings.Join(g.rows, ", "), strings.Join(g.rows, " "))
	fmt.Fprintf(page, "%s on %s, %d cores, %s, %s; program at commit %s; load of the machine at the beginning %.2f. Raw lines: results/%s.jsonl.\n",
		r.meta.Date.Format("2 January 2006"), r.meta.Machine, r.meta.Cores, r.meta.System, r.meta.Go, r.meta.Commit, r.meta.Load, g.name)
	var lines []string
	for _, s := range r.samples {
		switch {
		case s.Problem != "":
			lines = append(lines, fmt.Sprintf("- %s, %s: %s\n", s.Case, s.Subject, s.Problem))
		case s.Command != "" && s.Round == 1:
			lines = append(lines, fmt.Sprintf("- %s, %s: `%s`\n", s.Case, s.Subject, s.Command))
		}
	}
	if len(lines) > 0 {
		page.WriteString("\n" + strings.Join(slices.Compact(lines), ""))
	}
}

// limitLine is a limit as a line of the table, in MB or operations a second.
func limitLine(r *record, what string) string {
	s, ok := r.of(what, subjectMachine, seconds)
	if !ok {
		return ""
	}
	rate, _ := r.of(what, subjectMachine, func(s sample) float64 { return float64(s.Bytes) / 1e6 / s.Seconds })
	unit := "MB"
	if what == caseFlush || what == caseNewFile {
		rate, _ = r.of(what, subjectMachine, func(s sample) float64 { return float64(s.Ops) / s.Seconds })
		unit = "times"
	}
	return fmt.Sprintf("| %s | %s | %s |\n", what, show(s, "s"), show(rate, unit))
}
