package journal

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"holdfast/format/id"
	"holdfast/format/internal/golden"
	"holdfast/format/seal"
	"holdfast/format/wire"
)

// placeVector is a folder in an epoch, with the keys that are there.
type placeVector struct {
	Folder golden.Hex `json:"folder"`
	Epoch  int64      `json:"epoch"`
	Read   golden.Hex `json:"read"`
	Write  golden.Hex `json:"write,omitempty"`
	Admin  golden.Hex `json:"admin,omitempty"`
}

func placeVectorOf(p Place) placeVector {
	v := placeVector{Folder: p.Folder[:], Epoch: p.Epoch, Read: p.Keys.Read[:]}
	if !p.Keys.Write.IsZero() {
		v.Write = p.Keys.Write[:]
	}
	if !p.Keys.Admin.IsZero() {
		v.Admin = p.Keys.Admin[:]
	}
	return v
}

func (v placeVector) place() Place {
	p := Place{Folder: id.Folder(v.Folder), Epoch: v.Epoch, Keys: Keys{Read: ReadKey(v.Read)}}
	if v.Write != nil {
		p.Keys.Write = WriteSeed(v.Write)
	}
	if v.Admin != nil {
		p.Keys.Admin = AdminSeed(v.Admin)
	}
	return p
}

// childVector is what a parent's journal says of a child, and what opens.
type childVector struct {
	golden.Name
	Parent placeVector `json:"parent"`
	Child  golden.Hex  `json:"child"`
	Read   golden.Hex  `json:"read,omitempty"`
	Write  golden.Hex  `json:"write,omitempty"`
	Admin  golden.Hex  `json:"admin,omitempty"`
	Fail   string      `json:"fail,omitempty"`
}

func decodeChild(b []byte) (*Child, error) {
	r := wire.NewReader(b, MaxEntry, true)
	c := readChild(r)
	return c, r.End()
}

func childVectors(t *testing.T) []childVector {
	parent, child := placeOf(folderID(1), 3), placeOf(folderID(2), 7)
	own, joint := fixedChild(t, parent, child, true), fixedChild(t, parent, child, false)
	reader, writer := parent, parent
	reader.Keys.Write, reader.Keys.Admin, writer.Keys.Admin = WriteSeed{}, AdminSeed{}, AdminSeed{}
	vector := func(name string, by Place, c Child) childVector {
		return childVector{Name: golden.Name{Name: name}, Parent: placeVectorOf(by), Child: wire.Marshal(c)}
	}
	good := func(name string, by Place, c Child, write, admin []byte) childVector {
		v := vector(name, by, c)
		v.Read, v.Write, v.Admin = child.Keys.Read[:], write, admin
		return v
	}
	bad := func(name, fail string, by Place, do func(*Child)) childVector {
		c := own
		record := *own.SealedAdmin
		c.SealedAdmin = &record
		if do != nil {
			do(&c)
		}
		v := vector(name, by, c)
		v.Fail = fail
		return v
	}
	stranger := placeOf(folderID(1), 3)
	stranger.Keys.Read[0] ^= 1
	elsewhere := placeOf(folderID(9), 3)
	elsewhere.Keys = parent.Keys
	return []childVector{
		good("opened by who administers", parent, own, child.Keys.Write[:], child.Keys.Admin[:]),
		good("opened by who writes", writer, own, child.Keys.Write[:], nil),
		good("opened by who reads", reader, own, nil, nil),
		good("the parent's admin key", parent, joint, child.Keys.Write[:], parent.Keys.Admin[:]),
		bad("another read key", "commitment", stranger, nil),
		bad("of another parent", "commitment", elsewhere, nil),
		bad("of another child", "commitment", parent, func(c *Child) { c.Folder[0] ^= 1 }),
		bad("of another epoch of the child", "commitment", parent, func(c *Child) { c.Epoch++ }),
		bad("read record in place of the write record", "commitment", writer, func(c *Child) { c.SealedWrite = c.SealedRead }),
		bad("write record in place of the admin record", "commitment", parent, func(c *Child) { c.SealedAdmin = &c.SealedWrite }),
		bad("tag of the read record", "record", reader, func(c *Child) { c.SealedRead[112] ^= 1 }),
		bad("version of the read record", "version", reader, func(c *Child) { c.SealedRead[0] = 2 }),
		bad("another write public key", "foreign", writer, func(c *Child) { c.Write[0] ^= 1 }),
		bad("another admin public key", "foreign", parent, func(c *Child) { c.Admin[0] ^= 1 }),
		bad("the parent's admin key said to be the child's", "foreign", parent, func(c *Child) { c.SealedAdmin = nil }),
	}
}

var openErrors = map[string]error{
	"commitment": seal.ErrCommitment, "record": seal.ErrRecord, "version": seal.ErrVersion, "foreign": Foreign, "encoding": ErrEncoding,
}

func TestChildVectors(t *testing.T) {
	for _, c := range golden.Sync(t, "journal-child.json", "a child folder's keys, sealed under its parent's (docs/format.md, section 20; fields in docs/vectors.md)", childVectors(t)) {
		t.Run(c.CaseName(), func(t *testing.T) {
			child, err := decodeChild(c.Child)
			if err != nil || !bytes.Equal(wire.Marshal(child), c.Child) {
				t.Fatalf("decoding: %v", err)
			}
			by := c.Parent.place()
			keys, err := child.Open(by)
			if err == nil && !by.Keys.Admin.IsZero() {
				keys.Admin, err = child.OpenAdmin(by)
			}
			if c.Fail != "" {
				if want := openErrors[c.Fail]; want == nil || !errors.Is(err, want) {
					t.Fatalf("want %s, have %v", c.Fail, err)
				}
				return
			}
			have := placeVectorOf(Place{Keys: keys})
			if err != nil || !bytes.Equal(have.Read, c.Read) || !bytes.Equal(have.Write, c.Write) || !bytes.Equal(have.Admin, c.Admin) {
				t.Fatalf("%v: %+v", err, have)
			}
		})
	}
}

// loadVector is a checkpoint, and the entries from the one that names it on.
type loadVector struct {
	golden.Name
	Anchor  anchorVector `json:"anchor"`
	Keys    []keyVector  `json:"keys"`
	Entries []golden.Hex `json:"entries"`
	Pages   []golden.Hex `json:"pages"`
	Seq     int64        `json:"seq,omitempty"`
	Hash    golden.Hex   `json:"hash,omitempty"`
	Digest  golden.Hex   `json:"digest,omitempty"`
	Names   []string     `json:"names,omitempty"`
	Fail    string       `json:"fail,omitempty"`
}

// checkpointed is a journal with all that a state may hold, whose last entry but
// one names a checkpoint that change changed.
func checkpointed(t *testing.T, change func([][]byte) [][]byte) (*maker, Checkpoint) {
	m := full(t).add(HeadOf(Head{Folder: folderID(6), Seq: 5, Hash: made("h")}), HeadOf(Head{Folder: folderID(7), Seq: 5, Hash: made("i")}))
	m.add(m.nextEpoch(), PutFile(entryID(8), fullFile("photo", 8)))
	op, c := fixedCheckpoint(t, m.state, change)
	m.take(m.entry(forged{outer: func(o *Outer) { o.Pages = c.Hashes }}, op)).add(put(9, "after", 9))
	return m, c
}

func loadVectors(t *testing.T) []loadVector {
	vector := func(name string, change func([][]byte) [][]byte) loadVector {
		m, c := checkpointed(t, change)
		v := loadVector{Name: golden.Name{Name: name}, Anchor: vectorOf(anchorOf(folderID(1), 2)), Keys: keysOf(folderID(1), 2)[1:]}
		for _, raw := range m.raws[c.Head.Seq:] {
			v.Entries = append(v.Entries, raw)
		}
		for _, page := range c.Pages {
			v.Pages = append(v.Pages, page)
		}
		hash, digest := m.state.Head().Hash, m.state.Digest()
		v.Seq, v.Hash, v.Digest, v.Names = m.state.Head().Seq, hash[:], digest[:], names(m.state)
		return v
	}
	bad := func(name, fail string, do func(*loadVector)) loadVector {
		v := vector(name, nil)
		v.Seq, v.Hash, v.Digest, v.Names, v.Fail = 0, nil, nil, nil, fail
		do(&v)
		return v
	}
	page := func(name string, do func(page node)) loadVector {
		v := vector(name, func(pages [][]byte) [][]byte {
			n, err := decodeNode(pages[0])
			if err != nil {
				t.Fatal(err)
			}
			do(n)
			return [][]byte{wire.Marshal(n)}
		})
		v.Seq, v.Hash, v.Digest, v.Names, v.Fail = 0, nil, nil, nil, "checkpoint"
		return v
	}
	first := func(n node) node { return n[1].(node) }
	stateAt := func(n node, i int) node { return n[2].([]any)[i].(node) }
	old := bad("anchor of the epoch before the checkpoint", "", func(v *loadVector) {})
	old = vector(old.CaseName(), nil)
	old.Anchor = vectorOf(anchorOf(folderID(1), 1))
	return []loadVector{
		vector("a checkpoint and the entries after it", nil), old,
		bad("anchor with other keys", "foreign", func(v *loadVector) { v.Anchor.Write[0] ^= 1 }),
		bad("anchor of an epoch to come", "rollback", func(v *loadVector) { v.Anchor = vectorOf(anchorOf(folderID(1), 3)) }),
		bad("anchor of another folder", "checkpoint", func(v *loadVector) { v.Anchor = vectorOf(anchorOf(folderID(2), 2)) }),
		bad("page changed", "checkpoint", func(v *loadVector) { v.Pages[0][100] ^= 1 }),
		bad("page missing", "missing", func(v *loadVector) { v.Pages = nil }),
		bad("another read key", "checkpoint", func(v *loadVector) { v.Keys[0].Read = run(3, 32) }),
		bad("entry that names none", "checkpoint", func(v *loadVector) { v.Entries = v.Entries[1:] }),
		page("an entry left out", func(n node) { n[2] = n[2].([]any)[1:]; first(n)[5] = 5 - 1 }),
		page("a count that is wrong", func(n node) { first(n)[5] = 99 }),
		page("heads that are missing", func(n node) { delete(n, 3) }),
		page("no first part", func(n node) { delete(n, 1) }),
		page("unknown key 4", func(n node) { n[4] = 1 }),
		page("unknown key 64", func(n node) { n[64] = 1 }),
		page("another folder", func(n node) { first(n)[1] = run(1, 16) }),
		page("another seq", func(n node) { first(n)[2] = 3 }),
		page("another hash", func(n node) { first(n)[3] = run(1, 32) }),
		page("an epoch too few", func(n node) { first(n)[4] = first(n)[4].([]any)[:1] }),
		page("handover changed", func(n node) { first(n)[4].([]any)[1].(node)[5] = make([]byte, 64) }),
		page("handover at epoch 1", func(n node) { first(n)[4].([]any)[0].(node)[5] = make([]byte, 64) }),
		page("epochs out of order", func(n node) { first(n)[4].([]any)[1].(node)[1] = 1 }),
		page("entries out of order", func(n node) { l := n[2].([]any); l[0], l[1] = l[1], l[0] }),
		page("one entry twice", func(n node) { l := n[2].([]any); l[1] = l[0] }),
		page("a file with keys", func(n node) { childOfState(n); keysToFile(n) }),
		page("a name changed", func(n node) { stateAt(n, 0)[2].(node)[1] = "zzz" }),
		page("a day changed", func(n node) { stateAt(n, 0)[4] = 1 }),
		page("heads out of order", func(n node) { l := n[3].([]any); l[0], l[1] = l[1], l[0] }),
		page("a head of seq 0", func(n node) { n[3].([]any)[0].(node)[2] = 0 }),
	}
}

// childOfState finds the folder's keys in a page.
func childOfState(n node) any {
	for _, s := range n[2].([]any) {
		if child := s.(node)[3]; child != nil {
			return child
		}
	}
	return nil
}

// keysToFile gives the keys of the folder to the first file.
func keysToFile(n node) {
	child := childOfState(n)
	for _, s := range n[2].([]any) {
		if s.(node)[3] == nil {
			s.(node)[3] = child
			return
		}
	}
}

var errNoPage = &Alarm{Kind: Missing}

func TestLoadVectors(t *testing.T) {
	for _, c := range golden.Sync(t, "journal-checkpoint.json", "checkpoints (docs/format.md, section 24; fields in docs/vectors.md)", loadVectors(t)) {
		t.Run(c.CaseName(), func(t *testing.T) {
			a, o := c.Anchor.anchor(), openerOf(c.Keys)
			errNoPage.Folder = a.Folder
			at := 0
			s, err := Load(a, c.Entries[0], o, func(Hash) ([]byte, error) {
				if at++; at > len(c.Pages) {
					return nil, errNoPage
				}
				return c.Pages[at-1], nil
			})
			for i := 0; err == nil && i < len(c.Entries); i++ {
				_, err = s.Apply(c.Entries[i], o)
			}
			if err == nil {
				err = s.Settled()
			}
			if c.Fail != "" {
				fails(t, c.Fail, err, a.Folder)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			check(t, s)
			head, digest := s.Head(), s.Digest()
			if head.Seq != c.Seq || !bytes.Equal(head.Hash[:], c.Hash) || !bytes.Equal(digest[:], c.Digest) || !reflect.DeepEqual(names(s), c.Names) {
				t.Fatalf("it comes to %d %x %v", head.Seq, digest, names(s))
			}
		})
	}
}

// grantVector is a grant, held against a folder's chain and the grant before it.
type grantVector struct {
	golden.Name
	Anchor anchorVector  `json:"anchor"` // the folder's present epoch
	Known  int64         `json:"known"`  // serial of the grant that stands
	Grant  golden.Data   `json:"grant"`
	Value  golden.Object `json:"value,omitempty"`
	Fail   string        `json:"fail,omitempty"`
}

func grantVectors(t *testing.T) []grantVector {
	folder := folderID(1)
	admin := keysFor(folder, 2).Admin
	g := Grant{Folder: folder, Account: ptr(id.Account(run(5, 16))), Role: Writes, Epoch: 2, Serial: 7}
	base := wire.Marshal(g)
	link := g
	link.Account, link.Link, link.Role = nil, ptr(id.Handle(run(9, 16))), Reads
	file := g
	file.File, file.Role = ptr(id.File(run(7, 16))), Reads
	vector := func(name string, raw []byte) grantVector {
		return grantVector{Name: golden.Name{Name: name}, Anchor: vectorOf(anchorOf(folder, 2)), Known: 6, Grant: golden.Inline(raw)}
	}
	good := func(name string, g Grant) grantVector {
		v := vector(name, wire.Seal(grantType, admin.key(), wire.Marshal(g)))
		v.Value = golden.Value(t, wire.Marshal(g))
		return v
	}
	bad := func(name, fail string, raw []byte) grantVector {
		v := vector(name, raw)
		v.Fail = fail
		return v
	}
	of := func(pairs ...any) []byte {
		return wire.Seal(grantType, admin.key(), wire.Marshal(with(merged(t, base, node{}), pairs...)))
	}
	sealed := wire.Seal(grantType, admin.key(), base)
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	stays := bad("the same serial again", "serial", sealed)
	stays.Known = 7
	back := bad("an older serial", "serial", sealed)
	back.Known = 8
	later := merged(t, base, node{64: 1})
	unknown := vector("unknown key 64", wire.Seal(grantType, admin.key(), wire.Marshal(later)))
	unknown.Value = golden.Value(t, base)
	return []grantVector{
		good("an account writes", g), good("a link reads", link), good("an account reads one file", file),
		good("revoked", Grant{Folder: folder, Account: g.Account, Role: Reads, Serial: 6}.Revoked(2)), unknown,
		stays, back,
		bad("of another epoch", "epoch", of(6, 1)),
		bad("signed by the write key", "foreign", wire.Seal(grantType, keysFor(folder, 2).Write.key(), base)),
		bad("signed by the admin key of another epoch", "foreign", wire.Seal(grantType, keysFor(folder, 1).Admin.key(), base)),
		bad("of another type", "foreign", wire.Seal(entryType, admin.key(), base)),
		bad("signature changed", "planted", flipped),
		bad("of another folder", "foreign", of(1, run(1, 16))),
		bad("for nobody", "encoding", of(3, nil)),
		bad("for an account and a link", "encoding", of(4, run(1, 16))),
		bad("role 4", "encoding", of(5, 4)),
		bad("role -1", "encoding", of(5, -1)),
		bad("a link writes", "encoding", of(3, nil, 4, run(1, 16))),
		bad("an account writes one file", "encoding", of(2, run(1, 16))),
		bad("serial 0", "encoding", of(7, 0)),
		bad("epoch 0", "encoding", of(6, 0)),
		bad("without a role", "encoding", of(5, nil)),
		bad("unknown key 8", "encoding", of(8, 1)),
		bad("larger than allowed", "encoding", of(64, make([]byte, MaxGrant))),
		bad("cut", "encoding", sealed[:50]),
	}
}

func TestGrantVectors(t *testing.T) {
	for _, c := range golden.Sync(t, "journal-grant.json", "grants (docs/format.md, section 25; fields in docs/vectors.md)", grantVectors(t)) {
		t.Run(c.CaseName(), func(t *testing.T) {
			a := c.Anchor.anchor()
			chain := Chain{Folder: a.Folder, Epoch: a.Epoch, Keys: a.Public}
			g, err := OpenGrant(c.Grant.Bytes, chain, func(Subject) int64 { return c.Known })
			if c.Fail != "" {
				fails(t, c.Fail, err, a.Folder)
				return
			}
			if err != nil || !reflect.DeepEqual(golden.Value(t, wire.Marshal(g)), c.Value) {
				t.Fatalf("%v: %+v", err, g)
			}
		})
	}
}

// pinVector is a set of pins, held against heads that a server claims.
type pinVector struct {
	golden.Name
	Bytes  golden.Hex    `json:"bytes"`
	Value  golden.Object `json:"value,omitempty"`
	Claims []claimVector `json:"claims,omitempty"`
	Fail   string        `json:"fail,omitempty"`
}

type claimVector struct {
	Folder golden.Hex `json:"folder"`
	Seq    int64      `json:"seq"`
	Hash   golden.Hex `json:"hash"`
	Fail   string     `json:"fail,omitempty"`
}

func pinVectors(t *testing.T) []pinVector {
	row := func(folder byte, seq any) []any { return []any{run(folder, 16), seq, run(9, 32)} }
	claim := func(folder byte, seq int64, hash byte, fail string) claimVector {
		return claimVector{Folder: run(folder, 16), Seq: seq, Hash: run(hash, 32), Fail: fail}
	}
	good := func(name string, n node, claims ...claimVector) pinVector {
		b := wire.Marshal(n)
		return pinVector{Name: golden.Name{Name: name}, Bytes: b, Value: golden.Value(t, b), Claims: claims}
	}
	bad := func(name string, n node) pinVector {
		return pinVector{Name: golden.Name{Name: name}, Bytes: wire.Marshal(n), Fail: "encoding"}
	}
	return []pinVector{
		good("none", node{1: []any{}}, claim(1, 1, 1, "")),
		good("two", node{1: []any{row(1, 5), row(2, 7)}},
			claim(1, 5, 9, ""), claim(1, 6, 1, ""), claim(1, 4, 9, "rollback"), claim(1, 5, 8, "fork"), claim(1, 0, 0, "missing"), claim(3, 1, 1, "")),
		bad("out of order", node{1: []any{row(2, 5), row(1, 7)}}),
		bad("one folder twice", node{1: []any{row(1, 5), row(1, 7)}}),
		bad("seq 0", node{1: []any{row(1, 0)}}),
		bad("seq of 2^53", node{1: []any{row(1, wire.MaxInt+1)}}),
		bad("a row of two", node{1: []any{row(1, 5)[:2]}}),
		bad("hash of 31 bytes", node{1: []any{[]any{run(1, 16), 5, run(9, 31)}}}),
		bad("unknown key 2", node{1: []any{}, 2: 1}),
		bad("no list", node{}),
	}
}

func TestPinVectors(t *testing.T) {
	for _, c := range golden.Sync(t, "journal-pins.json", "pins (docs/format.md, section 26; fields in docs/vectors.md)", pinVectors(t)) {
		t.Run(c.CaseName(), func(t *testing.T) {
			p, err := DecodePins(c.Bytes)
			if c.Fail != "" {
				if c.Fail != "encoding" || !errors.Is(err, ErrEncoding) {
					t.Fatalf("want %s, have %v", c.Fail, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			again, err := p.Encode()
			if err != nil || !bytes.Equal(again, c.Bytes) {
				t.Fatalf("encoded again: %x, %v", again, err)
			}
			for _, claim := range c.Claims {
				err := p.Check(Head{Folder: id.Folder(claim.Folder), Seq: claim.Seq, Hash: Hash(claim.Hash)})
				if claim.Fail == "" && err == nil {
					continue
				}
				fails(t, claim.Fail, err, id.Folder(claim.Folder))
			}
		})
	}
}
