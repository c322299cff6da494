package journal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"maps"
	"testing"

	"holdfast/format/id"
	"holdfast/format/internal/golden"
	"holdfast/format/kdf"
	"holdfast/format/wire"
)

// The golden vectors of docs/format.md §20 to §26. What is sealed has a fixed
// salt here, which the package itself rightly does not offer.

type node = map[int64]any

// with is a copy of m with pairs set; a nil value takes the key away.
func with(m node, pairs ...any) node {
	out := maps.Clone(m)
	for i := 0; i < len(pairs); i += 2 {
		key := int64(pairs[i].(int))
		if pairs[i+1] == nil {
			delete(out, key)
			continue
		}
		out[key] = pairs[i+1]
	}
	return out
}

// sealAs seals as docs/format.md §6 writes it, under a salt that follows from aad and plaintext.
func sealAs(t tb, kind string, key [32]byte, aad, plaintext []byte) []byte {
	t.Helper()
	salt := sha256.Sum256(append([]byte("salt of "+kind), append(aad, plaintext...)...))
	both, err := hkdf.Key(sha256.New, key[:], salt[:], "holdfast/v1/"+kind+"\x00"+string(aad), 64)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(both[:32])
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	out := append(append([]byte{0x01}, salt[:]...), both[32:]...)
	return gcm.Seal(out, make([]byte, 12), plaintext, nil)
}

// fixedChild is what SealChild makes, under fixed salts.
func fixedChild(t tb, parent, child Place, own bool) Child {
	t.Helper()
	aad := childAAD(parent.Folder, parent.Epoch, child.Folder, child.Epoch)
	key := func(purpose [32]byte, kind string, b [32]byte) SealedKey {
		return SealedKey(sealAs(t, kind, purpose, aad, b[:]))
	}
	c := Child{
		Folder: child.Folder, Epoch: child.Epoch, Write: child.Keys.Write.public(), Admin: parent.Keys.Admin.public(), Parent: parent.Epoch,
		SealedRead:  key(parent.Keys.Read, "child-read", child.Keys.Read),
		SealedWrite: key(kdf.Key32(parent.Keys.Write[:], "holdfast/v1/child-write-key", aad), "child-write", child.Keys.Write),
		AdminFolder: parent.Folder, AdminEpoch: parent.Epoch,
	}
	if own {
		c.Admin = child.Keys.Admin.public()
		sealed := key(kdf.Key32(parent.Keys.Admin[:], "holdfast/v1/child-admin-key", aad), "child-admin", child.Keys.Admin)
		c.SealedAdmin = &sealed
	}
	return c
}

// maker writes entries under fixed salts, right ones and wrong ones.
type maker struct {
	name   string // of the good case that ends where it is now
	t      tb
	state  *State
	opener *Opener
	raws   [][]byte
}

func newMaker(t tb, n int) *maker {
	folder := folderID(n)
	m := &maker{t: t, state: Begin(anchorOf(folder, 1)), opener: NewOpener(1, keysFor(folder, 1).Read)}
	m.add(Operation{What: OpEpoch})
	return m
}

// forged is how an entry differs from a right one.
type forged struct {
	keys  *Keys            // instead of the epoch's
	plain []byte           // of the body
	outer func(o *Outer)   // before it is signed
	extra node             // keys of the payload
	seed  *[32]byte        // signs
	kind  string           // of the envelope
	after func(raw []byte) // once it is signed
}

// entry is the next entry, which does ops, with what f says wrong in it.
func (m *maker) entry(f forged, ops ...Operation) []byte {
	m.t.Helper()
	s := m.state
	folder, epoch := s.Folder(), s.Epoch()
	var start *Start
	if len(ops) > 0 && ops[0].What == OpEpoch {
		epoch++
		public := keysFor(folder, epoch).Public()
		start = &Start{Write: public.Write, Admin: public.Admin}
		if epoch > 1 {
			start.Handover = handOver(keysFor(folder, epoch-1).Admin, s.next(epoch), public)
		}
	}
	keys := keysFor(folder, epoch)
	if f.keys != nil {
		keys = *f.keys
	}
	at := s.next(epoch)
	// The effect, as far as the operations can be done: a wrong one has a plaintext, or outer ids, of its own.
	var done effect
	s.begin()
	if s.applyAll(start, at, ops) == nil {
		done = s.effect()
	}
	s.takeBack()
	plain := f.plain
	if plain == nil {
		plain = body{Operations: ops}.plain()
	}
	o := &Outer{
		Folder: folder, Seq: at.seq, Epoch: epoch, Previous: at.previous, Start: start,
		Added: done.added, Dropped: done.dropped, FoldersAdded: done.foldersAdded, FoldersDropped: done.foldersDropped,
	}
	if f.outer != nil {
		f.outer(o)
	}
	if o.Sealed == nil {
		o.Sealed = sealAs(m.t, "journal-operations", keys.Read, o.place().aad(), plain)
	}
	return m.sign(f, keys, o, start != nil && epoch > 1 || hasRekey(ops))
}

func hasRekey(ops []Operation) bool {
	for _, op := range ops {
		if op.What == OpRekey {
			return true
		}
	}
	return false
}

func (m *maker) sign(f forged, keys Keys, o *Outer, admin bool) []byte {
	seed := [32]byte(keys.Write)
	if admin {
		seed = [32]byte(keys.Admin)
	}
	if f.seed != nil {
		seed = *f.seed
	}
	kind := "journal-entry"
	if f.kind != "" {
		kind = f.kind
	}
	payload := wire.Marshal(o)
	if f.extra != nil {
		payload = wire.Marshal(merged(m.t, payload, f.extra))
	}
	raw := wire.Seal(kind, WriteSeed(seed).key(), payload)
	if f.after != nil {
		f.after(raw)
	}
	return raw
}

// merged is an encoded map with keys set, or taken away.
func merged(t tb, encoded []byte, extra node) node {
	t.Helper()
	out, err := decodeNode(encoded)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range extra {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = v
		}
	}
	return out
}

// add writes a right entry and goes on from it.
func (m *maker) add(ops ...Operation) *maker {
	m.t.Helper()
	if len(ops) > 0 && ops[0].What == OpEpoch {
		m.opener.Learn(m.state.Epoch()+1, keysFor(m.state.Folder(), m.state.Epoch()+1).Read)
	}
	return m.take(m.entry(forged{}, ops...))
}

func (m *maker) take(raw []byte) *maker {
	m.name = ""
	m.t.Helper()
	if _, err := m.state.Apply(raw, m.opener); err != nil {
		m.t.Fatal(err)
	}
	m.raws = append(m.raws, raw)
	return m
}

// nextEpoch is the operation that begins the next epoch.
func (m *maker) nextEpoch() Operation {
	key := keysFor(m.state.Folder(), m.state.Epoch()).Read
	return Operation{What: OpEpoch, ReadKey: &key}
}

// place is the maker's folder with all its keys.
func (m *maker) place() Place { return placeOf(m.state.Folder(), m.state.Epoch()) }

// padPlain is a plaintext with that body.
func padPlain(encoded []byte) []byte {
	out := make([]byte, padded(4+len(encoded)))
	binary.BigEndian.PutUint32(out, uint32(len(encoded)))
	copy(out[4:], encoded)
	return out
}

// opNode is an operation as a map, to be changed.
func opNode(t tb, op Operation) node {
	t.Helper()
	n, err := decodeNode(wire.Marshal(op))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// bodyOf is the plaintext of a body of such operations.
func bodyOf(ops ...any) []byte { return padPlain(wire.Marshal(node{1: ops})) }

var alarmKinds = map[string]error{
	"encoding": Encoding, "foreign": Foreign, "planted": Planted, "reader-wrote": ReaderWrote, "epoch": Epoch, "gap": Gap, "fork": Fork,
	"rollback": Rollback, "not-admin": NotAdmin, "operations": Operations, "disagreement": Disagreement, "author": BadAuthor,
	"checkpoint": BadCheckpoint, "missing": Missing, "serial": Serial,
}

// fails wants of err what the vector names.
func fails(t *testing.T, want string, err error, folder id.Folder) {
	t.Helper()
	kind, known := alarmKinds[want]
	if !known || !errors.Is(err, kind) {
		t.Fatalf("want %s, have %v", want, err)
	}
	var a *Alarm
	if errors.As(err, &a) && a.Folder != folder {
		t.Fatalf("it names folder %s", a.Folder)
	}
	t.Log(err)
}

// anchorVector is an anchor as it stands in vectors.
type anchorVector struct {
	Folder golden.Hex `json:"folder"`
	Epoch  int64      `json:"epoch"`
	Write  golden.Hex `json:"write"`
	Admin  golden.Hex `json:"admin"`
}

func vectorOf(a Anchor) anchorVector {
	return anchorVector{Folder: a.Folder[:], Epoch: a.Epoch, Write: a.Public.Write[:], Admin: a.Public.Admin[:]}
}

func (v anchorVector) anchor() Anchor {
	return Anchor{Folder: id.Folder(v.Folder), Epoch: v.Epoch, Public: Public{Write: PublicKey(v.Write), Admin: PublicKey(v.Admin)}}
}

// keyVector is a read key as it stands in vectors.
type keyVector struct {
	Epoch int64      `json:"epoch"`
	Read  golden.Hex `json:"read"`
}

func openerOf(keys []keyVector) *Opener {
	o := &Opener{keys: map[int64]ReadKey{}}
	for _, k := range keys {
		o.Learn(k.Epoch, ReadKey(k.Read))
	}
	return o
}

func keysOf(folder id.Folder, epochs int64) []keyVector {
	var out []keyVector
	for epoch := int64(1); epoch <= epochs; epoch++ {
		key := keysFor(folder, epoch).Read
		out = append(out, keyVector{Epoch: epoch, Read: key[:]})
	}
	return out
}
