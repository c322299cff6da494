package main

import (
	"context"
	"errors"
	"os/exec"
	"strings"
)

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
