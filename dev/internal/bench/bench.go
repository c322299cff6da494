//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Bench is where and with what is measured.
type Bench struct {
	// Program is the built holdfast, Web the folder of the browser's measurements,
	// Peers where programs of others are kept, Results where raw lines go.
	Program, Web, Peers, Results string
	// Page is the file that the figures are written to.
	Page string
	// Commit of the program that is measured.
	Commit string
	// Log tells people what happens.
	Log io.Writer

	dir string
}

// Rounds that count of each measurement; one more warms up.
const Rounds = 5

// group is a measurement that yields the figures of some rows.
type group struct {
	name string
	rows []string
	run  func(context.Context, *Bench, *record) error
}

var groups = []group{
	{"limits", []string{"limits"}, limits},
	{"transfer", []string{"A1", "A2", "A3", "A4"}, largeFile},
	{"memory", []string{"A5"}, memory},
	{"sealing", []string{"A6"}, sealing},
	{"folder", []string{"A7"}, folder},
	{"range", []string{"A8"}, ranges},
	{"failover", []string{"A9"}, failover},
	{"listing", []string{"B1"}, listing},
	{"journal", []string{"B4"}, journalReplay},
	{"browser", []string{"C1", "C2"}, inBrowser("speed")},
	{"browser-memory", []string{"C3"}, inBrowser("large")},
	{"browser-sealing", []string{"C6"}, inBrowser("sealing")},
	{"blobs", []string{"D1"}, storage},
}

// Run measures these rows, or all, and writes the page. "page" writes it only.
func (b *Bench) Run(ctx context.Context, rows []string) error {
	for _, row := range rows {
		if row != "page" && !slices.ContainsFunc(groups, func(g group) bool { return g.has(row) }) {
			return fmt.Errorf("no row %q; there are %s, and page to write the page alone", row, strings.Join(known(), ", "))
		}
	}
	var failed error
	for _, g := range groups {
		if len(rows) > 0 && !slices.ContainsFunc(rows, g.has) {
			continue
		}
		if err := b.measure(ctx, g); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			failed = errors.Join(failed, fmt.Errorf("%s: %w", g.name, err))
		}
	}
	return errors.Join(failed, b.write())
}

func (g group) has(row string) bool { return slices.Contains(g.rows, row) }

func known() (rows []string) {
	for _, g := range groups {
		rows = append(rows, g.rows...)
	}
	return rows
}

// measure runs a group in an empty folder of its own, and keeps its lines only
// if all of it was measured.
func (b *Bench) measure(ctx context.Context, g group) (err error) {
	fmt.Fprintf(b.Log, "== %s (%s)\n", g.name, strings.Join(g.rows, ", "))
	if b.dir, err = os.MkdirTemp("", "holdfast-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	r := &record{log: b.Log, meta: b.meta(g)}
	if err := g.run(ctx, b, r); err != nil {
		return err
	}
	return r.save(filepath.Join(b.Results, g.name+".jsonl"))
}

// path of something in the folder of this measurement.
func (b *Bench) path(names ...string) string {
	return filepath.Join(append([]string{b.dir}, names...)...)
}
