package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/client/blobs"
	"holdfast/client/transfer"
	"holdfast/cluster"
	"holdfast/format/seal"
)

// failover is a file at two nodes, received while they fail.
type failover struct {
	*testing.T
	c     *cluster.Cluster
	sent  *transfer.Result
	want  []byte
	nodes []*cluster.Node // that hold it
}

func newFailover(t *testing.T, size int) *failover {
	f := &failover{T: t, c: cluster.Start(t, cluster.Config{}), want: content(20, size)}
	f.sent = send(t, f.c.Client(t), f.want, transfer.SendOptions{})
	if f.nodes = holders(f.c); len(f.nodes) != 2 {
		t.Fatalf("%d nodes hold the file", len(f.nodes))
	}
	return f
}

// TestNodeDownInMidFile: one node is away when a receive begins, comes back in its
// middle, and the other one breaks off in the middle of its answers instead. The
// file arrives as it was, within one counted download, whichever node is which.
func TestNodeDownInMidFile(t *testing.T) {
	f := newFailover(t, bigFile)
	for _, order := range [][2]int{{0, 1}, {1, 0}} {
		t.Run(fmt.Sprintf("node %d first", order[0]), func(t *testing.T) {
			first, second := f.nodes[order[0]], f.nodes[order[1]]
			first.Stop()
			cut := second.Tap().After(12*mib, func() {
				first.Start()
				second.Stop()
			})
			faults := make(chan blobs.Fault, 100)
			f.c.Server.Tap().Take()
			var got bytes.Buffer
			_, err := f.c.Client(t).Receive(t.Context(), f.sent.Link, transfer.ReceiveOptions{
				Stdout: &got, Report: transfer.Report{Fault: func(e blobs.Fault) { faults <- e }},
			})
			must(t, err)
			<-cut
			if !bytes.Equal(got.Bytes(), f.want) {
				t.Error("what arrived is not what was sent")
			}
			if len(faults) == 0 {
				t.Error("no node failed")
			}
			if asked := strings.Join(calls(f.c.Server.Tap()), "\n"); strings.Count(asked, "/sessions") != 1 {
				t.Errorf("requests:\n%s", asked)
			}
			second.Start()
		})
	}
}

// TestBothNodesDown: without any copy the receive fails, in its time and without
// a file; it goes on when one node is back.
func TestBothNodesDown(t *testing.T) {
	f := newFailover(t, 50*mib)
	folder, target := t.TempDir(), filepath.Join(t.TempDir(), "file")
	client := f.c.ClientAt(t, folder)
	client.Patience = 500 * time.Millisecond
	f.nodes[0].Stop()
	cut := f.nodes[1].Tap().After(41*mib, f.nodes[1].Stop) // four blobs at most are under way: one is there
	o := transfer.ReceiveOptions{Target: target}
	_, err := client.Receive(t.Context(), f.sent.Link, o)
	if !errors.Is(err, blobs.ErrNoCopy) || !errors.Is(err, api.ErrUnreachable) {
		t.Fatalf("have %v", err)
	}
	<-cut
	if _, err := os.Stat(target); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a file has its name: %v", err)
	}
	f.nodes[1].Start()
	got, err := f.c.ClientAt(t, folder).Receive(t.Context(), f.sent.Link, o)
	must(t, err)
	if got.Kept < 7*mib {
		t.Errorf("kept %d bytes of the first try", got.Kept)
	}
	have, err := os.ReadFile(target)
	must(t, err)
	if !bytes.Equal(have, f.want) {
		t.Error("what arrived is not what was sent")
	}
	if n := f.c.Server.Numbers(t.Context(), `SELECT downloads FROM link`); n[0] != 1 {
		t.Errorf("%d downloads were counted", n[0])
	}
}

// TestDamagedCopies: bytes that a node's disk changed reach nobody, and a copy that
// is good is found.
func TestDamagedCopies(t *testing.T) {
	f := newFailover(t, 10*mib)
	spoil := func(n *cluster.Node) {
		n.Stop()
		if n.Spoil() == 0 {
			t.Fatal("nothing to spoil")
		}
		n.Start()
	}
	spoil(f.nodes[0])
	arrives(t, f.c.Client(t), f.sent, f.want)
	spoil(f.nodes[1])
	if _, err := stream(t.Context(), f.c.Client(t), f.sent, ""); !errors.Is(err, transfer.ErrIntegrity) {
		t.Errorf("from two damaged copies: %v", err)
	}
}

// TestRange is row A8 of the targets on a smaller file: any 1 MiB takes at most two
// requests to nodes and half a MiB more than was asked for.
func TestRange(t *testing.T) {
	f := newFailover(t, bigFile)
	share := f.start(t.Context())
	size := int64(len(f.want))
	random := rand.New(rand.NewPCG(1, 2))
	type part struct{ offset, length int64 }
	parts := map[string]part{
		"the first byte": {0, 1}, "the last byte": {size - 1, 1}, "nothing": {5, 0}, "the beginning": {0, mib}, "the end": {size - mib, mib},
		"across two blobs": {8*mib - mib/2, mib}, "across two blobs, little": {16*mib - 300, 600},
	}
	for i := range 12 {
		parts[fmt.Sprintf("random %d", i)] = part{random.Int64N(size - mib), mib}
	}
	for name, p := range parts {
		t.Run(name, func(t *testing.T) {
			f.reads()
			var got bytes.Buffer
			must(t, share.Range(t.Context(), 0, p.offset, p.length, &got))
			if !bytes.Equal(got.Bytes(), f.want[p.offset:p.offset+p.length]) {
				t.Errorf("%d bytes at %d are not those of the file", got.Len(), p.offset)
			}
			if requests, bytes := f.reads(); requests > 2 || bytes > p.length+512<<10 {
				t.Errorf("%d requests, %d bytes for %d", requests, bytes, p.length)
			}
		})
	}
	for name, p := range map[string]part{"before": {-1, 2}, "beyond": {size - 1, 2}, "negative": {1, -1}, "great": {1, 1<<63 - 1}} {
		if err := share.Range(t.Context(), 0, p.offset, p.length, &bytes.Buffer{}); !errors.Is(err, seal.ErrLength) {
			t.Errorf("a range %s: %v", name, err)
		}
	}
	f.nodes[0].Stop()
	var got bytes.Buffer
	must(t, share.Range(t.Context(), 0, 10*mib, mib, &got))
	if !bytes.Equal(got.Bytes(), f.want[10*mib:11*mib]) {
		t.Error("with a node down: not the file's bytes")
	}
}

// TestRangeOfPacked: a member of a pack is read without the others.
func TestRangeOfPacked(t *testing.T) {
	f := &failover{T: t, c: cluster.Start(t, cluster.Config{})}
	files := map[string][]byte{}
	for i := range 40 {
		files[fmt.Sprintf("%02d", i)] = content(uint64(i), 100<<10)
	}
	var err error
	f.sent, err = f.c.Client(t).Send(t.Context(), transfer.SendOptions{Paths: []string{tree(t, files)}})
	must(t, err)
	f.nodes = holders(f.c)
	share := f.start(t.Context())
	for i, d := range share.Entries {
		if d.Content == nil {
			continue
		}
		f.reads()
		var got bytes.Buffer
		must(t, share.Range(t.Context(), i, 50_000, 1000, &got))
		if want := files[strings.TrimPrefix(d.Path, "tree/")]; !bytes.Equal(got.Bytes(), want[50_000:51_000]) {
			t.Errorf("%s: not its bytes", d.Path)
		}
		// One segment holds the whole file; group borders and proof come on top.
		if requests, n := f.reads(); requests != 1 || n > 160<<10 {
			t.Errorf("%s: %d requests, %d bytes", d.Path, requests, n)
		}
	}
}

func (f *failover) start(ctx context.Context) *transfer.Share {
	f.Helper()
	share, err := f.c.Client(f.T).Open(ctx, f.sent.Link, transfer.OpenOptions{})
	must(f.T, err)
	err = share.Start(ctx)
	must(f.T, err)
	return share
}

// reads counts what was read from nodes since it was called last.
func (f *failover) reads() (requests int, bytes int64) {
	for _, n := range f.nodes {
		for _, r := range n.Tap().Take() {
			requests++
			bytes += r.Answered
		}
	}
	return requests, bytes
}
