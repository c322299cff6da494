package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"holdfast/client/home"
	"holdfast/format/descriptor"
	"holdfast/format/link"
)

// sendsCmd lists what this machine sent.
type sendsCmd struct{ clientFlags }

// Run lists the sends, newest first. Their keys are not kept here.
func (c *sendsCmd) Run() error {
	dir, err := c.home()
	if err != nil {
		return err
	}
	all, err := dir.Sends()
	if err != nil {
		return err
	}
	if c.JSON {
		for _, s := range all {
			if err := printJSON(listedJSON(s)); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all) == 0 {
		note("Nothing was sent from here, or all of it was revoked.")
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "SENT\tEXPIRES\tSIZE\tNAME\tLINK WITHOUT KEY")
	for _, s := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", day(s.Created), expiry(s.Expires), size(max(s.Bytes, 0)), descriptor.Display(s.Name), address(s))
	}
	return w.Flush()
}

func address(s home.Send) string { return link.Link{Handle: s.Handle}.Address(s.Server) }

func day(unix int64) string { return time.Unix(unix, 0).Local().Format("2006-01-02") }

func expiry(unix int64) string {
	if time.Now().Unix() >= unix {
		return "expired"
	}
	return day(unix)
}

type listed struct {
	Address   string   `json:"address"` // the link without its key, which is not kept
	Manage    string   `json:"manage"`
	Server    string   `json:"server"`
	Handle    string   `json:"handle"`
	Name      string   `json:"name"`
	Files     int64    `json:"files"`
	Bytes     int64    `json:"bytes"`
	Created   int64    `json:"created"`
	Expires   int64    `json:"expires"`
	Downloads int64    `json:"downloads"`
	Places    []string `json:"places"`
}

func listedJSON(s home.Send) listed {
	return listed{
		Address: address(s), Manage: s.Manage, Server: s.Server, Handle: s.Handle.String(), Name: s.Name, Files: s.Files,
		Bytes: s.Bytes, Created: s.Created, Expires: s.Expires, Downloads: s.Limit, Places: s.Places,
	}
}

// unsendCmd revokes a link.
type unsendCmd struct {
	clientFlags
	linkFlags
	ManageFile string `help:"File that holds the link's management secret, where another machine made it (send --json shows it)." type:"existingfile"`
}

// Help says what is enough.
func (unsendCmd) Help() string {
	return "The link's key is not needed: what stands before # is enough."
}

// Run revokes the link: its release keys are destroyed, its blobs ordered away.
func (c *unsendCmd) Run(ctx context.Context) error {
	text, err := c.text(ctx)
	if err != nil {
		return err
	}
	l, base, err := link.Parse(text)
	if err != nil && base == "" { // the key is not needed; a damaged one does no harm
		return err
	}
	dir, err := c.home()
	if err != nil {
		return err
	}
	m, err := c.manage(dir, l, base)
	if err != nil {
		return err
	}
	client, err := c.client(m.server)
	if err != nil {
		return err
	}
	if err := client.Revoke(ctx, l.Handle, m.secret); err != nil {
		return err
	}
	if m.sent != nil {
		if err := dir.ForgetSend(l.Handle); err != nil {
			return err
		}
	}
	if c.JSON {
		return printJSON(struct {
			Revoked string `json:"revoked"`
		}{l.Address(m.server)})
	}
	note("Revoked: the link opens nothing any more, and the copies are being deleted. Copies that were downloaded before are beyond reach.")
	return nil
}

func (c *unsendCmd) manage(dir home.Dir, l link.Link, base string) (managed, error) {
	if c.ManageFile != "" {
		return given(dir, l, base, c.ManageFile)
	}
	m, err := ownSend(dir, l, base)
	var usage *usageError
	switch {
	case errors.Is(err, home.ErrUnknownSend):
		return m, fmt.Errorf("%w (or give the secret with --manage-file)", err)
	case errors.As(err, &usage):
		return m, fmt.Errorf("%w. If the service has moved, give the secret with --manage-file", err)
	}
	return m, err
}
