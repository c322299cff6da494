package share_test

import (
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/server/internal/servertest"
	"holdfast/server/internal/share"
	"holdfast/server/internal/store"
	"holdfast/server/internal/storetest"
	"holdfast/server/internal/upload"
)

// rig is the service on a real database, with uploads to make links.
type rig struct {
	*testing.T
	*share.Service
	uploads *upload.Service
	store   *store.Store
	fleet   *servertest.Fleet
	clock   *servertest.Clock
	public  ed25519.PublicKey
}

func newRig(t *testing.T) *rig {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "holdfast.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, store: s, fleet: servertest.NewFleet(t, 3), clock: servertest.NewClock(), public: public}
	storetest.Admit(t, s, r.fleet.Nodes...)
	limits := upload.Limits{UploadBytes: 1 << 50, DefaultDays: 7, Days: 30, Downloads: 1000, ReservedBytes: 1 << 50}
	r.uploads = upload.New(s, r.fleet.Uploads(), key, limits, r.clock.Now)
	r.Service = share.New(s, r.fleet.Links(), key, r.clock.Now)
	return r
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) want(err, target error) {
	r.Helper()
	if !errors.Is(err, target) {
		r.Fatalf("have %v, want %v", err, target)
	}
}

// sent is a committed send. change spoils or extends it before.
func (r *rig) sent(change func(*servertest.Send), sizes ...int64) *servertest.Send {
	r.Helper()
	g, err := r.uploads.Open(r.Context(), 1<<40, 7)
	r.must(err)
	send := servertest.NewSend(r.T, g.Upload, r.clock.Now(), r.fleet.Nodes[:2], sizes...)
	if change != nil {
		change(send)
	}
	_, _, err = r.uploads.Commit(r.Context(), g.Upload, g.Secret, &send.Commit)
	r.must(err)
	return send
}

func limited(n int64) func(*servertest.Send) {
	return func(s *servertest.Send) { s.Link.MaxDownloads = n }
}

func auth(s *servertest.Send) share.Key { return share.Key{Auth: s.Auth} }

// drawn is a key with a fresh session token.
func drawn(auth id.Bytes32) share.Key {
	return share.Key{Auth: auth, Session: id.Bytes32(id.New32()).String()}
}

type started struct {
	share.Started
	Session string
}

func (r *rig) start(s *servertest.Send) started {
	r.Helper()
	key := drawn(s.Auth)
	got, err := r.Start(r.Context(), s.Link.Handle, key)
	r.must(err)
	return started{got, key.Session}
}

// readable fails unless every extent of the page is within a range of the
// ticket that its blob names, at each node that the blob names.
func (r *rig) readable(p *share.Page) {
	r.Helper()
	tickets := make([]ticket.ReadTicket, len(p.Tickets))
	for i, text := range p.Tickets {
		if len(text.Text) > 6<<10 {
			r.Errorf("a ticket of %d characters", len(text.Text))
		}
		opened, err := ticket.OpenText[ticket.ReadTicket](r.public, text.Text)
		r.must(err)
		if text.Expires != r.clock.Now().Add(5*time.Minute).Unix() || opened.Expires != text.Expires {
			r.Errorf("ticket expires at %d", text.Expires)
		}
		names := map[id.Name]bool{}
		for _, rg := range opened.Reads[0].Ranges {
			names[rg.Name] = true
		}
		if len(names) > 32 {
			r.Errorf("a ticket for %d blobs", len(names))
		}
		tickets[i] = opened
	}
	for _, rev := range p.Revisions {
		for _, e := range rev.Extents {
			b := p.Blobs[e.Blob]
			if len(b.Nodes) == 0 {
				r.Errorf("no node for blob %s", b.Name)
			}
			for _, n := range b.Nodes {
				if err := tickets[b.Ticket].Allows(p.Nodes[n].ID, b.Upload, b.Name, e.Offset, e.Length, r.clock.Now()); err != nil {
					r.Errorf("extent %+v of blob %s: %v", e, b.Name, err)
				}
			}
		}
	}
}
