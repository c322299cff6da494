package drive_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/format/journal/journaltest"
	"holdfast/server/internal/drive"
	"holdfast/server/internal/servertest"
	"holdfast/server/internal/share"
)

// TestLevels: 300 folders lie above one another, one after the other or in one commit,
// and no more; nor by moving what is high below what is deep.
func TestLevels(t *testing.T) {
	r := newRig(t)
	ann := r.account()
	root := r.root(ann)
	// chain is a commit of n folders, each in the one before.
	chain := func(parent *journaltest.Book, n int) (drive.Commit, []*journaltest.Book, []byte) {
		var c drive.Commit
		books := []*journaltest.Book{}
		at, put := parent, []byte(nil)
		for range n {
			b, first := journaltest.Found(t)
			entry := at.Write(at.PutFolder(b.ID().String(), b))
			if at == parent {
				put = entry
			} else {
				at.Take(entry)
			}
			c.Entries = append(c.Entries, first, entry)
			b.Take(first)
			books, at = append(books, b), b
		}
		return c, books, put
	}
	c, books, put := chain(root, drive.MaxLevels-1)
	r.must(r.do(ann, c))
	root.Take(put)
	deepest := books[len(books)-1]
	if r.see(ann, deepest.ID(), 0).Missing {
		t.Error("the deepest folder is missing")
	}
	c, _, _ = chain(deepest, 1)
	r.want(r.do(ann, c), drive.ErrMisplaced)
	c, _, _ = chain(root, drive.MaxLevels)
	r.want(r.do(ann, c), drive.ErrMisplaced)

	c, high, put := chain(root, 3)
	r.must(r.do(ann, c))
	root.Take(put)
	deep := books[drive.MaxLevels-4] // level 298: two fit below it, not three
	out, in := root.Move(high[0].ID().String(), deep, high[0])
	r.want(r.do(ann, drive.Commit{Entries: [][]byte{root.Write(out), deep.Write(in)}}), drive.ErrMisplaced)
	deep = books[drive.MaxLevels-5]
	out, in = root.Move(high[0].ID().String(), deep, high[0])
	from, into := root.Write(out), deep.Write(in)
	r.must(r.do(ann, drive.Commit{Entries: [][]byte{from, into}}))
	if r.see(ann, high[2].ID(), 0).Missing {
		t.Error("the moved folders are missing")
	}
}

// TestNoMoveToOthers: a folder leaves no drive, even where the mover has both.
func TestNoMoveToOthers(t *testing.T) {
	r := newRig(t)
	ann, bob := r.account(), r.account()
	mine, his := r.root(ann), r.root(bob)
	sub := r.below(ann, mine, "sub")
	r.must(r.do(bob, drive.Commit{Grants: [][]byte{his.Grant(ann, journal.Admins, 1)}}))
	out, in := mine.Move("sub", his, sub)
	r.want(r.do(ann, drive.Commit{Entries: [][]byte{mine.Write(out), his.Write(in)}}), drive.ErrMisplaced)
	// but files do, and are charged to who has them then
	files := r.put(ann, mine, 5000)
	out, in = mine.Move(files[0].String(), his, nil)
	r.must(r.do(ann, drive.Commit{Entries: [][]byte{mine.Write(out), his.Write(in)}}))
	if a, b := r.usage(ann), r.usage(bob); a.Bytes != 0 || b.Bytes != servertest.StreamLength(5000) {
		t.Errorf("usage %+v and %+v", a, b)
	}
	r.must(r.opens(bob, his.ID(), files[0]))
}

// TestGrantsRefused: what is no grant of this folder in its present epoch, for an account.
func TestGrantsRefused(t *testing.T) {
	r := newRig(t)
	ann, bob := r.account(), r.account()
	root, other := r.root(ann), r.root(ann)
	old := root.Grant(bob, journal.Reads, 1)
	r.must(r.do(ann, drive.Commit{Entries: [][]byte{root.Epoch()}}))
	spoilt := root.Grant(bob, journal.Reads, 1)
	spoilt[len(spoilt)-1] ^= 1
	link, file := id.New[id.Handle](), id.New[id.File]()
	sealed := func(g journal.Grant) []byte {
		g.Folder, g.Epoch, g.Serial, g.Role = root.ID(), 2, 1, journal.Reads
		raw, err := g.Seal(root.Place.Keys.Admin)
		r.must(err)
		return raw
	}
	for name, raw := range map[string][]byte{
		"of an old epoch": old, "with a spoilt signature": spoilt, "not a grant": []byte("grant"),
		"to a link": sealed(journal.Grant{Link: &link}), "of one file": sealed(journal.Grant{Account: &bob, File: &file}),
	} {
		t.Run(name, func(t *testing.T) { r.want(r.do(ann, drive.Commit{Grants: [][]byte{raw}}), drive.ErrGrant) })
	}
	r.must(r.do(ann, drive.Commit{Grants: [][]byte{root.Grant(bob, journal.Reads, 2)}}))
	r.want(r.do(ann, drive.Commit{Grants: [][]byte{root.Grant(bob, journal.Admins, 2)}}), drive.ErrGrant)
	r.want(r.do(bob, drive.Commit{Grants: [][]byte{other.Grant(bob, journal.Reads, 1)}}), drive.ErrNotFound)

	// A new folder, an epoch and a grant in it, in one commit.
	sub, first := journaltest.Found(t)
	put := root.Write(root.PutFolder("sub", sub))
	sub.Take(first)
	second := sub.Epoch()
	r.must(r.do(ann, drive.Commit{Entries: [][]byte{first, second, put}, Grants: [][]byte{sub.Grant(bob, journal.Writes, 1)}}))
	if p := r.see(bob, sub.ID(), 0); p.Role != journal.Writes || p.Epoch != 2 {
		t.Errorf("have %+v", p)
	}
}

// TestWhoMakesFolders: a writer makes folders below, and grants none of them.
func TestWhoMakesFolders(t *testing.T) {
	r := newRig(t)
	ann, bob, eve := r.account(), r.account(), r.account()
	root := r.root(ann)
	r.must(r.do(ann, drive.Commit{Grants: [][]byte{root.Grant(bob, journal.Writes, 1), root.Grant(eve, journal.Reads, 1)}}))
	sub, first := journaltest.Found(t)
	put := root.Write(root.PutFolder("sub", sub))
	r.want(r.do(eve, drive.Commit{Entries: [][]byte{first, put}}), drive.ErrRole)
	sub.Take(first)
	r.want(r.do(bob, drive.Commit{Entries: [][]byte{first, put}, Grants: [][]byte{sub.Grant(bob, journal.Admins, 1)}}), drive.ErrRole)
	r.must(r.do(bob, drive.Commit{Entries: [][]byte{first, put}}))
	if a, b := r.see(ann, sub.ID(), 0), r.see(bob, sub.ID(), 0); a.Role != journal.Admins || b.Role != journal.Writes {
		t.Errorf("owner %+v, maker %+v", a, b)
	}
}

// TestAnswersHaveRoom: entries beyond what one answer carries come with the next one.
func TestAnswersHaveRoom(t *testing.T) {
	r := newRig(t)
	ann := r.account()
	a, b := r.root(ann), r.root(ann)
	files := r.put(ann, a, 5000)
	large := func(book *journaltest.Book) {
		ops := make([]journal.Operation, 8000)
		for i := range ops {
			ops[i] = book.Put(fmt.Sprintf("%d of entry %d", i, book.Head().Seq), files[0])
		}
		r.must(r.change(ann, book, ops...))
	}
	for range 4 {
		large(a)
	}
	large(b)
	points := []drive.Point{{Folder: a.ID()}, {Folder: b.ID(), After: 1}}
	for rounds := 0; ; rounds++ {
		parts, err := r.Read(t.Context(), ann, points)
		r.must(err)
		size, all := 0, 0
		for i, p := range parts {
			for _, e := range p.Entries {
				size, all = size+len(e), all+1
			}
			points[i].After += int64(len(p.Entries))
			if p.More != (points[i].After < p.Head.Seq) {
				t.Errorf("more: %v, after %d of %d", p.More, points[i].After, p.Head.Seq)
			}
		}
		if size > 6<<20+4<<20 {
			t.Errorf("%d bytes in one answer", size)
		}
		if !parts[0].More && !parts[1].More {
			if rounds == 0 {
				t.Error("everything came at once")
			}
			break
		}
		if all == 0 {
			t.Fatal("an answer without entries")
		}
	}
	if points[0].After != 6 || points[1].After != 2 {
		t.Errorf("after %+v", points)
	}
}

// TestDroppedFolders: what lay in one is nobody's at once, and gone after the sweep.
func TestDroppedFolders(t *testing.T) {
	r := newRig(t)
	ann, bob := r.account(), r.account()
	root := r.root(ann)
	top := r.below(ann, root, "top")
	sub := r.below(ann, top, "sub")
	files := r.put(ann, sub, 5000, 6000)
	r.must(r.do(ann, drive.Commit{Grants: [][]byte{sub.Grant(bob, journal.Writes, 1)}}))
	r.must(r.opens(bob, sub.ID(), files[0]))
	r.must(r.change(ann, root, root.Purge("top")...))
	for _, who := range []id.Account{ann, bob} {
		r.want(r.opens(who, sub.ID(), files[0]), drive.ErrNotFound)
		if p := r.see(who, sub.ID(), 0); !p.Missing {
			t.Errorf("have %+v", p)
		}
		r.want(r.change(who, sub, sub.Put("late", files[0])), drive.ErrNotFound)
	}
	r.want(r.change(ann, root, root.Put("again", files[0])), drive.ErrRevisionUnknown)
	r.sweep()
	if u := r.usage(ann); u.Bytes != 0 {
		t.Errorf("usage %+v", u)
	}
	if n := r.orders(0); n != 1 {
		t.Errorf("%d orders", n)
	}
	b, first := journaltest.Found(t)
	r.must(r.do(ann, drive.Commit{Entries: [][]byte{first}, Roots: []id.Folder{b.ID()}}))
}

// TestErasedAccount: its roots and all that only they held go; what it put into others'
// folders stays with them.
func TestErasedAccount(t *testing.T) {
	r := newRig(t)
	ann, bob := r.account(), r.account()
	mine, his := r.root(ann), r.root(bob)
	r.must(r.do(bob, drive.Commit{Grants: [][]byte{his.Grant(ann, journal.Writes, 1)}}))
	r.must(r.do(ann, drive.Commit{Grants: [][]byte{mine.Grant(bob, journal.Reads, 1)}}))
	files := r.put(ann, mine, 5000, 20<<20)
	there := r.put(ann, his, 7000)
	g, err := r.uploads.OpenFor(t.Context(), ann, 1000)
	r.must(err)
	r.must(r.store.EraseAccount(t.Context(), ann))
	r.want(r.opens(bob, mine.ID(), files[0]), drive.ErrNotFound)
	r.must(r.opens(bob, his.ID(), there[0]))
	_, err = r.uploads.Get(t.Context(), g.Upload, g.Secret)
	if err == nil {
		t.Error("the upload of an erased account is open")
	}
	r.sweep()
	if n := r.orders(0); n != 2 { // what was committed, and what was open
		t.Errorf("%d orders", n)
	}
	r.must(r.opens(bob, his.ID(), there[0]))
	if v, err := r.View(t.Context(), bob); err != nil || len(v.Granted) != 0 {
		t.Errorf("granted %+v, %v", v.Granted, err)
	}
}

// TestManyAtOneHead: of many commits that follow one entry, one is in, and the others
// are told that the head moved.
func TestManyAtOneHead(t *testing.T) { manyAtOneHead(t, newRig(t)) }

func manyAtOneHead(t *testing.T, r *rig) {
	ann := r.account()
	root := r.root(ann)
	files := r.put(ann, root, 5000)
	raws := make([][]byte, 16)
	for i := range raws {
		raws[i] = root.Write(root.Put(fmt.Sprint(i), files[0]))
	}
	results := make(chan error, len(raws))
	var wg sync.WaitGroup
	for _, raw := range raws {
		wg.Go(func() {
			_, err := r.Commit(t.Context(), ann, &drive.Commit{Key: id.New[id.Commit](), Entries: [][]byte{raw}})
			results <- err
		})
	}
	wg.Wait()
	close(results)
	in := 0
	for err := range results {
		if err == nil {
			in++
		} else if !errors.Is(err, drive.ErrHeadMoved) {
			t.Error(err)
		}
	}
	if in != 1 {
		t.Errorf("%d commits are in", in)
	}
}

// TestRevisionsOfALinkThatEnds: a folder that holds one keeps it. (No commit refers to
// them yet: the store is asked directly.)
func TestRevisionsOfALinkThatEnds(t *testing.T) {
	r := newRig(t)
	ann := r.account()
	root := r.root(ann)
	g, err := r.uploads.Open(t.Context(), 1<<20, 7)
	r.must(err)
	send := servertest.NewSend(t, g.Upload, r.clock.Now(), r.fleet.Nodes[:2], 5000, 6000)
	_, _, err = r.uploads.Commit(t.Context(), g.Upload, g.Secret, &send.Commit)
	r.must(err)
	kept := send.Revisions()[0]
	r.must(r.store.CommitDrive(t.Context(), ann, func(tx drive.Tx) error {
		_, found, err := tx.Take(t.Context(), []id.Folder{root.ID()})
		if err != nil {
			return err
		}
		f := found[root.ID()]
		n, err := tx.Hold(t.Context(), f.Drive, f.Key, []id.Revision{kept})
		if err != nil {
			return err
		}
		return tx.Charge(t.Context(), f.Drive, n, 0, quota, quota)
	}))
	r.must(r.store.EndLink(t.Context(), send.Link.Handle, share.Revoked, r.clock.Now().Unix()/86400))
	r.must(r.opens(ann, root.ID(), kept))
	if n := r.orders(0); n != 0 {
		t.Errorf("%d orders", n)
	}
}
