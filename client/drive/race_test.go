package drive

import (
	"testing"

	"holdfast/format/journal"
)

// first has another device do something before the next commit arrives, once.
func (f *fake) first(do func()) {
	done := false
	f.before = func() {
		if !done {
			done = true
			do()
		}
	}
}

// TestSameNameAtOnce: two devices put a file under one new name; both are there.
func TestSameNameAtOnce(t *testing.T) {
	f := newFake(t)
	a := someAccount()
	one, two := f.device(a), f.device(a)
	one.mkdir("/folder")
	two.wants("/folder/")
	f.first(func() { two.put("/folder/x", "/folder/sub/y") })
	r, err := one.Put(t.Context(), []NewFile{{"/folder", file("x")}, {"/folder/sub", file("y")}}, nil)
	must(t, err)
	one.wants("/folder/ /folder/sub (2)/ /folder/sub (2)/y /folder/sub/ /folder/sub/y /folder/x /folder/x (2)")
	two.wants("/folder/ /folder/sub (2)/ /folder/sub (2)/y /folder/sub/ /folder/sub/y /folder/x /folder/x (2)")
	if len(r.Notices) != 2 || r.Notices[0].Reason != journal.Numbered || r.Notices[0].Path != "/folder" || r.Notices[0].Name != "x (2)" && r.Notices[0].Name != "sub (2)" {
		t.Errorf("%+v", r.Notices)
	}
}

// TestMovesAtOnce: two moves that would make a circle; the later one is void.
func TestMovesAtOnce(t *testing.T) {
	f := newFake(t)
	a := someAccount()
	one, two := f.device(a), f.device(a)
	one.mkdir("/a/b", "/c/d")
	two.wants("/a/ /a/b/ /c/ /c/d/")
	f.first(func() {
		_, err := two.Move(t.Context(), []string{"/c"}, "/a/b")
		must(t, err)
	})
	r, err := one.Move(t.Context(), []string{"/a"}, "/c/d")
	must(t, err)
	if len(r.Notices) == 0 || r.Notices[0].Reason != journal.Circle {
		t.Errorf("%+v", r.Notices)
	}
	one.wants("/a/ /a/b/ /a/b/c/ /a/b/c/d/")
	two.wants("/a/ /a/b/ /a/b/c/ /a/b/c/d/")
}

// TestRenameAndMoveAtOnce: two devices rename and move one folder, and something is put
// into it meanwhile.
func TestRenameAndMoveAtOnce(t *testing.T) {
	f := newFake(t)
	a := someAccount()
	one, two := f.device(a), f.device(a)
	one.mkdir("/a", "/to")
	two.wants("/a/ /to/")
	f.first(func() {
		_, err := two.Move(t.Context(), []string{"/a"}, "/renamed")
		must(t, err)
		two.put("/renamed/x")
	})
	_, err := one.Move(t.Context(), []string{"/a"}, "/to")
	must(t, err)
	two.wants("/to/ /to/renamed/ /to/renamed/x")
	two.put("/to/renamed/y")
	one.wants("/to/ /to/renamed/ /to/renamed/x /to/renamed/y")
}

// TestChangeOfWhatEnded: a folder that somebody ended meanwhile takes nothing.
func TestChangeOfWhatEnded(t *testing.T) {
	f := newFake(t)
	a := someAccount()
	one, two := f.device(a), f.device(a)
	one.mkdir("/a")
	two.wants("/a/")
	f.first(func() {
		_, err := two.Remove(t.Context(), []string{"/a"})
		must(t, err)
	})
	// It is in the trash: what is put into it goes there, and comes back with it.
	one.put("/a/x")
	one.wants("")
	_, _, err := one.Restore(t.Context(), []string{"/a"})
	must(t, err)
	two.wants("/a/ /a/x")
}
