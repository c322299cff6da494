package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/server/internal/drive"
	"holdfast/server/internal/servertest"
	"holdfast/server/internal/share"
	"holdfast/server/internal/upload"
)

// filled is an upload of the account's in a folder: a file of one blob, one of three.
func (s *suite) filled(who id.Account, folder id.Folder) (id.Upload, []id.Revision) {
	s.Helper()
	u := s.openFor(who, 1<<30)
	send := servertest.NewSend(s.T, u.ID, time.Unix(now, 0), nil, 5000, 20<<20)
	var all []id.Revision
	for _, r := range send.Page.Revisions {
		all = append(all, r.ID)
	}
	s.must(s.drive(who, []id.Folder{folder}, func(ctx context.Context, t turn) error {
		have, tx, err := t.Upload(ctx, u.ID)
		if err != nil {
			return err
		}
		if have.Account != who || have.State != upload.Open || len(have.Chains) != 1 {
			s.Errorf("upload %+v", have)
		}
		holders := s.fleet.IDs()[:2]
		for n, b := range send.Page.Blobs {
			if err := errors.Join(tx.AddBlob(ctx, b), tx.AddCopies(ctx, n, holders, 1)); err != nil {
				return err
			}
		}
		for i := range send.Page.Revisions {
			if err := tx.AddRevision(ctx, &send.Page.Revisions[i]); err != nil {
				return err
			}
		}
		if err := tx.Close(ctx, someDay, []byte("digest"), nil, holders); err != nil {
			return err
		}
		return t.holdAll(ctx, folder, all)
	}))
	return u.ID, all
}

func (t turn) holdAll(ctx context.Context, folder id.Folder, revisions []id.Revision) error {
	f := t.have[folder]
	bytes, err := t.Hold(ctx, f.Drive, f.Key, revisions)
	if err != nil {
		return err
	}
	return t.Charge(ctx, f.Drive, bytes, 0, plenty, plenty)
}

func (t turn) releaseAll(ctx context.Context, folder id.Folder, revisions []id.Revision) error {
	f := t.have[folder]
	bytes, err := t.Release(ctx, f.Drive, f.Key, revisions, someDay)
	if err != nil {
		return err
	}
	return t.Charge(ctx, f.Drive, -bytes, 0, plenty, plenty)
}

func (s *suite) hold(who id.Account, folder id.Folder, revisions ...id.Revision) error {
	s.Helper()
	return s.drive(who, []id.Folder{folder}, func(ctx context.Context, t turn) error { return t.holdAll(ctx, folder, revisions) })
}

func (s *suite) release(who id.Account, folder id.Folder, revisions ...id.Revision) error {
	s.Helper()
	return s.drive(who, []id.Folder{folder}, func(ctx context.Context, t turn) error { return t.releaseAll(ctx, folder, revisions) })
}

func (s *suite) usage(who id.Account) (u drive.Usage) {
	s.Helper()
	s.must(s.ReadDrive(s.Context(), who, func(r drive.Reader) (err error) {
		u, err = r.Usage(s.Context())
		return err
	}))
	return u
}

// holds tells whether a revision can be read in a folder.
func (s *suite) holds(who id.Account, folder id.Folder, revision id.Revision) bool {
	s.Helper()
	f := s.at(who, folder)
	err := s.ReadDrive(s.Context(), who, func(r drive.Reader) error {
		src := r.Revisions(f)
		rev, err := src.RevisionByID(s.Context(), revision)
		if err != nil {
			return err
		}
		extents, err := src.Extents(s.Context(), rev, 0, 10)
		if err == nil && (len(extents) != rev.Count || extents[0].Blob.Upload.IsZero()) {
			err = fmt.Errorf("extents %+v of %+v", extents, rev)
		}
		return err
	})
	if err != nil && !errors.Is(err, drive.ErrNotFound) {
		s.Fatal(err)
	}
	return err == nil
}

var (
	small = servertest.StreamLength(5000)
	large = servertest.StreamLength(20 << 20)
)

func chargedOnce(s *suite) {
	ann, bob := s.driver(), s.driver()
	root := s.folder(ann, id.Folder{})
	other, his := s.folder(ann, root), s.folder(bob, id.Folder{})
	_, files := s.filled(ann, root)
	check := func(a, b int64) {
		s.Helper()
		if x, y := s.usage(ann).Bytes, s.usage(bob).Bytes; x != a || y != b {
			s.Errorf("usage %d and %d, want %d and %d", x, y, a, b)
		}
	}
	check(small+large, 0)
	s.must(s.hold(ann, other, files...))
	s.must(s.hold(bob, his, files[0]))
	check(small+large, small)
	s.must(s.release(ann, root, files...))
	check(small+large, small)
	s.must(s.release(ann, other, files...))
	check(0, small)
	if s.holds(ann, root, files[0]) || s.holds(bob, his, files[1]) || !s.holds(bob, his, files[0]) {
		s.Error("a folder holds what it released, or not what it holds")
	}
	s.must(s.drive(ann, nil, func(ctx context.Context, t turn) error { return t.Charge(ctx, t.own, 10, 5, 10, 5) }))
	s.want(s.drive(ann, nil, func(ctx context.Context, t turn) error { return t.Charge(ctx, t.own, 1, 0, 10, 5) }), drive.ErrQuota)
	s.want(s.drive(ann, nil, func(ctx context.Context, t turn) error { return t.Charge(ctx, t.own, 0, 1, 10, 5) }), drive.ErrOverLimit)
	s.must(s.drive(ann, nil, func(ctx context.Context, t turn) error { return t.Charge(ctx, t.own, -10, -5, 0, 0) }))
}

func heldOnce(s *suite) {
	ann := s.driver()
	root := s.folder(ann, id.Folder{})
	_, files := s.filled(ann, root)
	s.want(s.hold(ann, root, files[0]), drive.ErrEntry)
	s.want(s.hold(ann, root, id.New[id.Revision]()), drive.ErrRevisionUnknown)
	s.want(s.release(ann, root, files[0], id.New[id.Revision]()), drive.ErrEntry)
	s.must(s.drive(ann, []id.Folder{root}, func(ctx context.Context, t turn) error {
		all, err := t.Holds(ctx, t.have[root].Key, files)
		more, err2 := t.Holds(ctx, t.have[root].Key, append(files, id.New[id.Revision]()))
		if !all || more {
			s.Errorf("holds all: %v, and one more: %v", all, more)
		}
		return errors.Join(err, err2)
	}))
	if s.usage(ann).Bytes != small+large {
		s.Errorf("usage %+v", s.usage(ann))
	}
}

func destroyedUnheld(s *suite) {
	ann := s.driver()
	root := s.folder(ann, id.Folder{})
	other := s.folder(ann, root)
	u, files := s.filled(ann, root)
	s.must(s.release(ann, root, files[0]))
	s.want(s.hold(ann, other, files[0]), drive.ErrRevisionUnknown)
	s.ordered(0, 0, 0, 0)
	s.must(s.release(ann, root, files[1]))
	s.ordered(1, 1, 1, 0)
	_, err := s.Upload(s.Context(), u)
	s.want(err, upload.ErrUnknown)
}

// linkKeeps: revisions of a link's upload that a folder held as well stay when the
// folder releases them, and go with the link.
func linkKeeps(s *suite) {
	ann := s.driver()
	root := s.folder(ann, id.Folder{})
	u, send := s.committed(0)
	first := send.Page.Revisions[0].ID
	s.must(s.hold(ann, root, first))
	s.must(s.release(ann, root, first))
	s.read(send.Link.Handle, func(ctx context.Context, _ share.Link, r share.Reader) {
		_, err := r.RevisionByID(ctx, first)
		s.must(err)
	})
	s.ordered(0, 0, 0, 0)
	s.must(s.EndLink(s.Context(), send.Link.Handle, share.Revoked, someDay))
	s.ordered(1, 1, 1, 0)
	_, err := s.Upload(s.Context(), u.ID)
	s.want(err, upload.ErrUnknown)
}

// folderKeeps: the end of a link destroys what no folder holds, and the rest goes when
// the last folder releases it.
func folderKeeps(s *suite) {
	ann := s.driver()
	root := s.folder(ann, id.Folder{})
	_, send := s.committed(0)
	kept, lost := send.Page.Revisions[1].ID, send.Page.Revisions[0].ID
	s.must(s.hold(ann, root, kept))
	s.must(s.EndLink(s.Context(), send.Link.Handle, share.Expired, someDay))
	s.ordered(0, 0, 0, 0)
	if !s.holds(ann, root, kept) {
		s.Error("the end of the link destroyed what a folder holds")
	}
	s.want(s.hold(ann, root, lost), drive.ErrRevisionUnknown)
	s.must(s.release(ann, root, kept))
	s.ordered(1, 1, 1, 0)
}

func readable(s *suite) {
	ann, bob := s.driver(), s.driver()
	root := s.folder(ann, id.Folder{})
	sub := s.folder(ann, root)
	deep := s.folder(ann, sub)
	_, files := s.filled(ann, deep)
	check := func(who id.Account, want bool) {
		s.Helper()
		s.must(s.drive(who, nil, func(ctx context.Context, t turn) error {
			have, err := t.Readable(ctx, files[0])
			if have != want {
				s.Errorf("readable: %v, want %v", have, want)
			}
			return err
		}))
	}
	check(ann, true)
	check(bob, false)
	s.grant(ann, sub, bob, journal.Reads, 1)
	check(bob, true)
	s.grant(ann, sub, bob, journal.Nobody, 2)
	check(bob, false)
	s.grant(ann, sub, bob, journal.Reads, 3)
	s.drop(ann, sub)
	check(bob, false)
	check(ann, false)
}
