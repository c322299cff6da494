package storetest

import (
	"context"
	"errors"
	"sync"

	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/server/internal/account"
	"holdfast/server/internal/drive"
	"holdfast/server/internal/placement"
	"holdfast/server/internal/share"
	"holdfast/server/internal/upload"
)

func droppedInParts(s *suite) {
	ann, bob := s.driver(), s.driver()
	root := s.folder(ann, id.Folder{})
	top := s.folder(ann, root)
	his := s.folder(bob, id.Folder{})
	var shared []id.Revision
	for range 3 {
		sub := s.folder(ann, top)
		_, files := s.filled(ann, sub)
		shared = files
	}
	s.must(s.hold(bob, his, shared[0]))
	s.grant(ann, top, bob, journal.Reads, 1)
	_, err := s.keep(ann, top, "page", someDay, plenty)
	s.must(err)
	s.drop(ann, top)
	if n, err := s.DropFolders(s.Context(), someDay, 2); err != nil || n != 2 {
		s.Errorf("%d parts, %v", n, err)
	}
	s.dropAll()
	if u := s.usage(ann); u.Bytes != 0 {
		s.Errorf("usage %+v", u)
	}
	s.ordered(2, 2, 2, 0) // of the third upload a revision is left
	if !s.holds(bob, his, shared[0]) {
		s.Error("what others hold went as well")
	}
	s.must(s.release(bob, his, shared[0]))
	s.ordered(3, 3, 3, 0)
}

func erasedDrive(s *suite) {
	ann, bob := s.driver(), s.driver()
	root := s.folder(ann, id.Folder{})
	his := s.folder(bob, id.Folder{})
	s.grant(bob, his, ann, journal.Writes, 1)
	_, mine := s.filled(ann, root)
	_, there := s.filled(ann, his)
	open := s.openFor(ann, 1000)
	s.must(s.EraseAccount(s.Context(), ann))
	if f := s.at(ann, root); f.Depth != 0 {
		s.Errorf("an erased account's root: %+v", f)
	}
	if f := s.at(ann, his); f.Role != journal.Nobody {
		s.Errorf("an erased account's grant: %+v", f)
	}
	s.want(s.hold(bob, his, mine[0], id.New[id.Revision]()), drive.ErrRevisionUnknown)
	overdue, err := s.OverdueUploads(s.Context(), now, 10)
	if err != nil || len(overdue) != 1 || overdue[0] != open.ID {
		s.Errorf("overdue %v, %v", overdue, err)
	}
	s.must(s.AbandonUpload(s.Context(), open.ID, someDay))
	s.ordered(1, 1, 1, 0)
	s.dropAll()
	s.ordered(2, 2, 2, 0)
	if !s.holds(bob, his, there[0]) {
		s.Error("what an erased account put into another's folder went with it")
	}
}

// openFor opens an upload for an account's drive.
func (s *suite) openFor(who id.Account, budget int64) upload.Upload {
	s.Helper()
	u := upload.Upload{
		ID: id.New[id.Upload](), State: upload.Open, Secret: id.New32(), Budget: budget, Closes: now + 1000, Account: who,
		Chains: []placement.Chain{s.fleet.IDs()[:3]},
	}
	s.must(s.OpenUpload(s.Context(), u, plenty, anyNumber, plenty))
	return u
}

func uploadInDrive(s *suite) {
	ann := s.driver()
	u := s.openFor(ann, 1000)
	if have, err := s.Upload(s.Context(), u.ID); err != nil || have.Account != ann {
		s.Errorf("upload %+v, %v", have, err)
	}
	if s.usage(ann).Reserved != 1000 {
		s.Errorf("usage %+v", s.usage(ann))
	}
	s.want(s.OpenUpload(s.Context(), upload.Upload{ID: id.New[id.Upload](), Budget: 1001, Account: ann}, plenty, anyNumber, 2000), upload.ErrQuota)
	s.want(s.OpenUpload(s.Context(), upload.Upload{ID: id.New[id.Upload](), Budget: 1, Account: id.New[id.Account]()}, plenty, anyNumber, 2000), account.ErrUnknown)
	s.want(s.ExtendUpload(s.Context(), u.ID, 2001, plenty, 2000), upload.ErrQuota)
	s.must(s.ExtendUpload(s.Context(), u.ID, 2000, plenty, 2000))
	if s.usage(ann).Reserved != 2000 {
		s.Errorf("usage %+v", s.usage(ann))
	}
	s.must(s.AbandonUpload(s.Context(), u.ID, someDay))
	if s.usage(ann).Reserved != 0 {
		s.Errorf("usage %+v", s.usage(ann))
	}
}

func uploadOfDrive(s *suite) {
	ann := s.driver()
	root := s.folder(ann, id.Folder{})
	u, files := s.filled(ann, root)
	if s.usage(ann) != (drive.Usage{Bytes: small + large}) {
		s.Errorf("usage %+v", s.usage(ann))
	}
	s.want(s.drive(ann, nil, func(ctx context.Context, t turn) error {
		_, _, err := t.Upload(ctx, u)
		return err
	}), upload.ErrClosed)
	s.want(s.drive(ann, nil, func(ctx context.Context, t turn) error {
		_, _, err := t.Upload(ctx, id.New[id.Upload]())
		return err
	}), upload.ErrUnknown)
	if n, err := s.ForgetUploads(s.Context(), someDay+1, 10); err != nil || n != 1 {
		s.Errorf("%d forgotten, %v", n, err)
	}
	if !s.holds(ann, root, files[1]) {
		s.Error("what is held was forgotten")
	}
}

// raceForHead: of many who append at once as the second entry, one does.
func raceForHead(s *suite) {
	ann := s.driver()
	root := s.folder(ann, id.Folder{})
	moved := errors.New("moved")
	results := make(chan error, 12)
	var wg sync.WaitGroup
	for range cap(results) {
		wg.Go(func() {
			results <- s.drive(ann, []id.Folder{root}, func(ctx context.Context, t turn) error {
				f := t.have[root]
				if f.Chain.Seq != 1 {
					return moved
				}
				return t.Append(ctx, f.Key, []byte("entry 2"), chainOf(root, 2))
			})
		})
	}
	wg.Wait()
	close(results)
	in := 0
	for err := range results {
		if err == nil {
			in++
		} else if !errors.Is(err, moved) {
			s.Error(err)
		}
	}
	if in != 1 {
		s.Errorf("%d of them are in", in)
	}
}

// raceForRevision: while some drives release a revision, others hold it, and its link
// ends. Who holds it in the end can read it; when nobody does it is gone.
func raceForRevision(s *suite) {
	const drivers = 4
	for range 6 {
		_, send := s.committed(0)
		both := []id.Revision{send.Page.Revisions[0].ID, send.Page.Revisions[1].ID}
		var who [drivers]id.Account
		var root [drivers]id.Folder
		for i := range who {
			who[i] = s.driver()
			root[i] = s.folder(who[i], id.Folder{})
			if i < drivers/2 {
				s.must(s.hold(who[i], root[i], both[i]))
			}
		}
		var held [drivers]bool
		var wg sync.WaitGroup
		for i := range who {
			wg.Go(func() {
				if i < drivers/2 {
					if err := s.release(who[i], root[i], both[i]); err != nil {
						s.Error(err)
					}
					return
				}
				err := s.hold(who[i], root[i], both[i-drivers/2])
				if held[i] = err == nil; !held[i] && !errors.Is(err, drive.ErrRevisionUnknown) {
					s.Error(err)
				}
			})
		}
		wg.Go(func() {
			if err := s.EndLink(s.Context(), send.Link.Handle, share.Revoked, someDay); err != nil {
				s.Error(err)
			}
		})
		wg.Wait()
		for i := drivers / 2; i < drivers; i++ {
			if held[i] != s.holds(who[i], root[i], both[i-drivers/2]) {
				s.Errorf("told that it holds the revision: %v", held[i])
			}
			if held[i] {
				s.must(s.release(who[i], root[i], both[i-drivers/2]))
			}
		}
	}
	s.ordered(6, 6, 6, 0)
}

func failureLeavesNothing(s *suite) {
	ann := s.driver()
	root := s.folder(ann, id.Folder{})
	_, files := s.filled(ann, root)
	stop := errors.New("stop")
	s.want(s.drive(ann, []id.Folder{root}, func(ctx context.Context, t turn) error {
		key := t.have[root].Key
		_, err := t.AddFolder(ctx, t.own, id.New[id.Folder]())
		return errors.Join(err, t.Append(ctx, key, []byte("entry 2"), chainOf(root, 2)), t.releaseAll(ctx, root, files), stop)
	}), stop)
	if f := s.at(ann, root); f.Chain.Seq != 1 || !s.holds(ann, root, files[0]) || s.usage(ann).Bytes != small+large {
		s.Errorf("after a failure: %+v, %+v", f, s.usage(ann))
	}
	s.ordered(0, 0, 0, 0)
}
