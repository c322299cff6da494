package fleet

import (
	"context"
	"crypto/ed25519"
	crand "crypto/rand"
	"crypto/sha256"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/server/internal/placement"
)

const (
	// DefaultNodeTimeout is three heartbeats: one may be lost and one late.
	DefaultNodeTimeout = 45 * time.Second
	// staleAfter is how long the members read last are believed, so that a node
	// that joined through another server is known here soon. A change that this
	// server makes counts at once.
	staleAfter = time.Second
	// strangersEvery is how often members are read for an unknown node, and a burst
	// of strangersBurst: a fleet that joins at once behind several servers.
	strangersEvery = 100 * time.Millisecond
	strangersBurst = 20
)

// Config is what a Fleet needs. Store, OrderKey and TicketKey are required.
type Config struct {
	Store Store
	// OrderKey signs orders; nodes pin its public half and TicketKey, which is
	// the public key of tickets.
	OrderKey  ed25519.PrivateKey
	TicketKey ed25519.PublicKey
	// NodeTimeout is how long a node counts as live after a heartbeat.
	NodeTimeout time.Duration
	// Public: people reach this service from other machines, so that a node on
	// loopback would be of no use to them and is refused.
	Public bool
	Policy placement.Policy
	Now    func() time.Time
	// Rand returns a source for one choice of chains.
	Rand func() *rand.Rand
	Log  *slog.Logger
}

// Fleet is the fleet as one server sees it. Several servers may share a Store.
type Fleet struct {
	cfg      Config
	loading  sync.Mutex // held while members are read, so that one caller reads for all
	mu       sync.Mutex
	members  []member           // guarded by mu; in the order of joining
	loadedAt time.Time          // guarded by mu; zero: read again
	changes  int64              // guarded by mu; a reading begun before a change does not count as new
	pulses   map[id.Node]*pulse // guarded by mu
	silent   map[id.Node]bool   // guarded by mu; at the last step
	latest   int64              // guarded by mu; when a node was last seen by any server, as stored when this one started
	started  time.Time
	// strangers bounds how often members are read because of an unknown node.
	strangers *rate.Limiter
}

// New makes a Fleet.
func New(cfg Config) (*Fleet, error) {
	if cfg.Store == nil || len(cfg.OrderKey) != ed25519.PrivateKeySize || len(cfg.TicketKey) != ed25519.PublicKeySize {
		return nil, errors.New("fleet: store, order key and ticket key are needed")
	}
	if cfg.NodeTimeout <= 0 {
		cfg.NodeTimeout = DefaultNodeTimeout
	}
	if cfg.Policy == (placement.Policy{}) {
		cfg.Policy = placement.Default
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = unpredictable
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Fleet{cfg: cfg, pulses: map[id.Node]*pulse{}, silent: map[id.Node]bool{}, started: cfg.Now(),
		strangers: rate.NewLimiter(rate.Every(strangersEvery), strangersBurst)}, nil
}

func unpredictable() *rand.Rand {
	var seed [32]byte
	crand.Read(seed[:]) // never fails since Go 1.24: it crashes the program instead
	return rand.New(rand.NewChaCha8(seed))
}

// Nodes returns all nodes in the order in which they joined, also removed ones.
func (f *Fleet) Nodes(ctx context.Context) ([]Node, error) {
	members, err := f.load(ctx, staleAfter)
	if err != nil {
		return nil, err
	}
	nodes := make([]Node, len(members))
	for i, m := range members {
		nodes[i] = f.node(m)
	}
	return nodes, nil
}

// Node returns one node, also a removed one; ErrUnknownNode if there is none.
func (f *Fleet) Node(ctx context.Context, node id.Node) (Node, error) {
	m, err := f.member(ctx, node)
	if err != nil {
		return Node{}, err
	}
	return f.node(m), nil
}

// Serving returns the live nodes as clients are shown them.
func (f *Fleet) Serving(ctx context.Context) ([]api.Node, error) {
	nodes, err := f.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	views := []api.Node{}
	for _, n := range nodes {
		if n.Live {
			views = append(views, n.View())
		}
	}
	return views, nil
}

// Chains chooses where an upload of so many bytes goes, by the policy. Nodes have
// less room by what is reserved there. It fails with placement.ErrNoPlacement.
func (f *Fleet) Chains(ctx context.Context, bytes int64, reserved map[id.Node]int64) ([]placement.Chain, error) {
	nodes, err := f.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	return placement.Chains(candidates(nodes, reserved), bytes, f.cfg.Policy, f.cfg.Rand())
}

// Room is the greatest upload that would find a place now; 0 if none does.
func (f *Fleet) Room(ctx context.Context, reserved map[id.Node]int64) (int64, error) {
	nodes, err := f.Nodes(ctx)
	if err != nil {
		return 0, err
	}
	return placement.Room(candidates(nodes, reserved), f.cfg.Policy), nil
}

func candidates(nodes []Node, reserved map[id.Node]int64) []placement.Candidate {
	var all []placement.Candidate
	for _, n := range nodes {
		if n.Writable {
			all = append(all, placement.Candidate{Node: n.ID, Exposure: n.Exposure, Free: max(n.Free()-reserved[n.ID], 0)})
		}
	}
	return all
}

// Origins returns the origins of all members, longest-standing first, and the
// fleet's version, which changes when a member's URL comes, goes or changes.
func (f *Fleet) Origins(ctx context.Context) (version string, origins []string, err error) {
	nodes, err := f.Nodes(ctx)
	if err != nil {
		return "", nil, err
	}
	var urls []string
	for _, n := range nodes {
		if !n.Removed {
			urls = append(urls, n.URL)
			origins = append(origins, n.Origin)
		}
	}
	return versionOf(urls), origins, nil
}

// versionOf is a short hash over the sorted URLs: 96 bits, of which only
// equality is asked.
func versionOf(urls []string) string {
	slices.Sort(urls)
	sum := sha256.Sum256([]byte(strings.Join(urls, "\n")))
	return id.Encoding.EncodeToString(sum[:12])
}

// Remove ends a node's membership for good: it gets no data, no orders and no
// reads any more, and its URL is free for another node.
func (f *Fleet) Remove(ctx context.Context, node id.Node) error {
	if err := f.cfg.Store.RemoveNode(ctx, node); err != nil {
		return err
	}
	f.forget()
	f.cfg.Log.Info("node removed", "node", node)
	return nil
}
