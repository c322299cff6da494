package journal

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"holdfast/format/id"
)

func TestPins(t *testing.T) {
	b := newBook(t, 1).do(put(1, "a", 1)).do(put(2, "b", 2))
	var p Pins
	if err := p.Set(b.state.Head()); err != nil {
		t.Fatal(err)
	}
	if h, ok := p.Get(b.folder); !ok || h != b.state.Head() || p.Len() != 1 {
		t.Fatal("not pinned")
	}
	raises(t, p.Set(b.replay(2).Head()), b.folder, Rollback)
	other := b.state.Head()
	other.Hash[0] ^= 1
	raises(t, p.Set(other), b.folder, Fork)
	raises(t, p.Check(Head{Folder: b.folder}), b.folder, Missing)
	if err := p.Check(Head{Folder: folderID(9), Seq: 1}); err != nil {
		t.Fatal(err)
	}
	if h, _ := p.Get(b.folder); h != b.state.Head() {
		t.Fatal("a pin went back")
	}
	b.do(put(3, "c", 3))
	if err := p.Set(b.state.Head()); err != nil {
		t.Fatal(err)
	}
	p.Forget(b.folder)
	if _, ok := p.Get(b.folder); ok {
		t.Fatal("not forgotten")
	}
}

func TestPinsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &Pins{}
		for range rapid.IntRange(0, 20).Draw(t, "pins") {
			h := Head{Folder: folderID(rapid.IntRange(0, 30).Draw(t, "folder")), Seq: rapid.Int64Range(1, 1<<53-1).Draw(t, "seq"), Hash: made("h")}
			if err := p.Set(h); err != nil && !errors.Is(err, Rollback) {
				t.Fatal(err)
			}
		}
		b, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodePins(b)
		if err != nil || again.Len() != p.Len() {
			t.Fatal(err)
		}
		for folder, h := range p.heads {
			if have, ok := again.Get(folder); !ok || have != h {
				t.Fatal("a pin is another")
			}
		}
	})
}

// TestReplayThroughAPin: a device that lost its states, but not its pins, or that
// knows the heads, replays from the start and finds another history.
func TestReplayThroughAPin(t *testing.T) {
	b := newBook(t, 1).do(put(1, "a", 1)).do(put(2, "b", 2)).do(put(3, "c", 3))
	fork := newBook(t, 1)
	fork.raws, fork.state = b.raws[:2:2], b.replay(2)
	fork.do(put(9, "x", 9)).do(put(8, "y", 8)).do(put(7, "z", 7))
	pin := b.replay(3).Head()
	for _, c := range []struct {
		name string
		raws [][]byte
		kind Kind
	}{{"its own history", b.raws, ""}, {"another history", fork.raws, Fork}} {
		s := Begin(anchorOf(b.folder, 1))
		if err := s.Expect(pin); err != nil {
			t.Fatal(err)
		}
		var err error
		for i := 0; i < len(c.raws) && err == nil; i++ {
			_, err = s.Apply(c.raws[i], b.opener)
		}
		if c.kind == "" && err == nil {
			continue
		}
		raises(t, err, b.folder, c.kind)
	}
	if err := b.state.Expect(pin); err == nil {
		t.Fatal("a state beyond the pin says nothing of it")
	}
	at := fork.replay(3)
	raises(t, at.Expect(pin), b.folder, Fork)
	if err := b.replay(3).Expect(pin); err != nil {
		t.Fatal(err)
	}
	if err := b.replay(3).Expect(Head{Folder: folderID(2), Seq: 9}); err == nil {
		t.Fatal("the pin of another folder")
	}
}

// TestSettled: what a server ends too early, or does not have, is told.
func TestSettled(t *testing.T) {
	b := newBook(t, 1).do(put(1, "a", 1)).epoch().do(put(2, "b", 2))
	raises(t, Begin(anchorOf(b.folder, 1)).Settled(), b.folder, Missing)
	if err := b.state.Settled(); err != nil {
		t.Fatal(err)
	}
	s := Begin(anchorOf(b.folder, 2))
	if err := s.Expect(b.state.Head()); err != nil {
		t.Fatal(err)
	}
	for i, raw := range b.raws {
		if i > 0 {
			raises(t, s.Settled(), b.folder, Rollback) // of the epoch, then of the head
		}
		if _, err := s.Apply(raw, b.opener); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Settled(); err != nil {
		t.Fatal(err)
	}
}

func TestBridge(t *testing.T) {
	b := newBook(t, 1).do(put(1, "a", 1)).do(put(2, "b", 2)).do(put(3, "c", 3)).do(put(4, "d", 4))
	fork := newBook(t, 1)
	fork.raws, fork.state = b.raws[:2:2], b.replay(2)
	fork.do(put(9, "x", 9)).do(put(8, "y", 8)).do(put(7, "z", 7))
	other := newBook(t, 2)
	pin, head := b.replay(2).Head(), b.state.Head()
	if err := Bridge(pin, b.raws[2:], head); err != nil {
		t.Fatal(err)
	}
	if err := Bridge(head, nil, head); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		pin  Head
		raws [][]byte
		head Head
		kind Kind
	}{
		{"an entry left out", pin, b.raws[3:], head, Gap},
		{"the last left out", pin, b.raws[2:4], head, Gap},
		{"none given", pin, nil, head, Gap},
		{"another history's entries", pin, fork.raws[2:], head, Fork},
		{"another history's head", b.replay(3).Head(), fork.raws[3:], fork.state.Head(), Fork},
		{"entries of two histories", pin, [][]byte{b.raws[2], fork.raws[3], b.raws[4]}, head, Fork},
		{"an older head", head, nil, pin, Rollback},
		{"no entry", pin, [][]byte{{1}}, head, Encoding},
		{"an entry without its payload", pin, [][]byte{newMaker(t, 1).entry(forged{extra: node{9: nil}}, put(1, "a", 1))}, head, Encoding},
		{"another folder's entry", pin, other.raws, head, Foreign},
	} {
		t.Run(c.name, func(t *testing.T) { raises(t, Bridge(c.pin, c.raws, c.head), b.folder, c.kind) })
	}
}

// TestHeads: a device that knows nothing but the heads finds which folders are
// served as of yesterday, in another version, or not at all.
func TestHeads(t *testing.T) {
	books := map[id.Folder]*book{}
	heads := newBook(t, 100)
	for n := range 4 {
		b := newBook(t, n).do(put(1, "a", n+1)).do(put(2, "b", n+10))
		books[b.folder] = b
		heads.do(HeadOf(b.state.Head()))
	}
	honest := func(f id.Folder) Head { return books[f].state.Head() }
	if alarms := heads.state.CheckHeads(honest); alarms != nil {
		t.Fatal(alarms)
	}
	evil := func(f id.Folder) Head {
		h := honest(f)
		switch f {
		case folderID(0):
			return books[f].replay(2).Head()
		case folderID(1):
			h.Hash[5] ^= 1
		case folderID(2):
			return Head{}
		case folderID(3):
			return books[f].do(put(7, "later", 7)).state.Head()
		}
		return h
	}
	alarms := heads.state.CheckHeads(evil)
	if len(alarms) != 3 {
		t.Fatalf("%d alarms: %v", len(alarms), alarms)
	}
	for n, kind := range []Kind{Rollback, Fork, Missing} {
		if !slices.ContainsFunc(alarms, func(err error) bool {
			var a *Alarm
			return errors.As(err, &a) && a.Folder == folderID(n) && a.Kind == kind
		}) {
			t.Fatalf("no %s of folder %d: %v", string(kind), n, alarms)
		}
	}
	if h, ok := heads.state.HeadOf(folderID(0)); !ok || h.Seq != 3 {
		t.Fatal("no head")
	}
	heads.do(NoHeadOf(folderID(0)))
	if _, ok := heads.state.HeadOf(folderID(0)); ok {
		t.Fatal("not forgotten")
	}
	if n := len(slices.Collect(heads.state.Heads())); n != 3 {
		t.Fatalf("%d heads", n)
	}
	same(t, heads.state, heads.replay(len(heads.raws)))
}

func TestHoldsTheAnchor(t *testing.T) {
	b := newBook(t, 1).epoch()
	stranger := anchorOf(folderID(2), 1)
	stranger.Folder = b.folder
	for _, c := range []struct {
		name   string
		anchor Anchor
		kind   Kind
	}{
		{"the first epoch", anchorOf(b.folder, 1), ""},
		{"the present epoch", b.state.Anchor(), ""},
		{"an epoch to come", anchorOf(b.folder, 3), Rollback},
		{"other keys", stranger, Foreign},
		{"another folder", anchorOf(folderID(2), 1), Foreign},
		{"epoch 0", Anchor{Folder: b.folder}, Foreign},
	} {
		err := b.state.Hold(c.anchor)
		if c.kind == "" && err == nil {
			continue
		}
		raises(t, err, b.folder, c.kind)
	}
	if b.state.Anchor() != anchorOf(b.folder, 2) {
		t.Fatal("the anchor of the present epoch")
	}
	// What is held in an epoch to come is found when the epoch begins.
	s := Begin(Anchor{Folder: b.folder, Epoch: 2, Public: stranger.Public})
	var err error
	for i := 0; err == nil && i < len(b.raws); i++ {
		_, err = s.Apply(b.raws[i], b.opener)
	}
	raises(t, err, b.folder, Foreign)
}
