package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"holdfast/client/home"
	"holdfast/client/transfer"
	"holdfast/format/descriptor"
	"holdfast/format/link"
)

// whereCmd shows the copies of what a link opens.
type whereCmd struct {
	clientFlags
	openFlags
}

// Help says what the answer is worth.
func (whereCmd) Help() string {
	return "Looks at the link, which is not counted as a download. Operator and jurisdiction are what each node has declared and signed itself. " +
		"Of a link that was made here, its key is not needed: then files are not listed."
}

type placedJSON struct {
	Path   string     `json:"path,omitempty"`
	Bytes  int64      `json:"bytes"`
	Copies []copyJSON `json:"copies"`
}

// Run prints where the copies are.
func (c *whereCmd) Run(ctx context.Context) error {
	text, err := c.text(ctx)
	if err != nil {
		return err
	}
	l, base, err := link.Parse(text)
	if errors.Is(err, link.ErrNoKey) {
		return c.own(ctx, l, base, err)
	}
	if err != nil {
		return err
	}
	client, err := c.client(base)
	if err != nil {
		return err
	}
	pass, err := c.password(ctx, l)
	if err != nil {
		return err
	}
	s, err := client.Open(ctx, l, transfer.OpenOptions{Password: pass})
	if err != nil {
		return err
	}
	var files []placedJSON
	for _, d := range s.Entries {
		if d.Kind == descriptor.File {
			files = append(files, placedJSON{Path: d.Path, Bytes: d.Content.Size})
		}
	}
	return c.print(files, copiesJSON(s.Nodes), client.States(ctx, s.Nodes))
}

// own asks as the sender, who needs no key.
func (c *whereCmd) own(ctx context.Context, l link.Link, base string, noKey error) error {
	dir, err := c.home()
	if err != nil {
		return err
	}
	m, err := ownSend(dir, l, base)
	if errors.Is(err, home.ErrUnknownSend) {
		return noKey
	}
	if err != nil {
		return err
	}
	client, err := c.client(m.server)
	if err != nil {
		return err
	}
	state, nodes, err := client.Status(ctx, l.Handle, m.secret)
	if err != nil {
		return err
	}
	if state.State != "live" {
		note("This link is %s: its copies are gone or being deleted.", state.State)
	}
	return c.print([]placedJSON{{Path: m.sent.Name, Bytes: m.sent.Bytes}}, copiesJSON(nodes), client.States(ctx, nodes))
}

func (c *whereCmd) print(files []placedJSON, copies []copyJSON, states []string) error {
	for i := range copies {
		copies[i].State = states[i]
	}
	if c.JSON {
		for _, f := range files {
			f.Copies = copies
			if err := printJSON(f); err != nil {
				return err
			}
		}
		return nil
	}
	for _, f := range files {
		fmt.Printf("%s (%s)\n", descriptor.Display(f.Path), size(max(f.Bytes, 0)))
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "COPY\tOPERATOR\tJURISDICTION\tSTATE\tNODE")
	for i, copy := range copies {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", i+1, descriptor.Display(copy.Operator), copy.Jurisdiction, copy.State, copy.URL)
	}
	return w.Flush()
}
