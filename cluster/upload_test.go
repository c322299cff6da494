package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/client/transfer"
	"holdfast/cluster"
)

// TestSendAndReceive: whatever is sent arrives as it was, and stands at exactly
// two nodes meanwhile.
func TestSendAndReceive(t *testing.T) {
	c := cluster.Start(t, cluster.Config{})
	client := c.Client(t)
	for name, files := range map[string]map[string][]byte{
		"an empty file":      {"empty": {}},
		"a byte":             {"one": {7}},
		"a greatest packed":  {"packed": content(1, mib)},
		"more than one blob": {"large": content(2, bigFile)},
		"a mixed tree":       {"a/small": content(3, 100), "a/b/empty": {}, "a/b/large": content(4, 9*mib), "names: €": content(5, 3)},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t, files)
			entries, err := os.ReadDir(dir)
			must(t, err)
			var o transfer.SendOptions
			for _, e := range entries {
				o.Paths = append(o.Paths, filepath.Join(dir, e.Name()))
			}
			r, err := client.Send(t.Context(), o)
			must(t, err)
			must(t, r.Forget())
			copies(t, c)
			to := t.TempDir() + string(filepath.Separator)
			got, err := c.Client(t).Receive(t.Context(), r.Link, transfer.ReceiveOptions{Target: to})
			must(t, err)
			if !got.Share.Bundle && len(files) > 1 {
				t.Error("no bundle")
			}
			same(t, to, files)
		})
	}
}

// TestManySmallFiles is row A7 of the targets, and the way back.
func TestManySmallFiles(t *testing.T) {
	const number, size = 2000, 10 << 10
	c := cluster.Start(t, cluster.Config{})
	files := map[string][]byte{}
	for i := range number {
		files[fmt.Sprintf("%02d/%04d.bin", i%40, i)] = content(uint64(i), size)
	}
	c.Server.Tap().Take()
	r, err := c.Client(t).Send(t.Context(), transfer.SendOptions{Paths: []string{tree(t, files)}})
	must(t, err)
	if sent := calls(c.Server.Tap()); len(sent) > 3 {
		t.Errorf("%d requests to the server: %v", len(sent), sent)
	}
	if blobs := copies(t, c); blobs > 4 {
		t.Errorf("%d blobs", blobs)
	}
	to := t.TempDir()
	_, err = c.Client(t).Receive(t.Context(), r.Link, transfer.ReceiveOptions{Target: to})
	must(t, err)
	if asked := calls(c.Server.Tap()); len(asked) > 4 { // look, session, revisions twice
		t.Errorf("%d requests to the server for receiving: %v", len(asked), asked)
	}
	same(t, filepath.Join(to, "tree"), files)
}

// TestStdin: a stream whose length nobody knows.
func TestStdin(t *testing.T) {
	c := cluster.Start(t, cluster.Config{})
	for name, size := range map[string]int{"nothing": 0, "a little": 5, "a whole blob of plaintext": 8 * mib, "much": bigFile} {
		t.Run(name, func(t *testing.T) {
			want := content(6, size)
			r, err := c.Client(t).Send(t.Context(), transfer.SendOptions{Stdin: bytes.NewReader(want), Name: "out.tar"})
			must(t, err)
			if r.Name != "out.tar" || r.Bytes != int64(size) {
				t.Errorf("sent %q of %d bytes", r.Name, r.Bytes)
			}
			arrives(t, c.Client(t), r, want)
		})
	}
	copies(t, c)
}

// TestNoPlacement: nodes that one law or one company could take away together
// are no place for anything.
func TestNoPlacement(t *testing.T) {
	for name, nodes := range map[string][]cluster.NodeSpec{
		"none at all":         {},
		"one":                 {{Operator: "A", Jurisdiction: "DE"}},
		"one law":             {{Operator: "A", Jurisdiction: "DE"}, {Operator: "B", Jurisdiction: "DE"}, {Operator: "C", Jurisdiction: "DE"}},
		"one operator":        {{Operator: "Straße", Jurisdiction: "DE"}, {Operator: " STRASSE ", Jurisdiction: "NZ"}},
		"a parent":            {{Operator: "A", Jurisdiction: "DE", Parent: "Big"}, {Operator: "big", Jurisdiction: "NZ"}},
		"one parent":          {{Operator: "A", Jurisdiction: "DE", Parent: "Big"}, {Operator: "B", Jurisdiction: "NZ", Parent: "BIG"}},
		"one provider":        {{Operator: "A", Jurisdiction: "DE", Storage: "Disks"}, {Operator: "B", Jurisdiction: "NZ", Storage: "Disks"}},
		"a site in the other": {{Operator: "A", Jurisdiction: "DE", Site: "NZ"}, {Operator: "B", Jurisdiction: "NZ"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := cluster.Start(t, cluster.Config{Nodes: nodes})
			_, err := c.Client(t).Send(t.Context(), transfer.SendOptions{Stdin: bytes.NewReader(nil)})
			code(t, err, api.NoPlacement)
			_, err = api.OpenUpload.Call(t.Context(), api.Caller{Base: c.URL, HTTP: c.HTTP(t)}, api.Args{}, api.OpenUploadRequest{Bytes: 1, Days: 1})
			code(t, err, api.NoPlacement)
			if n := c.Server.Numbers(t.Context(), `SELECT COUNT(*) FROM upload`); n[0] != 0 {
				t.Errorf("%d uploads", n[0])
			}
		})
	}
}

// TestIndependentNodesOnly: of two nodes under one law, one is chosen.
func TestIndependentNodesOnly(t *testing.T) {
	c := cluster.Start(t, cluster.Config{Nodes: []cluster.NodeSpec{
		{Operator: "A", Jurisdiction: "DE"}, {Operator: "B", Jurisdiction: "DE"}, {Operator: "C", Jurisdiction: "NZ"},
	}})
	for seed := range uint64(4) {
		r := send(t, c.Client(t), content(seed, 1000), transfer.SendOptions{})
		if len(r.Nodes) != 2 || r.Nodes[0].Jurisdiction == r.Nodes[1].Jurisdiction {
			t.Errorf("stored at %v", r.Places)
		}
	}
	copies(t, c)
	if held := c.Nodes[2].Held().Blobs; held != 4 {
		t.Errorf("the one node under another law holds %d of 4 blobs", held)
	}
}

// TestNodeLostWhileSending: the node that takes an upload goes away in the middle.
// The send ends well on the others, and once its link is revoked nothing is left
// at any node, stray copies of which the server knows nothing included.
func TestNodeLostWhileSending(t *testing.T) {
	c := cluster.Start(t, cluster.Config{})
	want := content(7, bigFile)
	var lost *cluster.Node
	stop := onceAfter(9*mib, func() {
		lost = holders(c)[0]
		lost.Stop()
	})
	o := transfer.SendOptions{Stdin: bytes.NewReader(want)}
	o.Progress = func(stage transfer.Stage, n int64) {
		if stage == transfer.StoredOne {
			stop(n)
		}
	}
	client := c.Client(t)
	r, err := client.Send(t.Context(), o)
	must(t, err)
	if lost == nil {
		t.Fatal("no node was stopped")
	}
	copiesAfterFaults(t, c)
	arrives(t, c.Client(t), r, want)
	must(t, client.Revoke(t.Context(), r.Handle, manage(r)))
	c.Step(t.Context())
	lost.Start()
	c.Step(t.Context())
	ended(t, c)
}

// TestBrokenStreamIsWithdrawn: when what is sent breaks off, nothing was
// published, and the blobs that were stored are ordered away.
func TestBrokenStreamIsWithdrawn(t *testing.T) {
	c := cluster.Start(t, cluster.Config{})
	cause := errors.New("the pipe broke")
	_, err := c.Client(t).Send(t.Context(), transfer.SendOptions{Stdin: interrupted(content(8, 20*mib), cause)})
	if !errors.Is(err, cause) {
		t.Fatalf("sent: %v", err)
	}
	if n := c.Server.Numbers(t.Context(), `SELECT COUNT(*) FROM upload WHERE state = 3`); n[0] != 1 {
		t.Errorf("%d uploads abandoned", n[0])
	}
	if len(holders(c)) == 0 {
		t.Error("nothing was stored that could be ordered away")
	}
	c.Step(t.Context())
	ended(t, c)
}

// TestForgottenSendIsWithdrawn: a send that nobody takes up again closes after a
// day; one that comes later begins anew.
func TestForgottenSendIsWithdrawn(t *testing.T) {
	c := cluster.Start(t, cluster.Config{})
	want := content(9, bigFile)
	path := filepath.Join(tree(t, map[string][]byte{"f": want}), "f")
	client := c.Client(t)
	ctx, cancel := context.WithCancel(t.Context())
	o := transfer.SendOptions{Paths: []string{path}}
	o.Progress = func(stage transfer.Stage, _ int64) {
		if stage == transfer.StoredTwo {
			cancel()
		}
	}
	if _, err := client.Send(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("sent: %v", err)
	}
	c.Step(t.Context())
	if len(holders(c)) == 0 {
		t.Error("withdrawn within a day")
	}
	c.Clock.Add(24*time.Hour + time.Minute)
	c.Step(t.Context())
	ended(t, c)

	var plan transfer.Plan
	r, err := client.Send(t.Context(), transfer.SendOptions{Paths: []string{path}, Expires: 3 * 24 * time.Hour, Planned: func(p transfer.Plan) { plan = p }})
	must(t, err)
	if plan.Resumed || plan.Kept != 0 {
		t.Errorf("went on with what is gone: %+v", plan)
	}
	arrives(t, c.Client(t), r, want)
}
