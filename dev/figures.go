//go:build linux

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"holdfast/dev/internal/bench"
)

// figures measures rows against peers, and writes docs/performance.md.
func figures(ctx context.Context, rows []string) error {
	if err := errors.Join(buildWeb(ctx), buildProgram(ctx), os.MkdirAll("docs/results", 0o755)); err != nil {
		return err
	}
	path, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	peers, err := filepath.Abs(filepath.Join(cacheDir, "peers"))
	if err != nil {
		return err
	}
	b := &bench.Bench{Program: path, Web: "web", Peers: peers, Results: "docs/results", Page: "docs/performance.md", Commit: commit(), Log: os.Stderr}
	return b.Run(ctx, rows)
}
