// Package fleet keeps the fleet of nodes: who may join it and as what, which
// nodes live and take data, and the numbered orders that each of them is given.
//
// It promises that a node is what its own signed declaration says and stays so,
// that no statement of a node is believed without its signature or, by one server, twice, that
// orders reach a node in the sequence of their numbers, signed alike each time,
// and that a database which forgot orders is noticed before it gives new ones.
// It knows neither HTTP nor SQL, and nothing of what the blobs on a node are.
package fleet

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/server/internal/placement"
)

// Errors of the fleet. Their messages may be shown to whoever made the call.
var (
	// ErrInvite: the invite is not one that can be used.
	ErrInvite = errors.New("the invite is unknown, used or expired; ask the operator for a new one")
	// ErrDeclaration: the declaration may not stand here.
	ErrDeclaration = errors.New("the declaration does not hold")
	// ErrUnknownNode: no member has that id.
	ErrUnknownNode = errors.New("this node is not a member; it has to join with an invite")
	// ErrHeartbeat: the heartbeat may not be believed.
	ErrHeartbeat = errors.New("the heartbeat does not hold")
	// ErrClock is an ErrHeartbeat: the clocks of node and server are too far apart.
	ErrClock = fmt.Errorf("%w: clocks too far apart", ErrHeartbeat)
	// ErrReplay is an ErrHeartbeat: it was used before, or is older than one that was.
	ErrReplay = fmt.Errorf("%w: sent before", ErrHeartbeat)
	// ErrRestored is an ErrHeartbeat: the node did orders that the database does not
	// know, or knows as others.
	ErrRestored = fmt.Errorf("%w: the server's database is older than the node's orders", ErrHeartbeat)
)

// Errors of a Store, which Join turns into those above.
var (
	// ErrPlaceTaken: another member has that URL.
	ErrPlaceTaken = errors.New("another node of the fleet has this URL")
	// ErrKnown: a node with that id is there already.
	ErrKnown = errors.New("the node is a member already")
	// ErrChanged: the declaration to be replaced is not the present one any more.
	ErrChanged = errors.New("the declaration was replaced meanwhile")
)

// Progress is how far a node has come with its orders: the number of the last
// one done in the highest epoch.
type Progress struct{ Epoch, Number int64 }

// Before tells whether p comes before q.
func (p Progress) Before(q Progress) bool {
	return p.Epoch < q.Epoch || p.Epoch == q.Epoch && p.Number < q.Number
}

// Member is a node as a Store keeps it.
type Member struct {
	Node id.Node
	// Declaration is the envelope that the node signed.
	Declaration []byte
	// Superseded are digests of declarations of the same day that this one
	// replaced. Declarations are public and carry no time but the day: without
	// the digests anybody could bring back the morning's.
	Superseded [][sha256.Size]byte
	// Place is the URL in the form in which URLs are compared.
	Place     string
	JoinedDay int64
	// WipedDay is when the node was found to have lost its state; 0 if never.
	WipedDay int64
	Removed  bool
	Beat     Beat
	// Done is the furthest progress that the node ever told, DoneAt when by its
	// own clock, in Unix seconds.
	Done   Progress
	DoneAt int64
}

// Beat is what a node's last heartbeat told.
type Beat struct {
	Node id.Node
	// SeenAt is by the server's clock, ToldAt by the node's; Unix seconds.
	SeenAt, ToldAt int64
	Used, Capacity int64
	ReadOnly       bool
	// Held: orders wait until the node's owner has decided.
	Held    bool
	Program string
}

// Order is an order as a Store keeps it; all but Answered and Node go into what
// is signed.
type Order struct {
	Progress
	Action ticket.Action
	Upload id.Upload
	Day    int64
	// Outcome is 0 while no receipt was recorded.
	Outcome ticket.Outcome
}

// Answered is an order with its receipt, which was checked.
type Answered struct {
	Progress
	Outcome ticket.Outcome
	Receipt []byte
}

// Report is what a heartbeat changes at once.
type Report struct {
	Node id.Node
	// Done and DoneAt raise the member's, never lower them.
	Done   Progress
	DoneAt int64
	// WipedDay is set where it is not 0 and none was set before.
	WipedDay int64
	Receipts []Answered
}

// Store keeps the fleet. Every method is one transaction.
type Store interface {
	// Epoch is the database's epoch, from 1.
	Epoch(ctx context.Context) (int64, error)
	// Members returns all nodes in the order in which they joined, also removed ones.
	Members(ctx context.Context) ([]Member, error)
	// AddInvite keeps the hash of an invite and forgets those that expired.
	AddInvite(ctx context.Context, invite Invitation, now time.Time) error
	// AdmitNode adds m and uses the invite up, both or neither. It compares hashes
	// in constant time. It fails with ErrKnown, ErrInvite or ErrPlaceTaken, in
	// this order; removed nodes keep no place.
	AdmitNode(ctx context.Context, m Member, invite [sha256.Size]byte, now time.Time) error
	// RenewNode stores m's declaration, superseded digests and place if the
	// declaration is still the one before. It fails with ErrUnknownNode,
	// ErrChanged or ErrPlaceTaken.
	RenewNode(ctx context.Context, m Member, before []byte) error
	// RemoveNode removes a member for good, and its orders; ErrUnknownNode if there
	// is none.
	RemoveNode(ctx context.Context, node id.Node) error
	// SaveBeats stores the last heartbeats of nodes, those that are newer by SeenAt
	// than what is there, or find there what lies ahead of now: the clock was set back.
	SaveBeats(ctx context.Context, beats []Beat, now time.Time) error
	// SaveReport stores what a heartbeat changed. The first receipt of an order
	// stays, unless it was a refusal and the order was done later.
	SaveReport(ctx context.Context, r Report) error
	// Orders returns the node's orders of the epoch that come after a point, in
	// sequence, at most limit.
	Orders(ctx context.Context, node id.Node, after Progress, limit int) ([]Order, error)
	// OrdersAt returns those of the named orders that exist.
	OrdersAt(ctx context.Context, node id.Node, at []Progress) (map[Progress]Order, error)
	// ForgetOrders drops orders that were answered and given before that day, at
	// most limit, and returns how many. The last that a node did stays.
	ForgetOrders(ctx context.Context, before int64, limit int) (int, error)
	// Issued is the database's epoch and the number of the last order that the
	// node was given in it, or 0; ErrUnknownNode if there is no such node.
	Issued(ctx context.Context, node id.Node) (Progress, error)
}

// Node is a node as the rest of the server sees it.
type Node struct {
	ID  id.Node
	Key ed25519.PublicKey
	// Declaration is the signed envelope as text; what follows stands in it.
	Declaration string
	placement.Exposure
	URL string
	// Origin is scheme, host and port of the URL.
	Origin string
	// Capacity and Used are bytes, as the last heartbeat told.
	Capacity, Used int64
	// LastSeen is zero if it never sent a heartbeat.
	LastSeen time.Time
	Program  string
	// Live: a heartbeat came within the node time-out. Writable: live, takes data
	// and has not lost its state.
	Live, Writable bool
	// Held: it does no orders until its owner has decided.
	Held bool
	// Wiped: it came back without the state that it had, so that what it held
	// may be gone. Removed: no member any more.
	Wiped, Removed bool
}

// Free is how many bytes the node can still take.
func (n Node) Free() int64 { return max(n.Capacity-n.Used, 0) }

// View is the node as clients are shown it.
func (n Node) View() api.Node { return api.Node{ID: n.ID, URL: n.URL, Declaration: n.Declaration} }

// Health orders nodes by how well a copy on them can be read: less is better.
func (n Node) Health() int {
	switch {
	case n.Removed:
		return 3
	case !n.Live:
		return 2
	case n.Wiped:
		return 1
	}
	return 0
}
