package journal

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"holdfast/format/id"
	"holdfast/format/wire"
)

// TestMutatedByteIsFound changes any bits of any byte of any entry of a journal:
// what follows it is never applied, and the state is that before it.
func TestMutatedByteIsFound(t *testing.T) {
	b := newBook(t, 1).do(put(1, "a", 1)).do(put(1, "a", 2), put(2, "b", 3)).epoch().do(RenameTo(entryID(1), "c"), RemoveOn(entryID(2), 1))
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(0, len(b.raws)-1).Draw(t, "entry")
		raw := bytes.Clone(b.raws[at])
		byteAt := rapid.IntRange(0, len(raw)-1).Draw(t, "byte")
		raw[byteAt] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		b.t = t
		s := b.replay(at)
		digest := s.Digest()
		_, err := s.Apply(raw, b.opener)
		var a *Alarm
		if !errors.As(err, &a) || a.Folder != b.folder {
			t.Fatalf("byte %d of entry %d: %v", byteAt, at, err)
		}
		if s.Digest() != digest || s.Head().Seq != int64(at) {
			t.Fatal("it changed the state")
		}
		if _, err := s.Apply(b.raws[at], b.opener); err != nil {
			t.Fatalf("the true entry after it: %v", err)
		}
	})
}

// TestEveryByteOfAnEntry is the same for every byte and bit of one entry, as the
// server checks it.
func TestEveryByteOfAnEntry(t *testing.T) {
	b := newBook(t, 1).do(put(1, "a", 1))
	chain := b.replay(1).Chain()
	for at := range b.raws[1] {
		for bit := range 8 {
			raw := bytes.Clone(b.raws[1])
			raw[at] ^= 1 << bit
			if _, next, err := chain.Check(raw); err == nil || next != chain {
				t.Fatalf("bit %d of byte %d is not missed", bit, at)
			}
		}
	}
}

// TestEvilServers serves a journal in every wrong way.
func TestEvilServers(t *testing.T) {
	b := newBook(t, 1).do(put(1, "a", 1)).do(put(2, "b", 2)).do(put(3, "c", 3))
	fork := newBook(t, 1)
	fork.raws, fork.state = b.raws[:3:3], b.replay(3)
	fork.do(put(3, "other", 9)).do(put(4, "d", 4))
	other := newBook(t, 2).do(put(1, "a", 1))
	for _, c := range []struct {
		name string
		kind Kind
		raws [][]byte
	}{
		{"an entry left out", Gap, [][]byte{b.raws[0], b.raws[2]}},
		{"the first one left out", Gap, [][]byte{b.raws[1]}},
		{"two exchanged", Gap, [][]byte{b.raws[0], b.raws[2], b.raws[1]}},
		{"one twice", Rollback, [][]byte{b.raws[0], b.raws[1], b.raws[1]}},
		{"an old one again", Rollback, [][]byte{b.raws[0], b.raws[1], b.raws[2], b.raws[1]}},
		{"one of another version", Fork, [][]byte{b.raws[0], b.raws[1], b.raws[2], b.raws[3], fork.raws[4]}},
		{"the same place in another version", Fork, [][]byte{b.raws[0], b.raws[1], b.raws[2], b.raws[3], fork.raws[3]}},
		{"one of another folder", Foreign, [][]byte{b.raws[0], other.raws[1]}},
		{"another folder's journal", Foreign, other.raws},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := replayAll(anchorOf(b.folder, 1), b.opener, c.raws)
			raises(t, err, b.folder, c.kind)
			t.Log(err)
		})
	}
}

// TestSwappedSeals exchanges the sealed parts of two entries and signs anew as an
// evil writer's server could not: each opens at its own place only.
func TestSwappedSeals(t *testing.T) {
	m := newMaker(t, 1)
	a, b := m.entry(forged{}, put(1, "a", 1)), m.entry(forged{outer: func(o *Outer) { o.Previous[0] ^= 1 }}, put(1, "b", 1))
	other, err := parseEnvelope(b)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := decodeOuter(other.Payload)
	if err != nil {
		t.Fatal(err)
	}
	swapped := m.entry(forged{outer: func(o *Outer) { o.Sealed = sealed.Sealed }}, put(1, "a", 1))
	_, err = m.state.Apply(swapped, m.opener)
	raises(t, err, folderID(1), Operations)
	m.take(a)
}

func TestReaderCannotWrite(t *testing.T) {
	b := newBook(t, 1)
	reader := Pen{Keys: Keys{Read: keysFor(b.folder, 1).Read}}
	if _, err := b.state.Write(reader, put(1, "a", 1)); !errors.Is(err, ErrRight) {
		t.Fatalf("writing with the read key: %v", err)
	}
	// With a seed of its own, whatever it is, it is found out by who has the read key.
	for _, seed := range [][32]byte{made("mine"), [32]byte(keysFor(b.folder, 1).Read)} {
		m := newMaker(t, 1)
		_, err := m.state.Apply(m.entry(forged{seed: &seed}, put(1, "a", 1)), m.opener)
		raises(t, err, b.folder, ReaderWrote)
		// The server, which cannot open it, sees a foreign one.
		_, _, err = m.state.Chain().Check(m.entry(forged{seed: &seed}, put(1, "a", 1)))
		raises(t, err, b.folder, Foreign)
	}
}

func TestWriterDoesNotAdminister(t *testing.T) {
	b := newBook(t, 1)
	writer := Pen{Keys: keysFor(b.folder, 1)}
	writer.Keys.Admin = AdminSeed{}
	at := b.state
	place := Place{Folder: b.folder, Epoch: 1, Keys: writer.Keys}
	if _, err := at.WriteEpoch(writer, NewKeys()); !errors.Is(err, ErrRight) {
		t.Fatalf("an epoch without the admin seed: %v", err)
	}
	stranger := writer
	stranger.Keys.Admin = NewKeys().Admin
	if _, err := at.WriteEpoch(stranger, NewKeys()); !errors.Is(err, ErrRight) {
		t.Fatalf("an epoch with another admin seed: %v", err)
	}
	if _, err := at.WriteEpoch(b.pen(), Keys{Read: NewKeys().Read}); !errors.Is(err, ErrRight) {
		t.Fatalf("an epoch without keys: %v", err)
	}
	if _, err := SealChild(place, PublicKey{}, placeOf(folderID(2), 1)); !errors.Is(err, ErrRight) {
		t.Fatalf("a child's admin seed sealed without the parent's: %v", err)
	}
	// A folder that a writer makes has the parent's admin key; whoever administers the parent has it.
	child := placeOf(folderID(2), 1)
	child.Keys.Admin = AdminSeed{}
	made, err := SealChild(place, at.Chain().Keys.Admin, child)
	if err != nil {
		t.Fatal(err)
	}
	first, err := Found(made.Anchor(), Pen{Keys: child.Keys})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := at.Write(writer, PutFolder(entryID(1), folderOf("d"), made))
	b.take(raw, err)
	s, err := replayAll(made.Anchor(), NewOpener(1, child.Keys.Read), [][]byte{first})
	if err != nil {
		t.Fatal(err)
	}
	admin, err := made.OpenAdmin(placeOf(b.folder, 1))
	if err != nil || admin != keysFor(b.folder, 1).Admin {
		t.Fatalf("the parent's administrator: %v", err)
	}
	next, err := s.WriteEpoch(Pen{Keys: Keys{Read: child.Keys.Read, Write: child.Keys.Write, Admin: admin}}, keysFor(child.Folder, 2))
	if err != nil {
		t.Fatal(err)
	}
	o := NewOpener(2, keysFor(child.Folder, 2).Read)
	if _, err := s.Apply(next, o); err != nil {
		t.Fatal(err)
	}
	if _, err := made.OpenAdmin(place); !errors.Is(err, ErrLocked) {
		t.Fatalf("the writer opens the admin seed: %v", err)
	}
	if _, err := at.Write(writer, RekeyChild(entryID(1), childOf(t, placeOf(b.folder, 1), 2, 2))); !errors.Is(err, ErrRight) {
		t.Fatalf("a writer re-keys: %v", err)
	}
}

// TestRemovedMemberReadsNothingNew: who has the keys of the epoch before opens no
// entry, no child and no checkpoint of the next, and writes none that is taken.
func TestRemovedMemberReadsNothingNew(t *testing.T) {
	b := newBook(t, 1).do(put(1, "a", 1)).epoch(put(2, "secret", 2))
	old := NewOpener(1, keysFor(b.folder, 1).Read)
	s, err := replayAll(anchorOf(b.folder, 1), old, b.raws)
	if !errors.Is(err, ErrLocked) || s.Head().Seq != 2 {
		t.Fatalf("at entry %d: %v", s.Head().Seq, err)
	}
	// Their old read key in place of the new one opens nothing.
	old.Learn(2, keysFor(b.folder, 1).Read)
	_, err = s.Apply(b.raws[2], old)
	raises(t, err, b.folder, Operations)
	raw, err := s.Write(Pen{Keys: keysFor(b.folder, 1)}, put(3, "mine", 3))
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = b.state.Chain().Check(raw)
	raises(t, err, b.folder, Fork) // in the new epoch's place; after it: "written under the epoch before" of the vectors
	c, err := b.state.Checkpoint(keysFor(b.folder, 2).Read)
	if err != nil {
		t.Fatal(err)
	}
	raw, err = b.state.WriteCheckpoint(b.pen(), c)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Load(anchorOf(b.folder, 2), raw, old, func(Hash) ([]byte, error) { return c.Pages[0], nil })
	raises(t, err, b.folder, BadCheckpoint)
	child := childOf(t, placeOf(b.folder, 2), 3, 1)
	if _, err := child.Open(placeOf(b.folder, 1)); !errors.Is(err, ErrLocked) {
		t.Fatalf("a child sealed in the new epoch: %v", err)
	}
}

func TestAuthors(t *testing.T) {
	folder := folderID(1)
	key := ed25519.NewKeyFromSeed(run(1, 32))
	anna := Signer{Account: id.Account(run(1, 16)), Key: key}
	known := func(a id.Account) ed25519.PublicKey {
		if a == anna.Account {
			return key.Public().(ed25519.PublicKey)
		}
		return nil
	}
	impostor := Signer{Account: anna.Account, Key: ed25519.NewKeyFromSeed(run(2, 32))}
	unknown := Signer{Account: id.Account(run(3, 16)), Key: key}
	for _, c := range []struct {
		name   string
		signer *Signer
		member func(id.Account) ed25519.PublicKey
		signed bool
		fails  bool
	}{
		{"signed by a member", &anna, known, true, false},
		{"signed, and nobody looks", &impostor, nil, false, false},
		{"signed by somebody else in a member's name", &impostor, known, false, true},
		{"not signed", nil, known, false, false},
		{"not signed where it must be", nil, known, true, true},
		{"signed by somebody unknown", &unknown, known, false, false},
		{"signed by somebody unknown where it must be known", &unknown, known, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBook(t, 1)
			raw, err := b.state.Write(Pen{Keys: keysFor(folder, 1), Signer: c.signer}, put(1, "a", 1))
			if err != nil {
				t.Fatal(err)
			}
			o := NewOpener(1, keysFor(folder, 1).Read)
			o.Member, o.Signed = c.member, c.signed
			_, err = b.state.Apply(raw, o)
			if c.fails {
				raises(t, err, folder, BadAuthor)
			} else if err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestAlarmSaysWhatAndWhere(t *testing.T) {
	for kind, text := range meaning {
		a := &Alarm{Folder: folderID(1), Kind: kind, Seq: 7, Cause: wire.ErrSignature}
		for _, want := range []string{folderID(1).String(), "entry 7", string(kind), text, wire.ErrSignature.Error()} {
			if !strings.Contains(a.Error(), want) {
				t.Errorf("%q does not say %q", a.Error(), want)
			}
		}
		if !errors.Is(a, kind) || !errors.Is(a, wire.ErrSignature) || kind.Error() != string(kind) {
			t.Errorf("%s is not itself", string(kind))
		}
		if lone := (&Alarm{Kind: kind}).Error(); strings.Contains(lone, "entry") && kind != Encoding && strings.Contains(lone, ", entry") || len((&Alarm{Kind: kind}).Unwrap()) != 1 {
			t.Errorf("%q", lone)
		}
	}
	if len(meaning) != len(alarmKinds) {
		t.Fatalf("%d kinds have words, %d are in the vectors", len(meaning), len(alarmKinds))
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	keys := keysFor(folderID(1), 1)
	raw := fmt.Sprintf("%x", keys.Read[:])
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("keys", "read", keys.Read, "write", keys.Write, "admin", keys.Admin)
	shown := log.String() + keys.Read.String() + keys.Write.GoString()
	for _, verb := range []string{"%v", "%s", "%x", "%d", "%q", "%#v", "%+v"} {
		shown += fmt.Sprintf(verb, keys) + fmt.Sprintf(verb, &keys.Admin) + fmt.Sprintf(verb, PutFolder(entryID(1), folderOf("d"), childOf(t, placeOf(folderID(1), 1), 2, 1)).ReadKey)
	}
	for _, secret := range [][]byte{keys.Read[:], keys.Write[:], keys.Admin[:]} {
		if strings.Contains(shown, fmt.Sprintf("%x", secret)) || strings.Contains(shown, string(secret)) || strings.Contains(shown, fmt.Sprint(secret)) {
			t.Fatalf("%s is shown: %s", raw, shown)
		}
	}
	if _, err := json.Marshal(keys); err == nil {
		t.Fatal("keys are written as JSON")
	}
	if first, second := NewKeys(), NewKeys(); first == second || first.Read.IsZero() {
		t.Fatal("keys are not fresh")
	}
}
