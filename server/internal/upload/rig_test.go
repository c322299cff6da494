package upload_test

import (
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"testing"

	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/server/internal/servertest"
	"holdfast/server/internal/store"
	"holdfast/server/internal/storetest"
	"holdfast/server/internal/upload"
)

// rig is the service on a real database.
type rig struct {
	*testing.T
	*upload.Service
	store  *store.Store
	fleet  *servertest.Fleet
	clock  *servertest.Clock
	public ed25519.PublicKey
	key    ed25519.PrivateKey
}

var limits = upload.Limits{UploadBytes: 1 << 30, DefaultDays: 7, Days: 30, Downloads: 100, ReservedBytes: 2 << 30}

func newRig(t *testing.T, nodes int) *rig {
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
	r := &rig{T: t, store: s, fleet: servertest.NewFleet(t, nodes), clock: servertest.NewClock(), public: public, key: key}
	storetest.Admit(t, s, r.fleet.Nodes...)
	r.Service = upload.New(s, r.fleet.Uploads(), key, limits, r.clock.Now)
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

func (r *rig) open(bytes int64) upload.Grant {
	r.Helper()
	g, err := r.Open(r.Context(), bytes, 7)
	r.must(err)
	return g
}

func (r *rig) ticket(g upload.Grant) ticket.UploadTicket {
	r.Helper()
	t, err := ticket.OpenText[ticket.UploadTicket](r.public, g.Ticket)
	r.must(err)
	return t
}

// send is a commit of files of these sizes for g, with receipts of these nodes.
func (r *rig) send(g upload.Grant, nodes []*servertest.Node, sizes ...int64) *servertest.Send {
	r.Helper()
	return servertest.NewSend(r.T, g.Upload, r.clock.Now(), nodes, sizes...)
}

func (r *rig) commit(g upload.Grant, s *servertest.Send) (upload.Done, error) {
	done, _, err := r.Commit(r.Context(), g.Upload, g.Secret, &s.Commit)
	return done, err
}

// deleted lets the nodes answer all orders that they were given, and the sweep see it.
func (r *rig) deleted() {
	r.Helper()
	for _, n := range r.fleet.Nodes {
		for number := range r.issued(n) {
			r.must(storetest.Answer(r.Context(), r.store, n.ID, number+1))
		}
	}
	_, err := r.Release(r.Context(), 100)
	r.must(err)
}

func (r *rig) issued(n *servertest.Node) int64 {
	r.Helper()
	last, err := r.store.Issued(r.Context(), n.ID)
	r.must(err)
	return last.Number
}

func nobody() id.Upload { return id.New[id.Upload]() }
