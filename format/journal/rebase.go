package journal

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"

	"holdfast/format/descriptor"
	"holdfast/format/id"
)

// Reason says what became of an operation that could not be done as intended.
type Reason string

// The reasons.
const (
	// Numbered: the name was taken; it has another, which the notice tells.
	Numbered Reason = "numbered"
	// Merged: the file was changed meanwhile; both contents are among its versions.
	Merged Reason = "merged"
	// Revived: the file was removed meanwhile; it is back.
	Revived Reason = "revived"
	// Again: the file is no longer in the folder; it is put there as another.
	Again Reason = "again"
	// Gone: what was to be changed is no longer there. Void.
	Gone Reason = "gone"
	// Done: somebody else did the same. Void.
	Done Reason = "done"
	// Changed: it was changed meanwhile, and is not removed, or not overwritten. Void.
	Changed Reason = "changed"
	// Circle: a folder would come to lie in itself. Void.
	Circle Reason = "circle"
	// Sealed: keys were sealed for an epoch that is over. Void.
	Sealed Reason = "sealed"
	// Stale: a checkpoint or a head is of another state by now. Void.
	Stale Reason = "stale"
)

// Notice tells what became of one operation.
type Notice struct {
	Folder id.Folder
	Op     Operation // as it was intended
	Reason Reason
	Name   string // Numbered: the name that it has
}

// Intent is what is to be done in one folder, with what it was meant for.
type Intent struct {
	Folder id.Folder
	Ops    []Operation

	before map[id.Entry]*Entry // the entries as they were; nil: not there
}

// Intend checks that ops can be done on s, and notes on what they were meant to be done.
func (s *State) Intend(ops ...Operation) (Intent, error) {
	if _, err := s.try(draft{epoch: s.chain.Epoch, ops: ops}, s.next(s.chain.Epoch)); err != nil {
		return Intent{}, err
	}
	return s.intent(ops), nil
}

func (s *State) intent(ops []Operation) Intent {
	in := Intent{Folder: s.chain.Folder, Ops: ops, before: map[id.Entry]*Entry{}}
	for i := range ops {
		if ops[i].Entry != nil {
			in.before[*ops[i].Entry] = s.entries[*ops[i].Entry]
		}
	}
	return in
}

// World is what Rebase needs to know beside what was intended.
type World struct {
	// State is the newest state of a folder that one of the intents is for.
	State func(id.Folder) *State
	// Parent is the folder in which a folder lies now; false for the root and for
	// what is not known. Needed where folders move.
	Parent func(id.Folder) (id.Folder, bool)
	// Reseal seals a child's keys anew for that folder's present epoch, as the
	// operation at hand wants it; present is what is known of the child now. An error
	// makes the operation void. May be nil.
	Reseal func(folder *State, op Operation, present *Child) (Child, error)
}

// errUnsettled cannot happen: every round voids a move, or is the last.
var errUnsettled = errors.New("journal: rebase does not settle")

// Rebase adapts what was intended to the newest states (docs/format.md §23): all
// folders of one commit together, because the two halves of a move stand or fall
// together. Its outcome depends on the intents and the states only. Intents of
// which nothing is left have no operations.
func Rebase(intents []Intent, w World) ([]Intent, []Notice, error) {
	r := rebase{World: w, names: map[id.Entry]string{}, void: map[id.Entry]Reason{}, moved: map[id.Entry]*Entry{}}
	moves := 0
	for _, in := range intents {
		moves += len(in.Ops)
		for i := range in.Ops {
			if before := in.before[entryOf(in.Ops[i])]; in.Ops[i].What == OpMoveOut && before != nil {
				r.names[before.ID] = before.Name()
			}
		}
	}
	for range 2*moves + 2 {
		r.again, r.into = false, map[id.Folder]id.Folder{}
		out, notices, err := r.round(intents)
		if err != nil || !r.again {
			return out, notices, err
		}
	}
	return nil, nil, errUnsettled
}

// rebase is one call of Rebase.
type rebase struct {
	World
	names map[id.Entry]string     // of what moves, as it was
	into  map[id.Folder]id.Folder // where folders go, in this round
	void  map[id.Entry]Reason     // moves that are not done
	moved map[id.Entry]*Entry     // what moves, as it is now
	again bool                    // something was found out that an earlier operation depends on
}

func (r *rebase) round(intents []Intent) ([]Intent, []Notice, error) {
	var out []Intent
	var notices []Notice
	for _, in := range intents {
		now := r.State(in.Folder)
		if now == nil {
			return nil, nil, fmt.Errorf("journal: no state of folder %s to rebase on", in.Folder)
		}
		one := onto{rebase: r, now: now, in: in}
		ops := one.all()
		if one.err != nil {
			return nil, nil, one.err
		}
		out = append(out, now.intent(ops))
		notices = append(notices, one.notices...)
	}
	return out, notices, nil
}

// onto rebases one folder's operations.
type onto struct {
	*rebase
	now     *State
	in      Intent
	ops     []Operation
	notices []Notice
	err     error
}

func entryOf(op Operation) id.Entry {
	if op.Entry == nil {
		return id.Entry{}
	}
	return *op.Entry
}

func (o *onto) all() []Operation {
	o.now.fold()
	o.now.begin()
	defer o.now.takeBack()
	for _, op := range o.in.Ops {
		o.one(op)
	}
	return o.ops
}

func (o *onto) note(op Operation, reason Reason, name string) {
	o.notices = append(o.notices, Notice{Folder: o.in.Folder, Op: op, Reason: reason, Name: name})
}

// emit does an adapted operation.
func (o *onto) emit(op Operation) {
	c := change{State: o.now}
	if err := c.apply(&op); err != nil {
		o.err = errors.Join(o.err, fmt.Errorf("journal: rebase of folder %s: %w", o.in.Folder, err))
		return
	}
	o.ops = append(o.ops, op)
}

// one adapts one operation.
func (o *onto) one(op Operation) {
	switch op.What {
	case OpPut:
		o.put(op)
	case OpRename, OpRemove, OpRestore, OpPurge, OpForget, OpRekey:
		e, there := o.now.entries[*op.Entry]
		if !there {
			o.note(op, Gone, "")
			return
		}
		o.change(op, e)
	case OpMoveOut:
		o.moveOut(op)
	case OpMoveIn:
		o.moveIn(op)
	case OpHead, OpForgetHead:
		o.head(op)
	default:
		o.note(op, Stale, "")
	}
}

// free is op's name, numbered if it is taken by another entry than its own.
func (o *onto) free(op Operation, name string, own *Entry) string {
	if own != nil && !own.Trashed {
		// Its own present name does not stand in its way.
		o.now.indexName(own, -1)
		defer o.now.indexName(own, 1)
	}
	free := o.now.Free(name)
	if free != name {
		o.note(op, Numbered, free)
	}
	return free
}

func withPath(d *descriptor.Descriptor, name string) *descriptor.Descriptor {
	if d.Path == name {
		return d
	}
	next := *d
	next.Path = name
	return &next
}

func (o *onto) put(op Operation) {
	before, e := o.in.before[*op.Entry], o.now.entries[*op.Entry]
	switch {
	case before == nil && e == nil:
		o.create(op)
	case op.Child != nil: // a folder of that id is there already
		o.note(op, Done, "")
	case e == nil:
		o.putAgain(op)
	case before != nil && o.lostVersion(op, before, e):
		o.note(op, Gone, "")
	case before != nil && sameRevision(before, op.Descriptor) && (e.Trashed || !sameRevision(e, op.Descriptor)):
		o.note(op, Changed, "") // it was to change what is said of a content that is no longer the file's
	default:
		if e.Trashed {
			back := RestoreAs(e.ID, o.free(op, e.Name(), nil))
			o.emit(back)
			o.note(op, Revived, "")
			e = o.now.entries[e.ID]
		}
		if before != nil && e.Descriptor.Content.Revision != before.Descriptor.Content.Revision {
			o.note(op, Merged, "")
		}
		op.Descriptor = withPath(op.Descriptor, e.Name())
		o.emit(op)
	}
}

func sameRevision(e *Entry, d *descriptor.Descriptor) bool {
	return e.Descriptor.Content.Revision == d.Content.Revision
}

// lostVersion tells whether the content put was to be one that the file had, and
// has no longer: its revision is dropped, and is not put again.
func (o *onto) lostVersion(op Operation, before, now *Entry) bool {
	return hasRevision(before, op.Descriptor.Content.Revision) && !hasRevision(now, op.Descriptor.Content.Revision)
}

func hasRevision(e *Entry, revision id.Revision) bool {
	found := false
	e.revisions(func(r id.Revision) { found = found || r == revision })
	return found
}

// create puts what is new in the folder.
func (o *onto) create(op Operation) {
	if op.Child != nil && !o.sealed(&op, op.Child) {
		return
	}
	op.Descriptor = withPath(op.Descriptor, o.free(op, op.Descriptor.Path, nil))
	o.emit(op)
}

const againLabel = "holdfast/v1/entry-again\x00"

// putAgain puts a file whose entry went elsewhere as another one, so that what
// was put is not lost. Its id follows from what is put.
func (o *onto) putAgain(op Operation) {
	intended, revision := op, op.Descriptor.Content.Revision
	if before := o.in.before[*op.Entry]; before != nil && hasRevision(before, revision) {
		o.note(op, Gone, "") // it went with the entry
		return
	}
	sum := sha256.Sum256(append(append([]byte(againLabel), op.Entry[:]...), revision[:]...))
	entry := id.Entry(sum[:id.Size])
	if _, there := o.now.entries[entry]; there {
		o.note(op, Done, "")
		return
	}
	op.Entry = &entry
	op.Descriptor = withPath(op.Descriptor, o.free(op, op.Descriptor.Path, nil))
	o.note(intended, Again, "")
	o.emit(op)
}

// change adapts an operation on an entry that is there.
func (o *onto) change(op Operation, e *Entry) {
	before := o.in.before[*op.Entry]
	switch op.What {
	case OpRename:
		if op.Name == e.Name() {
			o.note(op, Done, "")
			return
		}
		if !e.Trashed {
			op.Name = o.free(op, op.Name, e)
		}
	case OpRemove:
		if e.Trashed {
			o.note(op, Done, "")
			return
		}
		if before != nil && !sameContent(before, e) {
			o.note(op, Changed, "")
			return
		}
	case OpRestore:
		if !e.Trashed {
			o.note(op, Done, "")
			return
		}
		op.Name = o.free(op, op.Name, nil)
	case OpPurge:
		if !e.Trashed || before != nil && !sameContent(before, e) {
			o.note(op, Changed, "")
			return
		}
	case OpForget:
		if !hasVersion(e, *op.Revision) {
			o.note(op, Gone, "")
			return
		}
	case OpRekey:
		if !o.sealed(&op, e.Child) {
			return
		}
	}
	o.emit(op)
}

func hasVersion(e *Entry, revision id.Revision) bool {
	for _, v := range e.Descriptor.Versions {
		if v.Content.Revision == revision {
			return true
		}
	}
	return false
}

// sameContent tells whether nobody put another content meanwhile; folders have none.
func sameContent(a, b *Entry) bool {
	if a.IsFolder() || b.IsFolder() {
		return a.IsFolder() == b.IsFolder()
	}
	return sameRevision(a, b.Descriptor)
}

// sealed checks that the keys of op's child are those that are wanted now, and
// has them sealed anew if they are not.
func (o *onto) sealed(op *Operation, present *Child) bool {
	if o.keysFit(*op) {
		return true
	}
	if o.Reseal != nil {
		if child, err := o.Reseal(o.now, *op, present); err == nil {
			op.Child = &child
			if o.keysFit(*op) {
				return true
			}
		}
	}
	o.note(*op, Sealed, "")
	return false
}

func (o *onto) keysFit(op Operation) bool {
	child := op.Child
	if child.Parent != o.now.chain.Epoch {
		return false
	}
	own := child.AdminFolder == o.now.chain.Folder && child.AdminEpoch == o.now.chain.Epoch
	e := o.now.entries[*op.Entry]
	switch {
	case op.What == OpMoveIn:
		moved := o.moved[*op.Entry]
		return moved == nil || moved.Child != nil && moved.Child.Anchor() == child.Anchor()
	case !own:
		return false
	case op.What == OpRekey && child.Epoch == e.Child.Epoch:
		return child.Anchor() == e.Child.Anchor()
	case op.What == OpRekey:
		return child.Epoch > e.Child.Epoch
	}
	return true
}

// cancel makes both halves of a move void.
func (o *onto) cancel(op Operation, reason Reason) {
	if _, known := o.void[*op.Entry]; !known {
		o.void[*op.Entry] = reason
		o.again = true
	}
	o.note(op, o.void[*op.Entry], "")
}

func (o *onto) moveOut(op Operation) {
	e := o.now.entries[*op.Entry]
	reason, void := o.void[*op.Entry]
	switch {
	case void:
		o.note(op, reason, "")
	case e == nil || e.Trashed:
		o.cancel(op, Gone)
	case e.Child != nil && o.circle(e.Child.Folder, *op.Folder):
		o.cancel(op, Circle)
	default:
		if e.Child != nil {
			o.into[e.Child.Folder] = *op.Folder
		}
		if !reflect.DeepEqual(o.moved[e.ID], e) {
			o.moved[e.ID] = e
			o.again = true
		}
		o.emit(op)
	}
}

// circle tells whether into lies in folder, or is it, once what is moved has moved.
func (o *onto) circle(folder, into id.Folder) bool {
	return Circular(folder, into, func(at id.Folder) (id.Folder, bool) {
		if next, moves := o.into[at]; moves {
			return next, true
		}
		if o.Parent == nil {
			return id.Folder{}, false
		}
		return o.Parent(at)
	})
}

// Circular tells whether into is folder or lies below it: a move of folder into it
// would make a circle that hangs on nothing.
func Circular(folder, into id.Folder, parent func(id.Folder) (id.Folder, bool)) bool {
	seen := map[id.Folder]bool{}
	for at, ok := into, true; ok && !seen[at]; at, ok = parent(at) {
		if at == folder {
			return true
		}
		seen[at] = true
	}
	return false
}

func (o *onto) moveIn(op Operation) {
	if reason, void := o.void[*op.Entry]; void {
		o.note(op, reason, "")
		return
	}
	if _, there := o.now.entries[*op.Entry]; there {
		o.cancel(op, Done)
		return
	}
	name, present := op.Descriptor.Path, op.Child
	if moved := o.moved[*op.Entry]; moved != nil {
		if name == o.names[*op.Entry] {
			name = moved.Name()
		}
		op.Descriptor, present = moved.Descriptor, moved.Child
	}
	if op.Child != nil && !o.sealed(&op, present) {
		o.void[*op.Entry], o.again = Sealed, true
		return
	}
	op.Descriptor = withPath(op.Descriptor, o.free(op, name, nil))
	o.emit(op)
}

// head keeps what heads are told of a folder, unless they know more by now.
func (o *onto) head(op Operation) {
	known, there := o.now.heads[*op.Folder]
	if there == (op.What == OpForgetHead) || there && known.Seq < op.Seq {
		o.emit(op)
		return
	}
	o.note(op, Stale, "")
}
