// Command dev is how people work on Holdfast:
//
//	go run ./dev [flags of holdfast dev]   build what changed, run the whole service here
//	go run ./dev test [stage…]             everything that must hold, with installation of what is missing
//	go run ./dev gen                       make generated files anew
//	go run ./dev bench [row…]              figures, against peers that it installs, into docs/performance.md
//	go run ./dev pictures                   take the README's pictures anew
//	go run ./dev man                       write the manual page, docs/holdfast.1, from the verbs
//	go run ./dev licences                  list what others made, with licences, into docs/third-party.md
//	go run ./dev release [flags] [VERSION] archives for all systems into dist-release; --check builds twice and compares
//	go run ./dev web                       build the web app only
//
// It builds and starts programs and knows nothing of what they do.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

var errUsage = errors.New("usage: go run ./dev [test [stage…] | gen | bench [row…] | pictures | man | licences | release [VERSION] | web | mutants [name…] | flags of holdfast dev]")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "dev:", err)
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() > 0 {
			os.Exit(exit.ExitCode())
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if err := enterRoot(); err != nil {
		return err
	}
	if len(args) == 0 || args[0][0] == '-' {
		return demo(ctx, args)
	}
	switch args[0] {
	case "test":
		return test(ctx, args[1:])
	case "mutants":
		return test(ctx, append([]string{"mutants"}, args[1:]...))
	case "gen":
		return generate(ctx)
	case "bench":
		return figures(ctx, args[1:])
	case "pictures":
		return pictures(ctx)
	case "man":
		return step(ctx, ".", "go", "test", "-count=1", "./cmd/holdfast", "-run", "TestManualFresh", "-update")
	case "release":
		return release(ctx, args[1:])
	case "licences":
		return licences(ctx)
	case "web":
		return buildWeb(ctx)
	}
	return errUsage
}
