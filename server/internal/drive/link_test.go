package drive_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/format/journal/journaltest"
	"holdfast/format/link"
	"holdfast/server/internal/drive"
	"holdfast/server/internal/servertest"
	"holdfast/server/internal/share"
	"holdfast/server/internal/upload"
)

// shared is a link, and a session of it.
type shared struct {
	drive.NewLink
	folder  id.Folder
	auth    id.Bytes32
	session string
}

func newLink(folder id.Folder, revisions ...id.Revision) shared {
	l := shared{folder: folder, auth: servertest.Secret(), session: id.Bytes32(id.New32()).String()}
	l.Handle, l.Auth = id.New[id.Handle](), link.AuthHash(link.Secret(l.auth))
	l.Record, l.Own, l.Revisions = bytes.Repeat([]byte{1}, 300), []byte("sealed"), revisions
	return l
}

// toFolder is a link to a whole folder.
func toFolder(t testing.TB, b *journaltest.Book) shared {
	t.Helper()
	l := newLink(b.ID())
	l.Grant = grantTo(t, b, journal.Grant{Link: &l.Handle, Role: journal.Reads, Serial: 1})
	return l
}

func grantTo(t testing.TB, b *journaltest.Book, g journal.Grant) []byte {
	t.Helper()
	g.Folder, g.Epoch = b.ID(), b.State.Epoch()
	raw, err := g.Seal(b.Place.Keys.Admin)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (r *rig) share(who id.Account, l shared) error {
	r.Helper()
	_, err := r.Share(r.Context(), who, l.folder, l.NewLink)
	return err
}

// start makes the link and starts its session.
func (r *rig) start(who id.Account, l shared) shared {
	r.Helper()
	r.must(r.share(who, l))
	_, err := r.links.Start(r.Context(), l.Handle, share.Key{Auth: l.auth, Session: l.session})
	r.must(err)
	return l
}

// linked tells whether a session opens a revision.
func (r *rig) linked(l shared, revision id.Revision) error {
	r.Helper()
	_, err := r.links.Revisions(r.Context(), l.Handle, l.session, []id.Revision{revision}, "")
	return err
}

func (r *rig) seeLinked(l shared, folder id.Folder) drive.Part {
	r.Helper()
	parts, err := r.ReadLinked(r.Context(), l.Handle, l.session, []drive.Point{{Folder: folder}})
	r.must(err)
	return parts[0]
}

// nothing wants every door of a link shut, for that reason.
func (r *rig) nothing(l shared, folder id.Folder, revision id.Revision, want error) {
	r.Helper()
	key := share.Key{Auth: l.auth, Session: l.session}
	_, look := r.links.Look(r.Context(), l.Handle, key)
	_, start := r.links.Start(r.Context(), l.Handle, share.Key{Auth: l.auth, Session: id.Bytes32(id.New32()).String()})
	_, extents := r.links.Extents(r.Context(), l.Handle, key, revision, 0, 1)
	_, folders := r.ReadLinked(r.Context(), l.Handle, l.session, []drive.Point{{Folder: folder}})
	_, pages := r.CheckpointLinked(r.Context(), l.Handle, l.session, folder, []journal.Hash{{}})
	for door, err := range map[string]error{
		"look": look, "start": start, "revisions": r.linked(l, revision), "extents": extents, "journal": folders, "checkpoint": pages,
	} {
		if !errors.Is(err, want) {
			r.Errorf("%s: have %v, want %v", door, err, want)
		}
	}
}

// TestLinkToFile opens its revisions, wherever the file is moved, and nothing else.
func TestLinkToFile(t *testing.T) {
	r := newRig(t)
	ann := r.account()
	root := r.root(ann)
	sub := r.below(ann, root, "sub")
	files := r.put(ann, root, 5000, 20<<20, 7000)
	l := r.start(ann, newLink(root.ID(), files[0], files[1]))
	v, err := r.links.Look(t.Context(), l.Handle, share.Key{Auth: l.auth})
	r.must(err)
	if !bytes.Equal(v.Record, l.Record) || v.Expires != 0 || len(v.Copies) != 2 || v.Listing != nil {
		t.Errorf("looks like %+v", v)
	}
	page, err := r.links.Revisions(t.Context(), l.Handle, l.session, nil, "")
	r.must(err)
	if len(page.Revisions) != 2 || len(page.Tickets) != 1 {
		t.Errorf("%d revisions, %d tickets", len(page.Revisions), len(page.Tickets))
	}
	r.want(r.linked(l, files[2]), share.ErrNotFound)
	_, err = r.ReadLinked(t.Context(), l.Handle, l.session, []drive.Point{{Folder: root.ID()}})
	r.want(err, drive.ErrRequest)

	out, in := root.Move(files[0].String(), sub, nil)
	from, into := root.Write(out), sub.Write(in)
	r.must(r.do(ann, drive.Commit{Entries: [][]byte{from, into}}))
	root.Take(from)
	sub.Take(into)
	r.must(r.linked(l, files[0]))
	r.must(r.change(ann, sub, sub.Purge(files[0].String())...))
	r.want(r.linked(l, files[0]), share.ErrNotFound)
	r.must(r.linked(l, files[1]))
	r.must(r.change(ann, root, root.Purge(files[1].String())...))
	r.nothing(l, root.ID(), files[1], share.ErrRevoked)
	r.must(r.opens(ann, root.ID(), files[2]))
}

// TestLinkOfWhatIsTakenAway: a link of a member opens what the member may read, not what
// was moved out of its reach.
func TestLinkOfWhatIsTakenAway(t *testing.T) {
	r := newRig(t)
	ann, bob := r.account(), r.account()
	root := r.root(ann)
	team := r.below(ann, root, "team")
	files := r.put(ann, team, 5000, 6000)
	r.must(r.do(ann, drive.Commit{Grants: [][]byte{team.Grant(bob, journal.Reads, 1)}}))
	l := r.start(bob, newLink(team.ID(), files...))
	r.must(r.linked(l, files[0]))
	out, in := team.Move(files[0].String(), root, nil)
	from, into := team.Write(out), root.Write(in)
	r.must(r.do(ann, drive.Commit{Entries: [][]byte{from, into}}))
	r.want(r.linked(l, files[0]), share.ErrNotFound)
	r.must(r.linked(l, files[1]))
	page, err := r.links.Revisions(t.Context(), l.Handle, l.session, nil, "")
	r.must(err)
	if len(page.Revisions) != 1 || page.Revisions[0].ID != files[1] {
		t.Errorf("have %+v", page.Revisions)
	}
}

// TestLinkToFolder opens the folder and all below it, also what comes later; not what
// lies above or beside it.
func TestLinkToFolder(t *testing.T) {
	r := newRig(t)
	ann := r.account()
	root := r.root(ann)
	album, other := r.below(ann, root, "album"), r.below(ann, root, "other")
	l := r.start(ann, toFolder(t, album))
	files, beside := r.put(ann, album, 5000), r.put(ann, other, 6000)
	deep := r.below(ann, album, "deep")
	later := r.put(ann, deep, 7000)
	if p := r.seeLinked(l, album.ID()); p.Head != album.Head() || p.Role != journal.Reads || len(p.Entries) != 3 {
		t.Errorf("have %+v", p)
	}
	if p := r.seeLinked(l, deep.ID()); p.Head != deep.Head() || p.Role != journal.Reads {
		t.Errorf("have %+v", p)
	}
	for name, folder := range map[string]id.Folder{"above": root.ID(), "beside": other.ID(), "unknown": id.New[id.Folder]()} {
		if p := r.seeLinked(l, folder); !p.Missing {
			t.Errorf("%s: %+v", name, p)
		}
		_, err := r.CheckpointLinked(t.Context(), l.Handle, l.session, folder, nil)
		r.want(err, drive.ErrNotFound)
	}
	r.must(r.linked(l, files[0]))
	r.must(r.linked(l, later[0]))
	r.want(r.linked(l, beside[0]), share.ErrNotFound)
	_, err := r.links.Revisions(t.Context(), l.Handle, l.session, nil, "")
	r.want(err, share.ErrRequest)
	pages, raw := album.Checkpoint()
	r.must(r.KeepCheckpoint(t.Context(), ann, album.ID(), pages))
	r.must(r.do(ann, drive.Commit{Entries: [][]byte{raw}}))
	album.Take(raw)
	p := r.seeLinked(l, album.ID())
	have, err := r.CheckpointLinked(t.Context(), l.Handle, l.session, album.ID(), p.Pages)
	r.must(err)
	if len(have) != len(pages) || !bytes.Equal(have[0], pages[0]) {
		t.Errorf("%d pages", len(have))
	}
	// out of the folder is out of the link
	out, in := album.Move("deep", other, deep)
	r.must(r.do(ann, drive.Commit{Entries: [][]byte{album.Write(out), other.Write(in)}}))
	if p := r.seeLinked(l, deep.ID()); !p.Missing {
		t.Errorf("moved away: %+v", p)
	}
	r.want(r.linked(l, later[0]), share.ErrNotFound)
}

// TestEndedLinkReadsNothing: threat 16. Whatever ends a link, its session gets no
// journal, no release key and no ticket from then on.
func TestEndedLinkReadsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(r *rig, ann, bob id.Account, root *journaltest.Book, l shared)
		want error
	}{
		"unlinked": {func(r *rig, _, bob id.Account, _ *journaltest.Book, l shared) {
			r.must(r.Unlink(r.Context(), bob, l.Handle))
		}, share.ErrRevoked},
		"expired": {func(r *rig, _, _ id.Account, _ *journaltest.Book, _ shared) {
			r.clock.Add(3 * time.Hour)
		}, share.ErrExpired},
		"expired and swept": {func(r *rig, _, _ id.Account, _ *journaltest.Book, _ shared) {
			r.clock.Add(3 * time.Hour)
			if n, err := r.links.ExpireLinks(r.Context(), 10); n != 1 || err != nil {
				r.Errorf("%d ended, %v", n, err)
			}
		}, share.ErrExpired},
		"its owner was revoked": {func(r *rig, ann, bob id.Account, root *journaltest.Book, _ shared) {
			r.must(r.do(ann, drive.Commit{Grants: [][]byte{root.Grant(bob, journal.Nobody, 2)}}))
		}, share.ErrRevoked},
		"its owner was erased": {func(r *rig, _, bob id.Account, _ *journaltest.Book, _ shared) {
			r.must(r.store.EraseAccount(r.Context(), bob))
		}, share.ErrRevoked},
		"what it opens was erased": {func(r *rig, ann, _ id.Account, _ *journaltest.Book, _ shared) {
			r.must(r.store.EraseAccount(r.Context(), ann))
			r.sweep()
		}, share.ErrRevoked},
	} {
		for _, kind := range []string{"file", "folder"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				r := newRig(t)
				ann, bob := r.account(), r.account()
				root := r.root(ann)
				files := r.put(ann, root, 5000)
				r.must(r.do(ann, drive.Commit{Grants: [][]byte{root.Grant(bob, journal.Admins, 1)}}))
				l := newLink(root.ID(), files[0])
				if kind == "folder" {
					l = toFolder(t, root)
				}
				l.Expires = r.clock.Now().Add(time.Hour).Unix()
				l = r.start(bob, l)
				r.must(r.linked(l, files[0]))
				c.end(r, ann, bob, root, l)
				r.nothing(l, root.ID(), files[0], c.want)
				r.want(r.save(r.account(), l, files[0]), c.want)
			})
		}
	}
}

// save puts a revision of a link into a new root of the account.
func (r *rig) save(who id.Account, l shared, revision id.Revision) error {
	r.Helper()
	b, first := journaltest.Found(r)
	b.Take(first)
	put := b.Write(b.Put("saved", revision))
	return r.do(who, drive.Commit{
		Entries: [][]byte{first, put}, Roots: []id.Folder{b.ID()}, From: []drive.Source{{Handle: l.Handle, Session: l.session}},
	})
}

// TestSaveFromLink: what a link opens is copied to the drive of who saves it, charged
// there, and stays when the link, and the file that it showed, are gone.
func TestSaveFromLink(t *testing.T) {
	r := newRig(t)
	ann, bob := r.account(), r.account()
	root, his := r.root(ann), r.root(bob)
	files := r.put(ann, root, 5000, 6000)
	l := r.start(ann, newLink(root.ID(), files[0]))
	whole := r.start(ann, toFolder(t, root))
	from := []drive.Source{{Handle: l.Handle, Session: l.session}, {Handle: whole.Handle, Session: whole.session}}
	put := his.Write(his.Put("a", files[0]), his.Put("b", files[1]))
	r.want(r.do(bob, drive.Commit{Entries: [][]byte{put}}), drive.ErrRevisionUnknown)
	r.want(r.do(bob, drive.Commit{Entries: [][]byte{put}, From: from[:1]}), drive.ErrRevisionUnknown)
	other := drive.Source{Handle: l.Handle, Session: whole.session}
	r.want(r.do(bob, drive.Commit{Entries: [][]byte{put}, From: []drive.Source{other}}), share.ErrSession)
	none := drive.Source{Handle: id.New[id.Handle](), Session: l.session}
	r.want(r.do(bob, drive.Commit{Entries: [][]byte{put}, From: []drive.Source{none}}), share.ErrNotFound)
	r.want(r.do(bob, drive.Commit{Entries: [][]byte{put}, From: make([]drive.Source, 17)}), drive.ErrOverLimit)
	r.must(r.do(bob, drive.Commit{Entries: [][]byte{put}, From: from}))
	his.Take(put)
	if have := r.usage(bob).Bytes; have != servertest.StreamLength(5000)+servertest.StreamLength(6000) {
		t.Errorf("charged %d bytes", have)
	}
	r.must(r.Unlink(t.Context(), ann, l.Handle))
	r.must(r.change(ann, root, append(root.Purge(files[0].String()), root.Purge(files[1].String())...)...))
	r.sweep()
	r.must(r.opens(bob, his.ID(), files[0]))
	r.must(r.opens(bob, his.ID(), files[1]))
	if have := r.usage(ann).Bytes; have != 0 {
		t.Errorf("the first owner is charged %d bytes", have)
	}
}

// TestSaveFromSend: a send's link that ends destroys what no drive holds, and nothing else.
func TestSaveFromSend(t *testing.T) {
	r := newRig(t)
	bob := r.account()
	his := r.root(bob)
	g, err := r.uploads.Open(t.Context(), 1<<20, 7)
	r.must(err)
	send := servertest.NewSend(t, g.Upload, r.clock.Now(), r.fleet.Nodes[:2], 5000, 6000)
	_, _, err = r.uploads.Commit(t.Context(), g.Upload, g.Secret, &send.Commit)
	r.must(err)
	l := shared{auth: send.Auth, session: id.Bytes32(id.New32()).String()}
	l.Handle = send.Link.Handle
	_, err = r.links.Start(t.Context(), l.Handle, share.Key{Auth: l.auth, Session: l.session})
	r.must(err)
	first, second := send.Page.Revisions[0].ID, send.Page.Revisions[1].ID
	put := his.Write(his.Put("a", first))
	r.must(r.do(bob, drive.Commit{Entries: [][]byte{put}, From: []drive.Source{{Handle: l.Handle, Session: l.session}}}))
	his.Take(put)
	r.want(r.Unlink(t.Context(), bob, l.Handle), share.ErrNotFound)
	r.must(r.links.Revoke(t.Context(), l.Handle, send.Manage.Reveal()))
	r.must(r.opens(bob, his.ID(), first))
	if n := r.orders(0); n != 0 {
		t.Errorf("%d orders while a drive holds a revision of the upload", n)
	}
	r.want(r.save(bob, l, second), share.ErrRevoked)
	r.must(r.change(bob, his, his.Purge("a")...))
	if n := r.orders(0); n != 1 {
		t.Errorf("%d orders for an upload of which nothing is left", n)
	}
}

// TestShareRefuses: links that may not be made, each for its reason.
func TestShareRefuses(t *testing.T) {
	r := newRig(t)
	ann, bob := r.account(), r.account()
	root, his := r.root(ann), r.root(bob)
	sub := r.below(ann, root, "sub")
	files := r.put(ann, root, 5000)
	r.must(r.do(ann, drive.Commit{Grants: [][]byte{root.Grant(bob, journal.Writes, 1)}}))
	taken := newLink(root.ID(), files[0])
	r.must(r.share(ann, taken))
	change := func(l shared, f func(*shared)) shared {
		f(&l)
		return l
	}
	file, folder := newLink(root.ID(), files[0]), toFolder(t, root)
	for name, c := range map[string]struct {
		who  id.Account
		l    shared
		want error
	}{
		"a stranger's file":       {r.account(), file, drive.ErrNotFound},
		"an unknown folder":       {ann, newLink(id.New[id.Folder](), files[0]), drive.ErrNotFound},
		"another folder's file":   {ann, newLink(sub.ID(), files[0]), drive.ErrRevisionUnknown},
		"a folder by a writer":    {bob, folder, drive.ErrRole},
		"neither file nor folder": {ann, newLink(root.ID()), drive.ErrRequest},
		"file and folder":         {ann, change(folder, func(l *shared) { l.Revisions = files }), drive.ErrRequest},
		"a revision twice":        {ann, newLink(root.ID(), files[0], files[0]), drive.ErrRequest},
		"too many revisions":      {ann, newLink(root.ID(), fresh(17)...), drive.ErrOverLimit},
		"too much kept":           {ann, change(file, func(l *shared) { l.Own = make([]byte, 4097) }), drive.ErrOverLimit},
		"expired":                 {ann, change(file, func(l *shared) { l.Expires = r.clock.Now().Unix() }), share.ErrSpec},
		"no handle":               {ann, change(file, func(l *shared) { l.Handle = id.Handle{} }), share.ErrSpec},
		"no auth":                 {ann, change(file, func(l *shared) { l.Auth = [32]byte{} }), share.ErrSpec},
		"no record":               {ann, change(file, func(l *shared) { l.Record = nil }), share.ErrSpec},
		"fewer than no downloads": {ann, change(file, func(l *shared) { l.Limit = -1 }), share.ErrSpec},
		"a grant to an account":   {ann, change(folder, func(l *shared) { l.Grant = root.Grant(bob, journal.Reads, 9) }), drive.ErrGrant},
		"a grant to another link": {ann, change(folder, func(l *shared) { l.Grant = toFolder(t, root).Grant }), drive.ErrGrant},
		"a grant of another folder": {ann, change(folder, func(l *shared) {
			l.Grant = grantTo(t, sub, journal.Grant{Link: &folder.Handle, Role: journal.Reads, Serial: 1})
		}), drive.ErrGrant},
		"a grant that revokes": {ann, change(folder, func(l *shared) {
			l.Grant = grantTo(t, root, journal.Grant{Link: &folder.Handle, Role: journal.Nobody, Serial: 1})
		}), drive.ErrGrant},
		"a handle in use":           {ann, change(file, func(l *shared) { l.Handle = taken.Handle }), upload.ErrLinkExists},
		"a handle in another's use": {bob, taken, upload.ErrLinkExists},
		"in a folder of one's own":  {bob, newLink(his.ID(), files[0]), drive.ErrRevisionUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			if err := r.share(c.who, c.l); !errors.Is(err, c.want) {
				t.Fatalf("have %v, want %v", err, c.want)
			}
		})
	}
	r.must(r.share(ann, taken)) // the same again
	r.must(r.share(bob, file))  // a writer links to a file
}

func fresh(n int) []id.Revision {
	var ids []id.Revision
	for range n {
		ids = append(ids, id.New[id.Revision]())
	}
	return ids
}

// TestLinksAreListed to their owner, until they end.
func TestLinksAreListed(t *testing.T) {
	r := newRig(t)
	ann, bob := r.account(), r.account()
	root := r.root(ann)
	files := r.put(ann, root, 5000)
	one, two := newLink(root.ID(), files[0]), toFolder(t, root)
	one.Limit, two.Expires = 3, r.clock.Now().Add(time.Hour).Unix()
	r.start(ann, one)
	r.must(r.share(ann, two))
	have, err := r.Links(t.Context(), ann)
	r.must(err)
	if len(have) != 2 || have[1].Handle != one.Handle || have[1].Downloads != 1 || have[1].Limit != 3 || have[1].Expires != 0 ||
		have[0].Handle != two.Handle || have[0].Folder != root.ID() || string(have[0].Own) != "sealed" || have[0].Expires < two.Expires {
		t.Errorf("listed: %+v", have)
	}
	if have, err := r.Links(t.Context(), bob); len(have) != 0 || err != nil {
		t.Errorf("somebody else's: %+v, %v", have, err)
	}
	r.want(r.Unlink(t.Context(), bob, one.Handle), share.ErrNotFound)
	r.want(r.Unlink(t.Context(), ann, id.New[id.Handle]()), share.ErrNotFound)
	r.must(r.Unlink(t.Context(), ann, one.Handle))
	r.must(r.Unlink(t.Context(), ann, one.Handle))
	r.clock.Add(2 * time.Hour)
	if have, err := r.Links(t.Context(), ann); len(have) != 0 || err != nil {
		t.Errorf("ended: %+v, %v", have, err)
	}
	r.must(r.opens(ann, root.ID(), files[0]))
}
