// Command holdfast is the one program: server, storage node, and the client's verbs.
package main

import (
	"context"
	"os"

	"github.com/alecthomas/kong"
)

// cli is every verb.
type cli struct {
	Dev    devCmd    `cmd:"" help:"Run a whole service on this machine."`
	Server serverCmd `cmd:"" help:"Run the server (control plane)."`
	Node   nodeCmd   `cmd:"" help:"Lend storage."`
	Admin  adminCmd  `cmd:"" help:"Operator's tasks."`
}

func main() {
	var c cli
	ctx := kong.Parse(&c, kong.Name("holdfast"), kong.BindTo(context.Background(), (*context.Context)(nil)))
	if err := ctx.Run(); err != nil {
		ctx.Errorf("%v", err)
		os.Exit(1)
	}
}
