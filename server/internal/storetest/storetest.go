// Package storetest has the contract suites of the store interfaces that uploads,
// links, accounts, messages and loops declare. Every implementation runs them on a database of its
// own for each test.
package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/server/internal/account"
	"holdfast/server/internal/drive"
	"holdfast/server/internal/fleet"
	"holdfast/server/internal/loop"
	"holdfast/server/internal/message"
	"holdfast/server/internal/placement"
	"holdfast/server/internal/servertest"
	"holdfast/server/internal/share"
	"holdfast/server/internal/upload"
)

// Store is what the suites test.
type Store interface {
	upload.Store
	share.Store
	account.Store
	message.Store
	loop.Leases
	drive.Store
	// From the fleet: chains refer to nodes that are there.
	AddInvite(ctx context.Context, invite fleet.Invitation, now time.Time) error
	AdmitNode(ctx context.Context, m fleet.Member, invite [sha256.Size]byte, now time.Time) error
	RemoveNode(ctx context.Context, node id.Node) error
	SaveReport(ctx context.Context, r fleet.Report) error
	Issued(ctx context.Context, node id.Node) (fleet.Progress, error)
	// Names returns the public keys, of tickets and of orders, that servers sign
	// with; Name lets the store name these unless it names others, and returns those.
	Names(ctx context.Context) (ticket, order id.Bytes32, err error)
	Name(ctx context.Context, ticket, order id.Bytes32) (id.Bytes32, id.Bytes32, error)
	// AccountsKey and NameAccountsKey do the same for the key of accounts.
	AccountsKey(ctx context.Context) (id.Bytes32, error)
	NameAccountsKey(ctx context.Context, key id.Bytes32) (id.Bytes32, error)
}

// Admit makes nodes members.
func Admit(t testing.TB, s Store, nodes ...*servertest.Node) {
	t.Helper()
	now := time.Unix(1_900_000_000, 0)
	for _, n := range nodes {
		hash := sha256.Sum256(n.ID[:])
		if err := s.AddInvite(t.Context(), fleet.Invitation{Hash: hash, Expires: now.Add(time.Hour)}, now); err != nil {
			t.Fatal(err)
		}
		member := fleet.Member{Node: n.ID, Declaration: n.Declaration, Place: n.Declared.URL, JoinedDay: 22000}
		if err := s.AdmitNode(t.Context(), member, hash, now); err != nil {
			t.Fatal(err)
		}
	}
}

// suite is one store with nodes in it.
type suite struct {
	*testing.T
	Store
	fleet *servertest.Fleet
}

func newSuite(t *testing.T, open func(*testing.T) Store) *suite {
	t.Helper()
	s := &suite{t, open(t), servertest.NewFleet(t, 4)}
	Admit(t, s.Store, s.fleet.Nodes...)
	return s
}

// each runs named tests, every one on a store of its own.
func each(t *testing.T, open func(*testing.T) Store, tests map[string]func(*suite)) {
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(newSuite(t, open)) })
	}
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *suite) want(err, target error) {
	s.Helper()
	if !errors.Is(err, target) {
		s.Fatalf("have %v, want %v", err, target)
	}
}

// answered stores the receipt of an order of the first epoch.
func (s *suite) answered(node id.Node, number int64) {
	s.Helper()
	s.must(Answer(s.Context(), s.Store, node, number))
}

// Answer stores the receipt of an order of the first epoch, as a node's heartbeat does.
func Answer(ctx context.Context, s interface {
	SaveReport(ctx context.Context, r fleet.Report) error
}, node id.Node, number int64) error {
	at := fleet.Progress{Epoch: 1, Number: number}
	return s.SaveReport(ctx, fleet.Report{
		Node: node, Done: at, DoneAt: now, Receipts: []fleet.Answered{{Progress: at, Outcome: ticket.Done, Receipt: []byte("receipt")}},
	})
}

// ordered fails unless each of the nodes was given so many orders.
func (s *suite) ordered(want ...int64) {
	s.Helper()
	for i, number := range want {
		last, err := s.Issued(s.Context(), s.fleet.Nodes[i].ID)
		s.must(err)
		if last.Number != number {
			s.Errorf("node %d was given %d orders, want %d", i, last.Number, number)
		}
	}
}

const (
	now       = int64(1_936_000_000)
	someDay   = now / 86400
	plenty    = int64(1) << 50
	anyNumber = 1000
)

// opened adds an open upload with one chain of three nodes.
func (s *suite) opened(budget, closes int64) upload.Upload {
	s.Helper()
	ids := s.fleet.IDs()
	u := upload.Upload{
		ID: id.New[id.Upload](), State: upload.Open, Secret: id.New32(), Budget: budget, Closes: closes,
		Chains: []placement.Chain{ids[:3]},
	}
	s.must(s.OpenUpload(s.Context(), u, plenty, anyNumber, 1<<50))
	return u
}

// committed adds an upload of two files, one of three blobs, and its link. Blobs
// are held by nodes 0 and 1.
func (s *suite) committed(limit int64) (upload.Upload, *servertest.Send) {
	s.Helper()
	u := s.opened(1<<30, now+1000)
	send := servertest.NewSend(s.T, u.ID, time.Unix(now, 0), nil, 5000, 20<<20)
	send.Link.MaxDownloads = limit
	s.must(s.CommitUpload(s.Context(), u.ID, func(_ upload.Upload, tx upload.Tx) error { return s.bring(tx, u, send) }))
	return u, send
}

// bring does what a commit does.
func (s *suite) bring(tx upload.Tx, u upload.Upload, send *servertest.Send) error {
	ctx := s.Context()
	holders := s.fleet.IDs()[:2]
	for n, b := range send.Page.Blobs {
		if err := tx.AddBlob(ctx, b); err != nil {
			return err
		}
		if err := tx.AddCopies(ctx, n, holders, 1); err != nil {
			return err
		}
	}
	for i := range send.Page.Revisions {
		if err := tx.AddRevision(ctx, &send.Page.Revisions[i]); err != nil {
			return err
		}
	}
	l, err := send.Link.Link(u.ID, send.Bytes(), share.Limits{Days: 30, Downloads: 100}, time.Unix(now, 0))
	if err != nil {
		return err
	}
	if err := tx.AddLink(ctx, l); err != nil {
		return err
	}
	return tx.Close(ctx, someDay, []byte("digest"), []byte("answer"), holders)
}
