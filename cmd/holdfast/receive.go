package main

import (
	"context"
	"errors"
	"os"

	"holdfast/client/transfer"
	"holdfast/format/descriptor"
)

// receiveCmd gets what a link opens.
type receiveCmd struct {
	clientFlags
	openFlags
	Output string `short:"o" complete:"file" help:"File or folder to write; - writes the content of one file to stdout."`
	Force  bool   `help:"Replace files that are there."`
}

// Help says what the verb promises.
func (receiveCmd) Help() string {
	return "Without -o a link to several things gets a new folder with its title, one to a single file or folder puts that here. " +
		"Files appear under their names only when every check has passed, and replace nothing without --force. " +
		"A receive that was interrupted goes on where it was when the same command is repeated, and counts as one download. " +
		"With -o - a damaged stream is noticed at its end at the latest: use the output only if the exit code is 0."
}

// Run receives.
func (c *receiveCmd) Run(ctx context.Context) error {
	l, base, err := c.parse(ctx)
	if err != nil {
		return err
	}
	client, err := c.client(base)
	if err != nil {
		return err
	}
	p := newProgress()
	client.Waiting = p.waiting
	o := transfer.ReceiveOptions{Target: c.Output, Force: c.Force, Report: transfer.Report{Progress: p.add, Fault: p.fault}}
	o.Opened = func(s *transfer.Share) error {
		_, bytes := s.Totals()
		p.follow(transfer.Written, "received", bytes)
		return nil
	}
	if o.Password, err = c.password(ctx, l); err != nil {
		return err
	}
	if c.Output == "-" {
		if c.JSON {
			return usagef("--json and -o - both want stdout")
		}
		o.Target, o.Stdout = "", os.Stdout
	}
	got, err := client.Receive(ctx, l, o)
	p.end()
	if err != nil {
		return c.failed(ctx, p, err)
	}
	return c.print(got)
}

// failed says what a receive that did not come to its end leaves.
func (c *receiveCmd) failed(ctx context.Context, p *progress, err error) error {
	kept := p.kept.Load() && c.Output != "-"
	switch {
	case errors.Is(err, transfer.ErrIntegrity):
		return err
	case ctx.Err() == nil && kept:
		return &goesOn{err}
	case ctx.Err() == nil:
		return err
	case c.Output == "-" && p.kept.Load():
		return stopped("stopped; what was written is not the whole file. The same command begins anew, without counting as another download, within a day")
	case kept:
		return stopped("stopped; what was received is kept in a hidden file: the same command goes on from there within a day")
	}
	return stopped("stopped; nothing was received")
}

func (c *receiveCmd) print(got *transfer.Received) error {
	for _, r := range got.Renamed {
		note("Written as %s: %s is no name for this system.", descriptor.Display(r.Local()), descriptor.Display(r.Path))
	}
	if got.Paths == nil {
		return nil
	}
	if c.JSON {
		return printJSON(receivedJSON(got))
	}
	if !terminal(os.Stderr) {
		return nil
	}
	files, bytes := got.Share.Totals()
	if !got.Share.Bundle {
		note("Saved %s (%s).", descriptor.Display(absolute(got.Paths[0])), size(bytes))
		return nil
	}
	note("Saved %s (%s) in %s.", plural(files, "file"), size(bytes), descriptor.Display(absolute(got.Folder)))
	return nil
}
