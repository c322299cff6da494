// Package fleettest holds what every fleet.Store must guarantee, as a suite of
// tests, and nodes that sign what real ones sign, for tests to send, alter and
// repeat.
package fleettest

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/format/wire"
	"holdfast/server/internal/fleet"
)

// Clock is moved by tests.
type Clock struct {
	mu sync.Mutex // guards at
	at time.Time
}

// NewClock starts shortly before a day ends.
func NewClock() *Clock { return &Clock{at: time.Date(2032, 2, 29, 23, 40, 11, 0, time.UTC)} }

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Add moves the clock.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// Node is a node as far as the server can tell: a key, a declaration, a clock
// and the orders that it has done.
type Node struct {
	Key      ed25519.PrivateKey
	ID       id.Node
	Declared ticket.Declaration
	Used     int64
	Capacity int64
	State    ticket.State
	// Done is its progress, Last the digest of the order last done, Skew what its
	// clock is ahead.
	Done  fleet.Progress
	Last  [sha256.Size]byte
	Held  bool
	Skew  time.Duration
	clock *Clock
}

// NewNode makes a node that declares this operator, jurisdiction and URL today.
func NewNode(t testing.TB, clock *Clock, operator, jurisdiction, url string) *Node {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const capacity = 100 << 30
	return &Node{
		Key: key, ID: ticket.NodeID(public), Capacity: capacity, clock: clock,
		Declared: ticket.Declaration{
			Public: [ed25519.PublicKeySize]byte(public), Operator: operator, Jurisdiction: jurisdiction, URL: url,
			Capacity: capacity, Day: ticket.Day(clock.Now()),
		},
	}
}

// Declaration is signed anew; change alters what is declared, for this time only.
func (n *Node) Declaration(t testing.TB, change ...func(*ticket.Declaration)) string {
	t.Helper()
	d := n.Declared
	for _, f := range change {
		f(&d)
	}
	return Sign(t, n.Key, d)
}

// Member is the node as a store keeps it right after it joined.
func (n *Node) Member(t testing.TB) fleet.Member {
	t.Helper()
	envelope, err := ticket.Sign(n.Key, n.Declared)
	if err != nil {
		t.Fatal(err)
	}
	return fleet.Member{Node: n.ID, Declaration: envelope, Place: n.Declared.URL, JoinedDay: n.Declared.Day, Beat: fleet.Beat{Node: n.ID}}
}

// Heartbeat is signed with a fresh nonce; change alters what it says.
func (n *Node) Heartbeat(t testing.TB, change ...func(*ticket.Heartbeat)) string {
	t.Helper()
	h := ticket.Heartbeat{
		Node: n.ID, Time: n.clock.Now().Add(n.Skew).Unix(), Used: n.Used, Capacity: n.Capacity, State: n.State,
		Epoch: n.Done.Epoch, Number: n.Done.Number, Program: "test", Nonce: id.New[[16]byte](),
	}
	if n.Done.Number > 0 {
		h.Order = &n.Last
	}
	if n.Held {
		h.Held = new(true)
	}
	for _, f := range change {
		f(&h)
	}
	return Sign(t, n.Key, h)
}

// Do does orders as a node has to: those that are signed by the key, name it,
// and come next; it returns their receipts.
func (n *Node) Do(t testing.TB, orderKey ed25519.PublicKey, orders []string) (receipts []string) {
	t.Helper()
	for _, text := range orders {
		o, err := ticket.OpenText[ticket.Order](orderKey, text)
		if err != nil {
			t.Fatalf("an order does not hold: %v", err)
		}
		next := o.Epoch == n.Done.Epoch && o.Number == n.Done.Number+1 || o.Epoch > n.Done.Epoch && o.Number == 1
		if o.Node != n.ID || !next {
			t.Fatalf("order %d of epoch %d for node %s, to node %s that has done %+v", o.Number, o.Epoch, o.Node, n.ID, n.Done)
		}
		n.Done, n.Last = fleet.Progress{Epoch: o.Epoch, Number: o.Number}, sha256.Sum256(wire.Marshal(o))
		receipts = append(receipts, n.Receipt(t, o))
	}
	return receipts
}

// Receipt says that an order was done; change alters what it says.
func (n *Node) Receipt(t testing.TB, o ticket.Order, change ...func(*ticket.OrderReceipt)) string {
	t.Helper()
	r := ticket.OrderReceipt{
		Node: o.Node, Epoch: o.Epoch, Number: o.Number, Outcome: ticket.Done, Blobs: 3, Bytes: 3 << 20, Day: o.Day,
		Order: sha256.Sum256(wire.Marshal(o)),
	}
	for _, f := range change {
		f(&r)
	}
	return Sign(t, n.Key, r)
}

// Sign signs a payload, also one that its key may not sign or that is not
// allowed at all: servers must not rely on what nodes check.
func Sign[P interface {
	ticket.Heartbeat | ticket.Declaration | ticket.OrderReceipt
}](t testing.TB, key ed25519.PrivateKey, p P) string {
	t.Helper()
	kind := map[string]string{"ticket.Heartbeat": "heartbeat", "ticket.Declaration": "declaration", "ticket.OrderReceipt": "order-receipt"}[fmt.Sprintf("%T", p)]
	return ticket.Text(wire.Seal(kind, key, wire.Marshal(p)))
}

// Flip returns the envelope with one bit of its payload or signature changed.
func Flip(t testing.TB, text string, bit int) string {
	t.Helper()
	raw, err := ticket.ParseText(text)
	if err != nil {
		t.Fatal(err)
	}
	e, err := wire.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Concat(e.Payload, e.Signature)
	all[bit/8%len(all)] ^= 1 << (bit % 8)
	e.Payload, e.Signature = all[:len(e.Payload)], all[len(e.Payload):]
	return ticket.Text(wire.Marshal(e))
}
