package journal

import (
	"cmp"
	"slices"

	"holdfast/format/descriptor"
	"holdfast/format/id"
)

// replaced is one step of a change that can be taken back.
type replaced struct {
	id            id.Entry
	before, after *Entry // nil: not there
	head          *Head  // of heads instead: the head before
	forgotten     bool   // and whether there was none
	folder        id.Folder
}

// touch notes how often a revision, or a child, was held before a change.
type touch struct {
	id     [id.Size]byte
	folder bool
	before int32
}

// set replaces an entry; nil takes it away. The caller has checked that the
// result is a state.
func (s *State) set(entry id.Entry, before, after *Entry) {
	s.undo = append(s.undo, replaced{id: entry, before: before, after: after})
	s.swap(entry, before, after, true)
}

func (s *State) swap(entry id.Entry, before, after *Entry, note bool) {
	if before != nil && after != nil && sameHeld(before, after) {
		s.rename(before, after)
		return
	}
	if before != nil {
		s.index(before, -1, note)
	}
	if after == nil {
		delete(s.entries, entry)
		return
	}
	s.entries[entry] = after
	s.index(after, 1, note)
}

// sameHeld tells, without looking at each, whether both hold the same revisions
// and the same child: a rename leaves them where they are.
func sameHeld(a, b *Entry) bool {
	x, y := a.Descriptor, b.Descriptor
	return x.Content == y.Content && x.Thumbnail == y.Thumbnail && len(x.Versions) == len(y.Versions) &&
		(len(x.Versions) == 0 || &x.Versions[0] == &y.Versions[0]) &&
		(a.Child == nil) == (b.Child == nil) && (a.Child == nil || a.Child.Folder == b.Child.Folder)
}

// rename puts after in before's place where both hold the same.
func (s *State) rename(before, after *Entry) {
	s.entries[after.ID] = after
	if after.Child != nil {
		s.children[after.Child.Folder] = after
	}
	if !before.Trashed {
		s.indexName(before, -1)
	}
	if !after.Trashed {
		s.indexName(after, 1)
	}
}

// index counts what e holds in or out.
func (s *State) index(e *Entry, by int32, note bool) {
	if !e.Trashed {
		s.indexName(e, by)
	}
	e.revisions(func(revision id.Revision) {
		n := s.held[revision]
		if note {
			s.touched = append(s.touched, touch{id: revision, before: n})
		}
		if n += by; n == 0 {
			delete(s.held, revision)
			return
		}
		s.held[revision] = n
	})
	if e.Child == nil {
		return
	}
	if note {
		s.touched = append(s.touched, touch{id: e.Child.Folder, folder: true, before: max(0, -by)})
	}
	if by < 0 {
		delete(s.children, e.Child.Folder)
		return
	}
	s.children[e.Child.Folder] = e
}

func (s *State) indexName(e *Entry, by int32) {
	if by < 0 {
		delete(s.names, e.Name())
	} else {
		s.names[e.Name()] = e
	}
	if s.folded == nil {
		return
	}
	key := descriptor.Fold(e.Name())
	if s.folded[key] += int(by); s.folded[key] == 0 {
		delete(s.folded, key)
	}
}

// setHead notes a folder's head; nil forgets it.
func (s *State) setHead(folder id.Folder, h *Head) {
	before, known := s.heads[folder]
	s.undo = append(s.undo, replaced{folder: folder, head: &before, forgotten: !known})
	if h == nil {
		delete(s.heads, folder)
		return
	}
	s.heads[folder] = *h
}

// begin begins a change.
func (s *State) begin() { s.saved = saved{s.chain, len(s.epochs), s.tail} }

// saved is what a change may alter beside entries and heads.
type saved struct {
	chain  Chain
	epochs int
	tail   int
}

// settle ends a change: it stands.
func (s *State) settle() { s.undo, s.touched = s.undo[:0], s.touched[:0] }

// takeBack ends a change: all of it is undone.
func (s *State) takeBack() {
	for _, u := range slices.Backward(s.undo) {
		switch {
		case u.head == nil:
			s.swap(u.id, u.after, u.before, false)
		case u.forgotten:
			delete(s.heads, u.folder)
		default:
			s.heads[u.folder] = *u.head
		}
	}
	s.chain, s.epochs, s.tail = s.saved.chain, s.epochs[:s.saved.epochs], s.saved.tail
	s.settle()
}

// effect is what a change does to what the folder holds.
type effect struct {
	added, dropped               []id.Revision
	foldersAdded, foldersDropped []id.Folder
}

// effect compares what is held now with what was before the change.
func (s *State) effect() effect {
	var out effect
	// The first note of each is what was before; they are noted in order.
	slices.SortStableFunc(s.touched, func(a, b touch) int {
		if a.folder != b.folder {
			if a.folder {
				return 1
			}
			return -1
		}
		return cmp.Compare(string(a.id[:]), string(b.id[:]))
	})
	for i, t := range s.touched {
		if i > 0 && t.id == s.touched[i-1].id && t.folder == s.touched[i-1].folder {
			continue
		}
		if t.folder {
			_, now := s.children[t.id]
			out.foldersAdded = appendIf(out.foldersAdded, t.id, t.before == 0 && now)
			out.foldersDropped = appendIf(out.foldersDropped, t.id, t.before > 0 && !now)
			continue
		}
		now := s.held[t.id]
		out.added = appendIf(out.added, t.id, t.before == 0 && now > 0)
		out.dropped = appendIf(out.dropped, t.id, t.before > 0 && now == 0)
	}
	return out
}

func appendIf[T ~[id.Size]byte](list []T, v T, yes bool) []T {
	if !yes {
		return list
	}
	return append(list, v)
}

// agrees tells whether the outer lists are exactly what the change does.
func (e effect) agrees(o *Outer) bool {
	return slices.Equal(e.added, o.Added) && slices.Equal(e.dropped, o.Dropped) &&
		slices.Equal(e.foldersAdded, o.FoldersAdded) && slices.Equal(e.foldersDropped, o.FoldersDropped)
}
