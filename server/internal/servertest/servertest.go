// Package servertest makes what tests of the server need: nodes that sign as real
// ones do, a fleet of them, a clock that tests move, and uploads that hold
// together, for tests to spoil.
package servertest

import (
	"crypto/ed25519"
	"crypto/rand"
	"slices"
	"sync"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/server/internal/placement"
	"holdfast/server/internal/share"
	"holdfast/server/internal/upload"
)

// Clock is moved by tests.
type Clock struct {
	mu sync.Mutex // guards at
	at time.Time
}

// NewClock starts in the middle of an hour of a day, so that rounding shows.
func NewClock() *Clock {
	return &Clock{at: time.Date(2031, 5, 14, 13, 27, 43, 0, time.UTC)}
}

var today = ticket.Day(NewClock().at)

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

// Node is a node's key and what it declares.
type Node struct {
	Key         ed25519.PrivateKey
	ID          id.Node
	Declared    ticket.Declaration
	Declaration []byte // envelope
}

// NewNode makes a node that declares this operator and jurisdiction.
func NewNode(t testing.TB, operator, jurisdiction, url string) *Node {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{Key: key, ID: ticket.NodeID(public)}
	n.Declared = ticket.Declaration{
		Public: [32]byte(public), Operator: operator, Jurisdiction: jurisdiction, URL: url, Capacity: 1 << 40, Day: today,
	}
	if n.Declaration, err = ticket.Sign(key, n.Declared); err != nil {
		t.Fatal(err)
	}
	return n
}

// Receipt is the node's receipt for blobs.
func (n *Node) Receipt(t testing.TB, upload id.Upload, blobs ...upload.Blob) string {
	t.Helper()
	text, err := ticket.SignText(n.Key, ticket.Receipt{Upload: upload, Node: n.ID, Day: today, Blobs: blobs})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Heartbeat is the node's sign of life at that time, when it has done the orders
// up to a number of an epoch.
func (n *Node) Heartbeat(t testing.TB, at time.Time, epoch, number int64) string {
	t.Helper()
	text, err := ticket.SignText(n.Key, ticket.Heartbeat{
		Node: n.ID, Time: at.Unix(), Capacity: n.Declared.Capacity, Epoch: epoch, Number: number, Program: "test", Nonce: id.New[[16]byte](),
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Fleet is a fleet for domains. Tests change its fields between calls.
type Fleet struct {
	Nodes []*Node
	// Away are silent, Lost have lost their state.
	Away, Lost map[id.Node]bool
	// Order of the one chain that is chosen, as indexes into Nodes; nil is no placement.
	Order []int
	Free  int64
}

// NewFleet makes n nodes, pairwise independent, of which all make one chain.
func NewFleet(t testing.TB, n int) *Fleet {
	t.Helper()
	places := []string{"DE", "NZ", "IS", "CH", "UY", "JP"}
	f := &Fleet{Away: map[id.Node]bool{}, Lost: map[id.Node]bool{}, Free: 1 << 40}
	for i := range n {
		f.Nodes = append(f.Nodes, NewNode(t, "Operator "+places[i], places[i], "http://127.0.0.1:"+[]string{"7001", "7002", "7003", "7004", "7005", "7006"}[i]))
		f.Order = append(f.Order, i)
	}
	return f
}

// Uploads is the fleet as package upload wants it.
func (f *Fleet) Uploads() upload.Fleet { return uploads{f} }

// Links is the fleet as package share wants it.
func (f *Fleet) Links() share.Fleet { return links{f} }

// Exposure is what a node declares, as placement reads it.
func (n *Node) Exposure() placement.Exposure {
	d := n.Declared
	return placement.Exposure{Operator: d.Operator, Parent: d.Parent, Provider: d.Storage, Jurisdiction: d.Jurisdiction, Site: d.Site}
}

// Secret draws a fresh secret.
func Secret() id.Bytes32 { return id.New32() }

// SameNodes tells whether have are the wanted nodes, in any order.
func SameNodes(have []id.Node, want ...id.Node) bool {
	if len(have) != len(want) {
		return false
	}
	for _, n := range want {
		if !slices.Contains(have, n) {
			return false
		}
	}
	return true
}
