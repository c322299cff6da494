package main

import (
	"context"
	"time"

	"holdfast/api"
	"holdfast/client/account"
	"holdfast/client/contacts"
	"holdfast/client/drive"
	"holdfast/client/transfer"
	"holdfast/format/descriptor"
	"holdfast/format/journal"
)

// driveFlags are common to the verbs on paths that move no content.
type driveFlags struct {
	placeFlags
	NoKeyring bool `help:"The login's keys are in a file and not in the system's keyring." env:"HOLDFAST_NO_KEYRING"`
}

// drive opens the drive of this machine's login.
func (f *driveFlags) drive() (*drive.Drive, error) {
	d, _, err := f.open()
	return d, err
}

// open opens it, and says whose it is.
func (f *driveFlags) open() (*drive.Drive, account.Kept, error) {
	d, _, kept, err := f.withPeople()
	return d, kept, err
}

// withPeople opens it with the account's contacts, whose signatures in shared folders
// are checked and who send keys of theirs.
func (f *driveFlags) withPeople() (*drive.Drive, *contacts.Book, account.Kept, error) {
	d, kept, err := f.opened()
	if err != nil {
		return nil, nil, kept, err
	}
	dir, err := f.home()
	if err != nil {
		return nil, nil, kept, err
	}
	book, err := contacts.Open(kept.Access, dir, d.Caller())
	if err != nil {
		return nil, nil, kept, err
	}
	d.Member = known(book)
	d.Renewals = func(ctx context.Context) ([]drive.Renewal, error) { return renewals(ctx, book) }
	return d, book, kept, nil
}

func (f *driveFlags) opened() (*drive.Drive, account.Kept, error) {
	dir, err := f.home()
	if err != nil {
		return nil, account.Kept{}, err
	}
	kept, err := account.Keeper{Dir: dir, NoKeyring: f.NoKeyring}.Load()
	if err != nil {
		return nil, kept, err
	}
	conf, err := api.Trust(f.CA)
	if err != nil {
		return nil, kept, usagef("--ca: %w", err)
	}
	web := transfer.NewHTTP(conf)
	client, err := transfer.New(kept.Server, web, dir)
	if err != nil {
		return nil, kept, err
	}
	d, err := drive.Open(kept.Access, dir, api.Caller{Base: client.Server(), HTTP: web})
	if err != nil {
		return nil, kept, err
	}
	d.Warn = func(text string) { note("%s", text) }
	d.Patience = drivePatience
	return d, kept, nil
}

// drivePatience is how long a verb waits for a service that does not answer.
const drivePatience = 15 * time.Second

// expand finds the paths that patterns stand for; what is no pattern stays as it is.
func expand(ctx context.Context, d *drive.Drive, patterns []string) ([]string, error) {
	var all []string
	seen := map[string]bool{}
	add := func(path string) {
		if !seen[path] {
			seen[path] = true
			all = append(all, path)
		}
	}
	for _, pattern := range patterns {
		if !drive.IsPattern(pattern) {
			add(pattern)
			continue
		}
		items, err := d.Glob(ctx, pattern)
		if err != nil {
			return nil, err
		}
		for _, i := range items {
			add(i.Path)
		}
	}
	return all, nil
}

// reasons say what others did at the same time, and what became of the change.
var reasons = map[journal.Reason]string{
	journal.Numbered: "the name was taken meanwhile; it is called %s",
	journal.Merged:   "%s was changed meanwhile; both contents are among its versions",
	journal.Revived:  "%s was removed meanwhile; it is back",
	journal.Again:    "%s went elsewhere meanwhile; it is here as another file",
	journal.Gone:     "%s is no longer there; nothing was changed of it",
	journal.Done:     "%s: somebody else did the same",
	journal.Changed:  "%s was changed meanwhile, and was left as it is",
	journal.Circle:   "%s would have come to lie in itself; it was not moved",
	journal.Sealed:   "%s: the folder's keys were changed meanwhile; nothing was changed of it",
}

// tellNotices tells what others' changes made of this one.
func tellNotices(r drive.Result) {
	for _, n := range r.Notices {
		form, known := reasons[n.Reason]
		if !known {
			continue
		}
		name := n.Name
		if name == "" && n.Op.Descriptor != nil {
			name = n.Op.Descriptor.Path
		}
		if name == "" {
			name = "something"
		}
		note("In %s: "+form+".", descriptor.Display(n.Path), descriptor.Display(name))
	}
}

// itemJSON is what --json prints of a file or folder.
type itemJSON struct {
	Path       string `json:"path"`
	Kind       string `json:"kind"`
	Bytes      int64  `json:"bytes"`
	MediaType  string `json:"mediaType,omitempty"`
	ModTime    *int64 `json:"mtime,omitempty"`
	Executable bool   `json:"executable,omitempty"`
	Versions   int    `json:"versions,omitempty"` // older ones
	Folder     string `json:"folder,omitempty"`   // id of the folder in which it lies
	Entry      string `json:"entry,omitempty"`
	Removed    string `json:"removed,omitempty"` // day, of what is in the trash
}

func itemOf(i drive.Item) itemJSON {
	out := itemJSON{Path: i.Path, Kind: "folder"}
	if i.Entry == nil {
		return out
	}
	d := i.Descriptor()
	if !i.IsFolder() {
		out.Kind, out.Bytes = "file", d.Content.Size
	}
	out.MediaType, out.ModTime, out.Executable, out.Versions = d.MediaType, d.ModTime, d.Executable, len(d.Versions)
	out.Folder, out.Entry = i.Folder.String(), i.Entry.ID.String()
	return out
}

// made prints what a verb did: paths, one a line.
func (f *driveFlags) made(paths []string) error {
	for _, path := range paths {
		if !f.JSON {
			continue // as other programs of that name: no news is good news
		}
		if err := printJSON(struct {
			Path string `json:"path"`
		}{path}); err != nil {
			return err
		}
	}
	return nil
}

func whenText(mtime *int64) string {
	if mtime == nil {
		return "-"
	}
	return time.Unix(*mtime, 0).Local().Format("2006-01-02 15:04")
}

func sizeText(i drive.Item) string {
	if i.IsFolder() {
		return "-"
	}
	return size(i.Descriptor().Content.Size)
}

// nameText is a name for people, with a slash behind folders.
func nameText(i drive.Item, name string) string {
	if i.IsFolder() && name != "/" {
		return descriptor.Display(name) + "/"
	}
	return descriptor.Display(name)
}
