package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/server/internal/placement"
	"holdfast/server/internal/servertest"
	"holdfast/server/internal/share"
	"holdfast/server/internal/upload"
)

// Uploads checks upload.Store.
func Uploads(t *testing.T, open func(*testing.T) Store) {
	each(t, open, map[string]func(*suite){
		"an opened upload is read as it was":      openedIsRead,
		"unknown uploads":                         unknownUploads,
		"reservations are bounded":                reservationsBounded,
		"reservations at nodes":                   reservationsAtNodes,
		"abandoned uploads reserve until deleted": abandonedReserve,
		"staged pages of all are bounded":         allPagesBounded,
		"chains are added":                        chainsAdded,
		"budgets grow":                            budgetsGrow,
		"pages are replaced and bounded":          pagesBounded,
		"a commit is all or nothing":              commitAtomic,
		"a committed upload":                      committedUpload,
		"names, revisions and handles once":       usedOnce,
		"abandoning":                              abandoning,
		"overdue uploads":                         overdue,
		"closed uploads are forgotten in batches": forgotten,
	})
}

func openedIsRead(s *suite) {
	u := s.opened(1000, now+5)
	have, err := s.Upload(s.Context(), u.ID)
	s.must(err)
	if have.ID != u.ID || have.State != upload.Open || have.Secret != u.Secret || have.Budget != 1000 || have.Closes != now+5 {
		s.Errorf("have %+v", have)
	}
	if len(have.Chains) != 1 || !slices.Equal(have.Chains[0], u.Chains[0]) {
		s.Errorf("chains %v", have.Chains)
	}
}

func unknownUploads(s *suite) {
	ctx, none := s.Context(), id.New[id.Upload]()
	_, err := s.Upload(ctx, none)
	s.want(err, upload.ErrUnknown)
	s.want(s.ExtendUpload(ctx, none, 1, plenty, 1<<50), upload.ErrUnknown)
	s.want(s.AddChains(ctx, none, nil), upload.ErrUnknown)
	s.want(s.StagePage(ctx, none, 0, nil, plenty, plenty), upload.ErrUnknown)
	s.want(s.AbandonUpload(ctx, none, someDay), upload.ErrUnknown)
	s.want(s.CommitUpload(ctx, none, func(upload.Upload, upload.Tx) error { return nil }), upload.ErrUnknown)
}

func reservationsBounded(s *suite) {
	ctx := s.Context()
	first := s.opened(600, now+5)
	u := upload.Upload{ID: id.New[id.Upload](), State: upload.Open, Budget: 401, Closes: now}
	s.want(s.OpenUpload(ctx, u, 1000, anyNumber, 1<<50), upload.ErrNoCapacity)
	u.Budget = 400
	s.want(s.OpenUpload(ctx, u, 1000, 1, 1<<50), upload.ErrNoCapacity)
	s.must(s.OpenUpload(ctx, u, 1000, 2, 1<<50))
	if sum, err := s.Reserved(ctx); err != nil || sum != 1000 {
		s.Errorf("reserved %d, %v", sum, err)
	}
	send := servertest.NewSend(s.T, first.ID, time.Unix(now, 0), nil, 100)
	s.must(s.CommitUpload(ctx, first.ID, func(_ upload.Upload, tx upload.Tx) error { return s.bring(tx, first, send) }))
	if sum, err := s.Reserved(ctx); err != nil || sum != 400 {
		s.Errorf("reserved after one was committed: %d, %v", sum, err)
	}
}

// reserves fails unless so much is reserved at the nodes, and in all.
func (s *suite) reserves(sum int64, want ...int64) {
	s.Helper()
	have, err := s.ReservedAt(s.Context())
	s.must(err)
	for i, bytes := range want {
		if have[s.fleet.Nodes[i].ID] != bytes {
			s.Errorf("%d bytes reserved at node %d, want %d", have[s.fleet.Nodes[i].ID], i, bytes)
		}
	}
	all, err := s.Reserved(s.Context())
	if err != nil || all != sum {
		s.Errorf("%d bytes reserved in all, %v; want %d", all, err, sum)
	}
}

// reservationsAtNodes: the first two of every chain, each once whatever the chains.
func reservationsAtNodes(s *suite) {
	ctx, ids := s.Context(), s.fleet.IDs()
	u := s.opened(600, now+5) // one chain: 0, 1, 2
	s.reserves(600, 600, 600, 0, 0)
	s.must(s.AddChains(ctx, u.ID, []placement.Chain{{ids[1], ids[3], ids[0]}, {ids[0], ids[1]}}))
	s.reserves(600, 600, 600, 0, 600)
	s.want(s.ExtendUpload(ctx, u.ID, 1001, 1000, 1<<50), upload.ErrNoCapacity)
	s.must(s.ExtendUpload(ctx, u.ID, 1000, 1000, 1<<50))
	s.must(s.ExtendUpload(ctx, u.ID, 10, 1000, 1<<50))
	s.reserves(1000, 1000, 1000, 0, 1000)
	other, send := s.committed(0)
	s.reserves(1000, 1000, 1000, 0, 1000)
	s.must(s.EndLink(ctx, send.Link.Handle, share.Revoked, someDay))
	s.want(s.AbandonUpload(ctx, other.ID, someDay), upload.ErrUnknown)
	s.reserves(1000, 1000, 1000, 0, 1000)
}

// abandonedReserve: what was given up counts until every node that is still a
// member has answered, and no longer than it is remembered.
func abandonedReserve(s *suite) {
	ctx := s.Context()
	u := s.opened(600, now+5)
	s.must(s.AbandonUpload(ctx, u.ID, someDay))
	release := func(limit, want int) {
		s.Helper()
		if n, err := s.ReleaseUploads(ctx, limit); err != nil || n != want {
			s.Errorf("%d released, %v; want %d", n, err, want)
		}
	}
	release(9, 0)
	s.want(s.OpenUpload(ctx, upload.Upload{ID: id.New[id.Upload](), Budget: 401}, 1000, anyNumber, 1<<50), upload.ErrNoCapacity)
	s.want(s.OpenUpload(ctx, upload.Upload{ID: id.New[id.Upload](), Budget: 1}, 1000, 1, 1<<50), upload.ErrNoCapacity)
	s.answered(s.fleet.Nodes[0].ID, 1)
	s.answered(s.fleet.Nodes[1].ID, 1)
	release(9, 0)
	s.reserves(600, 600, 600, 0, 0)
	s.must(s.RemoveNode(ctx, s.fleet.Nodes[2].ID)) // will not answer any more
	release(9, 1)
	s.reserves(0, 0, 0, 0, 0)
	release(9, 0)
	for range 2 {
		lost := upload.Upload{ID: id.New[id.Upload](), Budget: 50, Secret: id.New32(), Chains: []placement.Chain{s.fleet.IDs()[:2]}}
		s.must(s.OpenUpload(ctx, lost, plenty, anyNumber, 1<<50))
		s.must(s.AbandonUpload(ctx, lost.ID, someDay))
	}
	s.reserves(100, 100, 100, 0, 0)
	if n, err := s.ForgetUploads(ctx, someDay+1, 2); err != nil || n != 2 { // with the one released before
		s.Errorf("%d forgotten, %v", n, err)
	}
	s.reserves(50, 50, 50, 0, 0)
	for number := int64(2); number <= 3; number++ {
		s.answered(s.fleet.Nodes[0].ID, number)
		s.answered(s.fleet.Nodes[1].ID, number)
	}
	release(9, 1)
	s.reserves(0, 0, 0, 0, 0)
}

func allPagesBounded(s *suite) {
	ctx := s.Context()
	first, second := s.opened(600, now+5), s.opened(600, now+5)
	page := func(u upload.Upload, number int, body string) error {
		return s.StagePage(ctx, u.ID, number, []byte(body), plenty, 10)
	}
	s.must(page(first, 0, "123456"))
	s.want(page(second, 0, "12345"), upload.ErrNoCapacity)
	s.must(page(second, 0, "1234"))
	s.want(page(second, 1, "1"), upload.ErrNoCapacity)
	s.must(page(first, 0, "12345")) // in the place of the first
	s.must(page(second, 1, "1"))
	s.must(s.AbandonUpload(ctx, first.ID, someDay))
	s.must(page(second, 2, "12345"))
	send := servertest.NewSend(s.T, second.ID, time.Unix(now, 0), nil, 100)
	s.must(s.CommitUpload(ctx, second.ID, func(_ upload.Upload, tx upload.Tx) error { return s.bring(tx, second, send) }))
	s.must(page(s.opened(600, now+5), 0, "1234567890"))
}

func chainsAdded(s *suite) {
	ctx, ids := s.Context(), s.fleet.IDs()
	u := s.opened(1000, now+5)
	more := []placement.Chain{{ids[3], ids[0]}, {ids[1], ids[3]}}
	s.must(s.AddChains(ctx, u.ID, more))
	have, err := s.Upload(ctx, u.ID)
	s.must(err)
	if len(have.Chains) != 3 || !slices.Equal(have.Chains[1], more[0]) || !slices.Equal(have.Chains[2], more[1]) {
		s.Errorf("chains %v", have.Chains)
	}
}

func budgetsGrow(s *suite) {
	ctx := s.Context()
	u := s.opened(600, now+5)
	s.want(s.ExtendUpload(ctx, u.ID, 1001, 1000, 1<<50), upload.ErrNoCapacity)
	s.must(s.ExtendUpload(ctx, u.ID, 1000, 1000, 1<<50))
	s.must(s.ExtendUpload(ctx, u.ID, 10, 1000, 1<<50))
	have, err := s.Upload(ctx, u.ID)
	s.must(err)
	if have.Budget != 1000 {
		s.Errorf("budget %d", have.Budget)
	}
}

func pagesBounded(s *suite) {
	ctx := s.Context()
	u := s.opened(600, now+5)
	s.must(s.StagePage(ctx, u.ID, 0, []byte("first"), 10, plenty))
	s.must(s.StagePage(ctx, u.ID, 0, []byte("second"), 10, plenty))
	s.must(s.StagePage(ctx, u.ID, 7, []byte("more"), 10, plenty))
	s.want(s.StagePage(ctx, u.ID, 1, []byte("x"), 10, plenty), upload.ErrOverLimit)
	s.must(s.StagePage(ctx, u.ID, 0, []byte("short"), 10, plenty))
	s.must(s.StagePage(ctx, u.ID, 1, []byte("x"), 10, plenty))
	s.must(s.CommitUpload(ctx, u.ID, func(_ upload.Upload, tx upload.Tx) error {
		for n, want := range map[int]string{0: "short", 1: "x", 7: "more"} {
			if body, err := tx.Page(ctx, n); err != nil || string(body) != want {
				s.Errorf("page %d: %q, %v", n, body, err)
			}
		}
		_, err := tx.Page(ctx, 2)
		s.want(err, upload.ErrPageMissing)
		return nil
	}))
}

func commitAtomic(s *suite) {
	ctx := s.Context()
	u := s.opened(1<<30, now+5)
	send := servertest.NewSend(s.T, u.ID, servertest.NewClock().Now(), nil, 5000)
	stop := errors.New("stop")
	s.want(s.CommitUpload(ctx, u.ID, func(_ upload.Upload, tx upload.Tx) error {
		s.must(s.bring(tx, u, send))
		return stop
	}), stop)
	have, err := s.Upload(ctx, u.ID)
	s.must(err)
	if have.State != upload.Open || len(have.Chains) != 1 {
		s.Errorf("after a failed commit: %+v", have)
	}
	_, err = s.link(send.Link.Handle)
	s.want(err, errNoLink)
	// Nothing is in the way of the next try.
	s.must(s.CommitUpload(ctx, u.ID, func(_ upload.Upload, tx upload.Tx) error { return s.bring(tx, u, send) }))
	_, err = s.link(send.Link.Handle)
	s.must(err)
}

func committedUpload(s *suite) {
	ctx := s.Context()
	u, _ := s.committed(0)
	have, err := s.Upload(ctx, u.ID)
	s.must(err)
	if have.State != upload.Committed || string(have.Digest) != "digest" || string(have.Answer) != "answer" || have.Secret != u.Secret {
		s.Errorf("have %+v", have)
	}
	s.want(s.StagePage(ctx, u.ID, 0, nil, plenty, plenty), upload.ErrClosed)
	s.want(s.ExtendUpload(ctx, u.ID, 1<<31, plenty, 1<<50), upload.ErrClosed)
	s.want(s.AddChains(ctx, u.ID, nil), upload.ErrClosed)
	s.want(s.AbandonUpload(ctx, u.ID, someDay), upload.ErrClosed)
	if sum, err := s.Reserved(ctx); err != nil || sum != 0 {
		s.Errorf("reserved %d, %v", sum, err)
	}
}

func usedOnce(s *suite) {
	ctx := s.Context()
	_, send := s.committed(0)
	other := s.opened(1<<30, now+5)
	s.want(s.CommitUpload(ctx, other.ID, func(_ upload.Upload, tx upload.Tx) error {
		s.must(tx.AddBlob(ctx, send.Page.Blobs[0])) // a name is unique within an upload only
		return tx.AddBlob(ctx, send.Page.Blobs[0])
	}), upload.ErrRevision)
	s.want(s.CommitUpload(ctx, other.ID, func(_ upload.Upload, tx upload.Tx) error {
		for _, b := range send.Page.Blobs {
			s.must(tx.AddBlob(ctx, b))
		}
		return tx.AddRevision(ctx, &send.Page.Revisions[0])
	}), upload.ErrRevision)
	again := servertest.NewSend(s.T, other.ID, servertest.NewClock().Now(), nil, 100)
	again.Link.Handle = send.Link.Handle
	s.want(s.CommitUpload(ctx, other.ID, func(_ upload.Upload, tx upload.Tx) error { return s.bring(tx, other, again) }), upload.ErrLinkExists)
}

func abandoning(s *suite) {
	ctx := s.Context()
	u := s.opened(1000, now+5)
	s.must(s.StagePage(ctx, u.ID, 0, []byte("page"), plenty, plenty))
	s.must(s.AbandonUpload(ctx, u.ID, someDay))
	s.want(s.AbandonUpload(ctx, u.ID, someDay), upload.ErrClosed)
	s.ordered(1, 1, 1, 0)
	have, err := s.Upload(ctx, u.ID)
	s.must(err)
	if have.State != upload.Abandoned {
		s.Errorf("have %+v", have)
	}
	s.must(s.CommitUpload(ctx, u.ID, func(u upload.Upload, tx upload.Tx) error {
		if u.State != upload.Abandoned {
			s.Error("a commit does not see that the upload was abandoned")
		}
		_, err := tx.Page(ctx, 0)
		s.want(err, upload.ErrPageMissing)
		return nil
	}))
}

func overdue(s *suite) {
	ctx := s.Context()
	late, later := s.opened(1, now-10), s.opened(1, now)
	s.opened(1, now+1)
	gone := s.opened(1, now-20)
	s.must(s.AbandonUpload(ctx, gone.ID, someDay))
	have, err := s.OverdueUploads(ctx, now, 10)
	s.must(err)
	if !slices.Equal(have, []id.Upload{late.ID, later.ID}) {
		s.Errorf("have %v", have)
	}
	have, err = s.OverdueUploads(ctx, now, 1)
	s.must(err)
	if !slices.Equal(have, []id.Upload{late.ID}) {
		s.Errorf("limited: %v", have)
	}
}

func forgotten(s *suite) {
	ctx := s.Context()
	kept, _ := s.committed(0)
	gone := s.opened(1, now)
	s.must(s.AbandonUpload(ctx, gone.ID, someDay))
	open := s.opened(1, now)
	if n, err := s.ForgetUploads(ctx, someDay, 10); err != nil || n != 0 {
		s.Fatalf("on the same day: %d, %v", n, err)
	}
	for range 2 {
		if n, err := s.ForgetUploads(ctx, someDay+1, 1); err != nil || n != 1 {
			s.Fatalf("one at a time: %d, %v", n, err)
		}
	}
	if n, err := s.ForgetUploads(ctx, someDay+1, 1); err != nil || n != 0 {
		s.Fatalf("when nothing is left: %d, %v", n, err)
	}
	for _, u := range []id.Upload{kept.ID, gone.ID} {
		_, err := s.Upload(ctx, u)
		s.want(err, upload.ErrUnknown)
	}
	_, err := s.Upload(ctx, open.ID)
	s.must(err)
}
