// Package cluster runs a server, nodes and clients in one process, for tests that
// follow a file on its whole way: the database and the nodes' stores are real and on
// disk, all talk by HTTP on loopback. It promises that time stands still unless a
// test moves it, that background work is done when a test steps it and never
// else, and that everything has stopped when the test ends. It looks at server and
// nodes only through what they export, and on their disks.
package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/certs/certtest"
	"holdfast/client/home"
	"holdfast/client/transfer"
	"holdfast/server"
)

// NodeSpec is what a node declares.
type NodeSpec struct {
	Operator, Jurisdiction, Parent, Site, Storage string
	// Capacity in bytes; 0 stands for 1 GiB.
	Capacity int64
}

// Three are nodes that are independent of each other.
func Three() []NodeSpec {
	return []NodeSpec{
		{Operator: "Kontor", Jurisdiction: "DE"},
		{Operator: "Harbour", Jurisdiction: "NZ"},
		{Operator: "Geysir", Jurisdiction: "IS"},
	}
}

// Config of Start.
type Config struct {
	// Nodes to start and to let join; nil stands for Three.
	Nodes  []NodeSpec
	Limits server.Limits
	// TLS has all of them speak TLS, as programs do beyond loopback.
	TLS bool
}

// Cluster is a running service.
type Cluster struct {
	URL    string
	Server *Server
	Nodes  []*Node
	Clock  *Clock

	tb testing.TB
	ca string // file with the authority, where TLS is spoken
}

// Start starts the server and the nodes, each of which has joined and shown a
// sign of life when it returns.
func Start(tb testing.TB, cfg Config) *Cluster {
	tb.Helper()
	if cfg.Nodes == nil {
		cfg.Nodes = Three()
	}
	dir := tb.TempDir()
	c := &Cluster{tb: tb, Clock: &Clock{at: time.Now().Truncate(time.Second)}}
	c.Server = &Server{tb: tb, clock: c.Clock, limits: cfg.Limits, dir: filepath.Join(dir, "server"), front: front{tap: &Tap{}}}
	if cfg.TLS {
		c.secure(&c.Server.front)
	}
	tb.Cleanup(c.stop)
	c.Server.Start()
	c.URL = c.Server.front.url()
	for i, spec := range cfg.Nodes {
		c.add(filepath.Join(dir, "node-"+string(rune('a'+i))), spec)
	}
	return c
}

func (c *Cluster) add(dir string, spec NodeSpec) {
	n := &Node{Spec: spec, tb: c.tb, clock: c.Clock, server: c.Server, dir: dir, front: front{tap: &Tap{}, tls: c.Server.front.tls}, ca: c.ca}
	c.Nodes = append(c.Nodes, n)
	n.Start()
}

// secure gives a front a certificate for loopback, from an authority of the cluster's own.
func (c *Cluster) secure(f *front) {
	c.tb.Helper()
	ca := certtest.New(c.tb)
	certFile, keyFile := ca.Issue(c.tb, c.tb.TempDir(), certtest.For("127.0.0.1"))
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		c.tb.Fatal(err)
	}
	c.ca = ca.File
	f.tls = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}
}

func (c *Cluster) stop() {
	for _, n := range c.Nodes {
		n.Stop()
	}
	c.Server.Stop()
}

// Step lets a second pass, the server do a round of its background work, and
// every node that runs carry out the orders that this brings and deliver its
// receipts.
func (c *Cluster) Step(ctx context.Context) {
	c.tb.Helper()
	c.Clock.Add(time.Second) // a heartbeat of the same second could be a replay
	if err := errors.Join(c.Server.Step(ctx), c.beat(ctx), c.Server.Step(ctx)); err != nil {
		c.tb.Fatalf("step: %v", err)
	}
}

func (c *Cluster) beat(ctx context.Context) error {
	var all []error
	for _, n := range c.Nodes {
		if n.Running() {
			all = append(all, n.Beat(ctx))
		}
	}
	return errors.Join(all...)
}

// Client makes a client with a state folder of its own.
func (c *Cluster) Client(tb testing.TB) *transfer.Client {
	tb.Helper()
	return c.ClientAt(tb, tb.TempDir())
}

// ClientAt makes a client with that state folder: one that continues what
// another began there.
func (c *Cluster) ClientAt(tb testing.TB, folder string) *transfer.Client {
	tb.Helper()
	dir, err := home.Open(folder)
	if err != nil {
		tb.Fatal(err)
	}
	trust, err := api.Trust(c.ca)
	if err != nil {
		tb.Fatal(err)
	}
	web := transfer.NewHTTP(trust)
	tb.Cleanup(web.CloseIdleConnections)
	client, err := transfer.New(c.URL, web, dir)
	if err != nil {
		tb.Fatal(err)
	}
	client.Patience = patience
	return client
}

// patience of clients: long enough for something to start again, short enough
// for tests of what never comes.
const patience = 3 * time.Second

// HTTP makes a bare HTTP client, for requests that no client of ours makes.
func (c *Cluster) HTTP(tb testing.TB) *http.Client {
	web := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	tb.Cleanup(web.CloseIdleConnections)
	return web
}

// Clock tells the time to the server and the nodes. It starts with the present,
// because clients go by the machine's clock, and then stands still.
type Clock struct {
	mu sync.Mutex // guards at
	at time.Time
}

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Add moves the time on. After long jumps nodes count as silent until they step.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}
