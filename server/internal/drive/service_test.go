package drive_test

import (
	"testing"

	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/format/journal/journaltest"
	"holdfast/server/internal/drive"
	"holdfast/server/internal/servertest"
	"holdfast/server/internal/upload"
)

// TestFilesComeAndAreRead: found a root, bring files, read journal and revisions.
func TestFilesComeAndAreRead(t *testing.T) {
	r := newRig(t)
	ann := r.account()
	root := r.root(ann)
	files := r.put(ann, root, 5000, 20<<20)
	more := r.put(ann, root, 7000)

	part := r.see(ann, root.ID(), 0)
	if part.Missing || part.Head != root.Head() || part.Role != journal.Admins || len(part.Entries) != 3 || part.More {
		t.Fatalf("have %+v", part)
	}
	if part := r.see(ann, root.ID(), 2); len(part.Entries) != 1 || part.Head.Seq != 3 {
		t.Errorf("after 2: %+v", part)
	}
	if part := r.see(ann, root.ID(), 3); len(part.Entries) != 0 || part.More {
		t.Errorf("after 3: %+v", part)
	}
	page, err := r.Revisions(t.Context(), ann, root.ID(), append(files, more...), "")
	r.must(err)
	if len(page.Revisions) != 3 || page.Revisions[2].ID != more[0] || page.Revisions[1].Count != 3 || len(page.Tickets) != 1 {
		t.Errorf("%d revisions, %d tickets", len(page.Revisions), len(page.Tickets))
	}
	x, err := r.Extents(t.Context(), ann, root.ID(), files[1], 1, 2)
	r.must(err)
	if len(x.Extents) != 2 || x.Count != 3 {
		t.Errorf("extents %+v", x.Extents)
	}
	want := servertest.StreamLength(5000) + servertest.StreamLength(20<<20) + servertest.StreamLength(7000)
	if u := r.usage(ann); u.Bytes != want || u.Reserved != 0 {
		t.Errorf("usage %+v, want %d bytes", u, want)
	}
	_, err = r.Read(t.Context(), ann, []drive.Point{{Folder: root.ID()}, {Folder: root.ID()}})
	r.want(err, drive.ErrRequest)
}

// TestTheSameCommitAgain is answered as before; another one under its key is refused.
func TestTheSameCommitAgain(t *testing.T) {
	r := newRig(t)
	ann := r.account()
	root := r.root(ann)
	u := r.bring(ann, 5000)
	c := drive.Commit{Key: id.New[id.Commit](), Entries: [][]byte{root.Write(root.PutAll(u.Revisions()...)...)}, Upload: u.closes}
	first, err := r.Commit(t.Context(), ann, &c)
	r.must(err)
	again, err := r.Commit(t.Context(), ann, &c)
	r.must(err)
	if len(first) != 2 || len(again) != 2 || first[0].ID != again[0].ID {
		t.Errorf("first %v, then %v", first, again)
	}
	c.Roots = append(c.Roots, id.New[id.Folder]())
	_, err = r.Commit(t.Context(), ann, &drive.Commit{Key: c.Key, Entries: c.Entries})
	r.want(err, drive.ErrConflict)
	for range 3 {
		r.clock.Add(24 * 3600e9)
		r.sweep()
	}
	_, err = r.Commit(t.Context(), ann, &drive.Commit{Key: c.Key, Entries: c.Entries})
	r.want(err, drive.ErrHeadMoved)
}

// TestHeadMoved: the loser of two commits to one folder is told so, and nothing of it
// is there; its upload stays open.
func TestHeadMoved(t *testing.T) {
	r := newRig(t)
	ann := r.account()
	root, other := r.root(ann), r.root(ann)
	u := r.bring(ann, 5000)
	late := root.Write(root.PutAll(u.Revisions()...)...)
	put, free := r.bring(ann, 6000), other.Write(other.Put("free", u.Page.Revisions[0].ID))
	winner := root.Write(root.PutAll(put.Revisions()...)...)
	r.must(r.do(ann, drive.Commit{Entries: [][]byte{winner}, Upload: put.closes}))
	r.want(r.do(ann, drive.Commit{Entries: [][]byte{free, late}, Upload: u.closes}), drive.ErrHeadMoved)
	if part := r.see(ann, other.ID(), 0); part.Head != other.Head() {
		t.Errorf("half a commit is there: %+v", part)
	}
	root.Take(winner)
	again := root.Write(root.PutAll(u.Revisions()...)...)
	r.must(r.do(ann, drive.Commit{Entries: [][]byte{again}, Upload: u.closes}))
	root.Take(again)

	r.want(r.do(ann, drive.Commit{Unchanged: []journal.Head{{Folder: root.ID(), Seq: 1}}, Entries: [][]byte{other.Write(other.Put("x", u.Page.Revisions[0].ID))}}), drive.ErrHeadMoved)
	x := other.Write(other.Put("x", u.Page.Revisions[0].ID))
	r.must(r.do(ann, drive.Commit{Unchanged: []journal.Head{root.Head()}, Entries: [][]byte{x}}))
}

// TestWhatIsRefused: commits that do not hold, each for its reason.
func TestWhatIsRefused(t *testing.T) {
	r := newRig(t)
	ann, bob := r.account(), r.account()
	root, other, his := r.root(ann), r.root(ann), r.root(bob)
	files := r.put(ann, root, 5000)
	fresh, first := journaltest.Found(t)
	inside, firstInside := journaltest.Found(t)
	unused := r.bring(ann, 6000, 7000)
	child := r.below(ann, root, "child")
	for name, c := range map[string]struct {
		who    id.Account
		commit drive.Commit
		want   error
	}{
		"nothing":                    {ann, drive.Commit{}, drive.ErrRequest},
		"no entry at all":            {ann, drive.Commit{Entries: [][]byte{[]byte("entry")}}, drive.ErrEntry},
		"a root not named":           {ann, drive.Commit{Entries: [][]byte{first}}, drive.ErrMisplaced},
		"a root twice":               {ann, drive.Commit{Entries: [][]byte{first}, Roots: []id.Folder{fresh.ID(), fresh.ID()}}, drive.ErrMisplaced},
		"a root that is not new":     {ann, drive.Commit{Entries: [][]byte{root.Write(root.Put("a", files[0]))}, Roots: []id.Folder{root.ID()}}, drive.ErrMisplaced},
		"a root within":              {ann, drive.Commit{Entries: [][]byte{first, root.Write(root.PutFolder("f", fresh))}, Roots: []id.Folder{fresh.ID()}}, drive.ErrMisplaced},
		"a folder in two":            {ann, drive.Commit{Entries: [][]byte{first, root.Write(root.PutFolder("f", fresh)), other.Write(other.PutFolder("f", fresh))}}, drive.ErrMisplaced},
		"a folder that is not begun": {ann, drive.Commit{Entries: [][]byte{root.Write(root.PutFolder("f", fresh))}}, drive.ErrFolderExists},
		"a folder that is there":     {ann, drive.Commit{Entries: [][]byte{other.Write(other.PutFolder("f", child))}}, drive.ErrFolderExists},
		"a strange folder":           {bob, drive.Commit{Entries: [][]byte{root.Write(root.Put("a", files[0]))}}, drive.ErrNotFound},
		"a strange unchanged folder": {bob, drive.Commit{Unchanged: []journal.Head{root.Head()}, Entries: [][]byte{his.Write(his.Put("a", files[0]))}}, drive.ErrNotFound},
		"a strange revision":         {bob, drive.Commit{Entries: [][]byte{his.Write(his.Put("a", files[0]))}}, drive.ErrRevisionUnknown},
		"an invented revision":       {ann, drive.Commit{Entries: [][]byte{root.Write(root.Put("a", id.New[id.Revision]()))}}, drive.ErrRevisionUnknown},
		"a revision left over":       {ann, drive.Commit{Entries: [][]byte{root.Write(root.PutAll(unused.Revisions()[0])...)}, Upload: unused.closes}, upload.ErrRevision},
		"somebody else's upload":     {bob, drive.Commit{Entries: [][]byte{his.Write(his.PutAll(unused.Revisions()...)...)}, Upload: unused.closes}, upload.ErrRequest},
		"a folder begun in itself": {ann, drive.Commit{Entries: [][]byte{
			firstInside, first, nextOf(inside, firstInside, inside.PutFolder("f", fresh)), nextOf(fresh, first, fresh.PutFolder("f", inside)),
		}}, drive.ErrMisplaced},
	} {
		t.Run(name, func(t *testing.T) { r.want(r.do(c.who, c.commit), c.want) })
	}
	r.must(r.do(ann, drive.Commit{Entries: [][]byte{root.Write(root.PutAll(unused.Revisions()...)...)}, Upload: unused.closes}))
}

// nextOf is the entry after the first one, without the book moving.
func nextOf(b *journaltest.Book, first []byte, op journal.Operation) []byte {
	if b.Head().Seq == 0 {
		b.Take(first)
	}
	return b.Write(op)
}

// TestFoldersMove: into another folder, never below themselves, and with all that is in them.
func TestFoldersMove(t *testing.T) {
	r := newRig(t)
	ann := r.account()
	root := r.root(ann)
	a := r.below(ann, root, "a")
	b := r.below(ann, a, "b")
	c := r.below(ann, root, "c")
	files := r.put(ann, b, 5000)
	before := r.usage(ann)

	out, in := a.Move("b", c, b)
	from, into := a.Write(out), c.Write(in)
	r.must(r.do(ann, drive.Commit{Unchanged: []journal.Head{root.Head()}, Entries: [][]byte{from, into}}))
	a.Take(from)
	c.Take(into)
	r.must(r.opens(ann, b.ID(), files[0]))
	if r.usage(ann) != before {
		t.Errorf("usage %+v, before %+v", r.usage(ann), before)
	}
	// c into b, which lies in c now
	out, in = root.Move("c", b, c)
	r.want(r.do(ann, drive.Commit{Entries: [][]byte{root.Write(out), b.Write(in)}}), drive.ErrMisplaced)
	// a file moves with its revision
	out, in = b.Move(files[0].String(), a, nil)
	from, into = b.Write(out), a.Write(in)
	r.must(r.do(ann, drive.Commit{Entries: [][]byte{into, from}}))
	r.must(r.opens(ann, a.ID(), files[0]))
	r.want(r.opens(ann, b.ID(), files[0]), drive.ErrNotFound)
	if r.usage(ann) != before {
		t.Errorf("usage %+v, before %+v", r.usage(ann), before)
	}
}

// TestCopiesAreChargedOnce, and what nobody is charged for is destroyed.
func TestCopiesAreChargedOnce(t *testing.T) {
	r := newRig(t)
	ann := r.account()
	root := r.root(ann)
	sub := r.below(ann, root, "sub")
	files := r.put(ann, root, 5000, 6000)
	one := servertest.StreamLength(5000)
	all := r.usage(ann).Bytes
	r.must(r.change(ann, sub, sub.Put("copy", files[0])))
	if have := r.usage(ann).Bytes; have != all {
		t.Errorf("after a copy %d bytes, before %d", have, all)
	}
	r.must(r.change(ann, root, root.Purge(files[0].String())...))
	if have := r.usage(ann).Bytes; have != all {
		t.Errorf("with one copy left %d bytes, before %d", have, all)
	}
	r.must(r.opens(ann, sub.ID(), files[0]))
	r.must(r.change(ann, sub, sub.Purge("copy")...))
	if have := r.usage(ann).Bytes; have != all-one {
		t.Errorf("with no copy %d bytes, want %d", have, all-one)
	}
	r.want(r.change(ann, sub, sub.Put("again", files[0])), drive.ErrRevisionUnknown)
	if n := r.orders(0); n != 0 {
		t.Errorf("%d orders while a revision of the upload is there", n)
	}
	r.must(r.change(ann, root, root.Purge(files[1].String())...))
	if n := r.orders(0); n != 1 {
		t.Errorf("%d orders for an upload of which nothing is left", n)
	}
	if have := r.usage(ann).Bytes; have != 0 {
		t.Errorf("%d bytes", have)
	}
}

// orders is how many a node was given.
func (r *rig) orders(node int) int64 {
	r.Helper()
	last, err := r.store.Issued(r.Context(), r.fleet.Nodes[node].ID)
	r.must(err)
	return last.Number
}

// TestQuota: by what folders hold and what open uploads reserve, of the folder's owner.
func TestQuota(t *testing.T) {
	r := newRig(t)
	ann, bob := r.account(), r.account()
	root := r.root(ann)
	_, err := r.uploads.OpenFor(t.Context(), ann, quota+1)
	r.want(err, drive.ErrQuota)
	g, err := r.uploads.OpenFor(t.Context(), ann, quota-1000)
	r.must(err)
	_, err = r.uploads.OpenFor(t.Context(), ann, 2000)
	r.want(err, drive.ErrQuota)
	_, err = r.uploads.Extend(t.Context(), g.Upload, g.Secret, quota+1)
	r.want(err, drive.ErrQuota)
	if u := r.usage(ann); u.Reserved != quota-1000 {
		t.Errorf("usage %+v", u)
	}
	// A writer's upload is charged to the owner, who has no room.
	r.must(r.do(ann, drive.Commit{Grants: [][]byte{root.Grant(bob, journal.Writes, 1)}}))
	u := r.bring(bob, 5000)
	raw := root.Write(root.PutAll(u.Revisions()...)...)
	r.want(r.do(bob, drive.Commit{Entries: [][]byte{raw}, Upload: u.closes}), drive.ErrQuota)
	r.must(r.uploads.Abandon(t.Context(), g.Upload, g.Secret))
	if u := r.usage(ann); u.Reserved != 0 {
		t.Errorf("usage %+v", u)
	}
	r.must(r.do(bob, drive.Commit{Entries: [][]byte{raw}, Upload: u.closes}))
	if a, b := r.usage(ann), r.usage(bob); a.Bytes != servertest.StreamLength(5000) || b.Bytes != 0 || b.Reserved != 0 {
		t.Errorf("owner %+v, writer %+v", a, b)
	}
}

// TestGrants: roles in a folder and all below it, the highest that applies, now, each time.
func TestGrants(t *testing.T) {
	r := newRig(t)
	ann, bob := r.account(), r.account()
	root := r.root(ann)
	team := r.below(ann, root, "team")
	deep := r.below(ann, team, "deep")
	files := r.put(ann, deep, 5000)
	if p := r.see(bob, deep.ID(), 0); !p.Missing {
		t.Errorf("a stranger sees %+v", p)
	}
	r.must(r.do(ann, drive.Commit{Grants: [][]byte{team.Grant(bob, journal.Reads, 1)}}))
	if p := r.see(bob, deep.ID(), 0); p.Role != journal.Reads || len(p.Entries) != 2 {
		t.Errorf("a reader sees %+v", p)
	}
	if p := r.see(bob, root.ID(), 0); !p.Missing {
		t.Errorf("a reader below sees what is above: %+v", p)
	}
	r.must(r.opens(bob, deep.ID(), files[0]))
	r.want(r.change(bob, deep, deep.Put("x", files[0])), drive.ErrRole)
	r.must(r.do(ann, drive.Commit{Grants: [][]byte{deep.Grant(bob, journal.Writes, 1)}}))
	r.must(r.change(bob, deep, deep.Put("x", files[0])))
	r.want(r.change(bob, team, team.Put("x", files[0])), drive.ErrRole)
	r.want(r.do(bob, drive.Commit{Grants: [][]byte{deep.Grant(id.New[id.Account](), journal.Reads, 1)}}), drive.ErrRole)
	r.want(r.do(bob, drive.Commit{Entries: [][]byte{deep.Epoch()}}), drive.ErrRole)
	v, err := r.View(t.Context(), bob)
	r.must(err)
	if len(v.Granted) != 2 || v.Granted[0].Folder != deep.ID() {
		t.Errorf("granted %+v", v.Granted)
	}
}
