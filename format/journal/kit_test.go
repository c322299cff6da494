package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"holdfast/format/descriptor"
	"holdfast/format/id"
)

// tb is what tests of both kinds, and fuzz targets, have.
type tb interface {
	Helper()
	Fatalf(string, ...any)
	Fatal(...any)
}

// run is n bytes counting up from first.
func run(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

// made is 32 bytes that follow from a text.
func made(text string) [32]byte { return sha256.Sum256([]byte(text)) }

func folderID(n int) (v id.Folder)     { return id.Folder(numbered("folder", n)) }
func entryID(n int) (v id.Entry)       { return id.Entry(numbered("entry", n)) }
func revisionID(n int) (v id.Revision) { return id.Revision(numbered("revision", n)) }

func numbered(kind string, n int) []byte {
	sum := made(fmt.Sprint(kind, n))
	return sum[:16]
}

// keysFor are the keys of a folder in an epoch.
func keysFor(folder id.Folder, epoch int64) Keys {
	of := func(kind string) [32]byte { return made(fmt.Sprint(kind, folder, epoch)) }
	return Keys{Read: ReadKey(of("read")), Write: WriteSeed(of("write")), Admin: AdminSeed(of("admin"))}
}

func anchorOf(folder id.Folder, epoch int64) Anchor {
	return Anchor{Folder: folder, Epoch: epoch, Public: keysFor(folder, epoch).Public()}
}

func placeOf(folder id.Folder, epoch int64) Place {
	return Place{Folder: folder, Epoch: epoch, Keys: keysFor(folder, epoch)}
}

// contentOf is the content of revision n.
func contentOf(n int) *descriptor.Content {
	c := &descriptor.Content{
		File: id.File(numbered("file", n)), Revision: revisionID(n), Key: descriptor.Key(made(fmt.Sprint("key", n))),
		Commitment: made(fmt.Sprint("commitment", n)), Root: made(fmt.Sprint("root", n)), Size: int64(n),
	}
	return c
}

func fileOf(name string, revision int) descriptor.Descriptor {
	return descriptor.Descriptor{Path: name, Kind: descriptor.File, Content: contentOf(revision)}
}

func folderOf(name string) descriptor.Descriptor {
	return descriptor.Descriptor{Path: name, Kind: descriptor.Folder}
}

func put(entry int, name string, revision int) Operation {
	return PutFile(entryID(entry), fileOf(name, revision))
}

// childOf is folder n sealed by parent.
func childOf(t tb, parent Place, n int, epoch int64) Child {
	t.Helper()
	c, err := SealChild(parent, parent.Keys.Admin.public(), placeOf(folderID(n), epoch))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// book is a journal as a server keeps it, and the state of a client that follows.
type book struct {
	t      tb
	folder id.Folder
	raws   [][]byte
	state  *State
	opener *Opener
}

// newBook begins folder n.
func newBook(t tb, n int) *book {
	t.Helper()
	b := &book{t: t, folder: folderID(n), state: Begin(anchorOf(folderID(n), 1))}
	b.opener = NewOpener(1, keysFor(b.folder, 1).Read)
	raw, err := Found(anchorOf(b.folder, 1), b.pen())
	b.take(raw, err)
	return b
}

func (b *book) pen() Pen { return Pen{Keys: keysFor(b.folder, max(1, b.state.Epoch()))} }

// take applies an entry that was just written.
func (b *book) take(raw []byte, err error) *book {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.state.Apply(raw, b.opener); err != nil {
		b.t.Fatal(err)
	}
	b.raws = append(b.raws, raw)
	return b
}

// do writes one entry.
func (b *book) do(ops ...Operation) *book {
	b.t.Helper()
	raw, err := b.state.Write(b.pen(), ops...)
	return b.take(raw, err)
}

// epoch begins the next epoch.
func (b *book) epoch(ops ...Operation) *book {
	b.t.Helper()
	next := b.state.Epoch() + 1
	raw, err := b.state.WriteEpoch(b.pen(), keysFor(b.folder, next), ops...)
	b.opener.Learn(next, keysFor(b.folder, next).Read)
	return b.take(raw, err)
}

// replay is a client's state that saw nothing before.
func (b *book) replay(upTo int) *State {
	b.t.Helper()
	s, err := replayAll(anchorOf(b.folder, 1), b.opener, b.raws[:upTo])
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func replayAll(a Anchor, o *Opener, raws [][]byte) (*State, error) {
	s := Begin(a)
	for _, raw := range raws {
		if _, err := s.Apply(raw, o); err != nil {
			return s, err
		}
	}
	return s, nil
}

// raises wants an alarm of that kind that names the folder.
func raises(t tb, err error, folder id.Folder, kind Kind) {
	t.Helper()
	var a *Alarm
	if !errors.As(err, &a) || a.Kind != kind || a.Folder != folder || !errors.Is(err, kind) {
		t.Fatalf("want %s of %s, have %v", string(kind), folder, err)
	}
}

// names are the live names.
func names(s *State) []string {
	var out []string
	for _, e := range s.List() {
		out = append(out, e.Name())
	}
	return out
}

// check wants of a state what always holds.
func check(t tb, s *State) {
	t.Helper()
	held, live, folded := map[id.Revision]int32{}, 0, map[string]int{}
	children := 0
	for e := range s.All() {
		e.revisions(func(r id.Revision) { held[r]++ })
		if e.Child != nil {
			children++
			if at, ok := s.Child(e.Child.Folder); !ok || at != e {
				t.Fatalf("child %s is not found", e.Child.Folder)
			}
		}
		if at, ok := s.Get(e.ID); !ok || at != e {
			t.Fatalf("%s is not found by its id", e.Name())
		}
		if e.Trashed {
			continue
		}
		live++
		folded[descriptor.Fold(e.Name())]++
		if at, ok := s.Find(e.Name()); !ok || at != e {
			t.Fatalf("%s is not found by its name", e.Name())
		}
	}
	if len(held) != len(s.held) || live != len(s.names) || children != len(s.children) {
		t.Fatalf("indexes: %d of %d revisions, %d of %d names, %d of %d children", len(s.held), len(held), len(s.names), live, len(s.children), children)
	}
	for r, n := range held {
		if s.held[r] != n {
			t.Fatalf("revision %s is held %d times, the index says %d", r, n, s.held[r])
		}
	}
	for key, n := range folded {
		if n != 1 || s.folded != nil && s.folded[key] != 1 {
			t.Fatalf("%d live entries have the name %q", n, key)
		}
	}
	if s.folded != nil && len(s.folded) != len(folded) {
		t.Fatalf("the index of folded names has %d of %d", len(s.folded), len(folded))
	}
}

func same(t tb, a, b *State) {
	t.Helper()
	if a.Head() != b.Head() || a.Digest() != b.Digest() {
		t.Fatalf("two states: %d %x %v, %d %x %v", a.Head().Seq, a.Digest(), names(a), b.Head().Seq, b.Digest(), names(b))
	}
}

var (
	_ = bytes.Equal
	_ = binary.BigEndian
	_ = testing.Short
)

func hashOf(b []byte) Hash { return sha256.Sum256(b) }
