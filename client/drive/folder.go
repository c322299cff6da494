package drive

import (
	"errors"
	"strings"

	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/format/keys"
)

// folder is a folder as far as it is known: its keys come from its parent, its state
// from this machine's cache and from the server, verified.
type folder struct {
	id     id.Folder
	path   string
	parent *folder // nil for the root, for heads and for what others share
	shared bool    // a folder of somebody else, at the top of what they share
	anchor journal.Anchor
	place  journal.Place // the keys of the anchor's epoch
	opener *journal.Opener
	state  *journal.State // nil: nothing is known
	round  int            // in which it was read last
	gone   bool           // the server said then that it is not there
	looked bool           // in the cache
	fresh  [][]byte       // entries in the state that are not in the cache yet
	kept   mark           // what the cache has
}

// heading is the path by which heads are named to people.
const heading = "(heads of all folders)"

func derived(k keys.Folder, path string) *folder {
	f := &folder{id: k.ID, path: path}
	f.place = journal.Place{Folder: k.ID, Epoch: 1, Keys: journal.Keys{
		Read: journal.ReadKey(k.Read), Write: journal.WriteSeed(k.WriteSeed), Admin: journal.AdminSeed(k.AdminSeed),
	}}
	f.anchor = journal.Anchor{Folder: k.ID, Epoch: 1, Public: f.place.Keys.Public()}
	f.opener = journal.NewOpener(1, f.place.Keys.Read)
	return f
}

func (f *folder) seq() int64 {
	if f.state == nil {
		return 0
	}
	return f.state.Head().Seq
}

// forget drops the state: what is known comes from cache and server again.
func (f *folder) forget() {
	f.state, f.looked, f.fresh, f.round, f.kept = nil, false, nil, 0, mark{}
}

// present is the folder in its present epoch, with its keys.
func (f *folder) present() (journal.Place, error) {
	if f.state.Epoch() != f.place.Epoch {
		return journal.Place{}, f.named(journal.ErrLocked)
	}
	return f.place, nil
}

// at is the folder in an epoch, with what there is of its keys.
func (f *folder) at(epoch int64) journal.Place {
	if epoch == f.place.Epoch {
		return f.place
	}
	p := journal.Place{Folder: f.id, Epoch: epoch}
	if key, err := f.opener.Key(epoch); err == nil {
		p.Keys.Read = key
	}
	return p
}

// child is the folder of an entry of f, live or in the trash.
func (d *Drive) child(f *folder, e *journal.Entry) (*folder, error) {
	c, known := d.folders[e.Child.Folder]
	if !known {
		c = &folder{id: e.Child.Folder}
	}
	c.path = join(f.path, e.Name())
	if known && c.parent == f && c.anchor == e.Child.Anchor() {
		return c, nil
	}
	sealed, err := e.Child.Open(f.at(e.Child.Parent))
	if err != nil {
		return nil, c.named(err)
	}
	if sealed.Admin, err = d.admin(f, e.Child); err != nil {
		return nil, c.named(err)
	}
	c.parent, c.anchor = f, e.Child.Anchor()
	c.place = journal.Place{Folder: c.id, Epoch: e.Child.Epoch, Keys: sealed}
	if c.opener == nil {
		c.opener = d.newOpener(c.place.Epoch, sealed.Read)
	}
	c.opener.Learn(c.place.Epoch, sealed.Read)
	d.folders[c.id] = c
	return c, nil
}

// admin opens a child's admin seed; where the keys that it takes are not there, there
// is none.
func (d *Drive) admin(f *folder, c *journal.Child) (journal.AdminSeed, error) {
	by := f
	if c.AdminFolder != f.id {
		by = d.folders[c.AdminFolder]
	}
	if by == nil {
		return journal.AdminSeed{}, nil
	}
	seed, err := c.OpenAdmin(by.at(c.AdminEpoch))
	if errors.Is(err, journal.ErrLocked) {
		return journal.AdminSeed{}, nil
	}
	return seed, err
}

// root is the folder in which f hangs on nothing.
func (f *folder) root() *folder {
	for f.parent != nil {
		f = f.parent
	}
	return f
}

// above are f and the folders in which it lies, f first.
func (f *folder) above() (all []*folder) {
	for ; f != nil; f = f.parent {
		all = append(all, f)
	}
	return all
}

func join(path, name string) string {
	if strings.HasSuffix(path, "/") {
		return path + name
	}
	return path + "/" + name
}

// item is an entry of f at its path.
func (f *folder) item(e *journal.Entry) Item {
	i := Item{Path: join(f.path, e.Name()), Folder: f.id, Entry: e}
	if e.Child != nil {
		i.Self = e.Child.Folder
	}
	return i
}

// itself is a folder as an item.
func (f *folder) itself() Item {
	if f.parent != nil {
		if e, ok := f.parent.state.Child(f.id); ok {
			return f.parent.item(e)
		}
	}
	return Item{Path: f.path, Self: f.id}
}
