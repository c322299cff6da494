package node_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/node"
	"holdfast/node/store"
	"holdfast/node/store/storetest"
)

// TestKilledNodeDoesWhatItMissed: faults 22 and 5. A node is killed and misses the
// end of an upload. When it is back it has closed that upload before it serves
// its first blob, also while what it holds is not counted again.
func TestKilledNodeDoesWhatItMissed(t *testing.T) {
	f := newFleet(t, 0)
	dir := t.TempDir()
	n, stop := f.add(dir, nil)
	gone, kept := storetest.Make(id.Upload{1}, 1, 5000), storetest.Make(id.Upload{2}, 2, 6000)
	for _, b := range []storetest.Blob{gone, kept} {
		must(t, storetest.Put(n.Store(), b, budget))
	}
	must(t, f.beat(n))
	stop()
	// Killed instead: the totals are out of date, and the count cannot end, since
	// a directory cannot be read.
	must(t, os.WriteFile(filepath.Join(dir, "store", "usage"), []byte(`{}`), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "store", "blobs", "00"), nil, 0o600))
	slow := make(chan struct{})
	f.set(func() {
		f.slow = slow
		f.answer = api.HeartbeatResponse{Orders: []string{f.order(n, 1, 1, gone.Key.Upload)}, Time: f.clock.now().Unix()}
	})
	n, end := run(t, f.config(dir))
	defer func() { must(t, end()) }()
	f.nodes = []*node.Node{n}
	eventually(t, "it answers", func() bool { return f.status(n, kept) != 0 })
	if got := f.status(n, gone); got != http.StatusServiceUnavailable {
		t.Fatalf("before it has heard from the server: status %d", got)
	}
	close(slow)
	eventually(t, "it serves", func() bool { return f.status(n, kept) == http.StatusOK })
	if got := f.status(n, gone); got != http.StatusNotFound {
		t.Errorf("an upload that ended: status %d", got)
	}
	if n.Store().Status().Counted {
		t.Error("it has counted: this test sees nothing")
	}
	want(t, storetest.Put(n.Store(), gone, budget), store.ErrClosed)
}

// status is that of reading a blob at a node, or 0 if it does not answer.
func (f *fleet) status(n *node.Node, b storetest.Blob) int {
	f.t.Helper()
	text := f.reads(b.Key.Upload, ticket.Range{Name: b.Key.Name, Length: int64(len(b.Data))})
	client := http.Client{Timeout: 10 * time.Second}
	res, err := client.Get(n.URL() + "/blobs/" + b.Key.Name.String() + "?v=1&upload=" + b.Key.Upload.String() + "&ticket=" + text)
	if err != nil {
		return 0
	}
	must(f.t, res.Body.Close())
	return res.StatusCode
}
