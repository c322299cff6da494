package node_test

import (
	"testing"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/node/store/storetest"
)

// TestMissedOrdersComeFirst: a node that was away deletes what it should have
// deleted before it gives out or takes anything.
func TestMissedOrdersComeFirst(t *testing.T) {
	f := newFleet(t, 0)
	dir := t.TempDir()
	n, stop := f.add(dir, nil)
	b := storetest.Make(id.New[id.Upload](), 1, 5000)
	must(t, storetest.Put(n.Store(), b, budget))
	stop()
	hold := make(chan struct{})
	f.set(func() {
		f.answer = api.HeartbeatResponse{Orders: []string{f.order(n, 1, 1, b.Key.Upload)}, Time: f.clock.now().Unix()}
		f.slow = hold
	})
	n, stopRun := run(t, f.config(dir))
	f.nodes[0] = n
	q := query(b.Key.Upload, f.reads(b.Key.Upload, whole(b)))
	_, _, err := get(t, n, "GET", b.Key.Name, q)
	want(t, err, api.Unavailable)
	want(t, f.put(n, f.ticket(b.Key.Upload, budget, placeOf(n), nowhere), 1, b).err, api.Unavailable)
	if h := health(t, n); h.State != "serving" {
		t.Errorf("health %+v", h)
	}
	close(hold)
	<-n.Ready()
	_, _, err = get(t, n, "GET", b.Key.Name, q)
	want(t, err, api.BlobUnknown)
	must(t, stopRun())
}
