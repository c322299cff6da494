package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"holdfast/client/drive"
	"holdfast/format/descriptor"
	"holdfast/format/id"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// mkdirCmd makes folders.
type mkdirCmd struct {
	driveFlags
	Paths   []string `arg:"" name:"path" help:"Folders to make."`
	Parents bool     `short:"p" help:"Make those above them too, and be content with what is there."`
}

// Run makes them.
func (c *mkdirCmd) Run(ctx context.Context) error {
	d, err := c.drive()
	if err != nil {
		return err
	}
	r, err := d.Mkdir(ctx, c.Paths, c.Parents)
	if err != nil {
		return err
	}
	tellNotices(r)
	return c.made(c.Paths)
}

// twoFlags are common to cp and mv.
type twoFlags struct {
	driveFlags
	Paths []string `arg:"" name:"path" help:"What, and last where to: a folder that is there, or a new path."`
}

// both opens the drive and finds what goes where.
func (c *twoFlags) both(ctx context.Context) (d *drive.Drive, from []string, to string, err error) {
	if len(c.Paths) < 2 {
		return nil, nil, "", usagef("what, and where to? Give at least two paths of the drive")
	}
	if d, err = c.drive(); err != nil {
		return nil, nil, "", err
	}
	last := len(c.Paths) - 1
	from, err = expand(ctx, d, c.Paths[:last])
	return d, from, c.Paths[last], err
}

// cpCmd copies.
type cpCmd struct {
	twoFlags
	Recursive bool `short:"r" help:"Copy folders, with everything in them."`
}

// Help says what it costs.
func (cpCmd) Help() string {
	return "No content moves: a copy refers to the same stored bytes. Older versions and the trash are not copied. A file in the place of a copy keeps its content as a version."
}

// Run copies.
func (c *cpCmd) Run(ctx context.Context) error {
	d, from, to, err := c.both(ctx)
	if err != nil {
		return err
	}
	if err := noFolders(ctx, d, from, c.Recursive, "copy"); err != nil {
		return err
	}
	r, err := d.Copy(ctx, from, to)
	tellNotices(r)
	if err != nil {
		return err
	}
	return c.made(from)
}

// noFolders wants -r for folders.
func noFolders(ctx context.Context, d *drive.Drive, paths []string, recursive bool, verb string) error {
	if recursive {
		return nil
	}
	for _, p := range paths {
		i, err := d.Resolve(ctx, p)
		if err != nil {
			return err
		}
		if i.IsFolder() {
			return usagef("%s is a folder: use -r to %s it with everything in it", descriptor.Display(i.Path), verb)
		}
	}
	return nil
}

// mvCmd moves and renames.
type mvCmd struct{ twoFlags }

// Help says what happens to what is there.
func (mvCmd) Help() string {
	return "All of it moves at once, or nothing. A file that is in the place goes into the trash; a folder is not replaced. A folder that comes out of a shared one, and all folders below it, get new keys, which members there never had; when that is interrupted, the next mv goes on."
}

// Run moves.
func (c *mvCmd) Run(ctx context.Context) error {
	d, from, to, err := c.both(ctx)
	if err != nil {
		return err
	}
	d.Rekeyed = func(path string, done, of int) {
		if !c.JSON {
			note("%s comes out of a shared folder. New keys: %d of %d folders.", descriptor.Display(path), done, of)
		}
	}
	r, err := d.Move(ctx, from, to)
	if err != nil {
		return err
	}
	tellNotices(r)
	return c.made(from)
}

// rmCmd removes.
type rmCmd struct {
	driveFlags
	Paths     []string `arg:"" name:"path" help:"Files and folders; * ? [ ] and ** stand for names."`
	Recursive bool     `short:"r" help:"Remove folders, with everything in them."`
}

// Help says where it goes.
func (rmCmd) Help() string {
	return "What is removed stands in the trash of its folder for 30 days: 'holdfast trash' lists it, 'holdfast restore' brings it back."
}

// Run removes.
func (c *rmCmd) Run(ctx context.Context) error {
	d, err := c.drive()
	if err != nil {
		return err
	}
	paths, err := expand(ctx, d, c.Paths)
	if err != nil {
		return err
	}
	if err := noFolders(ctx, d, paths, c.Recursive, "remove"); err != nil {
		return err
	}
	r, err := d.Remove(ctx, paths)
	if err != nil {
		return err
	}
	tellNotices(r)
	return c.made(paths)
}

// trashCmd lists and empties the trash.
type trashCmd struct {
	driveFlags
	Path  string   `arg:"" optional:"" default:"/" help:"Folder of the drive; what is below it counts too."`
	Empty bool     `help:"End what is in the trash, for good."`
	Older lifetime `help:"With --empty: only what has been there for that long: 7d."`
	Purge []string `help:"End that one, for good: its path, as the list shows it." sep:"none"`
}

// Run lists or empties.
func (c *trashCmd) Run(ctx context.Context) error {
	d, err := c.drive()
	if err != nil {
		return err
	}
	switch {
	case c.Older != 0 && !c.Empty:
		return usagef("--older goes with --empty")
	case len(c.Purge) > 0 && c.Empty:
		return usagef("--purge ends single things, --empty all")
	case len(c.Purge) > 0:
		if err := d.Purge(ctx, c.Purge); err != nil {
			return err
		}
		return c.made(c.Purge)
	}
	if c.Empty {
		n, err := d.Empty(ctx, c.Path, true, int64(time.Duration(c.Older)/(24*time.Hour)))
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(struct {
				Ended int `json:"ended"`
			}{n})
		}
		note("%s ended for good.", plural(int64(n), "thing"))
		return nil
	}
	all, err := d.Trash(ctx, c.Path, true)
	if err != nil {
		return err
	}
	return c.list(all)
}

func (c *trashCmd) list(all []drive.Trashed) error {
	if len(all) == 0 && !c.JSON {
		note("The trash is empty.")
	}
	out := newLines(c.JSON)
	for _, t := range all {
		var err error
		if c.JSON {
			i := itemOf(t.Item)
			i.Removed = dayText(t.Day)
			err = out.json(i)
		} else {
			err = out.line("%s\t%s\t%s", dayText(t.Day), sizeText(t.Item), nameText(t.Item, t.Path))
		}
		if err != nil {
			return err
		}
	}
	return out.end()
}

// restoreCmd takes things out of the trash.
type restoreCmd struct {
	driveFlags
	Paths []string `arg:"" name:"path" help:"Paths that they had, as 'holdfast trash' shows them."`
}

// Run restores.
func (c *restoreCmd) Run(ctx context.Context) error {
	d, err := c.drive()
	if err != nil {
		return err
	}
	back, r, err := d.Restore(ctx, c.Paths)
	if err != nil {
		return err
	}
	tellNotices(r)
	if c.JSON {
		return c.made(back)
	}
	for i, path := range back {
		if strings.Trim(path, "/") != strings.Trim(c.Paths[i], "/") {
			note("%s is back as %s: its name was taken.", descriptor.Display(c.Paths[i]), descriptor.Display(path))
		}
	}
	return nil
}

// versionsCmd lists the contents that a file had.
type versionsCmd struct {
	driveFlags
	Path    string `arg:"" help:"File of the drive."`
	Restore string `help:"Make that one the present content: its id, or the first characters of it."`
}

// Help says what stays.
func (versionsCmd) Help() string {
	return "What a file had before it was changed stays for as long as the file does. Restoring a version loses nothing: what was there becomes a version."
}

type versionJSON struct {
	ID      string `json:"id"`
	Bytes   int64  `json:"bytes"`
	ModTime *int64 `json:"mtime,omitempty"`
	Current bool   `json:"current"`
}

// Run lists, or restores one.
func (c *versionsCmd) Run(ctx context.Context) error {
	d, err := c.drive()
	if err != nil {
		return err
	}
	item, all, err := d.Versions(ctx, c.Path)
	if err != nil {
		return err
	}
	if c.Restore != "" {
		revision, err := versionOf(all, c.Restore)
		if err != nil {
			return err
		}
		r, err := d.RestoreVersion(ctx, item.Path, revision)
		if err != nil {
			return err
		}
		tellNotices(r)
		return c.made([]string{item.Path})
	}
	out := newLines(c.JSON)
	for i, v := range all {
		if c.JSON {
			err = out.json(versionJSON{v.Content.Revision.String(), v.Content.Size, v.ModTime, i == 0})
		} else {
			now := ""
			if i == 0 {
				now = "present"
			}
			err = out.line("%s\t%s\t%s\t%s", v.Content.Revision.String()[:shortVersion], size(v.Content.Size), whenText(v.ModTime), now)
		}
		if err != nil {
			return err
		}
	}
	return out.end()
}

// shortVersion is how much of a version's id is shown.
const shortVersion = 8

func versionOf(all []descriptor.Version, text string) (found id.Revision, err error) {
	n := 0
	for _, v := range all {
		if strings.HasPrefix(v.Content.Revision.String(), text) {
			found = v.Content.Revision
			n++
		}
	}
	switch {
	case n == 0:
		return found, fmt.Errorf("%w: %s", drive.ErrVersion, text)
	case n > 1:
		return found, &usageError{errors.New("several versions begin so; give more characters")}
	}
	return found, nil
}
