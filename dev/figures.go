package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

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

// pictures takes the README's pictures of the running product.
func pictures(ctx context.Context) error {
	if err := errors.Join(buildWeb(ctx), buildProgram(ctx)); err != nil {
		return err
	}
	return step(ctx, "web", "npx", "--no-install", "vitest", "run", "--config", "vitest.measure.config.ts", "browser/pictures.measure.ts")
}

// commit that the tree stands at, with a mark if it was changed since.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
