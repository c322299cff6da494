package drive

import (
	"errors"
	"fmt"
	"time"

	"holdfast/api"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/format/wire"
)

const (
	// trashDays is how long what was removed can be restored; what is older goes when
	// something in its folder is written.
	trashDays = 30
	// maxSwept bounds what goes in one commit of what is too old.
	maxSwept = 1024
	// maxOpsBytes bounds what is put into one entry: sealing pads it, and ids stand
	// outside once more.
	maxOpsBytes = 2 << 20
	maxOpsIDs   = 50_000
)

// change is what is to be done at once, or not at all, in any number of folders.
type change struct {
	d      *Drive
	order  []*folder // that are there and change
	ops    map[*folder][]journal.Operation
	made   []*folder            // new ones
	named  map[nameKey]*folder  // new ones by where they lie and their folded name
	put    map[nameKey]struct{} // files likewise
	into   []*folder            // into which folders move
	forget []id.Folder          // that end
	upload *api.DriveUpload
	from   []api.LinkSource // links that open what is put
	grants [][]byte
}

type nameKey struct {
	in   *folder
	name string
}

func (d *Drive) change() *change {
	return &change{d: d, ops: map[*folder][]journal.Operation{}, named: map[nameKey]*folder{}, put: map[nameKey]struct{}{}}
}

// add adds operations on a folder.
func (c *change) add(f *folder, ops ...journal.Operation) {
	if _, known := c.ops[f]; !known && f.state != nil {
		c.order = append(c.order, f)
	}
	c.ops[f] = append(c.ops[f], ops...)
}

// today in days since 1970-01-01 UTC.
func (d *Drive) today() int64 { return d.now().Unix() / 86400 }

// makeFolder makes a folder in f, which may be a new one itself.
func (c *change) makeFolder(f *folder, name string, made time.Time) (*folder, error) {
	return c.makeAs(f, newEntry(), folderNamed(name, made))
}

func folderNamed(name string, made time.Time) descriptor.Descriptor {
	d := descriptor.Descriptor{Path: name, Kind: descriptor.Folder}
	d.SetTime(made.Truncate(time.Second))
	return d
}

func (c *change) makeAs(f *folder, entry id.Entry, about descriptor.Descriptor) (*folder, error) {
	if f.depth() >= maxDepth {
		return nil, &Error{join(f.path, about.Path), ErrDepth}
	}
	parent, admin, err := f.sealing()
	if err != nil {
		return nil, err
	}
	n := &folder{id: id.New[id.Folder](), path: join(f.path, about.Path), parent: f}
	n.place = journal.Place{Folder: n.id, Epoch: 1, Keys: journal.NewKeys()}
	if parent.Keys.Admin.IsZero() {
		n.place.Keys.Admin = journal.AdminSeed{} // it is administered as its parent is
	}
	child, err := journal.SealChild(parent, admin, n.place)
	if err != nil {
		return nil, n.named(err)
	}
	n.anchor, n.opener = child.Anchor(), c.d.newOpener(1, n.place.Keys.Read)
	c.add(f, journal.PutFolder(entry, about, child))
	c.ops[n] = nil
	c.made = append(c.made, n)
	return n, nil
}

// sealing is what a child's keys are sealed with, and the public half of the admin key.
func (f *folder) sealing() (journal.Place, journal.PublicKey, error) {
	if f.state == nil { // it is being made
		return f.place, f.anchor.Public.Admin, nil
	}
	p, err := f.present()
	if err == nil && p.Keys.Write.IsZero() {
		err = &Error{f.path, ErrReadOnly}
	}
	return p, f.state.Anchor().Public.Admin, err
}

func (f *folder) depth() int { return len(f.above()) - 1 }

// below finds or makes the folders of those names below f.
func (c *change) below(f *folder, names []string) (*folder, error) {
	for _, name := range names {
		key := nameKey{f, descriptor.Fold(name)}
		next := c.named[key]
		if next == nil {
			var err error
			if next, err = c.makeFolder(f, name, c.d.now()); err != nil {
				return nil, err
			}
			c.named[key] = next
		}
		f = next
	}
	return f, nil
}

// sweep ends what has been in the trash too long, where something is written anyway.
func (c *change) sweep() {
	before := c.d.today() - trashDays
	for _, f := range c.order {
		if f == c.d.heads || len(c.ops[f]) == 0 {
			continue
		}
		touched := map[id.Entry]bool{}
		for _, op := range c.ops[f] {
			if op.Entry != nil {
				touched[*op.Entry] = true
			}
		}
		for n, e := range f.state.Trash() { // the oldest first
			if e.Day > before || n >= maxSwept {
				break
			}
			if !touched[e.ID] {
				c.purge(f, e)
			}
		}
	}
}

// purge ends an entry that is in the trash.
func (c *change) purge(f *folder, e *journal.Entry) {
	c.add(f, journal.PurgeEntry(e.ID))
	if e.Child != nil {
		c.forget = append(c.forget, e.Child.Folder)
	}
}

// empty tells whether there is nothing to do.
func (c *change) empty() bool {
	for _, ops := range c.ops {
		if len(ops) > 0 {
			return false
		}
	}
	return len(c.made) == 0
}

// parts cuts operations so that each part fits an entry.
func parts(ops []journal.Operation) (all [][]journal.Operation) {
	begin, bytes, ids := 0, 0, 0
	for i := range ops {
		b, n := len(wire.Marshal(ops[i])), 1
		if d := ops[i].Descriptor; d != nil {
			n += 1 + len(d.Versions)
		}
		if i > begin && (bytes+b > maxOpsBytes || ids+n > maxOpsIDs || i-begin >= journal.MaxOperations-1) {
			all = append(all, ops[begin:i])
			begin, bytes, ids = i, 0, 0
		}
		bytes, ids = bytes+b, ids+n
	}
	return append(all, ops[begin:])
}

// clash says which error of the journal's is one of names.
func (f *folder) refused(err error) error {
	if errors.Is(err, journal.ErrClash) {
		return &Error{f.path, fmt.Errorf("%w (%w)", ErrTwice, err)}
	}
	return f.named(err)
}

func newEntry() id.Entry { return id.New[id.Entry]() }
