package journal

import (
	"bytes"
	"errors"
	"testing"

	"holdfast/format/internal/golden"
	"holdfast/format/wire"
)

// Each parser of what others wrote: it ends, in an error of the right kind or in
// what is written the same again.

func FuzzEntry(f *testing.F) {
	for _, c := range golden.Read[replayVector](f, "journal-replay.json") {
		for _, data := range c.Entries {
			if len(data.Bytes) < 1<<16 {
				f.Add(data.Bytes)
			}
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := parseEnvelope(raw)
		if err == nil && !bytes.Equal(wire.Marshal(e.Envelope), raw) {
			t.Fatal("an envelope of two forms")
		}
		if err == nil {
			o, err := decodeOuter(e.Payload)
			if err == nil && wire.Unmarshal(e.Payload, MaxEntry, &Outer{}) != nil {
				t.Fatal("taken, and wire would not")
			}
			if err == nil && (len(o.Added) > MaxIDs || len(o.Pages) > MaxPages) {
				t.Fatal("beyond the limits")
			}
			if err != nil && !errors.Is(err, ErrEncoding) {
				t.Fatal(err)
			}
		}
		s := Begin(anchorOf(folderID(1), 1))
		if _, err := s.Apply(raw, NewOpener(1, keysFor(folderID(1), 1).Read)); err != nil {
			var a *Alarm
			if !errors.As(err, &a) && !errors.Is(err, ErrLocked) {
				t.Fatal(err)
			}
		}
	})
}

func FuzzBody(f *testing.F) {
	f.Add(bodyOf(node{1: 5, 2: run(1, 16)}))
	f.Add(body{Operations: []Operation{put(1, "a", 1), RenameTo(entryID(1), "b"), {What: OpEpoch}}}.plain())
	f.Add(body{Operations: []Operation{HeadOf(Head{Folder: folderID(1), Seq: 2}), NoHeadOf(folderID(1))}, Author: &Author{}}.plain())
	f.Fuzz(func(t *testing.T, plain []byte) {
		b, err := decodeBody(plain)
		if err != nil {
			if !errors.Is(err, ErrEncoding) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(b.plain(), plain) {
			t.Fatal("a body of two forms")
		}
		s := Begin(anchorOf(folderID(1), 1))
		s.begin()
		_ = s.applyAll(nil, place{}, b.Operations) // whether it can be done does not matter
		s.takeBack()
		check(t, s)
	})
}

func FuzzPage(f *testing.F) {
	m := full(f)
	for _, page := range m.state.plainPages() {
		f.Add(page)
	}
	head, key := m.state.Head(), keysFor(folderID(1), 1).Read
	f.Fuzz(func(t *testing.T, plain []byte) {
		l := loader{head: head, epoch: 1, state: Begin(anchorOf(folderID(1), 1))}
		sealed := sealAs(t, checkpointType, key, pageAAD(head, 1, 0, 1), plain)
		if l.page(key, sealed, hashOf(sealed), 0, 1) != nil || l.finish() != nil {
			return
		}
		check2(t, l.state)
		if again := l.state.plainPages(); len(again) == 1 && !bytes.Equal(again[0], plain) {
			t.Fatalf("a page of two forms:\n%x\n%x", plain, again[0])
		}
	})
}

// check2 is check without folding, which pages of others need not obey.
func check2(t tb, s *State) {
	t.Helper()
	live := 0
	for e := range s.All() {
		if !e.Trashed {
			live++
		}
	}
	if live != len(s.names) {
		t.Fatalf("%d live entries, %d names", live, len(s.names))
	}
}

func FuzzGrant(f *testing.F) {
	for _, c := range golden.Read[grantVector](f, "journal-grant.json") {
		f.Add(c.Grant.Bytes)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		g, err := ReadGrant(raw, folderID(1), keysFor(folderID(1), 2).Admin.public())
		var a *Alarm
		if err == nil && g.Check() != nil || err != nil && !errors.As(err, &a) {
			t.Fatal(err)
		}
	})
}

func FuzzPins(f *testing.F) {
	for _, c := range golden.Read[pinVector](f, "journal-pins.json") {
		f.Add([]byte(c.Bytes))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodePins(b)
		if err != nil {
			if !errors.Is(err, ErrEncoding) {
				t.Fatal(err)
			}
			return
		}
		again, err := p.Encode()
		if err != nil || wire.Unmarshal(again, MaxPinBytes, &pinned{}) != nil || len(again) > len(b) {
			t.Fatal("pins do not come back")
		}
	})
}

func FuzzChild(f *testing.F) {
	for _, c := range golden.Read[childVector](f, "journal-child.json") {
		f.Add([]byte(c.Child))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeChild(b)
		if err != nil {
			if !errors.Is(err, ErrEncoding) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(wire.Marshal(c), b) {
			t.Fatal("keys of two forms")
		}
		_, _ = c.Open(placeOf(folderID(1), 3)) // neither may break off
		_, _ = c.OpenAdmin(placeOf(folderID(1), 3))
	})
}

// FuzzBridge takes any bytes for the entries between a pin and a head.
func FuzzBridge(f *testing.F) {
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, raw []byte) {
		pin := Head{Folder: folderID(1), Seq: 1, Hash: made("pin")}
		if Bridge(pin, [][]byte{raw}, Head{Folder: pin.Folder, Seq: 2, Hash: made("head")}) == nil {
			t.Fatal("it leads to a head that it has not")
		}
		NewOpener(1, ReadKey{}).LearnFrom([][]byte{raw})
		_, _ = Load(anchorOf(folderID(1), 1), raw, NewOpener(1, ReadKey{}), func(Hash) ([]byte, error) { return raw, nil })
	})
}
