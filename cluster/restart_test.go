package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/client/transfer"
	"holdfast/cluster"
	"holdfast/server"
)

// restart stops everything and starts it again.
func restart(c *cluster.Cluster) {
	for _, n := range c.Nodes {
		n.Stop()
	}
	c.Server.Stop()
	c.Server.Start()
	for _, n := range c.Nodes {
		n.Start()
	}
}

// TestRestart: whatever stood before a restart of the server and all nodes is
// found again: files, links, sessions under way and sends that were interrupted.
func TestRestart(t *testing.T) {
	c := cluster.Start(t, cluster.Config{})
	client := c.Client(t)
	want := content(40, bigFile)
	r := send(t, client, want, transfer.SendOptions{Downloads: 1})
	before := []int64{c.Nodes[0].Held().Bytes, c.Nodes[1].Held().Bytes, c.Nodes[2].Held().Bytes}
	share, err := c.Client(t).Open(t.Context(), r.Link, transfer.OpenOptions{})
	must(t, err)
	err = share.Start(t.Context())
	must(t, err)

	restart(c)
	for i, n := range c.Nodes {
		if n.Held().Bytes != before[i] {
			t.Errorf("node %d holds %d bytes, %d before", i, n.Held().Bytes, before[i])
		}
	}
	var got bytes.Buffer
	must(t, share.Stream(t.Context(), 0, &got))
	if !bytes.Equal(got.Bytes(), want) {
		t.Error("not what was sent")
	}
	if _, err := stream(t.Context(), client, r, ""); !errors.Is(err, api.LinkUsedUp) {
		t.Errorf("a second download: %v", err)
	}
	state, _, err := client.Status(t.Context(), r.Handle, manage(r))
	must(t, err)
	if state.Downloads != 1 || len(state.Copies) != 2 {
		t.Errorf("status %+v", state)
	}
	must(t, client.Revoke(t.Context(), r.Handle, manage(r)))
	restart(c) // the orders are found again as well
	c.Step(t.Context())
	ended(t, c)
}

// TestSendGoesOnAfterRestart: a send that was interrupted, with everything
// stopped in between, sends only what is missing.
func TestSendGoesOnAfterRestart(t *testing.T) {
	c := cluster.Start(t, cluster.Config{})
	want := content(41, 44*mib)
	o := transfer.SendOptions{Paths: []string{filepath.Join(tree(t, map[string][]byte{"f": want}), "f")}}
	folder := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	stop := onceAfter(17*mib, cancel)
	o.Progress = func(stage transfer.Stage, n int64) {
		if stage == transfer.StoredTwo {
			stop(n)
		}
	}
	if _, err := c.ClientAt(t, folder).Send(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("sent: %v", err)
	}
	restart(c)
	var plan transfer.Plan
	o.Progress, o.Planned = nil, func(p transfer.Plan) { plan = p }
	r, err := c.ClientAt(t, folder).Send(t.Context(), o)
	must(t, err)
	if !plan.Resumed || plan.Kept < 16*mib {
		t.Errorf("kept %d bytes, resumed: %v", plan.Kept, plan.Resumed)
	}
	copiesAfterFaults(t, c)
	arrives(t, c.Client(t), r, want)
}

// TestServerAwayInMidSend: while the server starts anew, a send waits and then
// goes on.
func TestServerAwayInMidSend(t *testing.T) {
	c := cluster.Start(t, cluster.Config{})
	want := content(42, bigFile)
	stop := onceAfter(9*mib, c.Server.Stop)
	o := transfer.SendOptions{Stdin: bytes.NewReader(want)}
	o.Progress = func(stage transfer.Stage, n int64) {
		if stage == transfer.StoredTwo {
			stop(n)
		}
	}
	client := c.Client(t)
	waited := 0
	client.Waiting = func(error) {
		if waited++; waited == 1 {
			c.Server.Start()
			c.Step(t.Context())
		}
	}
	r, err := client.Send(t.Context(), o)
	must(t, err)
	if waited == 0 {
		t.Error("the server was not missed")
	}
	arrives(t, c.Client(t), r, want)
}

// TestWipedNode: a node that lost its disk serves nothing and gets nothing new;
// files are read from the other copy. When it is removed, another can take its
// place.
func TestWipedNode(t *testing.T) {
	c := cluster.Start(t, cluster.Config{})
	client := c.Client(t)
	gone := send(t, client, content(43, 100), transfer.SendOptions{})
	must(t, client.Revoke(t.Context(), gone.Handle, manage(gone)))
	c.Step(t.Context()) // every node has done an order that it could forget
	want := content(44, 3*mib)
	r := send(t, client, want, transfer.SendOptions{})

	n := holders(c)[0]
	n.Stop()
	n.Wipe()
	c.Clock.Add(time.Second)
	n.Start()
	if state := c.Server.States(t.Context())[n.ID.String()].State; state != "wiped" {
		t.Errorf("the node counts as %q", state)
	}
	arrives(t, c.Client(t), r, want)
	for seed := range uint64(4) {
		send(t, client, content(seed, 100), transfer.SendOptions{})
	}
	if n.Held().Blobs != 0 {
		t.Error("a wiped node was given data")
	}

	old := n.ID.String()
	n.Stop()
	n.Replace()
	if _, err := server.RemoveNode(t.Context(), server.Data{Dir: c.Server.Dir()}, old); err != nil {
		t.Fatal(err)
	}
	c.Clock.Add(2 * time.Second) // the server reads its members anew
	n.Start()
	c.Step(t.Context())
	states := c.Server.States(t.Context())
	if states[old].State != "removed" || states[n.ID.String()].State != "live" || old == n.ID.String() {
		t.Errorf("after the exchange: %+v", states)
	}
	if _, err := server.RemoveNode(t.Context(), server.Data{Dir: c.Server.Dir()}, old); err == nil {
		t.Error("removed twice")
	}
	arrives(t, c.Client(t), r, want)
}

// TestRemovedNode: a node that the operator removed is not heard any more.
func TestRemovedNode(t *testing.T) {
	c := cluster.Start(t, cluster.Config{})
	n := c.Nodes[0]
	removed, err := server.RemoveNode(t.Context(), server.Data{Dir: c.Server.Dir()}, n.ID.String())
	must(t, err)
	if removed.Operator != n.Spec.Operator || removed.State != "removed" {
		t.Errorf("removed %+v", removed)
	}
	c.Clock.Add(2 * time.Second) // the server reads its members anew
	code(t, n.Beat(t.Context()), api.NodeUnknown)
	r := send(t, c.Client(t), content(45, 100), transfer.SendOptions{})
	if n.Held().Blobs != 0 {
		t.Errorf("a removed node was given data: %v", r.Places)
	}
}

// TestRestoredDatabase: when the database came back from a backup that knows less
// than the nodes have done, no node does anything until the operator raises the epoch;
// then all is done that is due.
func TestRestoredDatabase(t *testing.T) {
	c := cluster.Start(t, cluster.Config{})
	client := c.Client(t)
	early := send(t, client, content(46, 100), transfer.SendOptions{})
	backup := t.TempDir()
	c.Server.Stop()
	replace(t, c.Server.Dir(), backup)
	c.Server.Start()
	late := send(t, client, content(47, 100), transfer.SendOptions{})
	must(t, client.Revoke(t.Context(), late.Handle, manage(late)))
	c.Step(t.Context()) // order 1, of which the backup knows nothing

	c.Server.Stop()
	replace(t, backup, c.Server.Dir())
	c.Server.Start()
	c.Clock.Add(time.Second)
	for _, n := range c.Nodes {
		code(t, n.Beat(t.Context()), api.HeartbeatInvalid)
	}
	must(t, client.Revoke(t.Context(), early.Handle, manage(early)))
	epoch, err := server.RaiseEpoch(t.Context(), server.Data{Dir: c.Server.Dir()}, 1)
	if err != nil || epoch != 2 {
		t.Fatalf("epoch %d: %v", epoch, err)
	}
	if len(holders(c)) != 2 {
		t.Errorf("%d nodes hold the early file", len(holders(c)))
	}
	c.Step(t.Context())
	ended(t, c)
}

// replace exchanges the files of a folder for those of another one.
func replace(t *testing.T, from, to string) {
	t.Helper()
	for _, dir := range []string{to, from} {
		entries, err := os.ReadDir(dir)
		must(t, err)
		for _, e := range entries {
			if dir == to {
				must(t, os.Remove(filepath.Join(to, e.Name())))
				continue
			}
			raw, err := os.ReadFile(filepath.Join(from, e.Name()))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(to, e.Name()), raw, 0o600))
		}
	}
}
