package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"holdfast/client/transfer"
	"holdfast/format/descriptor"
)

// sendCmd sends files without an account.
type sendCmd struct {
	clientFlags
	Files        []string `arg:"" name:"file" complete:"file" help:"Files and folders; - sends what comes from stdin."`
	Server       string   `help:"Service to send with." default:"http://127.0.0.1:8080" env:"HOLDFAST_SERVER"`
	Expires      lifetime `help:"How long the link lives, such as 12h or 7d; without it what the service has as its default."`
	Downloads    int64    `help:"How many downloads it allows; 0 is no limit."`
	Name         string   `help:"Name that the receiver sees instead of the file's own; of several files, a title."`
	Password     bool     `help:"Ask for a password that the receiver needs besides the link." xor:"password"`
	PasswordFile string   `help:"File that holds such a password." type:"existingfile" xor:"password"`
}

// Help says what the verb promises.
func (sendCmd) Help() string {
	return "Prints one link and nothing else on stdout. Whoever has the link can open the files; the servers cannot. " +
		"A send that was interrupted goes on where it was when the same command is repeated."
}

// lifetime is a duration in which days may be written.
type lifetime time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *lifetime) UnmarshalText(text []byte) error {
	if days, ok := strings.CutSuffix(string(text), "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err == nil && n > 0 {
			*l = lifetime(time.Duration(n) * 24 * time.Hour)
			return nil
		}
	} else if d, err := time.ParseDuration(string(text)); err == nil && d >= time.Minute {
		*l = lifetime(d)
		return nil
	}
	return fmt.Errorf("%q is not a time to live; write 7d, 12h or 30m", text)
}

// Run sends and prints the link.
func (c *sendCmd) Run(ctx context.Context) error {
	client, err := c.client(c.Server)
	if err != nil {
		return err
	}
	p := newProgress()
	client.Waiting = p.waiting
	o, err := c.options(ctx, p)
	if err != nil {
		return err
	}
	result, err := client.Send(ctx, o)
	p.end()
	if err != nil {
		return c.failed(ctx, p, err)
	}
	if err := c.print(result); err != nil {
		return err // what is kept to resume stays: the same command prints the link again
	}
	return result.Forget()
}

func (c *sendCmd) options(ctx context.Context, p *progress) (transfer.SendOptions, error) {
	o := transfer.SendOptions{
		Name: c.Name, Expires: time.Duration(c.Expires), Downloads: c.Downloads,
		Report: transfer.Report{Progress: p.add, Fault: p.fault},
	}
	o.Planned = func(plan transfer.Plan) { c.planned(plan, p) }
	for _, name := range c.Files {
		if name == "-" {
			if len(c.Files) > 1 {
				return o, usagef("- is sent alone: stdin becomes one file")
			}
			o.Stdin = os.Stdin
			continue
		}
		o.Paths = append(o.Paths, name)
	}
	if c.Downloads < 0 {
		return o, usagef("--downloads: not below 0")
	}
	if c.Name != "" && descriptor.CheckName(c.Name) != nil {
		return o, usagef("--name: a name has no slash, is not . or .., and takes %d bytes at most", descriptor.MaxName)
	}
	var err error
	switch {
	case c.PasswordFile != "":
		o.Password, err = passwordFrom(c.PasswordFile)
	case c.Password:
		o.Password, err = newPassword(ctx)
	}
	return o, err
}

var errNoTerminal = &usageError{errors.New("--password asks on the terminal, and there is none; use --password-file")}

func newPassword(ctx context.Context) (string, error) {
	first, err := ask(ctx, "Password for the link: ", errNoTerminal)
	if err != nil {
		return "", err
	}
	again, err := ask(ctx, "Once more: ", errNoTerminal)
	if err != nil {
		return "", err
	}
	if first != again {
		return "", errors.New("the two passwords differ; nothing was sent")
	}
	return first, nil
}

// planned tells what is skipped and what the service allows, before the first
// byte leaves.
func (c *sendCmd) planned(plan transfer.Plan, p *progress) {
	for _, s := range plan.Skipped {
		note("Not sent: %s is %s.", descriptor.Display(s.Local), s.Reason)
	}
	if !terminal(os.Stderr) {
		return
	}
	what := plural(plan.Files, "file")
	if plan.Bytes >= 0 {
		what += ", " + size(plan.Bytes)
	} else {
		what += " of unknown size, which cannot be resumed"
	}
	note("Sending %s (%s). %s takes up to %s a send for up to %s; %s are free.", descriptor.Display(plan.Name), what,
		c.Server, size(plan.Limits.MaxUploadBytes), plural(int64(plan.Limits.MaxDays), "day"), size(plan.Limits.FreeBytes))
	if plan.Resumed {
		note("Going on with an earlier try: %s are stored already.", size(plan.Kept))
	}
	p.follow(transfer.Sealed, "encrypted", plan.Stored)
	p.follow(transfer.StoredOne, "stored 1/2", plan.Stored)
	p.follow(transfer.StoredTwo, "stored 2/2", plan.Stored)
}

// failed says what a send that did not come to its end leaves.
func (c *sendCmd) failed(ctx context.Context, p *progress, err error) error {
	stdin := len(c.Files) == 1 && c.Files[0] == "-"
	kept := p.kept.Load() && !stdin
	switch {
	case ctx.Err() == nil && kept:
		return &goesOn{err}
	case ctx.Err() == nil:
		return err
	case stdin:
		return stopped("stopped; nothing was published, and what was read from stdin has to be sent anew")
	case kept:
		return stopped("stopped; nothing was published. What is stored already is kept for a day: the same command goes on from there")
	}
	return stopped("stopped; nothing was published")
}

func (c *sendCmd) print(r *transfer.Result) error {
	if c.JSON {
		return printJSON(sentJSON{
			Link: r.URL, Manage: r.Manage, Server: r.Server, Handle: r.Handle.String(), Name: r.Name, Files: r.Files, Bytes: r.Bytes,
			Created: r.Created, Expires: r.Expires, Downloads: r.Limit, Copies: copiesJSON(r.Nodes),
		})
	}
	if terminal(os.Stderr) {
		note("Stored with %s until %s.", strings.Join(r.Places, " and "), date(r.Expires))
	}
	if _, err := fmt.Println(r.URL); err != nil {
		return fmt.Errorf("print the link: %w (the same command prints it again)", err)
	}
	return nil
}

func date(unix int64) string { return time.Unix(unix, 0).Local().Format("2 January 2006, 15:04") }

// absolute shows a path as people know it.
func absolute(path string) string {
	if cwd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(cwd, path); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return path
}
