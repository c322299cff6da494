package journal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/wire"
)

func TestWriteRefuses(t *testing.T) {
	b := newBook(t, 1).do(put(1, "a", 1))
	bad := fileOf("x", 9)
	bad.ModNanos = 5
	for _, c := range []struct {
		name string
		want error
		ops  []Operation
	}{
		{"nothing", ErrTooLarge, nil},
		{"more operations than fit", ErrTooLarge, slices.Repeat([]Operation{PurgeEntry(entryID(9))}, MaxOperations+1)},
		{"a name that clashes by case", ErrClash, []Operation{put(2, "A", 2)}},
		{"a rename that clashes", ErrClash, []Operation{put(2, "b", 2), RenameTo(entryID(2), "A")}},
		{"two that clash with each other", ErrClash, []Operation{put(2, "\u00e9", 2), put(3, "e\u0301", 3)}},
		{"a restore that clashes", ErrClash, []Operation{put(2, "b", 2), RemoveOn(entryID(2), 1), RestoreAs(entryID(2), "A")}},
		{"a descriptor that is none", ErrEncoding, []Operation{PutFile(entryID(2), bad)}},
		{"a name that is none", ErrEncoding, []Operation{RenameTo(entryID(1), "..")}},
		{"an operation that lacks something", ErrEncoding, []Operation{{What: OpRename, Name: "x"}}},
		{"an operation that has too much", ErrEncoding, []Operation{{What: OpPurge, Entry: ptr(entryID(1)), Name: "x"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := b.state.Write(b.pen(), c.ops...); !errors.Is(err, c.want) {
				t.Fatalf("want %v, have %v", c.want, err)
			}
			check(t, b.state)
			same(t, b.state, b.replay(2))
		})
	}
	if _, err := b.state.Write(b.pen(), RenameTo(entryID(9), "x")); err == nil {
		t.Fatal("an operation that cannot be done")
	}
	if _, err := b.state.Write(b.pen(), RenameTo(entryID(1), "A")); err != nil {
		t.Fatalf("a rename that changes case only: %v", err)
	}
	if _, err := Found(anchorOf(b.folder, 2), b.pen()); !errors.Is(err, ErrRight) {
		t.Fatalf("a folder that begins in epoch 2: %v", err)
	}
	if _, err := b.state.Intend(put(1, "other", 2)); err == nil {
		t.Fatal("an intent that cannot be done")
	}
}

// TestNewVersionUnderAClashingName: names that clash were written by somebody
// else; their files can be written all the same.
func TestNewVersionUnderAClashingName(t *testing.T) {
	m := newMaker(t, 1)
	m.take(m.entry(forged{}, put(1, "a", 1), put(2, "A", 2)))
	if _, err := m.state.Write(Pen{Keys: keysFor(folderID(1), 1)}, put(1, "a", 3)); err != nil {
		t.Fatal(err)
	}
	if have := m.state.Free("a"); have != "a (2)" {
		t.Fatalf("free: %s", have)
	}
}

// TestEntriesOfAnySize: an entry of 16 MiB is refused before anything is decoded,
// one that would be larger than 4 MiB is not written, and a large one comes back.
func TestEntriesOfAnySize(t *testing.T) {
	b := newBook(t, 1)
	chain := b.state.Chain()
	huge := wire.Seal(entryType, keysFor(b.folder, 1).Write.key(), make([]byte, 16<<20))
	_, _, err := chain.Check(huge)
	raises(t, err, b.folder, Encoding)
	if allocated := testing.AllocsPerRun(1, func() { _, _, _ = chain.Check(huge) }); allocated > 20 {
		t.Fatalf("%.0f allocations for an entry that is too large", allocated)
	}
	for more, want := range []error{nil, Encoding} { // as large as allowed, and one byte more
		m := newMaker(t, 1)
		fill := MaxEntry + more - len(m.entry(forged{extra: node{64: make([]byte, 1<<20)}}, put(1, "a", 1))) + 1<<20
		if _, _, err := m.state.Chain().Check(m.entry(forged{extra: node{64: make([]byte, fill)}}, put(1, "a", 1))); !errors.Is(err, want) {
			t.Fatalf("%d bytes beyond the limit: %v", more, err)
		}
	}
	var ops []Operation
	for n := range 9000 {
		ops = append(ops, put(n, fmt.Sprint("file ", n), n))
	}
	b.do(ops...)
	same(t, b.state, b.replay(2))
	ops = nil
	for n := range MaxOperations {
		ops = append(ops, PutFile(entryID(10000+n), fullFile(fmt.Sprintf("%s %d", strings.Repeat("n", 200), n), 10000+n)))
	}
	if _, err := b.state.Write(b.pen(), ops...); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("an entry of more than 4 MiB: %v", err)
	}
}

// TestRoomForWhatIsNotThere: what announces more than it has costs nothing.
func TestRoomForWhatIsNotThere(t *testing.T) {
	chain := newBook(t, 1).state.Chain()
	payload := []byte{0xa1, 0x05, 0x9a, 0x7f, 0xff, 0xff, 0xff}
	raw := wire.Seal(entryType, keysFor(chain.Folder, 1).Write.key(), payload)
	allocated := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := chain.Check(raw); err == nil {
				b.Fatal("taken")
			}
		}
	}).AllocedBytesPerOp()
	if allocated > 64<<10 {
		t.Fatalf("%d bytes", allocated)
	}
	body := []byte{0xa1, 0x01, 0x9a, 0x00, 0x00, 0x40, 0x00, 0xa1}
	if _, err := readBody(body); !errors.Is(err, ErrEncoding) {
		t.Fatal(err)
	}
}

// TestOneMoreEntry is row B1 of the targets: adding to a folder of 100,000 costs
// what adding to an empty one does.
func TestOneMoreEntry(t *testing.T) {
	b := newBook(t, 1)
	name := strings.Repeat("n", descriptor.MaxName)
	one := PutFile(entryID(-1), fullFile(name, 1<<20))
	empty, err := b.state.Write(b.pen(), one)
	if err != nil {
		t.Fatal(err)
	}
	for done := 0; done < 100_000; {
		var ops []Operation
		for range 10_000 {
			ops = append(ops, put(done, fmt.Sprint(done), done))
			done++
		}
		b.do(ops...)
	}
	large, err := b.state.Write(b.pen(), one)
	if err != nil || len(large) > 4<<10 || len(large) > len(empty)+64 {
		t.Fatalf("%d bytes, %d into an empty folder: %v", len(large), len(empty), err)
	}
}

// TestSizesSayLittle: names of different lengths make entries of one size.
func TestSizesSayLittle(t *testing.T) {
	b := newBook(t, 1).do(put(1, "a", 1))
	size := 0
	for n := range 150 {
		raw, err := b.state.Write(b.pen(), RenameTo(entryID(1), strings.Repeat("x", n+1)))
		if err != nil {
			t.Fatal(err)
		}
		if size == 0 {
			size = len(raw)
		}
		if len(raw) != size {
			t.Fatalf("a name of %d bytes makes an entry of %d bytes, one of 1 byte %d", n+1, len(raw), size)
		}
	}
}

func TestPadded(t *testing.T) {
	for n, want := range map[int]int{0: 256, 256: 256, 257: 272, 272: 272, 273: 288, 511: 512, 512: 512, 513: 544, 1024: 1024, 1025: 1088, 9000: 9216} {
		if have := padded(n); have != want {
			t.Errorf("%d is padded to %d, want %d", n, have, want)
		}
	}
}

// TestVersionsAreBounded: the 1,025th version is dropped, and the entry says so.
func TestVersionsAreBounded(t *testing.T) {
	b := newBook(t, 1)
	var ops []Operation
	for n := range descriptor.MaxVersions + 1 {
		ops = append(ops, put(1, "a", n))
	}
	b.do(ops...)
	if !b.state.Holds(revisionID(0)) {
		t.Fatal("the first is dropped too early")
	}
	b.do(put(1, "a", 5000))
	e, _ := b.state.Get(entryID(1))
	if len(e.Descriptor.Versions) != descriptor.MaxVersions || b.state.Holds(revisionID(0)) || !b.state.Holds(revisionID(1)) {
		t.Fatal("the oldest is not what is dropped")
	}
	outer, _, err := b.replay(2).Chain().Check(b.raws[2])
	if err != nil || !slices.Equal(outer.Dropped, []id.Revision{revisionID(0)}) || !slices.Equal(outer.Added, []id.Revision{revisionID(5000)}) {
		t.Fatalf("added %v, dropped %v: %v", outer.Added, outer.Dropped, err)
	}
	if outer.Head() != b.state.Head() || outer.Hash() != b.state.Head().Hash || outer.ByAdmin() {
		t.Fatal("the entry is not its own head")
	}
	same(t, b.state, b.replay(3))
}

// TestThumbnailsGoWithWhatTheyShow: a version has none.
func TestThumbnailsGoWithWhatTheyShow(t *testing.T) {
	b := newBook(t, 1).do(PutFile(entryID(1), fullFile("a", 1)))
	b.do(PutFile(entryID(1), fullFile("a", 2)))
	if b.state.Holds(revisionID(1001)) || !b.state.Holds(revisionID(1002)) || !b.state.Holds(revisionID(1)) {
		t.Fatal("thumbnails")
	}
	without := fullFile("a", 2)
	without.Thumbnail = nil
	b.do(PutFile(entryID(1), without))
	if b.state.Holds(revisionID(1002)) {
		t.Fatal("the thumbnail stays")
	}
	check(t, b.state)
}

func TestEpochsAreBounded(t *testing.T) {
	s := newBook(t, 1).state
	s.chain.Epoch = MaxEpoch
	if _, err := s.WriteEpoch(Pen{Keys: keysFor(folderID(1), 1)}, NewKeys()); !errors.Is(err, ErrEncoding) {
		t.Fatal(err)
	}
}

func TestListsOfAState(t *testing.T) {
	b := newBook(t, 1)
	b.do(put(3, "c", 3), put(1, "a", 1), put(2, "b", 2), PutFolder(entryID(4), folderOf("d"), childOf(t, placeOf(b.folder, 1), 2, 1)))
	b.do(RemoveOn(entryID(1), 9), RemoveOn(entryID(2), 3), put(5, "e", 5), RemoveOn(entryID(5), 3))
	if have := names(b.state); !slices.Equal(have, []string{"c", "d"}) {
		t.Fatal(have)
	}
	var trash []string
	for _, e := range b.state.Trash() {
		trash = append(trash, e.Name())
	}
	if trash[2] != "a" || b.state.Len() != 5 {
		t.Fatal(trash)
	}
	if e, ok := b.state.Child(folderID(2)); !ok || !e.IsFolder() || b.state.Folder() != b.folder {
		t.Fatal("the child is not found")
	}
	if b.state.Clashes("a") || !b.state.Clashes("C") || b.state.Free("D") != "D (2)" {
		t.Fatal("names")
	}
	b.epoch()
	if stale := b.state.Stale(); len(stale) != 1 || stale[0].ID != entryID(4) {
		t.Fatal("stale children")
	}
	b.do(RekeyChild(entryID(4), childOf(t, placeOf(b.folder, 2), 2, 2)))
	if len(b.state.Stale()) != 0 {
		t.Fatal("a child stays stale")
	}
}
