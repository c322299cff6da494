package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"holdfast/dev/internal/licence"
)

// thirdParty is the list of what others made.
const thirdParty = "docs/third-party.md"

// targets are the systems that releases are built for; the first is the one
// that tests and tools are listed for.
var targets = []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64", "windows/arm64"}

// dependencies lists what others made and a tree needs, in which npm has
// installed everything. For what ends up in the page, it is built once more,
// with source maps, into a folder of its own.
func dependencies(ctx context.Context, root string) ([]licence.Dependency, error) {
	built, web := filepath.Join(cacheDir, "notices"), filepath.Join(root, "web")
	if err := os.RemoveAll(filepath.Join(root, built)); err != nil {
		return nil, err
	}
	for _, config := range []string{"vite.config.ts", "vite.sw.config.ts"} {
		if err := step(ctx, web, "npx", "--no-install", "vite", "build", "--config", config, "--sourcemap", "hidden",
			"--outDir", filepath.Join("..", built), "--logLevel", "error"); err != nil {
			return nil, err
		}
	}
	inPage, err := licence.Bundled(filepath.Join(root, built))
	if err != nil {
		return nil, err
	}
	fromGo, errGo := licence.Go(ctx, root, targets)
	fromNPM, errNPM := licence.NPM(web, inPage)
	return append(fromGo, fromNPM...), errors.Join(errGo, errNPM)
}

// licences writes the list.
func licences(ctx context.Context) error {
	if err := installWeb(ctx); err != nil {
		return err
	}
	all, err := dependencies(ctx, ".")
	if err != nil {
		return err
	}
	return os.WriteFile(thirdParty, licence.Table(all), 0o644)
}

// licencesFresh tells whether the committed list is what licences would write.
func licencesFresh(ctx context.Context) error {
	if err := installWeb(ctx); err != nil {
		return err
	}
	all, err := dependencies(ctx, ".")
	if err != nil {
		return err
	}
	have, err := os.ReadFile(thirdParty)
	if err != nil {
		return err
	}
	if !bytes.Equal(have, licence.Table(all)) {
		return fmt.Errorf("%s is stale; run: go run ./dev licences", thirdParty)
	}
	return nil
}
