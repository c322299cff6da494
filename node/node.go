// Package node is the storage daemon: it keeps blobs of ciphertext for others and
// gives them out against tickets (docs/protocol.md). It promises that a receipt
// means durable bytes, that what a crash interrupts was never acknowledged, and
// that it does what its pinned server ordered, once. It knows no accounts, names,
// keys or addresses of people, and logs none.
package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"holdfast/api"
	"holdfast/certs"
	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/node/gate"
	"holdfast/node/identity"
	"holdfast/node/member"
	"holdfast/node/order"
	"holdfast/node/peer"
	"holdfast/node/read"
	"holdfast/node/store"
	"holdfast/node/upload"
)

// Node is a storage node.
type Node struct {
	cfg      Config
	listener net.Listener
	certs    *certs.Holder // nil for plain HTTP
	store    *store.Disk
	self     *identity.Identity
	gate     *gate.Gate
	orders   *order.Book
	member   *member.Member
	peers    *peer.Peers
	client   *http.Client // to the server
	handler  http.Handler
	ready    chan struct{}

	behind   atomic.Bool // orders of the time away are not done yet
	requests sync.WaitGroup
	closing  sync.Once
	closed   error

	life context.Context // ends when the node stops
	stop context.CancelFunc
}

// New checks the configuration, opens the data directory and listens. It does
// not serve yet: Run does, or whoever uses Handler. A node that is not Run must
// be closed.
func New(cfg Config) (*Node, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, ready: make(chan struct{})}
	n.life, n.stop = context.WithCancel(context.Background())
	if err := n.open(); err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

func (n *Node) open() (err error) {
	if n.store, n.self, err = openData(n.cfg); err != nil {
		return err
	}
	trust, err := api.Trust(n.cfg.CA)
	if err != nil {
		return fmt.Errorf("node: %w", err)
	}
	if n.certs, err = n.cfg.certs(); err != nil {
		return err
	}
	if n.listener = n.cfg.Listener; n.listener == nil {
		if n.listener, err = net.Listen("tcp", n.cfg.Listen); err != nil {
			return fmt.Errorf("node: %w", err)
		}
	}
	n.gate = gate.New(n.self.ID(), n.cfg.Now)
	if n.orders, err = order.Open(n.cfg.Data, n.self, n.store, n.cfg.Now, n.cfg.Log); err != nil {
		return err
	}
	n.peers = peer.New(peer.Options{TLS: trust, Stall: n.cfg.Stall, Now: n.cfg.Now})
	n.client = &http.Client{Transport: &http.Transport{TLSClientConfig: trust, TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout: 60 * time.Second, MaxIdleConnsPerHost: 1}}
	n.member, err = member.Open(member.Options{
		Dir: n.cfg.Data, Server: n.cfg.Server, Invite: n.cfg.Invite, Self: n.self, Store: n.store, Orders: n.orders,
		Declare: n.declaration, Pinned: n.pin, Program: n.cfg.Version, HTTP: n.client, Now: n.cfg.Now, Log: n.cfg.Log,
	})
	if err != nil {
		return err
	}
	n.handler = n.routes()
	return nil
}

func (n *Node) pin(m member.Membership) {
	n.gate.Pin(m.TicketKey)
	n.orders.Pin(m.OrderKey, m.Epoch)
}

func (n *Node) declaration() (string, error) {
	return n.self.Declaration(ticket.Declaration{
		Operator: n.cfg.Operator, Jurisdiction: n.cfg.Jurisdiction, URL: n.URL(), Capacity: n.cfg.Capacity,
		Parent: n.cfg.Parent, Site: n.cfg.Site, Storage: n.cfg.Storage,
	}, n.cfg.Now())
}

// ID is the node's id.
func (n *Node) ID() id.Node { return n.self.ID() }

// URL is where clients reach the node.
func (n *Node) URL() string {
	if n.cfg.PublicURL != "" {
		return n.cfg.PublicURL
	}
	scheme := "http"
	if n.certs != nil {
		scheme = "https"
	}
	return scheme + "://" + n.listener.Addr().String()
}

// Handler serves the node's endpoints.
func (n *Node) Handler() http.Handler { return n.handler }

// Ready is closed once the node serves and is a member.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// Orders is the record of orders, for tests and status.
func (n *Node) Orders() *order.Book { return n.orders }

// Store is what the node keeps, for tests and status.
func (n *Node) Store() store.Store { return n.store }

// Join makes one attempt to join or to renew the declaration.
func (n *Node) Join(ctx context.Context) error { return n.member.Join(ctx) }

// Beat sends one sign of life and does the orders that come back; true means
// that more wait.
func (n *Node) Beat(ctx context.Context) (bool, error) { return n.member.Beat(ctx) }

// RenewCertificate looks at the certificate's files once, as Run does every
// minute, for tests.
func (n *Node) RenewCertificate() { n.certs.Look() }

// Close stops the work and releases the data directory, once nothing is written
// any more. Run does it by itself.
func (n *Node) Close() error {
	n.closing.Do(func() {
		n.stop()
		n.closed = n.release()
	})
	return n.closed
}

func (n *Node) release() error {
	var errs []error
	if n.listener != nil {
		if err := n.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	n.requests.Wait()
	if n.peers != nil {
		n.peers.Close()
	}
	if n.client != nil {
		n.client.CloseIdleConnections()
	}
	if n.store != nil {
		errs = append(errs, n.store.Close())
	}
	return errors.Join(errs...)
}

// routes puts the endpoints together.
func (n *Node) routes() http.Handler {
	mux := http.NewServeMux()
	onError := func(id string, err error) { n.cfg.Log.Error("request failed", "endpoint", id, "error", err) }
	uploads := &upload.Handler{Store: n.store, Gate: n.gate, Self: n.self, Peers: n.peers, Now: n.cfg.Now, Log: n.cfg.Log, Life: n.life}
	uploads.Register(mux)
	reads := &read.Handler{Store: n.store, Gate: n.gate, Log: n.cfg.Log}
	reads.Register(mux)
	api.GetHealth.Handle(mux, onError, n.health)
	return n.outer(mux)
}

func (n *Node) health(context.Context, api.Request, api.Empty) (api.Health, error) {
	declaration, err := n.declaration()
	if err != nil {
		return api.Health{}, err
	}
	status := n.store.Status()
	h := api.Health{Node: n.ID(), Declaration: declaration, State: "serving", Used: status.Used(), Capacity: status.Capacity, Software: n.cfg.Version}
	switch {
	case !n.member.Joined():
		h.State, h.Reason = "read-only", "not-joined"
	case status.Reason != store.Writable:
		h.State, h.Reason = "read-only", string(status.Reason)
	case n.orders.Held():
		h.Reason = "orders-held"
	}
	return h, nil
}
