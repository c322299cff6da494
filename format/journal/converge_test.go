package journal

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"holdfast/format/descriptor"
	"holdfast/format/id"
)

// This file lets devices with states of different ages write to folders of one
// tree at random, and wants that they come to one tree in which nothing is lost.

// server keeps journals, and checks what a server can check.
type server struct {
	raws   map[id.Folder][][]byte
	chains map[id.Folder]Chain
}

// commit takes all entries or none; unchanged are heads that must still be so.
func (s *server) commit(entries map[id.Folder][]byte, unchanged []Head) bool {
	next := map[id.Folder]Chain{}
	for _, h := range unchanged {
		if s.chains[h.Folder].Head() != h {
			return false
		}
	}
	for folder, raw := range entries {
		chain, known := s.chains[folder]
		if !known {
			chain = Chain{Folder: folder}
		}
		_, after, err := chain.Check(raw)
		if err != nil {
			return false
		}
		next[folder] = after
	}
	for folder, raw := range entries {
		s.chains[folder] = next[folder]
		s.raws[folder] = append(s.raws[folder], raw)
	}
	return true
}

// device is a client with states of its own age and something that it wants done.
type device struct {
	t       *rapid.T
	server  *server
	states  map[id.Folder]*State
	openers map[id.Folder]*Opener
	intents []Intent
	found   map[id.Folder][]byte // first entries of folders that the intents make
	made    *counter
}

// counter numbers what all devices make.
type counter struct{ entries, revisions, folders int }

var rootFolder = folderID(0)

func (d *device) sync() {
	for {
		before := len(d.states)
		for folder, s := range maps.Clone(d.states) {
			for _, raw := range d.server.raws[folder][s.Head().Seq:] {
				d.open(folder, s.Epoch()+1)
				if _, err := s.Apply(raw, d.openers[folder]); err != nil {
					d.t.Fatal(err)
				}
			}
			for child := range s.children {
				d.know(child)
			}
		}
		if len(d.states) == before {
			return
		}
	}
}

func (d *device) know(folder id.Folder) {
	if d.states[folder] == nil {
		d.states[folder] = Begin(anchorOf(folder, 1))
		d.openers[folder] = NewOpener(1, keysFor(folder, 1).Read)
	}
}

func (d *device) open(folder id.Folder, epoch int64) {
	d.openers[folder].Learn(epoch, keysFor(folder, epoch).Read)
}

func (d *device) parent(folder id.Folder) (id.Folder, bool) {
	for at, s := range d.states {
		if _, ok := s.children[folder]; ok {
			return at, true
		}
	}
	return id.Folder{}, false
}

// reseal has all keys, as who administers the whole tree does.
func (d *device) reseal(s *State, op Operation, present *Child) (Child, error) {
	parent := placeOf(s.Folder(), s.Epoch())
	if op.What == OpMoveIn {
		return present.Reseal(parent, keysFor(present.Folder, present.Epoch))
	}
	return SealChild(parent, parent.Keys.Admin.public(), placeOf(op.Child.Folder, max(op.Child.Epoch, present.Epoch)))
}

// push writes what is intended; false: others were faster.
func (d *device) push() bool {
	entries := maps.Clone(d.found)
	var unchanged []Head
	for _, in := range d.intents {
		if len(in.Ops) == 0 {
			continue
		}
		s := d.states[in.Folder]
		raw, err := s.Write(Pen{Keys: keysFor(in.Folder, s.Epoch())}, in.Ops...)
		if err != nil {
			d.t.Fatalf("%v: %s", err, shown(in.Ops))
		}
		entries[in.Folder] = raw
		for _, op := range in.Ops {
			if op.What == OpMoveIn && op.Child != nil {
				unchanged = append(unchanged, d.above(in.Folder)...)
			}
		}
	}
	if !d.server.commit(entries, unchanged) {
		return false
	}
	d.intents, d.found = nil, nil
	d.sync()
	return true
}

// above are the heads from a folder to the root.
func (d *device) above(folder id.Folder) []Head {
	var out []Head
	for at, ok := folder, true; ok; at, ok = d.parent(at) {
		out = append(out, d.states[at].Head())
	}
	return out
}

func shown(ops []Operation) string {
	text := ""
	for _, op := range ops {
		text += fmt.Sprintf("[%d %s", op.What, op.Name)
		if op.Descriptor != nil {
			text += op.Descriptor.Path
		}
		text += "]"
	}
	return text
}

// rebase adapts what is intended to what came meanwhile.
func (d *device) rebase() {
	d.sync()
	w := World{State: func(f id.Folder) *State { return d.states[f] }, Parent: d.parent, Reseal: d.reseal}
	digests := map[id.Folder]Hash{}
	for f, s := range d.states {
		digests[f] = s.Digest()
	}
	first, notices, err := Rebase(d.intents, w)
	if err != nil {
		d.t.Fatal(err)
	}
	second, again, err := Rebase(d.intents, w)
	if err != nil || len(second) != len(first) || len(notices) != len(again) {
		d.t.Fatalf("rebasing twice is not the same: %v", err)
	}
	for f, s := range d.states {
		if s.Digest() != digests[f] {
			d.t.Fatal("rebasing changed a state")
		}
		check(d.t, s)
	}
	for _, n := range notices {
		if n.Op.What == OpPut && n.Op.Child == nil && n.Reason == Sealed {
			d.t.Fatal("a file is void for keys that it has not")
		}
	}
	d.intents = first
}

// pick draws one of a folder's entries that suits, nil if there is none.
func (d *device) pick(s *State, suits func(*Entry) bool) *Entry {
	var fit []*Entry
	for e := range s.All() {
		if suits(e) {
			fit = append(fit, e)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	slices.SortFunc(fit, func(a, b *Entry) int { return compareIDs(a.ID, b.ID) })
	return rapid.SampledFrom(fit).Draw(d.t, "entry")
}

var someNames = []string{"a", "A", "\u00e9", "e\u0301", "b.txt", "B.TXT", "a (2)", "c"}

func (d *device) name() string { return rapid.SampledFrom(someNames).Draw(d.t, "name") }

func (d *device) folders() []id.Folder {
	return slices.SortedFunc(maps.Keys(d.states), func(a, b id.Folder) int { return compareIDs(a, b) })
}

// intend draws something to do, on the states as the device has them.
func (d *device) intend() {
	d.intents, d.found = nil, map[id.Folder][]byte{}
	s := d.states[rapid.SampledFrom(d.folders()).Draw(d.t, "folder")]
	switch rapid.IntRange(0, 9).Draw(d.t, "kind") {
	case 0:
		d.move(s)
	case 1:
		d.rekey(s)
	default:
		var ops []Operation
		for range rapid.IntRange(1, 3).Draw(d.t, "operations") {
			if op, ok := d.draw(s); ok {
				ops = append(ops, op)
			}
		}
		d.want(s, ops...)
	}
}

// want intends ops, if they go together.
func (d *device) want(s *State, ops ...Operation) bool {
	in, err := s.Intend(ops...)
	if err == nil {
		d.intents = append(d.intents, in)
	}
	return err == nil
}

func live(e *Entry) bool     { return !e.Trashed }
func liveFile(e *Entry) bool { return !e.Trashed && !e.IsFolder() }
func trashed(e *Entry) bool  { return e.Trashed }
func rotten(e *Entry) bool   { return e.Trashed && !e.IsFolder() }

func (d *device) draw(s *State) (Operation, bool) {
	d.made.entries++
	d.made.revisions++
	entry, revision := d.made.entries, d.made.revisions
	switch rapid.IntRange(0, 8).Draw(d.t, "operation") {
	case 0:
		return put(entry, s.Free(d.name()), revision), true
	case 1:
		if e := d.pick(s, liveFile); e != nil {
			return PutFile(e.ID, fileOf(e.Name(), revision)), true
		}
	case 2:
		if e := d.pick(s, live); e != nil {
			return RenameTo(e.ID, s.Free(d.name())), true
		}
	case 3:
		if e := d.pick(s, live); e != nil {
			return RemoveOn(e.ID, 1), true
		}
	case 4:
		if e := d.pick(s, trashed); e != nil {
			return RestoreAs(e.ID, s.Free(d.name())), true
		}
	case 5:
		if e := d.pick(s, rotten); e != nil {
			return PurgeEntry(e.ID), true
		}
	case 6:
		if e := d.pick(s, func(e *Entry) bool { return len(e.Descriptor.Versions) > 0 }); e != nil {
			return ForgetVersion(e.ID, e.Descriptor.Versions[0].Content.Revision), true
		}
	case 7: // an older version becomes the file's content again
		if e := d.pick(s, func(e *Entry) bool { return live(e) && len(e.Descriptor.Versions) > 0 }); e != nil {
			old := e.Descriptor.Versions[0]
			return PutFile(e.ID, descriptor.Descriptor{Path: e.Name(), Kind: descriptor.File, Content: &old.Content, ModTime: old.ModTime}), true
		}
	case 8:
		d.made.folders++
		n := d.made.folders
		raw, err := Found(anchorOf(folderID(n), 1), Pen{Keys: keysFor(folderID(n), 1)})
		if err != nil {
			d.t.Fatal(err)
		}
		d.found[folderID(n)] = raw
		return PutFolder(entryID(entry), folderOf(s.Free(d.name())), childOf(d.t, placeOf(s.Folder(), s.Epoch()), n, 1)), true
	}
	return Operation{}, false
}

// move intends both halves of a move.
func (d *device) move(from *State) {
	e := d.pick(from, live)
	into := d.states[rapid.SampledFrom(d.folders()).Draw(d.t, "into")]
	if e == nil || into == from || e.Child != nil && Circular(e.Child.Folder, into.Folder(), d.parent) {
		return
	}
	var child *Child
	if e.Child != nil {
		c, err := e.Child.Reseal(placeOf(into.Folder(), into.Epoch()), keysFor(e.Child.Folder, e.Child.Epoch))
		if err != nil {
			d.t.Fatal(err)
		}
		child = &c
	}
	out, in := Move(e, from.Folder(), into.Folder(), into.Free(e.Name()), child)
	if !d.want(from, out) || !d.want(into, in) {
		d.intents = nil
	}
}

// rekey begins an epoch in a folder, at once, and intends to seal its children anew.
func (d *device) rekey(s *State) {
	next := s.Epoch() + 1
	if next > 3 {
		return
	}
	raw, err := s.WriteEpoch(Pen{Keys: keysFor(s.Folder(), next-1)}, keysFor(s.Folder(), next))
	if err != nil {
		d.t.Fatal(err)
	}
	if !d.server.commit(map[id.Folder][]byte{s.Folder(): raw}, nil) {
		return
	}
	d.sync()
	var ops []Operation
	for _, e := range s.Stale() {
		parent := placeOf(s.Folder(), next)
		c, err := SealChild(parent, parent.Keys.Admin.public(), placeOf(e.Child.Folder, e.Child.Epoch))
		if err != nil {
			d.t.Fatal(err)
		}
		ops = append(ops, RekeyChild(e.ID, c))
	}
	if len(ops) > 0 {
		d.want(s, ops...)
	}
}

func TestDevicesConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw, err := Found(anchorOf(rootFolder, 1), Pen{Keys: keysFor(rootFolder, 1)})
		if err != nil {
			t.Fatal(err)
		}
		srv := &server{raws: map[id.Folder][][]byte{rootFolder: {raw}}, chains: map[id.Folder]Chain{}}
		_, srv.chains[rootFolder], err = Chain{Folder: rootFolder}.Check(raw)
		if err != nil {
			t.Fatal(err)
		}
		made := &counter{}
		var devices []*device
		for range rapid.IntRange(2, 4).Draw(t, "devices") {
			d := &device{t: t, server: srv, states: map[id.Folder]*State{}, openers: map[id.Folder]*Opener{}, made: made}
			d.know(rootFolder)
			d.sync()
			devices = append(devices, d)
		}
		puts := map[id.Revision]bool{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			d := rapid.SampledFrom(devices).Draw(t, "device")
			switch {
			case rapid.IntRange(0, 5).Draw(t, "sync") == 0 && d.intents == nil:
				d.sync()
			case d.intents == nil:
				if d.intend(); d.intents != nil {
					noteNew(puts, d)
				}
			case !d.push():
				d.rebase()
			}
		}
		for _, d := range devices {
			for d.intents != nil && !d.push() {
				d.rebase()
			}
		}
		for _, d := range devices {
			d.sync()
		}
		oneTree(t, devices)
		nothingLost(t, devices[0], puts)
	})
}

// noteNew notes the revisions that the device is about to put.
func noteNew(puts map[id.Revision]bool, d *device) {
	for _, in := range d.intents {
		for _, op := range in.Ops {
			if op.What == OpPut && op.Child == nil {
				if before := in.before[*op.Entry]; before == nil || !hasRevision(before, op.Descriptor.Content.Revision) {
					puts[op.Descriptor.Content.Revision] = true
				}
			}
		}
	}
}

// oneTree wants the same tree at all devices, and every entry and folder in it once.
func oneTree(t *rapid.T, devices []*device) {
	first := devices[0]
	for _, d := range devices[1:] {
		if len(d.states) != len(first.states) {
			t.Fatalf("%d folders and %d", len(first.states), len(d.states))
		}
		for f, s := range d.states {
			same(t, first.states[f], s)
		}
	}
	seen := map[id.Entry]bool{}
	for f, s := range first.states {
		check(t, s)
		o := first.openers[f]
		again, err := replayAll(anchorOf(f, 1), o, first.server.raws[f])
		if err != nil {
			t.Fatal(err)
		}
		same(t, s, again)
		for e := range s.All() {
			if seen[e.ID] {
				t.Fatalf("%s is in two folders", e.Name())
			}
			seen[e.ID] = true
		}
		steps := 0
		for at := f; at != rootFolder; steps++ {
			above, ok := first.parent(at)
			if !ok || steps > len(first.states) {
				t.Fatal("a folder hangs on nothing")
			}
			at = above
		}
	}
}

// nothingLost wants every revision that was put to be held, unless an operation
// that was to end it did.
func nothingLost(t *rapid.T, d *device, puts map[id.Revision]bool) {
	added, ended := map[id.Revision]bool{}, map[id.Revision]bool{}
	for f, raws := range d.server.raws {
		for _, raw := range raws {
			e, err := parseEnvelope(raw)
			if err != nil {
				t.Fatal(err)
			}
			o, err := decodeOuter(e.Payload)
			if err != nil {
				t.Fatal(err)
			}
			b, err := openBody(keysFor(f, o.Epoch).Read, o.place(), o.Sealed)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range o.Added {
				added[r] = true
			}
			if slices.ContainsFunc(b.Operations, func(op Operation) bool { return op.What == OpPurge || op.What == OpForget }) {
				for _, r := range o.Dropped {
					ended[r] = true
				}
			}
		}
	}
	for r := range puts {
		if !added[r] {
			t.Fatalf("revision %s was put and never came in", r)
		}
		held := slices.ContainsFunc(slices.Collect(maps.Values(d.states)), func(s *State) bool { return s.Holds(r) })
		if !held && !ended[r] {
			t.Fatalf("revision %s is lost", r)
		}
	}
}
