package upload_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/server/internal/servertest"
	"holdfast/server/internal/share"
	"holdfast/server/internal/upload"
)

func (r *rig) link(handle id.Handle) (l share.Link, err error) {
	err = r.store.ReadLink(r.Context(), handle, func(have share.Link, _ share.Reader) error {
		l = have
		return nil
	})
	return l, err
}

// copies is how many nodes hold the first blob of a link.
func (r *rig) copies(handle id.Handle) (stored int) {
	r.Helper()
	r.must(r.store.ReadLink(r.Context(), handle, func(_ share.Link, reader share.Reader) error {
		revisions, err := reader.Revisions(r.Context(), 0, 1)
		r.must(err)
		extents, err := reader.Extents(r.Context(), revisions[0], 0, 1)
		r.must(err)
		nodes, err := reader.Copies(r.Context(), extents[0].Blob)
		stored = len(nodes)
		return err
	}))
	return stored
}

func TestCommit(t *testing.T) {
	r := newRig(t, 3)
	g := r.open(1 << 30)
	send := r.send(g, r.fleet.Nodes[:2], 0, 5000, 300_000, 40<<20)
	done, err := r.commit(g, send)
	r.must(err)
	if !servertest.SameNodes(done.Holders, r.fleet.IDs()[:2]...) {
		t.Errorf("holders %v", done.Holders)
	}
	l, err := r.link(send.Link.Handle)
	r.must(err)
	if l.State != share.Live || l.Upload != g.Upload || l.Bytes != send.Bytes() || l.Expires != done.Expires {
		t.Errorf("link %+v", l)
	}
	if l.Expires != time.Date(2031, 5, 22, 0, 0, 0, 0, time.UTC).Unix() {
		t.Errorf("expires %s", time.Unix(l.Expires, 0).UTC())
	}
	if n := r.copies(send.Link.Handle); n != 2 {
		t.Errorf("%d copies", n)
	}
}

func TestCommitInPages(t *testing.T) {
	r := newRig(t, 3)
	g := r.open(1 << 30)
	send := r.send(g, r.fleet.Nodes, 5000, 300_000, 40<<20, 7000)
	whole := send.Page
	half := len(whole.Receipts) / 2
	// Revisions and receipts come before the blobs that they are about.
	stage := func(n int, p upload.Page) { r.Helper(); r.must(r.Stage(t.Context(), g.Upload, g.Secret, n, &p)) }
	stage(1, upload.Page{Blobs: whole.Blobs[:2], Receipts: whole.Receipts[half:]})
	stage(0, upload.Page{Revisions: whole.Revisions[1:]})
	stage(2, upload.Page{Blobs: whole.Blobs[:2]}) // sent again below with other content
	stage(2, upload.Page{Receipts: whole.Receipts[:half]})
	stage(9, upload.Page{Blobs: []upload.Blob{{Name: id.New32(), Size: 1}}}) // not among those committed
	send.Commit.Pages = 3
	send.Page = upload.Page{Blobs: whole.Blobs[2:], Revisions: whole.Revisions[:1]}
	_, err := r.commit(g, send)
	r.must(err)
	if n := r.copies(send.Link.Handle); n != 3 {
		t.Errorf("%d copies", n)
	}
}

func TestCommitTwice(t *testing.T) {
	r := newRig(t, 2)
	g := r.open(1 << 20)
	send := r.send(g, r.fleet.Nodes, 5000)
	first, err := r.commit(g, send)
	r.must(err)
	r.clock.Add(3 * time.Hour)
	second, err := r.commit(g, send)
	r.must(err)
	if first.Expires != second.Expires || !slices.Equal(first.Holders, second.Holders) {
		t.Errorf("%+v, then %+v", first, second)
	}
	send.Link.MaxDownloads = 1
	_, err = r.commit(g, send)
	r.want(err, upload.ErrConflict)
}

// TestCommitRace: the same commit many times at once makes one link, and every
// call gets the same answer.
func TestCommitRace(t *testing.T) {
	r := newRig(t, 2)
	g := r.open(1 << 20)
	send := r.send(g, r.fleet.Nodes, 5000)
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			if done, err := r.commit(g, send); err != nil || len(done.Holders) != 2 {
				t.Errorf("%+v, %v", done, err)
			}
		})
	}
	wg.Wait()
}

// spoiled are commits that must not pass, each made from a good one.
var spoiled = map[string]struct {
	spoil func(*rig, upload.Grant, *servertest.Send)
	want  error
}{
	"receipts of one node only": {func(r *rig, _ upload.Grant, s *servertest.Send) {
		s.Page.Receipts = s.Page.Receipts[:len(s.Page.Blobs)]
	}, upload.ErrReceiptsMissing},
	"no receipts": {func(_ *rig, _ upload.Grant, s *servertest.Send) { s.Page.Receipts = nil }, upload.ErrReceiptsMissing},
	"one blob without a second receipt": {func(_ *rig, _ upload.Grant, s *servertest.Send) {
		s.Page.Receipts = s.Page.Receipts[:len(s.Page.Receipts)-1]
	}, upload.ErrReceiptsMissing},
	"two nodes under one law": {func(r *rig, g upload.Grant, s *servertest.Send) {
		r.fleet.Nodes[1].Declared.Jurisdiction = r.fleet.Nodes[0].Declared.Jurisdiction
	}, upload.ErrReceiptsMissing},
	"two nodes of one company": {func(r *rig, g upload.Grant, s *servertest.Send) {
		r.fleet.Nodes[1].Declared.Parent = r.fleet.Nodes[0].Declared.Operator
	}, upload.ErrReceiptsMissing},
	"a node that lost its state": {func(r *rig, _ upload.Grant, _ *servertest.Send) {
		r.fleet.Lost[r.fleet.Nodes[0].ID] = true
	}, upload.ErrReceiptsMissing},
	"a receipt of a node that no ticket named": {func(r *rig, g upload.Grant, s *servertest.Send) {
		s.Page.Receipts[0] = r.fleet.Nodes[2].Receipt(r.T, g.Upload, s.Page.Blobs[0])
	}, upload.ErrReceipt},
	"a receipt of a stranger": {func(r *rig, g upload.Grant, s *servertest.Send) {
		s.Page.Receipts[0] = servertest.NewNode(r.T, "Nobody", "FR", "http://127.0.0.1:1").Receipt(r.T, g.Upload, s.Page.Blobs[0])
	}, upload.ErrReceipt},
	"a receipt for another upload": {func(r *rig, _ upload.Grant, s *servertest.Send) {
		s.Page.Receipts[0] = r.fleet.Nodes[0].Receipt(r.T, nobody(), s.Page.Blobs[0])
	}, upload.ErrReceipt},
	"a receipt for another size": {func(r *rig, g upload.Grant, s *servertest.Send) {
		b := s.Page.Blobs[0]
		b.Size--
		s.Page.Receipts[0] = r.fleet.Nodes[0].Receipt(r.T, g.Upload, b)
	}, upload.ErrReceipt},
	"a receipt for another name": {func(r *rig, g upload.Grant, s *servertest.Send) {
		b := s.Page.Blobs[0]
		b.Name[0] ^= 1
		s.Page.Receipts[0] = r.fleet.Nodes[0].Receipt(r.T, g.Upload, b)
	}, upload.ErrReceiptsMissing},
	"an altered receipt": {func(_ *rig, _ upload.Grant, s *servertest.Send) {
		text := []byte(s.Page.Receipts[0])
		text[len(text)/2] ^= 1
		s.Page.Receipts[0] = string(text)
	}, upload.ErrReceipt},
	"a receipt that is a ticket":    {func(_ *rig, g upload.Grant, s *servertest.Send) { s.Page.Receipts[0] = g.Ticket }, upload.ErrReceipt},
	"a receipt that is nothing":     {func(_ *rig, _ upload.Grant, s *servertest.Send) { s.Page.Receipts[0] = "" }, upload.ErrReceipt},
	"a staged page that is missing": {func(_ *rig, _ upload.Grant, s *servertest.Send) { s.Commit.Pages = 1 }, upload.ErrPageMissing},
	"negative pages":                {func(_ *rig, _ upload.Grant, s *servertest.Send) { s.Commit.Pages = -1 }, upload.ErrRequest},
	"very many pages":               {func(_ *rig, _ upload.Grant, s *servertest.Send) { s.Commit.Pages = 1 << 40 }, upload.ErrRequest},
	"an extent beyond its blob": {func(_ *rig, _ upload.Grant, s *servertest.Send) {
		s.Page.Revisions[0].Extents[0].Offset = s.Page.Blobs[0].Size - s.Page.Revisions[0].Length + 1
	}, upload.ErrRevision},
	"an extent of a blob that is not there": {func(_ *rig, _ upload.Grant, s *servertest.Send) {
		s.Page.Revisions[0].Extents[0].Blob = int64(len(s.Page.Blobs))
	}, upload.ErrRevision},
	"a revision twice": {func(_ *rig, _ upload.Grant, s *servertest.Send) {
		s.Page.Revisions = append(s.Page.Revisions, s.Page.Revisions[0])
	}, upload.ErrRevision},
	"no revision":  {func(_ *rig, _ upload.Grant, s *servertest.Send) { s.Page.Revisions = nil }, upload.ErrRevision},
	"a blob twice": {func(_ *rig, _ upload.Grant, s *servertest.Send) { s.Page.Blobs = append(s.Page.Blobs, s.Page.Blobs[0]) }, upload.ErrRequest},
	"a listing of elsewhere": {func(_ *rig, _ upload.Grant, s *servertest.Send) {
		s.Link.Listing = id.New[id.Revision]()
	}, upload.ErrRevision},
	"more bytes than the budget": {func(r *rig, g upload.Grant, s *servertest.Send) {
		b := upload.Blob{Name: id.New32(), Size: 8 << 20}
		s.Page.Blobs = append(s.Page.Blobs, b)
		for _, n := range r.fleet.Nodes[:2] {
			s.Page.Receipts = append(s.Page.Receipts, n.Receipt(r.T, g.Upload, b))
		}
	}, upload.ErrOverLimit},
	"a link without a handle":  {func(_ *rig, _ upload.Grant, s *servertest.Send) { s.Link.Handle = id.Handle{} }, share.ErrSpec},
	"a link without auth":      {func(_ *rig, _ upload.Grant, s *servertest.Send) { s.Link.Auth = id.Bytes32{} }, share.ErrSpec},
	"a link without a manager": {func(_ *rig, _ upload.Grant, s *servertest.Send) { s.Link.Manage = id.Bytes32{} }, share.ErrSpec},
	"a short record":           {func(_ *rig, _ upload.Grant, s *servertest.Send) { s.Link.Record = s.Link.Record[:80] }, share.ErrSpec},
	"a long record":            {func(_ *rig, _ upload.Grant, s *servertest.Send) { s.Link.Record = make([]byte, 64<<10+1) }, share.ErrSpec},
	"an expiry in the past":    {func(r *rig, _ upload.Grant, s *servertest.Send) { s.Link.Expires = r.clock.Now().Unix() }, share.ErrSpec},
	"a negative expiry":        {func(_ *rig, _ upload.Grant, s *servertest.Send) { s.Link.Expires = -1 << 62 }, share.ErrSpec},
	"an expiry too late": {func(r *rig, _ upload.Grant, s *servertest.Send) {
		s.Link.Expires = r.clock.Now().Add(30*24*time.Hour + time.Hour + time.Second).Unix()
	}, share.ErrOverLimit},
	"a huge expiry":      {func(_ *rig, _ upload.Grant, s *servertest.Send) { s.Link.Expires = 1<<63 - 1 }, share.ErrOverLimit},
	"too many downloads": {func(_ *rig, _ upload.Grant, s *servertest.Send) { s.Link.MaxDownloads = limits.Downloads + 1 }, share.ErrOverLimit},
	"negative downloads": {func(_ *rig, _ upload.Grant, s *servertest.Send) { s.Link.MaxDownloads = -1 }, share.ErrSpec},
}

// TestSpoiledCommits: whether a spoiled part is in the last page or staged, the
// commit fails, leaves nothing, and a good one passes after it.
func TestSpoiledCommits(t *testing.T) {
	for name, c := range spoiled {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 3)
			r.fleet.Order = []int{0, 1}
			good := r.send(r.open(1), r.fleet.Nodes[:2], 5000, 9<<20)
			g := r.open(good.Bytes())
			good = r.send(g, r.fleet.Nodes[:2], 5000, 9<<20)
			bad := &servertest.Send{Commit: good.Commit}
			bad.Page = upload.Page{Blobs: slices.Clone(good.Page.Blobs), Receipts: slices.Clone(good.Page.Receipts), Revisions: slices.Clone(good.Page.Revisions)}
			bad.Page.Revisions[0].Extents = slices.Clone(bad.Page.Revisions[0].Extents)
			law, parent := r.fleet.Nodes[1].Declared.Jurisdiction, r.fleet.Nodes[1].Declared.Parent
			c.spoil(r, g, bad)
			_, err := r.commit(g, bad)
			r.want(err, c.want)

			err = r.Stage(t.Context(), g.Upload, g.Secret, 0, &bad.Page)
			if err == nil && bad.Commit.Pages == 0 {
				staged := bad.Commit
				staged.Pages, staged.Page = 1, upload.Page{}
				_, _, err = r.Commit(t.Context(), g.Upload, g.Secret, &staged)
			}
			if bad.Commit.Pages == 0 {
				r.want(err, c.want)
			}
			_, err = r.link(good.Link.Handle)
			r.want(err, share.ErrNotFound)

			r.fleet.Nodes[1].Declared.Jurisdiction, r.fleet.Nodes[1].Declared.Parent = law, parent
			clear(r.fleet.Lost)
			_, err = r.commit(g, good)
			r.must(err)
		})
	}
}

func TestIDsAreUsedOnce(t *testing.T) {
	r := newRig(t, 2)
	first := r.open(1 << 20)
	send := r.send(first, r.fleet.Nodes, 5000)
	_, err := r.commit(first, send)
	r.must(err)

	second := r.open(1 << 20)
	again := r.send(second, r.fleet.Nodes, 5000)
	again.Link.Handle = send.Link.Handle
	_, err = r.commit(second, again)
	r.want(err, upload.ErrLinkExists)
	again = r.send(second, r.fleet.Nodes, 5000)
	again.Page.Revisions[0].ID = send.Page.Revisions[0].ID
	_, err = r.commit(second, again)
	r.want(err, upload.ErrRevision)

	// A handle stays used when its link has ended.
	r.must(r.store.EndLink(t.Context(), send.Link.Handle, share.Revoked, 1))
	again = r.send(second, r.fleet.Nodes, 5000)
	again.Link.Handle = send.Link.Handle
	_, err = r.commit(second, again)
	r.want(err, upload.ErrLinkExists)
}

// TestBudgetCoversAllPages: pages that each lie within the budget exceed it together.
func TestBudgetCoversAllPages(t *testing.T) {
	r := newRig(t, 2)
	g := r.open(9 << 20)
	send := r.send(g, r.fleet.Nodes, 5<<20, 5<<20)
	first := upload.Page{Blobs: send.Page.Blobs[:1]}
	send.Page.Blobs = send.Page.Blobs[1:]
	r.must(r.Stage(t.Context(), g.Upload, g.Secret, 0, &first))
	send.Commit.Pages = 1
	_, err := r.commit(g, send)
	r.want(err, upload.ErrOverLimit)
	_, err = r.Extend(t.Context(), g.Upload, g.Secret, 11<<20)
	r.must(err)
	_, err = r.commit(g, send)
	r.must(err)
}

// TestReceiptsBeyondTheCommit: a receipt may name blobs that are not committed.
func TestReceiptsBeyondTheCommit(t *testing.T) {
	r := newRig(t, 2)
	g := r.open(1 << 20)
	send := r.send(g, nil, 5000)
	stray := upload.Blob{Name: id.New32(), Size: 77}
	for _, n := range r.fleet.Nodes {
		send.Page.Receipts = append(send.Page.Receipts, n.Receipt(t, g.Upload, stray, send.Page.Blobs[0]))
	}
	_, err := r.commit(g, send)
	r.must(err)
}

// TestReceiptsOfSilentNodes: a receipt stays good when its node dies after it.
func TestReceiptsOfSilentNodes(t *testing.T) {
	r := newRig(t, 2)
	g := r.open(1 << 20)
	send := r.send(g, r.fleet.Nodes, 5000)
	r.fleet.Away[r.fleet.Nodes[0].ID] = true
	_, err := r.commit(g, send)
	r.must(err)
}

func TestStagedPagesAreBounded(t *testing.T) {
	r := newRig(t, 2)
	g := r.open(1)
	r.want(r.Stage(t.Context(), g.Upload, g.Secret, -1, &upload.Page{}), upload.ErrRequest)
	r.want(r.Stage(t.Context(), g.Upload, g.Secret, 256, &upload.Page{}), upload.ErrRequest)
	send := r.send(r.open(1<<30), nil, slices.Repeat([]int64{100}, 250)...)
	page := upload.Page{Revisions: send.Page.Revisions}
	r.must(r.Stage(t.Context(), g.Upload, g.Secret, 0, &page))
	r.want(r.Stage(t.Context(), g.Upload, g.Secret, 1, &page), upload.ErrOverLimit)
	r.must(r.Stage(t.Context(), g.Upload, g.Secret, 0, &page)) // in the place of the first
}

func TestCommitStopsWithItsContext(t *testing.T) {
	r := newRig(t, 2)
	g := r.open(1 << 20)
	send := r.send(g, r.fleet.Nodes, 5000)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := r.Commit(ctx, g.Upload, g.Secret, &send.Commit)
	r.want(err, context.Canceled)
	_, err = r.commit(g, send)
	r.must(err)
}
