// Package journaltest makes folders as their owners' clients have them, for tests of
// whatever takes journals: real keys, real entries, and the state that they lead to.
package journaltest

import (
	"testing"

	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/journal"
)

// Book is a folder as its owner's client has it: its keys, and the state after all
// entries that it took.
type Book struct {
	t      testing.TB
	Place  journal.Place
	State  *journal.State
	opener *journal.Opener
}

// Found makes a folder, and the entry that begins it.
func Found(t testing.TB) (*Book, []byte) {
	t.Helper()
	b := &Book{t: t, Place: journal.Place{Folder: id.New[id.Folder](), Epoch: 1, Keys: journal.NewKeys()}}
	anchor := journal.Anchor{Folder: b.Place.Folder, Epoch: 1, Public: b.Place.Keys.Public()}
	b.State, b.opener = journal.Begin(anchor), journal.NewOpener(1, b.Place.Keys.Read)
	raw, err := journal.Found(anchor, b.pen())
	b.must(err)
	return b, raw
}

// Again is the same folder as somebody has it who was given its keys and saw nothing yet.
func (b *Book) Again() *Book {
	anchor := journal.Anchor{Folder: b.Place.Folder, Epoch: b.Place.Epoch, Public: b.Place.Keys.Public()}
	return &Book{t: b.t, Place: b.Place, State: journal.Begin(anchor), opener: journal.NewOpener(b.Place.Epoch, b.Place.Keys.Read)}
}

func (b *Book) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *Book) pen() journal.Pen { return journal.Pen{Keys: b.Place.Keys} }

// ID is the folder's.
func (b *Book) ID() id.Folder { return b.Place.Folder }

// Head is that of the last entry taken.
func (b *Book) Head() journal.Head { return b.State.Head() }

// Take applies entries that the server took.
func (b *Book) Take(raws ...[]byte) {
	b.t.Helper()
	for _, raw := range raws {
		_, err := b.State.Apply(raw, b.opener)
		b.must(err)
	}
}

// Write is the next entry; it is not taken yet.
func (b *Book) Write(ops ...journal.Operation) []byte {
	b.t.Helper()
	raw, err := b.State.Write(b.pen(), ops...)
	b.must(err)
	return raw
}

// Epoch is the entry that begins the next epoch, whose keys the book has from now on;
// it is taken.
func (b *Book) Epoch() []byte {
	b.t.Helper()
	next := journal.NewKeys()
	raw, err := b.State.WriteEpoch(b.pen(), next)
	b.must(err)
	b.Place.Epoch, b.Place.Keys = b.Place.Epoch+1, next
	b.opener.Learn(b.Place.Epoch, next.Read)
	b.Take(raw)
	return raw
}

// Checkpoint seals the state, and is the entry that names it; it is not taken yet.
func (b *Book) Checkpoint() (pages [][]byte, raw []byte) {
	b.t.Helper()
	c, err := b.State.Checkpoint(b.Place.Keys.Read)
	b.must(err)
	raw, err = b.State.WriteCheckpoint(b.pen(), c)
	b.must(err)
	return c.Pages, raw
}

// Put is the operation that puts a revision under a name.
func (b *Book) Put(name string, r id.Revision) journal.Operation {
	return journal.PutFile(id.New[id.Entry](), descriptor.Descriptor{Path: name, Kind: descriptor.File, Content: &descriptor.Content{
		File: id.New[id.File](), Revision: r, Key: descriptor.Key(id.New32()), Commitment: id.New32(), Root: id.New32(), Size: 1,
	}})
}

// PutAll puts revisions under their ids as names.
func (b *Book) PutAll(revisions ...id.Revision) []journal.Operation {
	var ops []journal.Operation
	for _, r := range revisions {
		ops = append(ops, b.Put(r.String(), r))
	}
	return ops
}

// Purge are the operations that end the entry of that name.
func (b *Book) Purge(name string) []journal.Operation {
	b.t.Helper()
	e, ok := b.State.Find(name)
	if !ok {
		b.t.Fatalf("there is no %s", name)
	}
	return []journal.Operation{journal.RemoveOn(e.ID, 1), journal.PurgeEntry(e.ID)}
}

// PutFolder is the operation that puts another folder under a name.
func (b *Book) PutFolder(name string, child *Book) journal.Operation {
	b.t.Helper()
	return journal.PutFolder(id.New[id.Entry](), descriptor.Descriptor{Path: name, Kind: descriptor.Folder}, b.seal(child))
}

func (b *Book) seal(child *Book) journal.Child {
	b.t.Helper()
	c, err := journal.SealChild(b.Place, b.Place.Keys.Public().Admin, child.Place)
	b.must(err)
	return c
}

// Move are the operations that move the entry of that name to another folder.
func (b *Book) Move(name string, to *Book, child *Book) (out, in journal.Operation) {
	b.t.Helper()
	e, ok := b.State.Find(name)
	if !ok {
		b.t.Fatalf("there is no %s", name)
	}
	var sealed *journal.Child
	if child != nil {
		c := to.seal(child)
		sealed = &c
	}
	return journal.Move(e, b.ID(), to.ID(), name, sealed)
}

// Grant is a grant of the folder to an account.
func (b *Book) Grant(to id.Account, role journal.Role, serial int64) []byte {
	b.t.Helper()
	raw, err := journal.Grant{Folder: b.ID(), Account: &to, Role: role, Epoch: b.State.Epoch(), Serial: serial}.Seal(b.Place.Keys.Admin)
	b.must(err)
	return raw
}
