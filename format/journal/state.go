package journal

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"

	"holdfast/format/descriptor"
	"holdfast/format/id"
)

// Entry is a file or folder in a folder. It never changes: what changes it makes
// another, so that one may be kept while the state goes on.
type Entry struct {
	ID         id.Entry
	Descriptor *descriptor.Descriptor // its Path is the name; Versions are the newest first
	Child      *Child                 // of a folder
	Trashed    bool
	Day        int64 // since when it is in the trash, in days since 1970-01-01 UTC
}

// Name is the entry's name.
func (e *Entry) Name() string { return e.Descriptor.Path }

// IsFolder tells whether the entry is a folder.
func (e *Entry) IsFolder() bool { return e.Descriptor.Kind == descriptor.Folder }

// revisions calls do for each revision that the entry holds.
func (e *Entry) revisions(do func(id.Revision)) {
	d := e.Descriptor
	if d.Content != nil {
		do(d.Content.Revision)
	}
	for i := range d.Versions {
		do(d.Versions[i].Content.Revision)
	}
	if d.Thumbnail != nil {
		do(d.Thumbnail.Revision)
	}
}

// epochStart is the entry that began an epoch, enough of it to verify the handover.
type epochStart struct {
	Seq      int64     `cbor:"1,keyasint"`
	Previous Hash      `cbor:"2,keyasint"`
	Write    PublicKey `cbor:"3,keyasint"`
	Admin    PublicKey `cbor:"4,keyasint"`
	Handover *[64]byte `cbor:"5,keyasint,omitempty"`
}

func (s epochStart) start() Start {
	return Start{Write: s.Write, Admin: s.Admin, Handover: s.Handover}
}

// State is a folder after some entry of its journal, verified.
type State struct {
	chain    Chain
	anchor   Anchor
	epochs   []epochStart // epoch n is the n-th
	entries  map[id.Entry]*Entry
	names    map[string]*Entry // live entries
	held     map[id.Revision]int32
	children map[id.Folder]*Entry
	heads    map[id.Folder]Head
	tail     int            // operations since the last checkpoint
	folded   map[string]int // live names by their fold; made when somebody writes
	undo     []replaced     // what the change in the making replaced
	touched  []touch
	saved    saved
	expected Head // what was seen of the journal, beyond the state
}

// Begin is the state of a folder before its first entry. What the journal says
// must lead to the anchor's keys in the anchor's epoch.
func Begin(anchor Anchor) *State {
	return &State{
		chain: Chain{Folder: anchor.Folder}, anchor: anchor,
		entries: map[id.Entry]*Entry{}, names: map[string]*Entry{}, held: map[id.Revision]int32{},
		children: map[id.Folder]*Entry{}, heads: map[id.Folder]Head{},
	}
}

// Folder is the folder's id.
func (s *State) Folder() id.Folder { return s.chain.Folder }

// Chain is the verified end of the journal.
func (s *State) Chain() Chain { return s.chain }

// Head is the state's place in the journal.
func (s *State) Head() Head { return s.chain.Head() }

// Epoch is the present epoch.
func (s *State) Epoch() int64 { return s.chain.Epoch }

// Anchor is what somebody who is to open this folder needs to know of its present epoch.
func (s *State) Anchor() Anchor {
	return Anchor{Folder: s.chain.Folder, Epoch: s.chain.Epoch, Public: s.chain.Keys}
}

// PublicOf are the folder's keys in one of its epochs.
func (s *State) PublicOf(epoch int64) (Public, bool) {
	if epoch < 1 || epoch > int64(len(s.epochs)) {
		return Public{}, false
	}
	return s.epochs[epoch-1].start().Public(), true
}

// Hold checks that the journal leads to a's keys in a's epoch, and holds what
// comes later against it too. A journal that ends before that epoch is an older
// state than that which a was taken from.
func (s *State) Hold(a Anchor) error {
	switch {
	case a.Folder != s.chain.Folder:
		return alarm(s.chain.Folder, Foreign, s.chain.Seq, wrong("the keys are of folder %s", a.Folder))
	case a.Epoch > int64(len(s.epochs)):
		return alarm(s.chain.Folder, Rollback, s.chain.Seq, wrong("epoch %d was seen", a.Epoch))
	case a.Epoch < 1 || s.epochs[a.Epoch-1].start().Public() != a.Public:
		return alarm(s.chain.Folder, Foreign, s.chain.Seq, wrong("the keys of epoch %d are others", a.Epoch))
	}
	s.anchor = a
	return nil
}

// Settled tells, once a server has given all entries that it says it has, whether
// the journal has come to the anchor that the state began with, and to what
// Expect was told. Before that nothing in the state is to be believed.
func (s *State) Settled() error {
	if s.chain.Seq == 0 {
		return alarm(s.chain.Folder, Missing, 0, wrong("there is no journal"))
	}
	if err := s.Hold(s.anchor); err != nil {
		return err
	}
	if s.chain.Seq < s.expected.Seq {
		return alarm(s.chain.Folder, Rollback, s.chain.Seq, wrong("entry %d was seen", s.expected.Seq))
	}
	return nil
}

// Expect holds what is replayed from here on against h, which was seen before: a
// pin, or a head. A state that is beyond h already is held against it by Bridge.
func (s *State) Expect(h Head) error {
	if h.Folder != s.chain.Folder || h.Seq < s.chain.Seq {
		return wrong("journal: the state is at entry %d, which does not tell entry %d of folder %s", s.chain.Seq, h.Seq, h.Folder)
	}
	s.expected = h
	return s.meets(s.Head())
}

// meets compares a head with what was expected there.
func (s *State) meets(h Head) error {
	if h.Seq == s.expected.Seq && h.Seq > 0 && h.Hash != s.expected.Hash {
		return alarm(h.Folder, Fork, h.Seq, wrong("another entry was seen in its place"))
	}
	return nil
}

// Get finds an entry, live or in the trash.
func (s *State) Get(entry id.Entry) (*Entry, bool) {
	e, ok := s.entries[entry]
	return e, ok
}

// Find finds a live entry by its exact name.
func (s *State) Find(name string) (*Entry, bool) {
	e, ok := s.names[name]
	return e, ok
}

// Child finds the entry of a child folder, live or in the trash.
func (s *State) Child(folder id.Folder) (*Entry, bool) {
	e, ok := s.children[folder]
	return e, ok
}

// Holds tells whether an entry, live or in the trash, holds the revision.
func (s *State) Holds(revision id.Revision) bool { return s.held[revision] > 0 }

// Len is the number of entries, live and in the trash.
func (s *State) Len() int { return len(s.entries) }

// All are the entries, live and in the trash, in no order.
func (s *State) All() iter.Seq[*Entry] { return maps.Values(s.entries) }

// List are the live entries, sorted by name as bytes.
func (s *State) List() []*Entry {
	type named struct {
		name string // beside the entry: sorting would look for it in memory each time
		e    *Entry
	}
	all := make([]named, 0, len(s.names))
	for name, e := range s.names {
		all = append(all, named{name, e})
	}
	slices.SortFunc(all, func(a, b named) int { return strings.Compare(a.name, b.name) })
	out := make([]*Entry, len(all))
	for i := range all {
		out[i] = all[i].e
	}
	return out
}

// Trash are the entries in the trash, those that came first before others.
func (s *State) Trash() []*Entry {
	var out []*Entry
	for _, e := range s.entries {
		if e.Trashed {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b *Entry) int { return cmp.Or(cmp.Compare(a.Day, b.Day), compareIDs(a.ID, b.ID)) })
	return out
}

// Stale are the children whose keys are not sealed by this folder's present
// epoch: those that are to be given keys anew after a member was removed.
func (s *State) Stale() []*Entry {
	var out []*Entry
	for _, e := range s.children {
		if e.Child.Parent < s.chain.Epoch {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b *Entry) int { return compareIDs(a.ID, b.ID) })
	return out
}

// Clashes tells whether a live entry has a name that is taken for this one by
// some file system.
func (s *State) Clashes(name string) bool {
	s.fold()
	return s.clash(name) > 0
}

func (s *State) clash(name string) int { return s.folded[descriptor.Fold(name)] }

// Free is name, or name with the lowest number that clashes with no live entry.
func (s *State) Free(name string) string {
	free := name
	for n := 2; s.Clashes(free); n++ {
		free = descriptor.Numbered(name, n)
	}
	return free
}

// fold makes the index of folded names, which only writers need.
func (s *State) fold() {
	if s.folded != nil {
		return
	}
	s.folded = make(map[string]int, len(s.names))
	for name := range s.names {
		s.folded[descriptor.Fold(name)]++
	}
}

// minTail is the least number of operations between checkpoints.
const minTail = 256

// WantsCheckpoint tells whether a checkpoint is due.
func (s *State) WantsCheckpoint() bool { return s.tail > max(minTail, len(s.entries)/4) }
