package cluster

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/node"
	"holdfast/node/store"
	"holdfast/server"
)

const (
	nodeCapacity = 1 << 30
	second       = time.Second
	countTime    = 5 * time.Second
	// inviteLife is the server's default.
	inviteLife = 0
)

// Node is a storage node, which can stop and start again.
type Node struct {
	Spec NodeSpec
	// ID is the node's, as of its last start.
	ID id.Node

	tb     testing.TB
	clock  *Clock
	server *Server
	dir    string
	front  front
	node   *node.Node // nil while it is stopped
}

// Start starts the node on its data, at its address; it joins if it is no member
// yet, and shows a sign of life. The server has to run.
func (n *Node) Start() {
	n.tb.Helper()
	ctx := context.Background()
	invite, _, err := server.Invite(ctx, server.Data{Dir: n.server.dir}, n.clock.Now(), inviteLife)
	if err != nil {
		n.tb.Fatal(err)
	}
	listener, err := n.front.listen()
	if err != nil {
		n.tb.Fatal(err)
	}
	capacity := n.Spec.Capacity
	if capacity == 0 {
		capacity = nodeCapacity
	}
	n.node, err = node.New(node.Config{
		Data: n.dir, Server: n.server.front.url(), Invite: invite, Listener: listener, Capacity: capacity, TrashDays: node.DefaultTrashDays,
		Operator: n.Spec.Operator, Jurisdiction: n.Spec.Jurisdiction, Parent: n.Spec.Parent, Site: n.Spec.Site, Storage: n.Spec.Storage,
		Now: n.clock.Now, Version: "cluster",
	})
	if err != nil {
		n.tb.Fatal(err)
	}
	n.ID = n.node.ID()
	n.front.serve(listener, n.node.Handler())
	if err := n.node.Join(ctx); err != nil {
		n.tb.Fatalf("node %s: %v", n.Spec.Operator, err)
	}
	n.count()
	n.clock.Add(second) // a heartbeat of the same second could be a replay
	if err := n.Beat(ctx); err != nil {
		n.tb.Fatalf("node %s: %v", n.Spec.Operator, err)
	}
}

// count waits until the node knows what it holds, as it does at once unless its
// totals are gone: until then it carries out no orders.
func (n *Node) count() {
	n.tb.Helper()
	for deadline := time.Now().Add(countTime); !n.node.Store().Status().Counted; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			n.tb.Fatalf("node %s did not count its blobs within %s", n.Spec.Operator, countTime)
		}
	}
}

// Stop cuts all connections off and closes the data. Stopping twice does nothing.
func (n *Node) Stop() {
	n.tb.Helper()
	if n.node == nil {
		return
	}
	if err := n.front.cut(); err != nil {
		n.tb.Errorf("stop node %s: %v", n.Spec.Operator, err)
	}
	if err := n.node.Close(); err != nil {
		n.tb.Errorf("stop node %s: %v", n.Spec.Operator, err)
	}
	n.node = nil
}

// Running tells whether the node runs.
func (n *Node) Running() bool { return n.node != nil }

// Beat sends signs of life, and does the orders that come back, until none is left.
func (n *Node) Beat(ctx context.Context) error {
	for more := true; more; {
		var err error
		if more, err = n.node.Beat(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Wipe takes a stopped node's blobs and its memory of orders away: its disk was
// lost, and only key and membership were in the backup.
func (n *Node) Wipe() {
	n.tb.Helper()
	n.lose(func(name string) bool { return name != "layout" && name != "node.key" && name != "member.json" })
}

// Replace takes all that a stopped node has away, its key as well: the next start
// is that of another node at the same address.
func (n *Node) Replace() {
	n.tb.Helper()
	n.lose(func(string) bool { return true })
}

func (n *Node) lose(what func(name string) bool) {
	n.tb.Helper()
	if n.Running() {
		n.tb.Fatalf("node %s still runs", n.Spec.Operator)
	}
	entries, err := os.ReadDir(n.dir)
	if err != nil {
		n.tb.Fatal(err)
	}
	for _, e := range entries {
		if !what(e.Name()) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(n.dir, e.Name())); err != nil {
			n.tb.Fatal(err)
		}
	}
}

// Held is what the node holds, the trash not counted.
func (n *Node) Held() store.Usage { return n.node.Store().Status().Held }

// URL is where the node is reached.
func (n *Node) URL() string { return n.front.url() }

// Tap sees the requests.
func (n *Node) Tap() *Tap { return n.front.tap }

// Spoil flips one bit in every blob that a stopped node holds, as a failing disk
// would, and returns how many there are.
func (n *Node) Spoil() (blobs int) {
	n.tb.Helper()
	if n.Running() {
		n.tb.Fatalf("node %s still runs", n.Spec.Operator)
	}
	for _, path := range n.files() {
		raw, err := os.ReadFile(path)
		if err == nil {
			raw[len(raw)/2] ^= 1
			err = os.WriteFile(path, raw, 0o600)
		}
		if err != nil {
			n.tb.Fatal(err)
		}
		blobs++
	}
	return blobs
}

// files are those of the node's blobs: blobs/<shard>/<upload>/<name>.
func (n *Node) files() []string {
	n.tb.Helper()
	paths, err := filepath.Glob(filepath.Join(n.dir, "store", "blobs", "*", "*", "*"))
	if err != nil {
		n.tb.Fatal(err)
	}
	return slices.DeleteFunc(paths, func(path string) bool {
		info, err := os.Lstat(path)
		return err != nil || !info.Mode().IsRegular() || info.Size() == 0
	})
}
