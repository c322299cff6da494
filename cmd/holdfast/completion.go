package main

import (
	"os"

	"github.com/alecthomas/kong"

	"holdfast/cmd/holdfast/internal/completion"
)

// completionCmd prints a script for a shell.
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"Shell: bash, zsh or fish."`
}

// Help says where the script goes.
func (completionCmd) Help() string {
	return "bash: source <(holdfast completion bash), in ~/.bashrc. zsh: source <(holdfast completion zsh), in ~/.zshrc after compinit. " +
		"fish: holdfast completion fish > ~/.config/fish/completions/holdfast.fish."
}

// Run prints it.
func (c *completionCmd) Run(parsed *kong.Context) error {
	return completion.Shells[c.Shell](os.Stdout, parsed.Model)
}
