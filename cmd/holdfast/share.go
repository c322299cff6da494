package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"holdfast/client/drive"
	"holdfast/client/transfer"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/link"
)

// shareCmd makes a link to something in the drive.
type shareCmd struct {
	driveFlags
	Path         string   `arg:"" help:"File or folder of the drive."`
	Expires      lifetime `help:"How long the link lives, such as 12h or 7d; without it until it is unlinked."`
	Downloads    int64    `help:"How many downloads it allows; 0 is no limit."`
	Password     bool     `help:"Ask for a password that the receiver needs besides the link." xor:"password"`
	PasswordFile string   `help:"File that holds such a password." type:"existingfile" xor:"password"`
	SeparateKey  bool     `help:"Print the link without its key, and the key on a line of its own, to be given another way."`
}

// Help says what the verb promises.
func (shareCmd) Help() string {
	return "Whoever has the link can read: of a file what it is now, of a folder what is and will be in it. The servers cannot. The link is not kept: make another one if it is lost."
}

// sharedJSON is what --json prints of a new link.
type sharedJSON struct {
	Link    string `json:"link"`
	Key     string `json:"key,omitempty"`
	Handle  string `json:"handle"`
	Path    string `json:"path"`
	Expires int64  `json:"expires"` // 0 for never
}

// Run makes the link and prints it.
func (c *shareCmd) Run(ctx context.Context) error {
	if c.Downloads < 0 {
		return usagef("--downloads: not below 0")
	}
	o := drive.LinkOptions{Downloads: c.Downloads}
	if c.Expires != 0 {
		o.Expires = time.Now().Add(time.Duration(c.Expires))
	}
	var err error
	switch {
	case c.PasswordFile != "":
		o.Password, err = passwordFrom(c.PasswordFile)
	case c.Password:
		o.Password, err = newPassword(ctx)
	}
	if err != nil {
		return err
	}
	d, kept, err := c.open()
	if err != nil {
		return err
	}
	l, expires, err := d.Share(ctx, c.Path, o)
	if err != nil {
		return err
	}
	out := sharedJSON{Link: l.URL(kept.Server), Handle: l.Handle.String(), Path: c.Path, Expires: expires}
	if c.SeparateKey {
		out.Link, out.Key = l.Address(kept.Server), l.Fragment()
	}
	if c.JSON {
		return printJSON(out)
	}
	if terminal(os.Stderr) {
		note("The link works %s.", until(expires))
	}
	if _, err = fmt.Println(out.Link); err == nil && out.Key != "" {
		_, err = fmt.Println(out.Key)
	}
	if err != nil {
		return fmt.Errorf("print the link: %w (unlink it: nobody has it)", err)
	}
	return nil
}

func until(expires int64) string {
	if expires == 0 {
		return "until it is unlinked"
	}
	return "until " + date(expires)
}

// linksCmd lists links to what is in the drive.
type linksCmd struct{ driveFlags }

// linkJSON is what --json prints of one.
type linkJSON struct {
	Address   string `json:"address"` // the link without its key, which is not kept
	Handle    string `json:"handle"`
	Path      string `json:"path"`
	Kind      string `json:"kind"`
	Password  bool   `json:"password,omitempty"`
	Expires   int64  `json:"expires"` // 0 for never
	Downloads int64  `json:"downloads"`
	Limit     int64  `json:"limit"` // 0 for none
}

// Run lists.
func (c *linksCmd) Run(ctx context.Context) error {
	d, kept, err := c.open()
	if err != nil {
		return err
	}
	all, err := d.Links(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	if !c.JSON && len(all) > 0 {
		fmt.Fprintln(w, "PATH\tENDS\tDOWNLOADS\tLINK WITHOUT KEY")
	}
	for _, l := range all {
		out := linkOf(kept.Server, l)
		if c.JSON {
			if err := printJSON(out); err != nil {
				return err
			}
			continue
		}
		ends, downloads, name := "never", fmt.Sprint(l.Downloads), descriptor.Display(l.Path)
		if l.Expires != 0 {
			ends = date(l.Expires)
		}
		if l.Limit > 0 {
			downloads = fmt.Sprintf("%d of %d", l.Downloads, l.Limit)
		}
		if l.Folder && l.Path != "/" {
			name += "/"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", name, ends, downloads, out.Address)
	}
	return w.Flush()
}

func linkOf(server string, l drive.Link) linkJSON {
	out := linkJSON{
		Address: link.Link{Handle: l.Handle}.Address(server), Handle: l.Handle.String(), Path: l.Path, Kind: "file",
		Password: l.Password, Expires: l.Expires, Downloads: l.Downloads, Limit: l.Limit,
	}
	if l.Folder {
		out.Kind = "folder"
	}
	return out
}

// unlinkCmd ends links to what is in the drive.
type unlinkCmd struct {
	driveFlags
	Links []string `arg:"" name:"link" help:"Links; what stands before # is enough, or the handle that links --json shows."`
}

// Help says what the verb promises.
func (unlinkCmd) Help() string {
	return "From then on the servers give out nothing more for the link, also to downloads that have begun. What it opened stays in the drive."
}

// Run ends them.
func (c *unlinkCmd) Run(ctx context.Context) error {
	d, kept, err := c.open()
	if err != nil {
		return err
	}
	for _, text := range c.Links {
		handle, err := id.Parse[id.Handle](text)
		if err != nil {
			l, base, err := link.Parse(text)
			if err != nil && base == "" { // the key is not needed; a damaged one does no harm
				return err
			}
			if base != kept.Server {
				return usagef("the link is of %s, and this machine is logged in at %s", base, kept.Server)
			}
			handle = l.Handle
		}
		if err := d.Unlink(ctx, handle); err != nil {
			return err
		}
	}
	return nil
}

// saveCmd copies what a link opens to the drive.
type saveCmd struct {
	contentFlags
	openFlags
	Path string `arg:"" optional:"" help:"Folder of the drive to save into, made if need be; without it the root." default:"/"`
}

// Help says what the verb promises.
func (saveCmd) Help() string {
	return "No content moves. What is saved counts for the quota of the drive, and stays when the link or its owner's copy ends. It counts as one download of the link, also when it is repeated within a day."
}

// Run saves.
func (c *saveCmd) Run(ctx context.Context) error {
	l, base, err := c.parse(ctx)
	if err != nil {
		return err
	}
	d, kept, err := c.open()
	if err != nil {
		return err
	}
	if base != kept.Server {
		return usagef("the link is of %s, and this machine is logged in at %s: receive it and put it into the drive", base, kept.Server)
	}
	client, err := c.client(base)
	if err != nil {
		return err
	}
	pass, err := c.password(ctx, l)
	if err != nil {
		return err
	}
	s, err := client.Open(ctx, l, transfer.OpenOptions{Password: pass, Session: d.SessionOf(l.Handle)})
	if err == nil {
		err = s.Start(ctx)
	}
	if err == nil {
		err = s.Tree(ctx)
	}
	if err != nil {
		return err
	}
	below := c.Path
	if s.Bundle && s.Title != "" {
		below = c.Path + "/" + s.Title
	}
	var folders []string
	var files []drive.NewFile
	for _, e := range s.Entries {
		if e.Kind == descriptor.Folder {
			folders = append(folders, below+"/"+e.Path)
			continue
		}
		files = append(files, drive.Saved(below, e))
	}
	got, err := d.Save(ctx, folders, files, l.Handle, s.Session())
	if err != nil {
		return err
	}
	tellNotices(got)
	if c.JSON {
		return printJSON(struct {
			Path  string `json:"path"`
			Files int    `json:"files"`
		}{below, len(files)})
	}
	if terminal(os.Stderr) {
		note("Saved %s to %s.", plural(int64(len(files)), "file"), descriptor.Display(below))
	}
	return nil
}
