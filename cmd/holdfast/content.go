package main

import (
	"context"
	"fmt"
	"os"

	"holdfast/client/account"
	"holdfast/client/drive"
	"holdfast/client/mirror"
	"holdfast/client/transfer"
	"holdfast/format/descriptor"
)

// contentFlags are common to the verbs that move contents into the drive and out of it.
type contentFlags struct {
	clientFlags
	NoKeyring bool `help:"The login's keys are in a file and not in the system's keyring." env:"HOLDFAST_NO_KEYRING"`
}

// mirror opens the drive of this machine's login, with its contents.
func (c *contentFlags) mirror(p *progress) (*mirror.Mirror, error) {
	paths, kept, err := c.open()
	if err != nil {
		return nil, err
	}
	client, err := c.client(kept.Server)
	if err != nil {
		return nil, err
	}
	client.Waiting = p.waiting
	return &mirror.Mirror{Paths: paths, Contents: client.Drive(kept.Root.Identity().Account, kept.Token)}, nil
}

// open opens the drive as the verbs do that move no content.
func (c *contentFlags) open() (*drive.Drive, account.Kept, error) {
	f := driveFlags{placeFlags: c.placeFlags, NoKeyring: c.NoKeyring}
	return f.open()
}

// upFlags are common to put and sync.
type upFlags struct {
	contentFlags
	Force  bool `help:"Store files again that seem to be the same."`
	DryRun bool `help:"Only print what would be done."`
}

// options reports to p.
func (c *upFlags) options(p *progress) mirror.UpOptions {
	o := mirror.UpOptions{Force: c.Force, Dry: c.DryRun, Report: transfer.Report{Progress: p.add, Fault: p.fault}}
	o.Planned = func(changes mirror.Changes) {
		for _, s := range changes.Skipped {
			note("Not stored: %s is %s.", descriptor.Display(s.Local), s.Reason)
		}
		if !c.DryRun && changes.Files > 0 {
			p.follow(transfer.Sealed, "encrypted", changes.Stored)
			p.follow(transfer.StoredOne, "stored 1/2", changes.Stored)
			p.follow(transfer.StoredTwo, "stored 2/2", changes.Stored)
		}
	}
	o.Resumed = func(kept int64) {
		if terminal(os.Stderr) {
			note("Going on with an earlier try: %s are stored already.", size(kept))
		}
	}
	return o
}

// end prints what was done, or says what a failure leaves.
func (c *upFlags) end(ctx context.Context, p *progress, d mirror.Done, err error) error {
	p.end()
	switch {
	case err == nil:
		return c.print(d)
	case ctx.Err() != nil && p.kept.Load():
		return stopped("stopped; what is committed stays, and what else is stored already is kept for six days: the same command goes on from there")
	case ctx.Err() != nil:
		return stopped("stopped; what is committed stays")
	case p.kept.Load():
		return &goesOn{err}
	}
	return err
}

func (c *upFlags) print(d mirror.Done) error {
	tellNotices(drive.Result{Notices: d.Notices})
	if c.JSON {
		return printJSON(doneJSON(d, c.DryRun))
	}
	for _, change := range d.All {
		if err := c.line(change); err != nil {
			return err
		}
	}
	if !terminal(os.Stderr) {
		return nil
	}
	verb := "Stored"
	if c.DryRun {
		verb = "Would store"
	}
	note("%s %s (%s); %d unchanged.", verb, plural(d.Files, "file"), size(d.Bytes), d.Unchanged)
	return nil
}

// line prints one change of a dry run, and otherwise only what one may not expect.
func (c *upFlags) line(change mirror.Change) error {
	if c.DryRun {
		if _, err := fmt.Printf("%-10s %s\n", change.Kind, descriptor.Display(change.Path)); err != nil {
			return fmt.Errorf("print: %w", err)
		}
		return nil
	}
	if change.Kind == mirror.Renamed {
		note("Stored as %s: a name like that of %s is there.", descriptor.Display(change.Path), descriptor.Display(change.Local))
	}
	return nil
}

// putCmd brings files into the drive.
type putCmd struct {
	upFlags
	Paths     []string `arg:"" name:"path" complete:"file" help:"Files and folders of this machine, and last the place in the drive."`
	Recursive bool     `short:"r" help:"Put folders, with everything in them."`
}

// Help says what the verb promises.
func (putCmd) Help() string {
	return "A single file gets the path given, unless a folder is there or the path ends with a slash; anything else goes into that folder, which is made if need be. " +
		"What the drive has already, by size, time and whether it can be run, is left alone. Of a file that changed, the old content stays as a version. " +
		"A put that was interrupted goes on where it was when the same command is repeated."
}

// Run puts.
func (c *putCmd) Run(ctx context.Context) error {
	if len(c.Paths) < 2 {
		return usagef("put what, and where to? Give files and last a path of the drive, such as /")
	}
	p := newProgress()
	m, err := c.mirror(p)
	if err != nil {
		return err
	}
	o := c.options(p)
	last := len(c.Paths) - 1
	o.Local, o.Remote, o.Folders = c.Paths[:last], c.Paths[last], c.Recursive
	d, err := m.Put(ctx, o)
	return c.end(ctx, p, d, err)
}

// syncCmd makes a folder of the drive what one of this machine is.
type syncCmd struct {
	upFlags
	Local  string `arg:"" complete:"file" help:"Folder of this machine."`
	Remote string `arg:"" help:"Folder of the drive; made if need be."`
	Delete bool   `help:"Put what is not here into the trash there."`
}

// Help says what the verb promises.
func (syncCmd) Help() string {
	return "One way: nothing changes on this machine. What is the same, by size, time and whether it can be run, costs no traffic. Of a file that changed, the old content stays as a version; " +
		"what --delete removes stands in the trash for 30 days. A sync that was interrupted goes on when it is repeated."
}

// Run syncs.
func (c *syncCmd) Run(ctx context.Context) error {
	p := newProgress()
	m, err := c.mirror(p)
	if err != nil {
		return err
	}
	o := c.options(p)
	o.Local, o.Remote, o.Delete = []string{c.Local}, c.Remote, c.Delete
	d, err := m.Sync(ctx, o)
	return c.end(ctx, p, d, err)
}

// changesJSON is what --json prints of a put or a sync. Fields are added, never changed.
type changesJSON struct {
	DryRun    bool          `json:"dryRun,omitempty"`
	Changes   []changeJSON  `json:"changes"`
	Unchanged int64         `json:"unchanged"`
	Skipped   []skippedJSON `json:"skipped,omitempty"`
	// Files and Bytes are those of the changes that took content.
	Files   int64      `json:"files"`
	Bytes   int64      `json:"bytes"`
	Commits int        `json:"commits"`
	Copies  []copyJSON `json:"copies"`
}

type changeJSON struct {
	// Change is new, changed, marked, folder, removed or renumbered.
	Change string `json:"change"`
	Path   string `json:"path"`
	Local  string `json:"local,omitempty"`
	Bytes  int64  `json:"bytes"`
}

type skippedJSON struct {
	Local  string `json:"local"`
	Reason string `json:"reason"`
}

func doneJSON(d mirror.Done, dry bool) changesJSON {
	out := changesJSON{DryRun: dry, Changes: []changeJSON{}, Unchanged: d.Unchanged, Files: d.Files, Bytes: d.Bytes, Commits: d.Commits, Copies: copiesJSON(d.Nodes)}
	for _, c := range d.All {
		out.Changes = append(out.Changes, changeJSON{string(c.Kind), c.Path, c.Local, c.Bytes})
	}
	for _, s := range d.Skipped {
		out.Skipped = append(out.Skipped, skippedJSON{s.Local, string(s.Reason)})
	}
	return out
}
