package journal

import (
	"strings"
	"testing"

	"holdfast/format/id"
	"holdfast/format/internal/golden"
	"holdfast/format/wire"
)

// full is a journal with a file, a file with a version, one in the trash, and a folder.
func full(t tb) *maker {
	m := newMaker(t, 1).add(put(1, "a", 1), put(2, "b", 2), put(3, "t", 3)).add(put(2, "b", 4), RemoveOn(entryID(3), 9))
	return m.add(PutFolder(entryID(4), folderOf("d"), fixedChild(t, m.place(), placeOf(folderID(2), 1), true))).called(fullName)
}

// badOperations are sealed parts that open and are none.
func badOperations(t *testing.T) []replayVector {
	m := full(t)
	op := opNode(t, put(9, "n", 9))
	cases := []replayVector{
		m.bad("sealed under another key", "operations", m.entry(forged{keys: ptr(otherRead(m))}, put(9, "n", 9))),
		m.bad("sealed for another place", "operations", m.entry(forged{outer: func(o *Outer) {
			at := o.place()
			at.seq++
			o.Sealed = sealAs(t, "journal-operations", keysFor(m.state.Folder(), 1).Read, at.aad(), body{Operations: []Operation{put(9, "n", 9)}}.plain())
		}}, put(9, "n", 9))),
		m.bad("sealed as another type", "operations", m.entry(forged{outer: func(o *Outer) {
			o.Sealed = sealAs(t, "journal-checkpoint", keysFor(m.state.Folder(), 1).Read, o.place().aad(), body{Operations: []Operation{put(9, "n", 9)}}.plain())
		}}, put(9, "n", 9))),
		m.bad("sealed part empty", "operations", m.entry(forged{outer: func(o *Outer) { o.Sealed = []byte{} }}, put(9, "n", 9))),
	}
	for _, c := range append(badBodies(t, op), badFields(t, m, op)...) {
		bad := m.bad(c.name, "operations", m.entry(forged{plain: c.plain}))
		if len(c.plain) > 1<<16 {
			bad.Entries[0] = golden.Beside(t, "journal-replay-"+strings.ReplaceAll(c.name, " ", "-")+".bin", bad.Entries[0].Bytes)
		}
		cases = append(cases, bad)
	}
	return cases
}

// sealed is a plaintext that is none.
type sealed struct {
	name  string
	plain []byte
}

// badBodies are wrong as a whole; op is a right operation.
func badBodies(t *testing.T, op node) []sealed {
	return []sealed{
		{"nothing sealed", []byte{}},
		{"three bytes sealed", []byte{0, 0, 0}},
		{"length beyond the end", append([]byte{0, 0, 1, 0}, make([]byte, 252)...)},
		{"length of 4 GiB", append([]byte{255, 255, 255, 255}, make([]byte, 252)...)},
		{"padded to less", bodyOf(op)[:200]},
		{"padded to more", append(bodyOf(op), make([]byte, 16)...)},
		{"padding that is not zero", append(bodyOf(op)[:len(bodyOf(op))-1], 1)},
		{"body with an unknown key 3", padPlain(wire.Marshal(node{1: []any{op}, 3: 1}))},
		{"body with an unknown key 64", padPlain(wire.Marshal(node{1: []any{op}, 64: 1}))},
		{"body without operations", padPlain(wire.Marshal(node{2: node{1: run(1, 16), 2: make([]byte, 64)}}))},
		{"no operations", padPlain(wire.Marshal(node{1: []any{}}))},
		{"16385 operations", bodyOf(repeat(MaxOperations+1, opNode(t, PurgeEntry(entryID(3))))...)},
		{"author with a signature of 63 bytes", padPlain(wire.Marshal(node{1: []any{op}, 2: node{1: run(1, 16), 2: make([]byte, 63)}}))},
		{"author without an account", padPlain(wire.Marshal(node{1: []any{op}, 2: node{2: make([]byte, 64)}}))},
		{"byte after the body", padPlain(append(wire.Marshal(node{1: []any{op}}), 0))},
	}
}

// badFields are operations with something missing, more, or out of range.
func badFields(t *testing.T, m *maker, op node) []sealed {
	descriptorOf := func(pairs ...any) node { return with(op[3].(node), pairs...) }
	child := opNode(t, PutFolder(entryID(9), folderOf("n"), fixedChild(t, m.place(), placeOf(folderID(3), 1), true)))
	childOf := func(pairs ...any) node { return with(child, 4, with(child[4].(node), pairs...)) }
	version := []any{node{1: op[3].(node)[3]}}
	return []sealed{
		{"operation without a kind", bodyOf(with(op, 1, nil))},
		{"kind 0", bodyOf(with(op, 1, 0))},
		{"kind 14", bodyOf(with(op, 1, 14))},
		{"operation with an unknown key 13", bodyOf(with(op, 13, 1))},
		{"operation with an unknown key 64", bodyOf(with(op, 64, 1))},
		{"descriptor with an unknown key 64", bodyOf(with(op, 3, descriptorOf(64, 1)))},
		{"child with an unknown key 64", bodyOf(childOf(64, 1))},
		{"put without an entry", bodyOf(with(op, 2, nil))},
		{"put without a descriptor", bodyOf(with(op, 3, nil))},
		{"put with a name", bodyOf(with(op, 5, "x"))},
		{"put with a day", bodyOf(with(op, 6, 1))},
		{"put of a path of two components", bodyOf(with(op, 3, descriptorOf(1, "a/b")))},
		{"put of ..", bodyOf(with(op, 3, descriptorOf(1, "..")))},
		{"put of a name of 256 bytes", bodyOf(with(op, 3, descriptorOf(1, strings.Repeat("n", 256))))},
		{"put with versions", bodyOf(with(op, 3, descriptorOf(8, version)))},
		{"put of a file with keys", bodyOf(with(op, 4, child[4]))},
		{"put of a folder without keys", bodyOf(with(child, 4, nil))},
		{"put with an entry of 15 bytes", bodyOf(with(op, 2, run(0, 15)))},
		{"child with a read record of 112 bytes", bodyOf(childOf(6, make([]byte, 112)))},
		{"child with a write record of 114 bytes", bodyOf(childOf(7, make([]byte, 114)))},
		{"child of epoch 0", bodyOf(childOf(2, 0))},
		{"child of epoch 4097", bodyOf(childOf(2, MaxEpoch+1))},
		{"child without a public key", bodyOf(childOf(3, nil))},
		{"child without an admin folder", bodyOf(childOf(8, nil))},
		{"rename without a name", bodyOf(node{1: 2, 2: run(0, 16)})},
		{"rename to nothing", bodyOf(with(opNode(t, RenameTo(entryID(1), "x")), 5, ""))},
		{"rename to a path", bodyOf(opNode(t, RenameTo(entryID(1), "a/b")))},
		{"rename to NUL", bodyOf(opNode(t, RenameTo(entryID(1), "a\x00")))},
		{"rename with a day", bodyOf(with(opNode(t, RenameTo(entryID(1), "x")), 6, 1))},
		{"removal without a day", bodyOf(node{1: 3, 2: entryBytes(1)})},
		{"removal on a negative day", bodyOf(node{1: 3, 2: entryBytes(1), 6: -1})},
		{"restore without a name", bodyOf(node{1: 4, 2: entryBytes(3)})},
		{"purge with a name", bodyOf(node{1: 5, 2: entryBytes(3), 5: "x"})},
		{"forget without a revision", bodyOf(node{1: 6, 2: entryBytes(2)})},
		{"move out without a folder", bodyOf(node{1: 7, 2: entryBytes(1)})},
		{"move in without a folder", bodyOf(with(op, 1, 8))},
		{"checkpoint without a digest", bodyOf(node{1: 9, 9: 4, 10: make([]byte, 32)})},
		{"checkpoint of seq 0", bodyOf(node{1: 9, 9: 0, 10: make([]byte, 32), 11: make([]byte, 32)})},
		{"re-key without keys", bodyOf(node{1: 11, 2: entryBytes(4)})},
		{"head without a seq", bodyOf(node{1: 12, 8: run(0, 16), 10: make([]byte, 32)})},
		{"head of seq 0", bodyOf(node{1: 12, 8: run(0, 16), 9: 0, 10: make([]byte, 32)})},
		{"forgotten head with a seq", bodyOf(node{1: 13, 8: run(0, 16), 9: 1})},
	}
}

func entryBytes(n int) []byte { e := entryID(n); return e[:] }

func otherRead(m *maker) Keys {
	k := keysFor(m.state.Folder(), 1)
	k.Read = keysFor(folderID(99), 1).Read
	return k
}

func repeat(n int, v any) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = v
	}
	return out
}

// badEffects are operations that cannot be done, and outer parts that are not
// what the operations do.
func badEffects(t *testing.T) []replayVector {
	m := full(t)
	var cases []replayVector
	changed := fileOf("a", 1)
	changed.Content.Size++
	back := fileOf("b", 2)
	back.Content.Size++
	stranger := fixedChild(t, placeOf(folderID(8), 1), placeOf(folderID(3), 1), true)
	unsealed := fixedChild(t, m.place(), placeOf(folderID(3), 1), false)
	unsealed.Admin = keysFor(folderID(3), 1).Public().Admin
	itself := fixedChild(t, m.place(), placeOf(folderID(1), 1), true)
	twice := fixedChild(t, m.place(), placeOf(folderID(2), 1), true)
	late := fixedChild(t, placeOf(folderID(1), 2), placeOf(folderID(3), 1), true)
	moveIn := func(entry int, from int, name string) Operation {
		d := fileOf(name, 50)
		return Operation{What: OpMoveIn, Entry: ptr(entryID(entry)), Descriptor: &d, Folder: ptr(folderID(from))}
	}
	head := m.state.Head()
	for _, c := range []struct {
		name string
		ops  []Operation
	}{
		{"put of a name that is there", []Operation{put(9, "a", 9)}},
		{"put of two of one name", []Operation{put(9, "n", 9), put(10, "n", 10)}},
		{"put under another name than the file's", []Operation{put(1, "x", 9)}},
		{"put of a file in the trash", []Operation{put(3, "t", 9)}},
		{"put of a file that is a folder", []Operation{put(4, "d", 9)}},
		{"put of a folder that is there", []Operation{PutFolder(entryID(4), folderOf("d"), fixedChild(t, m.place(), placeOf(folderID(3), 1), true))}},
		{"put of the same revision with another content", []Operation{PutFile(entryID(1), changed)}},
		{"put of a version with another content", []Operation{PutFile(entryID(2), back)}},
		{"put of a folder sealed by another", []Operation{PutFolder(entryID(9), folderOf("n"), stranger)}},
		{"put of a folder sealed in an epoch to come", []Operation{PutFolder(entryID(9), folderOf("n"), late)}},
		{"put of a folder with a foreign admin key", []Operation{PutFolder(entryID(9), folderOf("n"), unsealed)}},
		{"put of the folder itself", []Operation{PutFolder(entryID(9), folderOf("n"), itself)}},
		{"put of a folder twice", []Operation{PutFolder(entryID(9), folderOf("n"), twice)}},
		{"rename of what is not there", []Operation{RenameTo(entryID(99), "x")}},
		{"rename to a name that is there", []Operation{RenameTo(entryID(1), "b")}},
		{"removal of what is not there", []Operation{RemoveOn(entryID(99), 1)}},
		{"removal of what is in the trash", []Operation{RemoveOn(entryID(3), 1)}},
		{"restore of what is not in the trash", []Operation{RestoreAs(entryID(1), "x")}},
		{"restore under a name that is there", []Operation{RestoreAs(entryID(3), "a")}},
		{"purge of what is not in the trash", []Operation{PurgeEntry(entryID(1))}},
		{"purge of what is not there", []Operation{PurgeEntry(entryID(99))}},
		{"forgetting the present content", []Operation{ForgetVersion(entryID(2), revisionID(4))}},
		{"forgetting a version of another file", []Operation{ForgetVersion(entryID(1), revisionID(2))}},
		{"forgetting a version of a folder", []Operation{ForgetVersion(entryID(4), revisionID(2))}},
		{"move out of what is in the trash", []Operation{{What: OpMoveOut, Entry: ptr(entryID(3)), Folder: ptr(folderID(9))}}},
		{"move out into the same folder", []Operation{{What: OpMoveOut, Entry: ptr(entryID(1)), Folder: ptr(folderID(1))}}},
		{"move in of what is there", []Operation{moveIn(1, 9, "n")}},
		{"move in from the same folder", []Operation{moveIn(9, 1, "n")}},
		{"move in under a name that is there", []Operation{moveIn(9, 9, "a")}},
		{"head of the folder itself", []Operation{HeadOf(Head{Folder: folderID(1), Seq: 1})}},
		{"head that stays", []Operation{HeadOf(Head{Folder: folderID(7), Seq: 2}), HeadOf(Head{Folder: folderID(7), Seq: 2})}},
		{"head that goes back", []Operation{HeadOf(Head{Folder: folderID(7), Seq: 2}), HeadOf(Head{Folder: folderID(7), Seq: 1})}},
		{"forgetting a head that is not there", []Operation{NoHeadOf(folderID(7))}},
		{"last of several cannot be done", []Operation{put(9, "n", 9), RemoveOn(entryID(1), 1), PurgeEntry(entryID(1)), RenameTo(entryID(1), "x")}},
	} {
		cases = append(cases, m.bad(c.name, "operations", m.entry(forged{}, c.ops...)))
	}
	cases = append(cases, sealedBefore(t)...)
	cases = append(cases, badRekeys(t, m)...)
	cases = append(cases, disagreements(t, m, head)...)
	return cases
}

// sealedBefore are keys of folders that were sealed in the epoch before, for who
// was removed with it.
func sealedBefore(t *testing.T) []replayVector {
	m := newMaker(t, 1)
	m.add(PutFolder(entryID(4), folderOf("d"), fixedChild(t, m.place(), placeOf(folderID(2), 1), true)))
	old := m.place()
	m.add(m.nextEpoch())
	before := func(n int) Child {
		c := fixedChild(t, m.place(), placeOf(folderID(n), 1), true)
		sealed := fixedChild(t, old, placeOf(folderID(n), 1), true)
		c.Parent, c.SealedRead, c.SealedWrite = sealed.Parent, sealed.SealedRead, sealed.SealedWrite
		return c
	}
	moved, adminless := before(3), fixedChild(t, m.place(), placeOf(folderID(3), 1), true)
	adminless.AdminEpoch, adminless.SealedAdmin = 1, nil
	later := fixedChild(t, m.place(), placeOf(folderID(3), 1), true)
	later.AdminEpoch = 3
	d := folderOf("n")
	moveIn := func(c Child) Operation {
		return Operation{What: OpMoveIn, Entry: ptr(entryID(9)), Descriptor: &d, Child: &c, Folder: ptr(folderID(8))}
	}
	return []replayVector{
		m.bad("put of a folder sealed in the epoch before", "operations", m.entry(forged{}, PutFolder(entryID(9), d, before(3)))),
		m.bad("move in of a folder sealed in the epoch before", "operations", m.entry(forged{}, moveIn(moved))),
		m.bad("re-key sealed in the epoch before", "operations", m.entry(forged{}, RekeyChild(entryID(4), before(2)))),
		m.bad("move in of a folder that has not the admin key of that epoch", "operations", m.entry(forged{}, moveIn(adminless))),
		m.bad("move in of a folder whose admin key is of an epoch to come", "operations", m.entry(forged{}, moveIn(later))),
	}
}

func badRekeys(t *testing.T, m *maker) []replayVector {
	write := [32]byte(keysFor(folderID(1), 1).Write)
	right := fixedChild(t, m.place(), placeOf(folderID(2), 2), true)
	other := fixedChild(t, m.place(), placeOf(folderID(3), 1), true)
	sameEpoch := right
	sameEpoch.Epoch = 1
	elsewhere := fixedChild(t, placeOf(folderID(8), 1), placeOf(folderID(2), 2), true)
	later := newMaker(t, 1)
	later.add(PutFolder(entryID(4), folderOf("d"), fixedChild(t, later.place(), placeOf(folderID(2), 2), true)))
	back := fixedChild(t, later.place(), placeOf(folderID(2), 1), true)
	return []replayVector{
		m.bad("re-key with the write key", "not-admin", m.entry(forged{seed: &write}, RekeyChild(entryID(4), right))),
		m.bad("re-key of a file", "operations", m.entry(forged{}, RekeyChild(entryID(1), right))),
		m.bad("re-key to another folder", "operations", m.entry(forged{}, RekeyChild(entryID(4), other))),
		m.bad("re-key to other keys of the same epoch", "operations", m.entry(forged{}, RekeyChild(entryID(4), sameEpoch))),
		m.bad("re-key sealed by another folder", "operations", m.entry(forged{}, RekeyChild(entryID(4), elsewhere))),
		later.bad("re-key to an earlier epoch", "operations", later.entry(forged{}, RekeyChild(entryID(4), back))),
	}
}

// disagreements have right operations and another outer part.
func disagreements(t *testing.T, m *maker, head Head) []replayVector {
	more := revisionID(77)
	child := fixedChild(t, m.place(), placeOf(folderID(3), 1), true)
	op, c := fixedCheckpoint(t, m.state, nil)
	wrongDigest, _ := fixedCheckpoint(t, m.state, nil)
	wrongDigest.Digest = ptr(Hash(made("another")))
	elsewhere := op
	elsewhere.Hash = ptr(Hash(made("another")))
	early := op
	early.Seq--
	pages := func(o *Outer) { o.Pages = c.Hashes }
	v := func(name string, do func(*Outer), ops ...Operation) replayVector {
		return m.bad(name, "disagreement", m.entry(forged{outer: do}, ops...))
	}
	return []replayVector{
		v("revision added and not told", func(o *Outer) { o.Added = nil }, put(9, "n", 9)),
		v("revision told and not added", func(o *Outer) { o.Added = sorted(append(o.Added, more)) }, put(9, "n", 9)),
		v("another revision told", func(o *Outer) { o.Added[0][3] ^= 1 }, put(9, "n", 9)),
		v("revision dropped and not told", func(o *Outer) { o.Dropped = nil }, PurgeEntry(entryID(3))),
		v("revision told dropped and kept", func(o *Outer) { o.Dropped = []id.Revision{revisionID(1)} }, put(9, "n", 9)),
		v("version told dropped", func(o *Outer) { o.Dropped = []id.Revision{revisionID(1)} }, put(1, "a", 9)),
		v("added and dropped exchanged", func(o *Outer) { o.Added, o.Dropped = o.Dropped, o.Added }, PurgeEntry(entryID(3))),
		v("folder added and not told", func(o *Outer) { o.FoldersAdded = nil }, PutFolder(entryID(9), folderOf("n"), child)),
		v("folder told and not added", func(o *Outer) { o.FoldersAdded = []id.Folder{folderID(3)} }, put(9, "n", 9)),
		v("folder dropped and not told", func(o *Outer) { o.FoldersDropped = nil }, RemoveOn(entryID(4), 1), PurgeEntry(entryID(4))),
		v("folder told dropped", func(o *Outer) { o.FoldersDropped = []id.Folder{folderID(2)} }, put(9, "n", 9)),
		v("revision that is held already told", func(o *Outer) { o.Added = []id.Revision{revisionID(1)} }, put(9, "n", 1)),
		v("revision that another entry holds told dropped", func(o *Outer) { o.Dropped = []id.Revision{revisionID(3)} }, put(9, "n", 3), PurgeEntry(entryID(3))),
		v("checkpoint without pages", nil, op),
		v("pages without a checkpoint", pages, put(9, "n", 9)),
		m.bad("checkpoint with another digest", "checkpoint", m.entry(forged{outer: pages}, wrongDigest)),
		m.bad("checkpoint after another entry", "operations", m.entry(forged{outer: pages}, elsewhere)),
		m.bad("checkpoint of an earlier entry", "operations", m.entry(forged{outer: pages}, early)),
		v("checkpoint after another operation", pages, put(9, "n", 9), op),
	}
}
