package journal

import (
	"slices"
	"testing"

	"holdfast/format/id"
)

func TestOperations(t *testing.T) {
	b := newBook(t, 1)
	b.do(put(1, "a", 1), put(2, "b", 2)).do(put(1, "a", 3), RenameTo(entryID(2), "c"))
	e, _ := b.state.Get(entryID(1))
	if len(e.Descriptor.Versions) != 1 || e.Descriptor.Versions[0].Content != *contentOf(1) || !slices.Equal(names(b.state), []string{"a", "c"}) {
		t.Fatalf("%v, %+v", names(b.state), e.Descriptor)
	}
	b.do(RemoveOn(entryID(2), 20000))
	if trash := b.state.Trash(); len(trash) != 1 || trash[0].ID != entryID(2) || trash[0].Day != 20000 {
		t.Fatal("not in the trash")
	}
	b.do(RestoreAs(entryID(2), "b"), RemoveOn(entryID(1), 20001), PurgeEntry(entryID(1)))
	if b.state.Holds(revisionID(1)) || b.state.Holds(revisionID(3)) || !b.state.Holds(revisionID(2)) {
		t.Fatal("purging leaves or takes what it should not")
	}
	child := childOf(t, placeOf(b.folder, 1), 7, 1)
	b.do(PutFolder(entryID(3), folderOf("d"), child))
	b.epoch()
	if stale := b.state.Stale(); len(stale) != 1 {
		t.Fatal("the child is not stale")
	}
	b.do(RenameTo(entryID(2), "x"))
	check(t, b.state)
	same(t, b.state, b.replay(len(b.raws)))
	// Somebody who was let in later learns the keys from the entries.
	late := NewOpener(2, keysFor(b.folder, 2).Read)
	late.LearnFrom(b.raws)
	s, err := replayAll(anchorOf(b.folder, 2), late, b.raws)
	if err != nil {
		t.Fatal(err)
	}
	same(t, b.state, s)
}

func TestCheckpointLeadsToTheSame(t *testing.T) {
	b := newBook(t, 1)
	b.do(put(1, "a", 1), put(2, "b", 2)).epoch().do(RemoveOn(entryID(2), 5))
	c, err := b.state.Checkpoint(keysFor(b.folder, 2).Read)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := b.state.WriteCheckpoint(b.pen(), c, put(3, "c", 3))
	b.take(raw, err).do(put(4, "d", 4))
	pages := map[Hash][]byte{}
	for i, h := range c.Hashes {
		pages[h] = c.Pages[i]
	}
	at := int(c.Head.Seq)
	o := NewOpener(2, keysFor(b.folder, 2).Read)
	s, err := Load(anchorOf(b.folder, 2), b.raws[at], o, func(h Hash) ([]byte, error) { return pages[h], nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range b.raws[at:] {
		if _, err := s.Apply(raw, o); err != nil {
			t.Fatal(err)
		}
	}
	same(t, b.state, s)
	check(t, s)
	_ = id.Size
}
