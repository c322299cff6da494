package journal

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/internal/golden"
)

// decodeNode decodes a map, and the maps in it.
func decodeNode(b []byte) (node, error) {
	mode, err := cbor.DecOptions{DefaultMapType: reflect.TypeFor[node]()}.DecMode()
	if err != nil {
		return nil, err
	}
	var out node
	return out, mode.Unmarshal(b, &out)
}

// replayVector is a journal; with Fail, its last entry raises the alarm. With
// After, it goes on from the journal of that case, with whose anchor and keys it
// does not have of its own.
type replayVector struct {
	golden.Name
	After   string        `json:"after,omitempty"`
	Anchor  *anchorVector `json:"anchor,omitempty"`
	Keys    []keyVector   `json:"keys,omitempty"`
	Entries []golden.Data `json:"entries"`
	Seq     int64         `json:"seq,omitempty"`
	Hash    golden.Hex    `json:"hash,omitempty"`
	Epoch   int64         `json:"epoch,omitempty"`
	Names   []string      `json:"names,omitempty"`
	Pages   []golden.Data `json:"pages,omitempty"`
	Digest  golden.Hex    `json:"digest,omitempty"`
	Fail    string        `json:"fail,omitempty"`
}

// good is the whole journal.
func (m *maker) good(name string) replayVector {
	v := m.vector(name)
	hash, digest := m.state.Head().Hash, m.state.Digest()
	v.Seq, v.Hash, v.Epoch, v.Names, v.Digest = m.state.Head().Seq, hash[:], m.state.Epoch(), names(m.state), digest[:]
	for _, page := range m.state.plainPages() {
		v.Pages = append(v.Pages, golden.Inline(page))
	}
	return v
}

func (m *maker) vector(name string) replayVector {
	anchor := vectorOf(anchorOf(m.state.Folder(), m.state.Epoch()))
	v := replayVector{Name: golden.Name{Name: name}, Anchor: &anchor, Keys: keysOf(m.state.Folder(), m.state.Epoch())}
	for _, raw := range m.raws {
		v.Entries = append(v.Entries, golden.Inline(raw))
	}
	return v
}

// called names the case of which bad ones go on; it must be among the good ones.
func (m *maker) called(name string) *maker {
	m.name = name
	return m
}

// bad is the journal with one more entry, which raises the alarm.
func (m *maker) bad(name, kind string, raw []byte) replayVector {
	v := replayVector{Name: golden.Name{Name: name}, After: m.name, Entries: []golden.Data{golden.Inline(raw)}, Fail: kind}
	if m.name == "" {
		v = m.vector(name)
		v.Entries, v.Fail = append(v.Entries, golden.Inline(raw)), kind
	}
	return v
}

// fullFile is a file with all that a descriptor may say.
func fullFile(name string, revision int) descriptor.Descriptor {
	d := fileOf(name, revision)
	seconds := int64(1_700_000_000)
	d.MediaType, d.ModTime, d.ModNanos, d.Executable, d.Thumbnail = "image/jpeg", &seconds, 7, true, contentOf(revision+1000)
	return d
}

func goodJournals(t *testing.T) []replayVector {
	first := newMaker(t, 1)
	files := newMaker(t, 1).add(put(1, "a", 1), put(2, "b", 2)).add(put(1, "a", 3), RenameTo(entryID(2), "\u00e9"))
	trash := newMaker(t, 1).add(put(1, "a", 1), put(2, "b", 2)).add(RemoveOn(entryID(1), 20000), RemoveOn(entryID(2), 0)).
		add(RestoreAs(entryID(1), "c"), RenameTo(entryID(2), "z"))
	purged := newMaker(t, 1).add(put(1, "a", 1)).add(put(1, "a", 2)).add(put(1, "a", 3), ForgetVersion(entryID(1), revisionID(1))).
		add(put(4, "b", 4)).add(RemoveOn(entryID(1), 1), PurgeEntry(entryID(1)))
	back := newMaker(t, 1).add(PutFile(entryID(1), fullFile("a", 1))).add(PutFile(entryID(1), fullFile("a", 2))).add(PutFile(entryID(1), fullFile("a", 1)))
	copied := newMaker(t, 1).add(put(1, "a", 1)).add(put(2, "b", 1)).add(RemoveOn(entryID(1), 1), PurgeEntry(entryID(1)))
	folders := newMaker(t, 1)
	folders.add(PutFolder(entryID(1), folderOf("docs"), fixedChild(t, folders.place(), placeOf(folderID(2), 1), true)),
		PutFolder(entryID(2), folderOf("joint"), fixedChild(t, folders.place(), placeOf(folderID(3), 1), false)))
	epochs := newMaker(t, 1).add(put(1, "a", 1))
	epochs.add(PutFolder(entryID(2), folderOf("d"), fixedChild(t, epochs.place(), placeOf(folderID(2), 1), true)))
	epochs.add(epochs.nextEpoch(), put(3, "b", 3))
	epochs.add(RekeyChild(entryID(2), fixedChild(t, epochs.place(), placeOf(folderID(2), 2), true)))
	moved := newMaker(t, 1).add(put(1, "a", 1)).add(put(1, "a", 2))
	e, _ := moved.state.Get(entryID(1))
	out, _ := Move(e, folderID(1), folderID(9), "a", nil)
	back9, in := Move(e, folderID(9), folderID(1), "b", nil)
	_ = back9
	moved.add(out).add(in)
	heads := newMaker(t, 1).add(HeadOf(Head{Folder: folderID(5), Seq: 1, Hash: made("h1")}), HeadOf(Head{Folder: folderID(4), Seq: 7, Hash: made("h2")})).
		add(HeadOf(Head{Folder: folderID(5), Seq: 3, Hash: made("h3")})).add(NoHeadOf(folderID(4)))
	fold := newMaker(t, 1).take(newMaker(t, 1).entry(forged{}, put(1, "a", 1), put(2, "A", 2), put(3, "e\u0301", 3), put(4, "\u00e9", 4)))
	later := newMaker(t, 1)
	later.take(later.entry(forged{extra: node{64: "later"}}, put(1, "a", 1)))
	return []replayVector{
		first.good("first entry only"), files.good("files, a version, a rename"), trash.good("trash and restore"), purged.good("versions forgotten, an entry purged"),
		back.good("an older version comes back, thumbnails go"), copied.good("one revision in two entries"), folders.good("folders with and without an admin key of their own"),
		epochs.good("an epoch and a child's new keys"), moved.good("moved out and in"), heads.good("heads"), fold.good("names that clash by folding only are applied"),
		later.good("unknown key 64 of the payload"), full(t).good(fullName), short(t).good(shortName), bySigned(t, first), withCheckpoint(t).good("a checkpoint"),
	}
}

// The journals after which the bad entries stand.
const (
	shortName = "a journal of two entries"
	fullName  = "a file, one with a version, one in the trash, a folder"
)

func short(t *testing.T) *maker { return newMaker(t, 1).add(put(1, "a", 1)).called(shortName) }

// bySigned is a first entry that the admin key signed.
func bySigned(t *testing.T, first *maker) replayVector {
	m := &maker{t: t, state: Begin(anchorOf(folderID(1), 1)), opener: first.opener}
	admin := [32]byte(keysFor(folderID(1), 1).Admin)
	m.take(m.entry(forged{seed: &admin}, Operation{What: OpEpoch}))
	return m.good("first entry signed by the admin key")
}

// withCheckpoint is a journal whose third entry names a checkpoint.
func withCheckpoint(t *testing.T) *maker {
	m := newMaker(t, 1).add(put(1, "a", 1), put(2, "b", 2))
	op, c := fixedCheckpoint(t, m.state, nil)
	return m.take(m.entry(forged{outer: func(o *Outer) { o.Pages = c.Hashes }}, op, put(3, "c", 3)))
}

// fixedCheckpoint seals pages of s under fixed salts; change may change the plain ones.
func fixedCheckpoint(t tb, s *State, change func(pages [][]byte) [][]byte) (Operation, Checkpoint) {
	t.Helper()
	plain := s.plainPages()
	c := Checkpoint{Head: s.Head(), Digest: digest(plain)}
	if change != nil {
		plain = change(plain)
	}
	for i, page := range plain {
		sealed := sealAs(t, "journal-checkpoint", keysFor(s.Folder(), s.Epoch()).Read, pageAAD(c.Head, s.Epoch(), i, len(plain)), page)
		c.Pages = append(c.Pages, sealed)
		c.Hashes = append(c.Hashes, hashOf(sealed))
	}
	return Operation{What: OpCheckpoint, Seq: c.Head.Seq, Hash: &c.Head.Hash, Digest: &c.Digest}, c
}

func TestReplayVectors(t *testing.T) {
	cases := goodJournals(t)
	cases = append(cases, badOuters(t)...)
	cases = append(cases, badOperations(t)...)
	cases = append(cases, badEffects(t)...)
	cases = golden.Sync(t, "journal-replay.json", "folders' journals, from their first entry (docs/format.md, sections 20 to 22; fields in docs/vectors.md)", cases)
	for _, c := range cases {
		t.Run(c.CaseName(), func(t *testing.T) { replayCase(t, whole(t, c, cases...)) })
	}
}

// whole is the case with what it takes from another.
func whole(t tb, c replayVector, all ...replayVector) replayVector {
	t.Helper()
	if c.After == "" {
		return c
	}
	for _, base := range all {
		if base.CaseName() != c.After {
			continue
		}
		c.Entries = append(slices.Clone(base.Entries), c.Entries...)
		if c.Anchor == nil {
			c.Anchor = base.Anchor
		}
		if c.Keys == nil {
			c.Keys = base.Keys
		}
		return c
	}
	t.Fatalf("no case %q", c.After)
	return c
}

func replayCase(t *testing.T, c replayVector) {
	a, o := c.Anchor.anchor(), openerOf(c.Keys)
	s := Begin(a)
	for i, data := range c.Entries {
		before, digest := s.Head(), s.Digest()
		_, err := s.Apply(data.Bytes, o)
		if i == len(c.Entries)-1 && c.Fail != "" {
			fails(t, c.Fail, err, a.Folder)
			if s.Head() != before || s.Digest() != digest {
				t.Fatal("an entry that was refused changed the state")
			}
			return
		}
		if err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
	}
	if err := s.Settled(); err != nil {
		t.Fatal(err)
	}
	head, digest := s.Head(), s.Digest()
	if head.Seq != c.Seq || !bytes.Equal(head.Hash[:], c.Hash) || s.Epoch() != c.Epoch || !bytes.Equal(digest[:], c.Digest) {
		t.Fatalf("it comes to %d %x, epoch %d, digest %x", head.Seq, head.Hash, s.Epoch(), digest)
	}
	pages := s.plainPages()
	for i := range pages {
		if !bytes.Equal(pages[i], c.Pages[i].Bytes) {
			t.Fatalf("page %d is\n%x", i, pages[i])
		}
	}
	if have := names(s); len(have) != len(c.Names) {
		t.Fatalf("names %q", have)
	}
}

// badOuters are entries that are refused by what a server sees.
func badOuters(t *testing.T) []replayVector {
	m := short(t)
	folder := m.state.Folder()
	op := put(2, "b", 2)
	other := keysFor(folderID(2), 1)
	stranger := [32]byte(other.Write)
	sealedBy := func(read ReadKey) *Keys { k := keysFor(folder, 1); k.Read = read; return &k }
	outer := func(do func(*Outer)) []byte { return m.entry(forged{outer: do}, op) }
	extra := func(n node) []byte { return m.entry(forged{extra: n}, op) }
	flip := func(at int) []byte {
		return m.entry(forged{keys: sealedBy(other.Read), after: func(raw []byte) { raw[(at+len(raw))%len(raw)] ^= 1 }}, op)
	}
	same := m.raws[1]
	cases := []replayVector{
		m.bad("nothing", "encoding", nil),
		m.bad("cut", "encoding", outer(nil)[:100]),
		m.bad("one byte too many", "encoding", append(outer(nil), 0)),
		m.bad("envelope with an unknown key 64", "encoding", append(append([]byte{0xa5}, outer(nil)[1:]...), 0x18, 64, 1)),
		m.bad("envelope of another type", "foreign", m.entry(forged{kind: "grant"}, op)),
		m.bad("of another folder", "foreign", outer(func(o *Outer) { o.Folder = folderID(2) })),
		m.bad("signed by a stranger", "foreign", m.entry(forged{seed: &stranger, keys: sealedBy(other.Read)}, op)),
		m.bad("signed by a stranger who has the read key", "reader-wrote", m.entry(forged{seed: &stranger}, op)),
		m.bad("signature changed", "planted", flip(-1)),
		m.bad("sealed part changed", "planted", flip(300)),
		m.bad("signature changed by one who has the read key", "reader-wrote", m.entry(forged{after: func(raw []byte) { raw[len(raw)-1] ^= 1 }}, op)),
		m.bad("seq left out", "gap", outer(func(o *Outer) { o.Seq++ })),
		m.bad("an epoch left out", "gap", outer(func(o *Outer) { o.Seq, o.Epoch = o.Seq+1, 2 })),
		m.bad("the same entry again", "rollback", same),
		m.bad("an older entry again", "rollback", m.raws[0]),
		m.bad("another entry of the head's seq", "fork", outer(func(o *Outer) { o.Seq-- })),
		m.bad("after another entry", "fork", outer(func(o *Outer) { o.Previous[0] ^= 1 })),
		m.bad("of the next epoch without keys", "epoch", outer(func(o *Outer) { o.Epoch = 2 })),
		m.bad("epoch 4097", "encoding", outer(func(o *Outer) { o.Epoch = MaxEpoch + 1 })),
		m.bad("epoch 0", "encoding", outer(func(o *Outer) { o.Epoch = 0 })),
		m.bad("seq 0", "encoding", outer(func(o *Outer) { o.Seq = 0 })),
		m.bad("keys in the middle of an epoch", "epoch", outer(func(o *Outer) {
			p := keysFor(folder, 1).Public()
			o.Start = &Start{Write: p.Write, Admin: p.Admin}
		})),
		m.bad("ids out of order", "encoding", outer(func(o *Outer) { o.Added = descending() })),
		m.bad("one id twice", "encoding", outer(func(o *Outer) { o.Dropped = append(o.Added, o.Added...) })),
		m.bad("folders out of order", "encoding", outer(func(o *Outer) { o.FoldersAdded = []id.Folder{{2}, {1}} })),
		m.bad("dropped folders out of order", "encoding", outer(func(o *Outer) { o.FoldersDropped = []id.Folder{{2}, {1}} })),
		m.bad("no ids, written", "encoding", extra(node{6: []any{}})),
		m.bad("unknown key 12", "encoding", extra(node{12: 1})),
		m.bad("unknown key 63", "encoding", extra(node{63: 1})),
		m.bad("sealed part missing", "encoding", extra(node{9: nil})),
		m.bad("previous missing", "encoding", extra(node{4: nil})),
		m.bad("previous of 31 bytes", "encoding", extra(node{4: run(0, 31)})),
		m.bad("folder of 17 bytes", "encoding", extra(node{1: run(0, 17)})),
		m.bad("a page's hash of 31 bytes", "encoding", extra(node{11: []any{run(0, 31)}})),
		m.bad("signed as another epoch's admin", "foreign", m.entry(forged{seed: ptr([32]byte(keysFor(folder, 2).Admin)), keys: sealedBy(other.Read)}, op)),
	}
	return append(cases, badEpochs(t)...)
}

func ptr[T any](v T) *T { return &v }

func descending() []id.Revision { return []id.Revision{{2}, {1}} }

// badEpochs are entries that begin an epoch as none may.
func badEpochs(t *testing.T) []replayVector {
	m := short(t)
	folder := m.state.Folder()
	next := m.nextEpoch()
	v := func(name, kind string, f forged, ops ...Operation) replayVector {
		c := m.bad(name, kind, m.entry(f, ops...))
		c.Keys = keysOf(folder, 2)
		return c
	}
	write := [32]byte(keysFor(folder, 2).Write)
	mine := keysFor(folderID(3), 1)
	cases := []replayVector{
		v("epoch begun with the write key", "not-admin", forged{seed: &write}, next),
		v("handover by a stranger", "not-admin", forged{outer: func(o *Outer) {
			o.Start.Handover = handOver(mine.Admin, o.place(), o.Start.Public())
		}}, next),
		v("handover by the write key", "not-admin", forged{outer: func(o *Outer) {
			o.Start.Handover = handOver(AdminSeed(keysFor(folder, 1).Write), o.place(), o.Start.Public())
		}}, next),
		v("handover of another place", "not-admin", forged{outer: func(o *Outer) {
			at := o.place()
			at.seq++
			o.Start.Handover = handOver(keysFor(folder, 1).Admin, at, o.Start.Public())
		}}, next),
		v("handover to other keys", "not-admin", forged{outer: func(o *Outer) {
			o.Start.Handover = handOver(keysFor(folder, 1).Admin, o.place(), mine.Public())
		}}, next),
		v("no handover", "encoding", forged{outer: func(o *Outer) { o.Start.Handover = nil }}, next),
		v("epoch without the read key before", "operations", forged{}, Operation{What: OpEpoch}),
		v("epoch begun in the seal only", "disagreement", forged{outer: func(o *Outer) {
			o.Epoch, o.Start = 1, nil
		}, keys: ptr(keysFor(folder, 1))}, next),
		v("epoch begun outside only", "disagreement", forged{plain: bodyOf(opNode(t, put(2, "b", 2)))}, next),
		v("epoch after another operation", "operations", forged{
			plain: bodyOf(opNode(t, next), opNode(t, put(2, "b", 2)), opNode(t, next)),
		}, next),
	}
	other := m.vector("keys of the anchor's epoch are others")
	other.Anchor, other.Fail = ptr(vectorOf(Anchor{Folder: folder, Epoch: 1, Public: mine.Public()})), "foreign"
	other.Entries = other.Entries[:1]
	gone := newMaker(t, 1).add(put(1, "a", 1))
	gone.add(gone.nextEpoch())
	old := gone.bad("written under the epoch before", "epoch", gone.entry(forged{keys: ptr(keysFor(folder, 1)), outer: func(o *Outer) { o.Epoch = 1 }}, put(2, "b", 2)))
	first := &maker{t: t, state: Begin(anchorOf(folder, 1)), opener: NewOpener(1, keysFor(folder, 1).Read)}
	lone := first.bad("first entry begins with a handover", "encoding", first.entry(forged{outer: func(o *Outer) { o.Start.Handover = &[64]byte{} }}, Operation{What: OpEpoch}))
	lone.Anchor, lone.Keys = ptr(vectorOf(anchorOf(folder, 1))), keysOf(folder, 1)
	two := first.bad("first entry of epoch 2", "epoch", first.entry(forged{outer: func(o *Outer) { o.Epoch, o.Start.Handover = 2, &[64]byte{} }}, Operation{What: OpEpoch}))
	two.Anchor, two.Keys = ptr(vectorOf(anchorOf(folder, 1))), keysOf(folder, 2)
	return append(cases, other, old, lone, two)
}
