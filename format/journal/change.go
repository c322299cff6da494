package journal

import (
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

// touch is a revision, or a child, that one entry more or less holds. They are
// counted at the end of a change: most are touched once.
type touch struct {
	id     [id.Size]byte
	folder bool
	by     int32
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

// index takes e into the indexes or out of them; note says that it is part of a
// change, at whose end revisions are counted.
func (s *State) index(e *Entry, by int32, note bool) {
	if !e.Trashed {
		s.indexName(e, by)
	}
	if note {
		e.revisions(func(revision id.Revision) { s.touched = append(s.touched, touch{id: revision, by: by}) })
	}
	if e.Child == nil {
		return
	}
	if note {
		s.touched = append(s.touched, touch{id: e.Child.Folder, folder: true, by: by})
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
func (s *State) settle() {
	for _, t := range s.touched {
		if t.folder || t.by == 0 {
			continue
		}
		if n := s.held[t.id] + t.by; n == 0 {
			delete(s.held, t.id)
		} else {
			s.held[t.id] = n
		}
	}
	s.clear()
}

func (s *State) clear() { s.undo, s.touched = s.undo[:0], s.touched[:0] }

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
	s.clear()
}

// effect is what a change does to what the folder holds.
type effect struct {
	added, dropped               []id.Revision
	foldersAdded, foldersDropped []id.Folder
}

// effect compares what is held with what was before the change; it sums up what
// is noted of each revision and child.
func (s *State) effect() effect {
	slices.SortFunc(s.touched, func(a, b touch) int { return compareIDs(a.id, b.id) })
	s.touched = sumUp(s.touched)
	var out effect
	for _, t := range s.touched {
		switch {
		case t.by == 0:
		case t.folder: // no two entries hold one child
			out.foldersAdded = appendIf(out.foldersAdded, t.id, t.by > 0)
			out.foldersDropped = appendIf(out.foldersDropped, t.id, t.by < 0)
		default:
			before := s.held[t.id]
			out.added = appendIf(out.added, t.id, before == 0)
			out.dropped = appendIf(out.dropped, t.id, before+t.by == 0)
		}
	}
	return out
}

// sumUp joins the touches of one id. A revision and a child of one id, which
// random ids never are, stay apart.
func sumUp(touched []touch) []touch {
	out := touched[:0]
	for _, t := range touched {
		at := len(out) - 1
		for at >= 0 && out[at].id == t.id && out[at].folder != t.folder {
			at--
		}
		if at >= 0 && out[at].id == t.id {
			out[at].by += t.by
			continue
		}
		out = append(out, t)
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
