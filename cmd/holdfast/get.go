package main

import (
	"context"
	"errors"
	"os"

	"holdfast/client/mirror"
	"holdfast/client/transfer"
	"holdfast/format/descriptor"
)

// getCmd fetches files of the drive.
type getCmd struct {
	contentFlags
	Paths  []string `arg:"" name:"path" help:"Files and folders of the drive; * and ? and ** stand for names."`
	Output string   `short:"o" complete:"file" help:"Folder to write to; of a single file also the file. Without it the current folder."`
	Force  bool     `help:"Replace files that are there and differ."`
}

// Help says what the verb promises.
func (getCmd) Help() string {
	return "Files appear under their names only when every check has passed. What is there already, by size, time and whether it can be run, is left alone, and nothing else is replaced without --force. " +
		"A get that was interrupted goes on where it was when the same command is repeated."
}

// Run gets.
func (c *getCmd) Run(ctx context.Context) error {
	p := newProgress()
	m, err := c.mirror(p)
	if err != nil {
		return err
	}
	got, err := m.Get(ctx, mirror.DownOptions{
		Remote: c.Paths, Target: c.Output, Force: c.Force, Report: transfer.Report{Progress: p.add, Fault: p.fault},
		Planned: func(_, bytes int64) { p.follow(transfer.Written, "received", bytes) },
	})
	p.end()
	switch {
	case err == nil:
		return c.print(got)
	case errors.Is(err, transfer.ErrIntegrity):
		return err
	case ctx.Err() != nil && p.kept.Load():
		return stopped("stopped; what was received is kept, of an unfinished file in a hidden one: the same command goes on from there")
	case ctx.Err() != nil:
		return stopped("stopped; nothing was received")
	case p.kept.Load():
		return &goesOn{err}
	}
	return err
}

func (c *getCmd) print(got mirror.Got) error {
	for _, r := range got.Renamed {
		note("Written as %s: %s is no name for this system.", descriptor.Display(r.Local()), descriptor.Display(r.Path))
	}
	if c.JSON {
		out := gotJSON{Files: []fileJSON{}, Kept: got.Kept}
		for i, h := range got.Entries {
			f := entryJSON(h.Descriptor)
			f.Local = got.Paths[i]
			out.Files = append(out.Files, f)
		}
		return printJSON(out)
	}
	if terminal(os.Stderr) {
		note("Saved %s (%s).", plural(got.Files, "file"), size(got.Bytes))
	}
	return nil
}

// catCmd writes contents to stdout.
type catCmd struct {
	contentFlags
	Paths  []string  `arg:"" name:"path" help:"Files of the drive; * and ? and ** stand for names."`
	Offset byteCount `help:"Begin at this byte."`
	Length byteCount `help:"Write so many bytes at most; 0 is all."`
}

// Help says what the verb promises.
func (catCmd) Help() string {
	return "Every byte was checked before it is written; that a file is whole shows at its end: use the output only if the exit code is 0. Of a part only what is needed is fetched."
}

// Run writes.
func (c *catCmd) Run(ctx context.Context) error {
	if c.JSON {
		return usagef("cat writes contents to stdout, and no JSON")
	}
	var part *mirror.Span
	if c.Offset != 0 || c.Length != 0 {
		if len(c.Paths) != 1 {
			return usagef("--offset and --length are for one file")
		}
		part = &mirror.Span{Offset: int64(c.Offset), Length: -1}
		if c.Length != 0 {
			part.Length = int64(c.Length)
		}
	}
	p := newProgress()
	m, err := c.mirror(p)
	if err != nil {
		return err
	}
	err = m.Cat(ctx, c.Paths, part, os.Stdout, transfer.Report{Fault: p.fault})
	p.end()
	if err != nil && ctx.Err() != nil {
		return stopped("stopped; what was written is not all")
	}
	return err
}
