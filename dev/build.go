package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// cacheDir holds what can be made again: programs, stamps, mutated sources.
const cacheDir = ".cache"

// program is where the built holdfast stands.
var program = filepath.Join(cacheDir, "holdfast")

// enterRoot changes to the folder of go.mod, so that dev works from anywhere in the tree.
func enterRoot() error {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("go env GOMOD: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if mod == "" || mod == os.DevNull {
		return errors.New("run this inside a clone of Holdfast")
	}
	return os.Chdir(filepath.Dir(mod))
}

// command is a child that sees our standard error, dies with ctx, and gets a
// polite signal first.
func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

func step(ctx context.Context, dir, name string, args ...string) error {
	cmd := command(ctx, dir, name, args...)
	cmd.Stdout = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return nil
}

// buildProgram builds holdfast; Go's own cache decides what is new.
func buildProgram(ctx context.Context) error {
	return step(ctx, ".", "go", "build", "-o", program, "./cmd/holdfast")
}

// webInputs are what the web app is built from.
var webInputs = []string{"web/src", "web/public", "web/index.html", "web/share.html", "web/package.json", "web/package-lock.json", "web/vite.config.ts", "web/tsconfig.json", "web/svelte.config.js"}

// installWeb installs the locked dependencies when they changed since the last time.
func installWeb(ctx context.Context) error {
	return stamped("node_modules", []string{"web/package.json", "web/package-lock.json"}, "web/node_modules", func() error { return npmCI(ctx, ".") })
}

// npmCI installs what the lock file of a tree says, in place of what is there.
func npmCI(ctx context.Context, root string) error {
	return step(ctx, filepath.Join(root, "web"), "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
}

// buildWeb installs what it needs and builds web/dist when its inputs changed
// since the last time.
func buildWeb(ctx context.Context) error {
	if err := installWeb(ctx); err != nil {
		return err
	}
	return stamped("dist", webInputs, "web/dist/index.html", func() error {
		return step(ctx, "web", "npm", "run", "--silent", "build")
	})
}

// stamped runs make when inputs differ from those of its last success, or when
// product is gone.
func stamped(name string, inputs []string, product string, make func() error) error {
	sum, err := digest(inputs)
	if err != nil {
		return err
	}
	stamp := filepath.Join(cacheDir, name+".sum")
	before, err := os.ReadFile(stamp)
	if _, missing := os.Stat(product); err == nil && missing == nil && string(before) == sum {
		return nil
	}
	if err := make(); err != nil {
		return err
	}
	if err := os.MkdirAll(cacheDir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(stamp, []byte(sum), 0o644)
}

func digest(inputs []string) (string, error) {
	h := sha256.New()
	for _, input := range inputs {
		err := filepath.WalkDir(input, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || d.IsDir() {
				return err
			}
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			fmt.Fprintf(h, "%s\x00", path)
			_, err = io.Copy(h, f)
			return err
		})
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// demo builds everything and runs the whole service until a signal comes.
func demo(ctx context.Context, args []string) error {
	if err := buildWeb(ctx); err != nil {
		return err
	}
	if err := buildProgram(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go endWithParent(ctx, cancel)
	cmd := command(ctx, ".", program, append([]string{"dev"}, args...)...)
	cmd.Stdout = os.Stdout
	err := cmd.Run()
	if ctx.Err() != nil && cmd.ProcessState != nil {
		return nil // stopped because it was asked to
	}
	return err
}

// endWithParent stops the service when "go run", which passes on no signals
// but the terminal's, is gone.
func endWithParent(ctx context.Context, cancel context.CancelFunc) {
	parent := os.Getppid()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if os.Getppid() != parent {
				cancel()
				return
			}
		}
	}
}
