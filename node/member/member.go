// Package member is a node's membership in its service: joining, signs of life,
// and carrying orders and their receipts. It promises that the keys pinned at the
// first joining are never exchanged for others, and that nothing is done that the
// order book does not accept. What the server says about time or epochs is advice.
package member

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/node/durable"
	"holdfast/node/identity"
	"holdfast/node/order"
	"holdfast/node/store"
)

// Errors.
var (
	// ErrOtherIdentity: the data directory belongs to another key.
	ErrOtherIdentity = errors.New("member: this data directory belongs to another node; its key file was exchanged")
	// ErrOtherService: another server answers than the one that was joined.
	ErrOtherService = errors.New("member: the server has other keys than the one that this node joined; use another data directory for another service")
	// ErrRefused: the server does not take this node.
	ErrRefused = errors.New("member: the server refused this node")
	// ErrNoInvite: a node that is no member needs one.
	ErrNoInvite = errors.New("member: this node has not joined yet and has no invite; ask the service's operator for one and give it with --invite-file or HOLDFAST_NODE_INVITE")
)

const (
	fileMember = "member.json"
	// receiptsAtOnce is what a server takes with one heartbeat. It gives 256 orders
	// at once, so that more wait only after its answers got lost.
	receiptsAtOnce = 1024
	// clockWarn is the difference of clocks that is worth a word: half of what
	// tickets allow for.
	clockWarn = ticket.Skew / 2
	// clockMost is how far the clocks may be apart for this one to be believed, as
	// the server does with heartbeats (docs/protocol.md, "Orders"); clockFor is how
	// long that holds by the clock itself: longer than any two heartbeats are apart.
	clockMost = 10 * time.Minute
	clockFor  = 2 * time.Hour
)

// Membership is what was pinned at the first joining.
type Membership struct {
	Node      id.Node    `json:"node"`
	TicketKey id.Bytes32 `json:"ticketKey"`
	OrderKey  id.Bytes32 `json:"orderKey"`
	Epoch     int64      `json:"epoch"`
}

// Options of Open.
type Options struct {
	Dir    string
	Server string // base URL
	Invite string
	Self   *identity.Identity
	Store  store.Store
	Orders *order.Book
	// Declare makes the current declaration.
	Declare func() (string, error)
	// Pinned is called with the keys once they are known.
	Pinned  func(Membership)
	Program string // its version
	HTTP    *http.Client
	Now     func() time.Time
	Log     *slog.Logger
}

// Member is this node in its service. Its methods are for one goroutine, except
// Joined and ClockHolds.
type Member struct {
	opt    Options
	server api.Caller
	joined atomic.Pointer[Membership] // nil until then
	agreed atomic.Int64               // Unix seconds of this clock when it last agreed with the server's, or 0
}

// Open reads the membership, if there is one, and pins its keys.
func Open(opt Options) (*Member, error) {
	m := &Member{opt: opt, server: api.Caller{Base: strings.TrimRight(opt.Server, "/"), HTTP: opt.HTTP}}
	raw, err := os.ReadFile(filepath.Join(opt.Dir, fileMember))
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return nil, fmt.Errorf("member: %w", err)
	}
	var known Membership
	if err := json.Unmarshal(raw, &known); err != nil {
		return nil, fmt.Errorf("member: %s is damaged; restore it from a backup: %w", fileMember, err)
	}
	if known.Node != opt.Self.ID() {
		return nil, fmt.Errorf("%w (it was node %s)", ErrOtherIdentity, known.Node)
	}
	m.joined.Store(&known)
	opt.Pinned(known)
	return m, nil
}

// Joined tells whether this node is a member.
func (m *Member) Joined() bool { return m.joined.Load() != nil }

// Join makes one attempt to join, or as a member to renew the declaration. An
// error that is ErrRefused or ErrOtherService will not pass by itself.
func (m *Member) Join(ctx context.Context) error {
	known := m.joined.Load()
	if known == nil && m.opt.Invite == "" {
		return ErrNoInvite
	}
	declaration, err := m.opt.Declare()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	req := api.JoinRequest{Declaration: declaration}
	if known == nil {
		req.Invite = m.opt.Invite
	}
	res, err := api.JoinNode.Call(ctx, m.server, api.Args{}, req)
	if errors.Is(err, api.InviteInvalid) && req.Invite != "" {
		// Perhaps it was used by this very node, and the answer got lost: then the
		// server knows it already.
		again := api.JoinRequest{Declaration: declaration}
		if second, secondErr := api.JoinNode.Call(ctx, m.server, api.Args{}, again); secondErr == nil {
			res, err = second, nil
		}
	}
	if err != nil {
		return joinError(err)
	}
	got := Membership{Node: res.Node, TicketKey: res.TicketKey, OrderKey: res.OrderKey, Epoch: res.Epoch}
	if got.Node != m.opt.Self.ID() {
		return fmt.Errorf("%w: it took the declaration for node %s", ErrRefused, got.Node)
	}
	if known != nil {
		if known.TicketKey != got.TicketKey || known.OrderKey != got.OrderKey {
			return ErrOtherService
		}
		return nil
	}
	raw, err := json.Marshal(got)
	if err != nil {
		return fmt.Errorf("member: %w", err)
	}
	// Before the first ticket is honoured: a node that forgot whose it is could be
	// taken over by whoever answers at that address next.
	if err := durable.WriteFile(filepath.Join(m.opt.Dir, fileMember), raw); err != nil {
		return fmt.Errorf("member: %w", err)
	}
	m.joined.Store(&got)
	m.opt.Pinned(got)
	return nil
}

// joinError tells what will not pass by itself.
func joinError(err error) error {
	for _, final := range []api.Code{api.InviteInvalid, api.DeclarationInvalid, api.BadRequest, api.UnknownVersion, api.NodeUnknown} {
		if errors.Is(err, final) {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	return err
}

// Beat sends one sign of life with receipts of orders, and does the orders that
// come back. It returns true when further ones wait.
func (m *Member) Beat(ctx context.Context) (more bool, err error) {
	receipts := m.opt.Orders.Pending(receiptsAtOnce)
	beat, err := m.opt.Self.Heartbeat(m.state(), m.opt.Now())
	if err != nil {
		return false, fmt.Errorf("heartbeat: %w", err)
	}
	res, err := api.Heartbeat.Call(ctx, m.server, api.Args{}, api.HeartbeatRequest{Heartbeat: beat, Receipts: receipts})
	if err != nil {
		return false, err
	}
	m.compareClocks(res.Time)
	if err := m.opt.Orders.Delivered(len(receipts)); err != nil {
		return false, err
	}
	epoch, number := m.opt.Orders.Position()
	if err := m.opt.Orders.Take(res.Orders); err != nil {
		return false, err
	}
	// Without progress there is no hurry, whatever the server says.
	epochNow, numberNow := m.opt.Orders.Position()
	progress := epochNow != epoch || numberNow != number
	return progress && (res.More || len(m.opt.Orders.Pending(1)) > 0), nil
}

func (m *Member) state() ticket.Heartbeat {
	status := m.opt.Store.Status()
	epoch, last := m.opt.Orders.Position()
	beat := ticket.Heartbeat{Used: max(status.Used(), 0), Capacity: status.Capacity, Epoch: epoch, Number: last, Program: m.opt.Program, Order: m.opt.Orders.Last()}
	if m.opt.Orders.Held() {
		beat.Held = new(true)
	}
	if status.Reason != store.Writable {
		beat.State = ticket.ReadOnly
	}
	return beat
}

func (m *Member) compareClocks(server int64) {
	now := m.opt.Now()
	apart := now.Sub(time.Unix(server, 0))
	if apart.Abs() <= clockMost {
		m.agreed.Store(now.Unix())
	} else {
		m.agreed.Store(0)
	}
	if server > 0 && apart.Abs() > clockWarn {
		m.opt.Log.Warn("this machine's clock and the server's are apart; tickets may be refused", "seconds", int64(apart.Seconds()))
	}
}

// ClockHolds tells whether this machine's clock may be believed where that destroys
// something: the server's agreed with it of late, and it was not set far since. A
// machine may start with any time, and hear the right one minutes later.
func (m *Member) ClockHolds() bool {
	at := m.agreed.Load()
	since := m.opt.Now().Sub(time.Unix(at, 0))
	return at != 0 && since >= -clockMost && since <= clockFor
}
