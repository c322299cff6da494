package storetest

import (
	"context"
	"testing"

	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/server/internal/account"
	"holdfast/server/internal/drive"
	"holdfast/server/internal/servertest"
	"holdfast/server/internal/share"
	"holdfast/server/internal/upload"
)

// DriveLinks checks what drive.Store and share.Store do with links to what is in a drive.
func DriveLinks(t *testing.T, open func(*testing.T) Store) {
	each(t, open, map[string]func(*suite){
		"a link to a file is read as it was added":   fileLinkRead,
		"a link to a folder reads all below it":      folderLinkRead,
		"a link is lost with what it opens":          linkLost,
		"a link without an end gives sessions":       endlessLink,
		"an ended link destroys nothing in drives":   endedLeavesDrives,
		"links are counted, handles are unique":      linksCounted,
		"of many with one handle one is in":          raceForHandle,
		"links of an erased account end":             linksErased,
		"saving holds what its link opens":           savedFromLink,
		"of saving and the link's end one is before": raceToSave,
	})
}

// shelf is an account with a folder that holds what a send brought, and one below it.
type shelf struct {
	*suite
	owner       account.Account
	send        *servertest.Send
	drive       int64
	root, below id.Folder
	keys        map[id.Folder]int64
	revisions   []id.Revision
}

func newShelf(s *suite) *shelf {
	s.Helper()
	h := &shelf{suite: s, owner: s.made("owner"), root: id.New[id.Folder](), below: id.New[id.Folder](), keys: map[id.Folder]int64{}}
	_, h.send = s.committed(0)
	for _, r := range h.send.Page.Revisions {
		h.revisions = append(h.revisions, r.ID)
	}
	h.do(func(ctx context.Context, tx drive.Tx) (err error) {
		if h.drive, _, err = tx.Take(ctx, nil); err != nil {
			return err
		}
		for _, f := range []id.Folder{h.root, h.below} {
			if h.keys[f], err = tx.AddFolder(ctx, h.drive, f); err != nil {
				return err
			}
		}
		if err := tx.PlaceFolder(ctx, h.keys[h.below], h.keys[h.root]); err != nil {
			return err
		}
		return holds(ctx, tx, h.drive, h.keys[h.below], h.revisions)
	})
	return h
}

func holds(ctx context.Context, tx drive.Tx, drive, folder int64, revisions []id.Revision) error {
	charged, err := tx.Hold(ctx, drive, folder, revisions)
	if err != nil {
		return err
	}
	return tx.Charge(ctx, drive, charged, 0, plenty, plenty)
}

func (h *shelf) do(f func(context.Context, drive.Tx) error) {
	h.Helper()
	h.must(h.CommitDrive(h.Context(), h.owner.ID, func(tx drive.Tx) error { return f(h.Context(), tx) }))
}

func aLink(revisions ...id.Revision) drive.NewLink {
	l := drive.NewLink{Link: share.Link{Handle: id.New[id.Handle](), State: share.Live, Auth: id.New32(), Record: []byte("record")}, Own: []byte("own"), Revisions: revisions}
	if len(revisions) == 0 {
		l.Grant = []byte("grant")
	}
	return l
}

func (h *shelf) add(folder id.Folder, l drive.NewLink, most int) error {
	h.Helper()
	return h.CommitDrive(h.Context(), h.owner.ID, func(tx drive.Tx) error {
		own, _, err := tx.Take(h.Context(), []id.Folder{folder})
		if err != nil {
			return err
		}
		return tx.AddLink(h.Context(), own, h.keys[folder], l, most)
	})
}

func (h *shelf) added(folder id.Folder, revisions ...id.Revision) drive.NewLink {
	h.Helper()
	l := aLink(revisions...)
	h.must(h.add(folder, l, anyNumber))
	return l
}

func (h *shelf) listed() (all []drive.OwnLink) {
	h.Helper()
	h.must(h.ReadDrive(h.Context(), h.owner.ID, func(r drive.Reader) (err error) {
		all, err = r.Links(h.Context(), anyNumber)
		return err
	}))
	return all
}

func (h *shelf) release() {
	h.Helper()
	h.do(func(ctx context.Context, tx drive.Tx) error {
		freed, err := tx.Release(ctx, h.drive, h.keys[h.below], h.revisions, someDay)
		if err != nil {
			return err
		}
		return tx.Charge(ctx, h.drive, -freed, 0, plenty, plenty)
	})
}

func fileLinkRead(s *suite) {
	h := newShelf(s)
	l := h.added(h.below, h.revisions[1])
	h.read(l.Handle, func(ctx context.Context, have share.Link, r share.Reader) {
		if have.State != share.Live || have.Auth != l.Auth || string(have.Record) != "record" || have.Expires != 0 || !have.Upload.IsZero() ||
			have.Drive == nil || *have.Drive != (share.InDrive{Owner: h.owner.ID, Folder: h.below}) {
			h.Errorf("have %+v %+v", have, have.Drive)
		}
		all, err := r.Revisions(ctx, 0, 10)
		h.must(err)
		one, err := r.RevisionByID(ctx, h.revisions[1])
		h.must(err)
		if len(all) != 1 || all[0] != one || one.ID != h.revisions[1] {
			h.Errorf("revisions %+v, %+v", all, one)
		}
		if rest, err := r.Revisions(ctx, one.Position, 10); err != nil || len(rest) != 0 {
			h.Errorf("after the last: %v, %v", rest, err)
		}
		_, err = r.RevisionByID(ctx, h.revisions[0])
		h.want(err, share.ErrNotFound)
		if extents, err := r.Extents(ctx, one, 0, 10); err != nil || len(extents) != 3 {
			h.Errorf("extents %v, %v", extents, err)
		}
		holders, err := r.Holders(ctx)
		h.must(err)
		if !servertest.SameNodes(holders, h.fleet.IDs()[:2]...) {
			h.Errorf("holders %v", holders)
		}
	})
	if all := h.listed(); len(all) != 1 || all[0].Handle != l.Handle || all[0].Folder != h.below || string(all[0].Own) != "own" {
		h.Errorf("listed %+v", all)
	}
	err := h.ReadLinkFolders(h.Context(), h.send.Link.Handle, func(l share.Link, _ share.Reader, r drive.Reader) error {
		if l.Drive != nil || r != nil {
			h.Errorf("a send opens folders")
		}
		return nil
	})
	h.must(err)
}

func folderLinkRead(s *suite) {
	h := newShelf(s)
	low, high := h.added(h.below), h.added(h.root)
	for _, l := range []drive.NewLink{low, high} {
		h.must(h.ReadLinkFolders(h.Context(), l.Handle, func(have share.Link, lr share.Reader, r drive.Reader) error {
			if !have.Drive.Whole || have.Drive.Lost {
				h.Errorf("have %+v", have.Drive)
			}
			_, err := lr.RevisionByID(h.Context(), h.revisions[0])
			h.must(err)
			_, err = lr.Revisions(h.Context(), 0, 10)
			h.want(err, share.ErrRequest)
			for folder, want := range map[id.Folder]journal.Role{h.below: journal.Reads, h.root: journal.Reads} {
				if folder == h.root && l.Handle == low.Handle {
					want = journal.Nobody
				}
				f, known, err := r.Folder(h.Context(), folder)
				if err != nil || !known || f.Role != want {
					h.Errorf("role %d, want %d, %v", f.Role, want, err)
				}
			}
			_, known, err := r.Folder(h.Context(), id.New[id.Folder]())
			if err != nil || known {
				h.Errorf("an unknown folder is there, %v", err)
			}
			return nil
		}))
	}
}

func linkLost(s *suite) {
	h := newShelf(s)
	file, folder := h.added(h.below, h.revisions...), h.added(h.below)
	h.release()
	for handle, want := range map[id.Handle]bool{file.Handle: true, folder.Handle: false} {
		if l, err := h.link(handle); err != nil || l.Drive.Lost != want {
			h.Errorf("lost is not %v: %+v, %v", want, l.Drive, err)
		}
	}
	h.do(func(ctx context.Context, tx drive.Tx) error { return tx.DropFolder(ctx, h.keys[h.below]) })
	if l, err := h.link(folder.Handle); err != nil || !l.Drive.Lost {
		h.Errorf("a dropped folder's link stands: %+v, %v", l.Drive, err)
	}
	_, err := h.start(folder.Handle, now+100)
	h.want(err, share.ErrRevoked)
}

func endlessLink(s *suite) {
	h := newShelf(s)
	l := aLink(h.revisions[0])
	l.Limit = 1
	h.must(h.add(h.below, l, anyNumber))
	_, err := h.start(l.Handle, now+100)
	h.must(err)
	_, err = h.start(l.Handle, now+100)
	h.want(err, share.ErrUsedUp)
	if ended, err := h.ExpiredLinks(h.Context(), now*2, 10); err != nil || len(ended) != 1 || ended[0] != h.send.Link.Handle {
		h.Errorf("expired: %v, %v", ended, err)
	}
	if spent, err := h.SpentLinks(h.Context(), now+100, 10); err != nil || len(spent) != 1 || spent[0] != l.Handle {
		h.Errorf("spent: %v, %v", spent, err)
	}
}

func endedLeavesDrives(s *suite) {
	h := newShelf(s)
	for _, handle := range []id.Handle{h.added(h.below, h.revisions...).Handle, h.added(h.below).Handle, h.send.Link.Handle} {
		h.must(h.EndLink(h.Context(), handle, share.Revoked, someDay))
		if l, err := h.link(handle); err != nil || l.State != share.Revoked || l.Drive != nil || l.Record != nil || l.EndedDay != someDay {
			h.Errorf("have %+v, %v", l, err)
		}
	}
	if all := h.listed(); len(all) != 0 {
		h.Errorf("listed %+v", all)
	}
	h.ordered(0, 0)
	h.release()
	h.ordered(1, 1)
}

func linksCounted(s *suite) {
	h := newShelf(s)
	l := aLink(h.revisions[0])
	h.must(h.add(h.below, l, 2))
	h.want(h.add(h.below, l, 2), upload.ErrLinkExists)
	other := aLink(h.revisions[0])
	other.Handle = h.send.Link.Handle
	h.want(h.add(h.below, other, 2), upload.ErrLinkExists)
	h.must(h.add(h.below, aLink(), 2))
	h.want(h.add(h.below, aLink(), 2), drive.ErrOverLimit)
	h.must(h.EndLink(h.Context(), l.Handle, share.Revoked, someDay))
	h.must(h.add(h.below, aLink(), 2))
	h.want(h.add(h.below, l, 3), upload.ErrLinkExists)
}

func raceForHandle(s *suite) {
	h := newShelf(s)
	l := aLink(h.revisions[0])
	if in := h.race(4, func(int) error { return h.add(h.below, l, anyNumber) }, upload.ErrLinkExists); in != 1 {
		h.Errorf("%d links of one handle", in)
	}
}

func linksErased(s *suite) {
	h := newShelf(s)
	l, whole := h.added(h.below, h.revisions[0]), h.added(h.root)
	_, err := h.start(l.Handle, now+100)
	h.must(err)
	h.must(h.EraseAccount(h.Context(), h.owner.ID))
	for _, handle := range []id.Handle{l.Handle, whole.Handle} {
		if have, err := h.link(handle); err != nil || have.State != share.Revoked || have.Drive != nil || have.Record != nil {
			h.Errorf("have %+v, %v", have, err)
		}
	}
	if have, err := h.link(h.send.Link.Handle); err != nil || have.State != share.Live {
		h.Errorf("a send's link: %+v, %v", have, err)
	}
}

// save puts a revision into a new root of an account, from a send's link.
func (h *shelf) save(who id.Account, from id.Handle, revision id.Revision) error {
	h.Helper()
	ctx := h.Context()
	return h.CommitDrive(ctx, who, func(tx drive.Tx) error {
		own, _, err := tx.Take(ctx, nil)
		if err != nil {
			return err
		}
		l, r, err := tx.Link(ctx, from)
		if err != nil {
			return err
		}
		if err := l.Stands(now); err != nil {
			return err
		}
		if _, err := r.RevisionByID(ctx, revision); err != nil {
			return err
		}
		folder, err := tx.AddFolder(ctx, own, id.New[id.Folder]())
		if err != nil {
			return err
		}
		return holds(ctx, tx, own, folder, []id.Revision{revision})
	})
}

func savedFromLink(s *suite) {
	h := newShelf(s)
	bob := s.made("bob")
	_, send := s.committed(0)
	first, second := send.Page.Revisions[0].ID, send.Page.Revisions[1].ID
	h.want(h.save(bob.ID, id.New[id.Handle](), first), share.ErrNotFound)
	h.want(h.save(bob.ID, h.send.Link.Handle, first), share.ErrNotFound)
	h.must(h.save(bob.ID, send.Link.Handle, first))
	h.must(h.EndLink(h.Context(), send.Link.Handle, share.Revoked, someDay))
	h.ordered(0, 0)
	h.want(h.save(bob.ID, send.Link.Handle, second), share.ErrRevoked)
	h.must(h.CommitDrive(h.Context(), bob.ID, func(tx drive.Tx) error {
		for revision, want := range map[id.Revision]bool{first: true, second: false} {
			if have, err := tx.Readable(h.Context(), revision); err != nil || have != want {
				h.Errorf("readable is not %v, %v", want, err)
			}
		}
		return nil
	}))
}

// raceToSave: many save while the link is ended; whoever saved has it, and of what
// nobody saved nothing is left.
func raceToSave(s *suite) {
	h := newShelf(s)
	who := []account.Account{s.made("bob"), s.made("cleo"), s.made("dan")}
	for range 5 {
		_, send := s.committed(0)
		revision := send.Page.Revisions[0].ID
		saved := make([]bool, len(who))
		h.race(len(who)+1, func(i int) error {
			if i == len(who) {
				return h.EndLink(h.Context(), send.Link.Handle, share.Revoked, someDay)
			}
			err := h.save(who[i].ID, send.Link.Handle, revision)
			saved[i] = err == nil
			return err
		}, share.ErrRevoked)
		for i, a := range who {
			h.must(h.CommitDrive(h.Context(), a.ID, func(tx drive.Tx) error {
				if have, err := tx.Readable(h.Context(), revision); err != nil || have != saved[i] {
					h.Errorf("%d: readable is not %v, %v", i, saved[i], err)
				}
				return nil
			}))
		}
	}
}
