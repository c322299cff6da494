package cluster_test

import (
	"os"
	"path/filepath"
	"testing"

	"holdfast/client/transfer"
	"holdfast/cluster"
)

// benchBytes are as many as one run sends: 16 blobs.
const benchBytes = 128 * mib

// BenchmarkSend stores a file at two nodes, synced at both. Client, server, nodes
// and disk share the machine.
func BenchmarkSend(b *testing.B) { overBoth(b, benchSend) }

// BenchmarkReceive writes a file to the disk.
func BenchmarkReceive(b *testing.B) { overBoth(b, benchReceive) }

func overBoth(b *testing.B, f func(*testing.B, *cluster.Cluster)) {
	for name, secure := range map[string]bool{"plain": false, "tls": true} {
		b.Run(name, func(b *testing.B) { f(b, cluster.Start(b, cluster.Config{TLS: secure, Nodes: large()})) })
	}
}

// large are nodes with room for all runs.
func large() []cluster.NodeSpec {
	nodes := cluster.Three()
	for i := range nodes {
		nodes[i].Capacity = 1 << 40
	}
	return nodes
}

func benchFile(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "file.bin")
	if err := os.WriteFile(path, content(1, benchBytes), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

func benchSend(b *testing.B, c *cluster.Cluster) {
	client, path := c.Client(b), benchFile(b)
	b.SetBytes(benchBytes)
	for b.Loop() {
		sendOnce(b, client, path)
	}
}

func sendOnce(b *testing.B, client *transfer.Client, path string) *transfer.Result {
	b.Helper()
	r, err := client.Send(b.Context(), transfer.SendOptions{Paths: []string{path}})
	if err != nil {
		b.Fatal(err)
	}
	if err := r.Forget(); err != nil {
		b.Fatal(err)
	}
	return r
}

func benchReceive(b *testing.B, c *cluster.Cluster) {
	client := c.Client(b)
	r := sendOnce(b, client, benchFile(b))
	to := filepath.Join(b.TempDir(), "received")
	b.SetBytes(benchBytes)
	for b.Loop() {
		if _, err := client.Receive(b.Context(), r.Link, transfer.ReceiveOptions{Target: to, Force: true}); err != nil {
			b.Fatal(err)
		}
	}
}
