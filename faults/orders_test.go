//go:build linux

package faults

import (
	"testing"
	"time"
)

// TestRevokedBlobsLeaveEveryNode: fault 22 in small. A link is revoked while one
// of its nodes is dead; the others drop its blobs at once, the dead one when it
// is back, and what else was acknowledged stays.
func TestRevokedBlobsLeaveEveryNode(t *testing.T) {
	f := startFleet(t)
	gone, kept := f.acknowledge("sender", 20*mib, 1), f.acknowledge("sender", 5*mib, 2)
	f.nodes["DE"].kill()
	if r, err := client(f.context(), f.home("sender"), "unsend", gone.link); err != nil || r.code != 0 {
		t.Fatalf("unsend: %v, exit %d: %s", err, r.code, r.stderr)
	}
	if r, err := client(f.context(), f.home("receiver"), "receive", gone.link, "-o", t.TempDir()+"/x"); err != nil || r.code != 5 {
		t.Fatalf("a revoked link: %v, exit %d", err, r.code)
	}
	f.startNode("DE")
	want := 2 * streamLength(len(kept.want))
	f.eventually("only what was not revoked stands on the nodes", 20*time.Second, func() bool {
		var sum int64
		for j := range f.nodes {
			_, size := f.blobFiles(j)
			sum += size
		}
		return sum == want
	})
	f.check([]acknowledged{kept})
}
