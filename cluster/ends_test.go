package cluster_test

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"holdfast/client/transfer"
	"holdfast/cluster"
	"holdfast/format/link"
)

func manage(r *transfer.Result) link.Secret {
	s, err := link.ParseSecret(r.Manage)
	if err != nil {
		panic(err) // it comes from the send itself
	}
	return s
}

// onceAfter calls f when so many bytes were counted.
func onceAfter(bytes int64, f func()) func(n int64) {
	var mu sync.Mutex
	return func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		before := bytes
		if bytes -= n; before > 0 && bytes <= 0 {
			f()
		}
	}
}

// ended checks that everything that was ever sent is gone: from the database with
// its keys, and from every node, which has said so with a receipt.
func ended(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	n := c.Server.Numbers(t.Context(), `SELECT (SELECT COUNT(*) FROM revision), (SELECT COUNT(*) FROM extent), (SELECT COUNT(*) FROM blob),
		(SELECT COUNT(*) FROM copy), (SELECT COUNT(*) FROM link WHERE auth IS NOT NULL OR record IS NOT NULL)`)
	for i, what := range []string{"revisions", "extents", "blobs", "copies", "links with keys"} {
		if n[i] != 0 {
			t.Errorf("the database has %d %s", n[i], what)
		}
	}
	orders := c.Server.Numbers(t.Context(), `SELECT COUNT(*), COALESCE(SUM(outcome = 1 AND receipt IS NOT NULL), 0), COUNT(DISTINCT node) FROM node_order`)
	if orders[0] == 0 || orders[1] != orders[0] || orders[2] != int64(len(c.Nodes)) {
		t.Errorf("%d orders to %d nodes, %d done with a receipt", orders[0], orders[2], orders[1])
	}
	for _, node := range c.Nodes {
		if held := node.Held(); held.Blobs != 0 || held.Bytes != 0 {
			t.Errorf("node %s holds %+v", node.Spec.Operator, held)
		}
	}
}

// secrets are what the server knows of a link and has to forget.
func secrets(t *testing.T, c *cluster.Cluster) (all [][]byte) {
	t.Helper()
	all = c.Server.Secrets(t.Context(), `SELECT release_key FROM revision UNION ALL SELECT auth FROM link UNION ALL SELECT record FROM link`)
	if len(all) < 3 {
		t.Fatalf("%d secrets stand in the database", len(all))
	}
	for _, s := range all {
		if written(t, c, s) == "" {
			t.Fatal("a secret of the database is not found in its files")
		}
	}
	return all
}

// erased looks for secrets in every byte of the server's files.
func erased(t *testing.T, c *cluster.Cluster, secrets [][]byte) {
	t.Helper()
	for _, s := range secrets {
		if where := written(t, c, s); where != "" {
			t.Errorf("a secret of %d bytes still stands in %s", len(s), where)
		}
	}
}

// written names the file of the server in which a secret stands.
func written(t *testing.T, c *cluster.Cluster, secret []byte) string {
	t.Helper()
	entries, err := os.ReadDir(c.Server.Dir())
	must(t, err)
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(c.Server.Dir(), e.Name()))
		must(t, err)
		if bytes.Contains(raw, secret) {
			return e.Name()
		}
	}
	return ""
}
