package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"text/tabwriter"
	"time"

	"holdfast/client/drive"
	"holdfast/format/descriptor"
)

// lsCmd lists folders.
type lsCmd struct {
	driveFlags
	Paths     []string `arg:"" optional:"" name:"path" help:"Folders and files of the drive; * ? [ ] and ** stand for names. Without it the root."`
	Long      bool     `short:"l" help:"With size, time and number of versions."`
	Recursive bool     `short:"r" help:"With everything below."`
}

// Run lists.
func (c *lsCmd) Run(ctx context.Context) error {
	d, err := c.drive()
	if err != nil {
		return err
	}
	if len(c.Paths) == 0 {
		c.Paths = []string{"/"}
	}
	paths, err := expand(ctx, d, c.Paths)
	if err != nil {
		return err
	}
	out := newLines(c.JSON)
	for n, p := range paths {
		if len(paths) > 1 && !c.JSON {
			out.gap(n > 0, p)
		}
		if err := c.one(ctx, d, p, out); err != nil {
			return errors.Join(err, out.end())
		}
	}
	return out.end()
}

func (c *lsCmd) one(ctx context.Context, d *drive.Drive, p string, out *lines) error {
	if c.Recursive {
		return d.Walk(ctx, p, func(i drive.Item) error {
			if i.Path == "/" {
				return nil
			}
			return c.print(i, i.Path, out)
		})
	}
	items, err := d.List(ctx, p)
	if errors.Is(err, drive.ErrNotFolder) {
		i, err := d.Resolve(ctx, p)
		if err != nil {
			return err
		}
		return c.print(i, i.Path, out)
	}
	for _, i := range items {
		if err == nil {
			err = c.print(i, i.Entry.Name(), out)
		}
	}
	return err
}

func (c *lsCmd) print(i drive.Item, name string, out *lines) error {
	switch {
	case c.JSON:
		return out.json(itemOf(i))
	case !c.Long || i.Entry == nil:
		return out.line("%s", nameText(i, name))
	}
	versions := ""
	if n := len(i.Descriptor().Versions); n > 0 {
		versions = plural(int64(n+1), "version")
	}
	return out.line("%s\t%s\t%s\t%s", sizeText(i), whenText(i.Descriptor().ModTime), nameText(i, name), versions)
}

// lines writes many lines on stdout, in columns where there are tabs.
type lines struct {
	file *bufio.Writer
	tabs *tabwriter.Writer
}

func newLines(asJSON bool) *lines {
	file := bufio.NewWriterSize(os.Stdout, 64<<10)
	return &lines{file, tabwriter.NewWriter(file, 0, 4, 2, ' ', 0)}
}

func (l *lines) line(format string, args ...any) error {
	if !strings.Contains(format, "\t") {
		_, err := fmt.Fprintf(l.file, format+"\n", args...)
		return err
	}
	_, err := fmt.Fprintf(l.tabs, format+"\n", args...)
	return err
}

func (l *lines) json(v any) error { return encodeJSON(l.file, v) }

// gap is a title, with an empty line before it.
func (l *lines) gap(before bool, title string) {
	_ = l.tabs.Flush() // what fails here fails at the end as well
	if before {
		fmt.Fprintln(l.file)
	}
	fmt.Fprintf(l.file, "%s:\n", descriptor.Display(title))
}

func (l *lines) end() error {
	if err := errors.Join(l.tabs.Flush(), l.file.Flush()); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// treeCmd draws what lies below.
type treeCmd struct {
	driveFlags
	Path  string `arg:"" optional:"" default:"/" help:"Folder of the drive."`
	Depth int    `help:"Only so many levels; 0 for all." default:"0"`
}

// Run draws.
func (c *treeCmd) Run(ctx context.Context) error {
	d, err := c.drive()
	if err != nil {
		return err
	}
	out := newLines(c.JSON)
	base := -1
	err = d.Walk(ctx, c.Path, func(i drive.Item) error {
		depth := strings.Count(strings.TrimSuffix(i.Path, "/"), "/")
		if base < 0 {
			base = depth
			if !c.JSON {
				return out.line("%s", nameText(i, i.Path))
			}
		}
		if c.Depth > 0 && depth-base > c.Depth {
			return nil
		}
		if c.JSON {
			return out.json(itemOf(i))
		}
		return out.line("%s%s", strings.Repeat("    ", depth-base), nameText(i, path.Base(i.Path)))
	})
	return errors.Join(err, out.end())
}

// findCmd finds files and folders.
type findCmd struct {
	driveFlags
	Path    string    `arg:"" optional:"" default:"/" help:"Where to look."`
	Name    string    `help:"Only what is called so; * ? [ ] stand for other characters. Case does not count."`
	Type    string    `help:"Only files (f) or folders (d)." enum:"f,d," default:""`
	Larger  byteCount `help:"Only files of more bytes: 100MB, 4GiB."`
	Smaller byteCount `help:"Only files of fewer bytes."`
	Newer   lifetime  `help:"Only what was changed within that time: 7d, 12h."`
	Older   lifetime  `help:"Only what was changed before that time."`
}

// Run finds.
func (c *findCmd) Run(ctx context.Context) error {
	if _, err := path.Match(c.Name, ""); err != nil {
		return usagef("--name: a bracket or backslash is left open")
	}
	d, err := c.drive()
	if err != nil {
		return err
	}
	out := newLines(c.JSON)
	now := time.Now()
	err = d.Walk(ctx, c.Path, func(i drive.Item) error {
		switch {
		case !c.fits(i, now):
			return nil
		case c.JSON:
			return out.json(itemOf(i))
		}
		return out.line("%s", nameText(i, i.Path))
	})
	return errors.Join(err, out.end())
}

func (c *findCmd) fits(i drive.Item, now time.Time) bool {
	if i.Entry == nil {
		return c.Name == "" && c.Type != "f" && c.Larger == 0 && c.Smaller == 0 && c.Newer == 0 && c.Older == 0
	}
	d := i.Descriptor()
	if c.Name != "" {
		if ok, err := path.Match(descriptor.Fold(c.Name), descriptor.Fold(i.Entry.Name())); !ok || err != nil { // it was tried before
			return false
		}
	}
	switch {
	case c.Type == "f" && i.IsFolder(), c.Type == "d" && !i.IsFolder():
		return false
	case (c.Larger > 0 || c.Smaller > 0) && i.IsFolder():
		return false
	case c.Larger > 0 && d.Content.Size <= int64(c.Larger), c.Smaller > 0 && d.Content.Size >= int64(c.Smaller):
		return false
	}
	changed, known := d.Time()
	age := now.Sub(changed)
	return (c.Newer == 0 || known && age <= time.Duration(c.Newer)) && (c.Older == 0 || known && age > time.Duration(c.Older))
}

// duCmd adds sizes up.
type duCmd struct {
	driveFlags
	Path    string `arg:"" optional:"" default:"/" help:"Folder or file of the drive."`
	Summary bool   `short:"s" help:"Only the sum."`
}

// Help says what counts.
func (duCmd) Help() string {
	return "Sizes are those of contents as you know them. Older versions and the trash count towards what the account may store, as does a content once, however many files have it; padding adds a little."
}

type usageJSON struct {
	Path     string `json:"path"`
	Files    int64  `json:"files"`
	Folders  int64  `json:"folders"`
	Bytes    int64  `json:"bytes"`
	Versions int64  `json:"versionBytes"`
	Trash    int64  `json:"trashBytes"`
}

// Run adds up.
func (c *duCmd) Run(ctx context.Context) error {
	d, err := c.drive()
	if err != nil {
		return err
	}
	total, each, err := d.Usage(ctx, c.Path)
	if err != nil {
		return err
	}
	if c.Summary || len(each) == 0 {
		each = map[string]drive.Size{c.Path: total}
	}
	out := newLines(c.JSON)
	if !c.JSON {
		if err := out.line("%s\t%s\t%s\t%s", "SIZE", "VERSIONS", "TRASH", "PATH"); err != nil {
			return err
		}
	}
	for _, p := range sortedKeys(each) {
		s := each[p]
		if c.JSON {
			err = out.json(usageJSON{p, s.Files, s.Folders, s.Bytes, s.Versions, s.Trash})
		} else {
			err = out.line("%s\t%s\t%s\t%s", size(s.Bytes), size(s.Versions), size(s.Trash), descriptor.Display(p))
		}
		if err != nil {
			return err
		}
	}
	if err := out.end(); err != nil || c.JSON || c.Path != "/" {
		return err
	}
	view, err := d.Space(ctx)
	if err == nil {
		note("The account takes %s of the %s that it may take.", size(view.Bytes+view.Reserved), size(view.Quota))
	}
	return err
}
