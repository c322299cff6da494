package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"

	"holdfast/client/fleet"
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
	files := []placedFile{}
	for _, d := range s.Entries {
		if d.Kind == descriptor.File {
			files = append(files, placedFile{d.Path, d.Content.Size})
		}
	}
	return c.print(files, s.Nodes, client.States(ctx, s.Nodes))
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
	return c.print([]placedFile{{m.sent.Name, m.sent.Bytes}}, nodes, client.States(ctx, nodes))
}

// print tells of the nodes of the whole send: which of them hold which file is
// not told to anybody who only looks.
func (c *whereCmd) print(files []placedFile, nodes []fleet.Node, states []string) error {
	copies := copiesJSON(nodes)
	for i := range copies {
		copies[i].State = states[i]
	}
	slices.SortStableFunc(copies, func(a, b copyJSON) int { return cmp.Compare(a.Operator, b.Operator) })
	if c.JSON {
		return printJSON(placedJSON{Files: files, Copies: copies, CopiesOf: "send"})
	}
	for _, f := range files {
		fmt.Printf("%s (%s)\n", descriptor.Display(f.Path), size(max(f.Bytes, 0)))
	}
	if len(copies) == 0 {
		return nil
	}
	fmt.Println("\nThe server says that these nodes hold the whole send, every part of it at two of them. No receipts were checked for this.")
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "OPERATOR\tJURISDICTION\tSTATE\tNODE")
	for _, copy := range copies {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", copy.companies(), copy.laws(), copy.State, descriptor.Display(copy.URL))
	}
	return w.Flush()
}

// companies are those that the node declares.
func (c copyJSON) companies() string {
	text := c.Operator
	if c.Parent != "" {
		text += ", owned by " + c.Parent
	}
	if c.Storage != "" {
		text += ", storage of " + c.Storage
	}
	return descriptor.Display(text)
}

// laws are the jurisdictions that the node declares.
func (c copyJSON) laws() string {
	text := c.Jurisdiction
	if c.Site != "" {
		text += ", stands in " + c.Site
	}
	return descriptor.Display(text)
}
