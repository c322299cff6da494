package journal

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"holdfast/format/descriptor"
	"holdfast/format/id"
)

// load starts from a checkpoint, and goes on with the entries from the one that
// names it on.
func (b *book) load(c Checkpoint, o *Opener) (*State, error) {
	pages := map[Hash][]byte{}
	for i, h := range c.Hashes {
		pages[h] = c.Pages[i]
	}
	tail := b.raws[c.Head.Seq:]
	s, err := Load(b.state.Anchor(), tail[0], o, func(h Hash) ([]byte, error) { return pages[h], nil })
	for i := 0; err == nil && i < len(tail); i++ {
		_, err = s.Apply(tail[i], o)
	}
	if err == nil {
		err = s.Settled()
	}
	return s, err
}

// checkpoint writes an entry that names a checkpoint of what is there.
func (b *book) checkpoint(ops ...Operation) Checkpoint {
	b.t.Helper()
	c, err := b.state.Checkpoint(keysFor(b.folder, b.state.Epoch()).Read)
	if err != nil {
		b.t.Fatal(err)
	}
	raw, err := b.state.WriteCheckpoint(b.pen(), c, ops...)
	b.take(raw, err)
	return c
}

// TestCheckpointAndTail: replay from a checkpoint equals replay from the start,
// whatever the journal, and wherever the checkpoint.
func TestCheckpointAndTail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBook(t, 1)
		random := func(steps int) {
			for range rapid.IntRange(0, steps).Draw(t, "steps") {
				if rapid.IntRange(0, 6).Draw(t, "epoch") == 0 && b.state.Epoch() < 4 {
					b.epoch()
				}
				made := &counter{entries: int(b.state.Head().Seq) * 10, revisions: int(b.state.Head().Seq) * 10, folders: int(b.state.Head().Seq) * 10}
				d := &device{t: t, made: made, found: map[id.Folder][]byte{}}
				if op, ok := d.draw(b.state); ok {
					b.do(op)
				}
			}
		}
		random(8)
		c := b.checkpoint()
		random(8)
		s, err := b.load(c, NewOpener(b.state.Epoch(), keysFor(b.folder, b.state.Epoch()).Read).with(b))
		if err != nil {
			t.Fatal(err)
		}
		same(t, b.state, s)
		same(t, b.state, b.replay(len(b.raws)))
		check(t, s)
		if s.tail != b.state.tail || s.WantsCheckpoint() != b.state.WantsCheckpoint() {
			t.Fatalf("the tail is %d, and %d", s.tail, b.state.tail)
		}
	})
}

// with knows the keys of the epochs before too, for the entries after a checkpoint.
func (o *Opener) with(b *book) *Opener {
	o.LearnFrom(b.raws)
	return o
}

// TestPages: a state of many pages comes back, and each is within its limit.
func TestPages(t *testing.T) {
	b := newBook(t, 1)
	for n := range 3 {
		var ops []Operation
		for i := range 5000 {
			ops = append(ops, put(n*5000+i, fmt.Sprint(n*5000+i), n*5000+i))
		}
		b.do(ops...)
	}
	var ops []Operation
	for i := range 9000 {
		ops = append(ops, HeadOf(Head{Folder: folderID(i + 10), Seq: 1, Hash: made("h")}))
	}
	b.do(ops...)
	plain := b.state.plainPages()
	if len(plain) < 4 {
		t.Fatalf("%d pages", len(plain))
	}
	for i, page := range plain {
		if len(page) > MaxPage || i < len(plain)-1 && len(page) < MaxPage-1000 {
			t.Fatalf("page %d of %d has %d bytes", i, len(plain), len(page))
		}
	}
	c := b.checkpoint(put(99999, "after", 99999))
	s, err := b.load(c, b.opener)
	if err != nil {
		t.Fatal(err)
	}
	same(t, b.state, s)
	// Pages of the right state exchanged, or one of another checkpoint, are found.
	swapped := c
	swapped.Pages = [][]byte{c.Pages[1], c.Pages[0], c.Pages[2], c.Pages[3]}
	_, err = b.load(swapped, b.opener)
	raises(t, err, b.folder, BadCheckpoint)
	pages := map[Hash][]byte{}
	for i, h := range c.Hashes {
		pages[h] = bytes.Clone(c.Pages[(i+1)%len(c.Pages)])
	}
	_, err = Load(b.state.Anchor(), b.raws[c.Head.Seq], b.opener, func(h Hash) ([]byte, error) { return pages[h], nil })
	raises(t, err, b.folder, BadCheckpoint)
}

// TestPageLimits fills a page to its last byte.
func TestPageLimits(t *testing.T) {
	for _, more := range []int{0, 1} {
		p := &paginator{first: make([]byte, 100)}
		p.add(states, make([]byte, 500_000))
		room := MaxPage - p.size(heads, 0)
		p.add(heads, make([]byte, room+more))
		p.close()
		if want := 1 + more; len(p.pages) != want || want == 1 && len(p.pages[0]) != MaxPage {
			t.Fatalf("%d pages, the first of %d bytes", len(p.pages), len(p.pages[0]))
		}
	}
}

// TestFalseCheckpoint: a writer leaves a file out of the checkpoint. Whoever holds
// the state raises an alarm, and so does whoever starts from it.
func TestFalseCheckpoint(t *testing.T) {
	b := newBook(t, 1).do(put(1, "a", 1), put(2, "b", 2))
	lie := b.replay(2)
	lie.begin()
	lie.set(entryID(1), lie.entries[entryID(1)], nil)
	lie.effect()
	lie.settle()
	c, err := lie.Checkpoint(keysFor(b.folder, 1).Read)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := lie.WriteCheckpoint(b.pen(), c)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.state.Apply(raw, b.opener)
	raises(t, err, b.folder, BadCheckpoint)
	// A digest of the true state over false pages is found by who loads them.
	c.Digest = b.state.Digest()
	raw, err = b.state.WriteCheckpoint(b.pen(), c)
	b.take(raw, err)
	_, err = b.load(c, b.opener)
	raises(t, err, b.folder, BadCheckpoint)
}

func TestCheckpointIsDue(t *testing.T) {
	b := newBook(t, 1)
	for n := range 255 {
		b.do(put(n, fmt.Sprint(n), n))
	}
	if b.state.WantsCheckpoint() {
		t.Fatal("after 256 operations")
	}
	b.do(put(1000, "more", 1000))
	if !b.state.WantsCheckpoint() {
		t.Fatal("not after 257")
	}
	b.checkpoint()
	if b.state.WantsCheckpoint() || b.state.tail != 1 {
		t.Fatal("just after one")
	}
	var ops []Operation
	for n := range 2000 {
		ops = append(ops, put(2000+n, fmt.Sprint(2000+n), 2000+n))
	}
	b.do(ops...)
	b.checkpoint()
	ops = nil
	for n := range 563 { // a quarter of 2,256 is 564, one of which was the checkpoint
		ops = append(ops, put(n%255, fmt.Sprint(n%255), 5000+n))
	}
	b.do(ops...)
	if b.state.WantsCheckpoint() {
		t.Fatalf("after %d operations on %d entries", b.state.tail, b.state.Len())
	}
	b.do(put(1, "1", 9999))
	if !b.state.WantsCheckpoint() {
		t.Fatalf("not after %d operations on %d entries", b.state.tail, b.state.Len())
	}
}

func TestCheckpointOfNothing(t *testing.T) {
	if _, err := Begin(anchorOf(folderID(1), 1)).Checkpoint(ReadKey{}); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	b := newBook(t, 1).do(put(1, "a", 1))
	_, err := Load(anchorOf(b.folder, 1), []byte{1}, b.opener, nil)
	raises(t, err, b.folder, Encoding)
	_, err = Load(anchorOf(b.folder, 1), newMaker(t, 1).entry(forged{extra: node{9: nil}}, put(1, "a", 1)), b.opener, nil)
	raises(t, err, b.folder, Encoding)
	c := b.checkpoint()
	fails := errors.New("no connection")
	if _, err := Load(anchorOf(b.folder, 1), b.raws[c.Head.Seq], b.opener, func(Hash) ([]byte, error) { return nil, fails }); !errors.Is(err, fails) {
		t.Fatal(err)
	}
	if _, err := Load(anchorOf(b.folder, 1), b.raws[c.Head.Seq], NewOpener(2, ReadKey{}), nil); !errors.Is(err, ErrLocked) {
		t.Fatal(err)
	}
	// An entry that holds the largest descriptor fits a page.
	d := fullFile("a", 1)
	for n := range descriptor.MaxVersions {
		d.Versions = append(d.Versions, descriptor.Version{Content: *contentOf(n + 5000), ModTime: d.ModTime, ModNanos: 999_999_999})
	}
	if size := len(mustEncode(t, d)); size > MaxPage/2 {
		t.Fatalf("%d bytes", size)
	}
}

func mustEncode(t *testing.T, d descriptor.Descriptor) []byte {
	b, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
