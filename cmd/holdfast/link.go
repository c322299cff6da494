package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"holdfast/format/link"
)

// linkFlags say which link is meant.
type linkFlags struct {
	Link     string `arg:"" optional:"" help:"The link; - reads it from stdin. Without it you are asked: links in arguments can be seen by other users."`
	LinkFile string `help:"File that holds the link." type:"existingfile"`
}

// openFlags are linkFlags for what opens the link.
type openFlags struct {
	linkFlags
	PasswordFile string `help:"File that holds the link's password." type:"existingfile"`
}

var errNoLink = &usageError{errors.New("which link? Give it as argument, with --link-file, or - to read it from stdin")}

func (f *linkFlags) text(ctx context.Context) (string, error) {
	switch {
	case f.Link != "" && f.LinkFile != "":
		return "", usagef("give the link once: as argument or with --link-file")
	case f.LinkFile != "":
		file, err := os.Open(f.LinkFile)
		if err != nil {
			return "", fmt.Errorf("--link-file: %w", err)
		}
		defer file.Close()
		return firstLine(file)
	case f.Link == "-":
		return firstLine(os.Stdin)
	case f.Link != "":
		return f.Link, nil
	}
	return ask(ctx, "Link: ", errNoLink)
}

// parse reads the link and returns it with its server. A link without key is
// completed by asking for the key.
func (f *linkFlags) parse(ctx context.Context) (link.Link, string, error) {
	text, err := f.text(ctx)
	if err != nil {
		return link.Link{}, "", err
	}
	l, base, err := link.Parse(text)
	if !errors.Is(err, link.ErrNoKey) {
		return l, base, err
	}
	key, err := ask(ctx, "This link comes without its key. Key (the part after #): ", err)
	if err != nil {
		return l, base, err
	}
	l, err = link.ParseFragment(l.Handle, strings.TrimPrefix(strings.TrimSpace(key), "#"))
	return l, base, err
}

// password finds the password of a link that needs one.
func (f *openFlags) password(ctx context.Context, l link.Link) (string, error) {
	switch {
	case !l.NeedsPassword():
		return "", nil // one that was given is not needed; a script may give it always
	case f.PasswordFile != "":
		return passwordFrom(f.PasswordFile)
	}
	return ask(ctx, "Password: ", link.ErrPasswordNeeded)
}
