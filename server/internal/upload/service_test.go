package upload_test

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/server/internal/bucket"
	"holdfast/server/internal/placement"
	"holdfast/server/internal/upload"
)

func TestOpen(t *testing.T) {
	r := newRig(t, 3)
	g := r.open(5000)
	tk := r.ticket(g)
	now := r.clock.Now()
	if tk.Upload != g.Upload || tk.Budget != 5000 || tk.Expires != now.Add(time.Hour).Unix() || g.Expires != tk.Expires {
		t.Errorf("ticket %+v of %+v", tk, g)
	}
	if g.Closes != now.Add(24*time.Hour).Unix() {
		t.Errorf("closes at %d", g.Closes)
	}
	if len(tk.Chains) != 2 || len(tk.Chains[0]) != 3 || len(g.Nodes) != 3 {
		t.Errorf("chains %v, nodes %v", tk.Chains, g.Nodes)
	}
	for _, place := range tk.Chains[0] {
		if err := tk.Allows(place.Node, now); err != nil {
			t.Error(err)
		}
	}
	if _, err := id.Parse32(g.Secret); err != nil {
		t.Errorf("secret %q: %v", g.Secret, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		bytes int64
		days  int
		want  error
	}{
		"negative bytes": {-1, 1, upload.ErrRequest},
		"negative days":  {1, -1, upload.ErrRequest},
		"too long":       {1, limits.Days + 1, upload.ErrOverLimit},
		"too large":      {limits.UploadBytes + 1, 1, upload.ErrOverLimit},
		"huge":           {1<<63 - 1, 1, upload.ErrOverLimit},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 2)
			_, err := r.Open(t.Context(), c.bytes, c.days)
			r.want(err, c.want)
		})
	}
}

func TestOpenWithoutLength(t *testing.T) {
	r := newRig(t, 2)
	if g := r.open(0); g.Budget != 64<<20 || r.ticket(g).Budget != g.Budget {
		t.Errorf("budget %d", g.Budget)
	}
}

func TestNoPlacement(t *testing.T) {
	r := newRig(t, 2)
	r.fleet.Away[r.fleet.Nodes[1].ID] = true
	_, err := r.Open(t.Context(), 1, 1)
	r.want(err, placement.ErrNoPlacement)
}

func TestReservationCap(t *testing.T) {
	r := newRig(t, 2)
	first := r.open(limits.UploadBytes)
	r.open(limits.UploadBytes - 10)
	room, err := r.Room(t.Context())
	r.must(err)
	if room.Bytes != 10 || !room.Accepting {
		t.Errorf("room %+v", room)
	}
	_, err = r.Open(t.Context(), 11, 1)
	r.want(err, upload.ErrNoCapacity)
	last := r.open(10)
	if room, err = r.Room(t.Context()); err != nil || room.Accepting {
		t.Errorf("room %+v, %v", room, err)
	}
	_, err = r.Extend(t.Context(), last.Upload, last.Secret, 11)
	r.want(err, upload.ErrNoCapacity)
	r.must(r.Abandon(t.Context(), first.Upload, first.Secret))
	_, err = r.Extend(t.Context(), last.Upload, last.Secret, 11)
	r.want(err, upload.ErrNoCapacity) // the nodes have not deleted it yet
	r.deleted()
	g, err := r.Extend(t.Context(), last.Upload, last.Secret, 11)
	r.must(err)
	if g.Budget != 11 || r.ticket(g).Budget != 11 {
		t.Errorf("budget %d", g.Budget)
	}
}

// TestReservationsHoldAtNodes: what uploads reserve is room that their nodes have
// no more, whichever way it was asked for.
func TestReservationsHoldAtNodes(t *testing.T) {
	r := newRig(t, 3)
	r.fleet.Free = 1000
	first := r.open(600)
	if room, err := r.Room(t.Context()); err != nil || room.Bytes != 400 {
		t.Errorf("room %+v, %v", room, err)
	}
	_, err := r.Open(t.Context(), 401, 1)
	r.want(err, placement.ErrNoPlacement)
	second := r.open(300)
	_, err = r.Extend(t.Context(), second.Upload, second.Secret, 401)
	r.want(err, upload.ErrNoCapacity)
	g, err := r.Extend(t.Context(), second.Upload, second.Secret, 400)
	r.must(err)
	if g.Budget != 400 {
		t.Errorf("budget %d", g.Budget)
	}
	_, err = r.Get(t.Context(), first.Upload, first.Secret) // its own reservation is not in its way
	r.must(err)
	_, err = r.Open(t.Context(), 1, 1)
	r.want(err, placement.ErrNoPlacement)
	r.must(r.Abandon(t.Context(), first.Upload, first.Secret))
	_, err = r.Open(t.Context(), 1, 1)
	r.want(err, placement.ErrNoPlacement)
	r.deleted()
	r.open(600)
}

// TestReservationsHoldAtOnce: callers who ask at the same time do not get the
// same room.
func TestReservationsHoldAtOnce(t *testing.T) {
	r := newRig(t, 3)
	r.fleet.Free = 1000
	var all sync.WaitGroup
	var opened atomic.Int64
	for range 40 {
		all.Go(func() {
			if _, err := r.Open(t.Context(), 100, 1); err == nil {
				opened.Add(1)
			} else if !errors.Is(err, placement.ErrNoPlacement) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if opened.Load() != 10 {
		t.Errorf("%d uploads of 100 bytes opened at nodes with room for 1000", opened.Load())
	}
}

// TestExtendFindsOtherNodes: an upload whose nodes are full grows onto others.
func TestExtendFindsOtherNodes(t *testing.T) {
	r := newRig(t, 4)
	r.fleet.Order = []int{0, 1}
	r.fleet.Free = 1000
	g := r.open(900)
	grown := r.open(100)
	r.fleet.Order = []int{2, 3}
	again, err := r.Extend(t.Context(), grown.Upload, grown.Secret, 500)
	r.must(err)
	if chains := r.ticket(again).Chains; again.Budget != 500 || !slices.ContainsFunc(chains, func(c []ticket.Place) bool { return c[0].Node == r.fleet.Nodes[2].ID }) {
		t.Errorf("budget %d, chains %v", again.Budget, chains)
	}
	_, err = r.Extend(t.Context(), g.Upload, g.Secret, 1000)
	r.want(err, upload.ErrNoCapacity)
}

// TestOpensAreLimited: so many a minute and no more, whatever becomes of them and
// whichever of two servers they come to.
func TestOpensAreLimited(t *testing.T) {
	r := newRig(t, 2)
	few := limits
	few.OpensPerMinute = 30
	servers := []*upload.Service{
		upload.New(r.store, r.fleet.Uploads(), r.key, few, r.clock.Now), upload.New(r.store, r.fleet.Uploads(), r.key, few, r.clock.Now),
	}
	for n := range 30 {
		r.Service = servers[n%2]
		g := r.open(1)
		r.must(r.Abandon(t.Context(), g.Upload, g.Secret))
	}
	for n := range 100 {
		r.Service = servers[n%2]
		_, err := r.Open(t.Context(), 1, 1)
		var limited *bucket.LimitedError
		if !errors.As(err, &limited) || limited.Seconds() != 2 {
			t.Fatalf("beyond the limit: %v", err)
		}
	}
	_, err := r.Open(t.Context(), -1, 1)
	r.want(err, upload.ErrRequest) // what is refused anyway does not count
	r.clock.Add(4 * time.Second)
	r.open(1)
	r.open(1)
	if _, err = r.Open(t.Context(), 1, 1); !errors.As(err, new(*bucket.LimitedError)) {
		t.Errorf("after two were free again: %v", err)
	}
}

func TestRoomIsBoundedByTheFleet(t *testing.T) {
	r := newRig(t, 2)
	r.fleet.Free = 1000
	if room, err := r.Room(t.Context()); err != nil || room.Bytes != 1000 {
		t.Errorf("room %+v, %v", room, err)
	}
}

// TestOnlyTheOwner: every call for an upload wants its own secret.
func TestOnlyTheOwner(t *testing.T) {
	r := newRig(t, 2)
	g, other := r.open(1000), r.open(1000)
	calls := map[string]func(upload id.Upload, secret string) error{
		"get":    func(u id.Upload, s string) error { _, err := r.Get(t.Context(), u, s); return err },
		"extend": func(u id.Upload, s string) error { _, err := r.Extend(t.Context(), u, s, 2000); return err },
		"stage":  func(u id.Upload, s string) error { return r.Stage(t.Context(), u, s, 0, &upload.Page{}) },
		"commit": func(u id.Upload, s string) error {
			_, _, err := r.Commit(t.Context(), u, s, &upload.Commit{})
			return err
		},
		"abandon": func(u id.Upload, s string) error { return r.Abandon(t.Context(), u, s) },
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			r.want(call(nobody(), g.Secret), upload.ErrUnknown)
			for _, secret := range []string{"", "x", other.Secret, g.Secret + "A", id.Bytes32{}.String()} {
				r.want(call(g.Upload, secret), upload.ErrSecret)
			}
		})
	}
}

func TestClosedUploadsTakeNothing(t *testing.T) {
	for name, closing := range map[string]func(*rig, upload.Grant){
		"abandoned": func(r *rig, g upload.Grant) { r.must(r.Abandon(r.Context(), g.Upload, g.Secret)) },
		"overdue":   func(r *rig, _ upload.Grant) { r.clock.Add(24 * time.Hour) },
		"given up":  func(r *rig, _ upload.Grant) { r.clock.Add(24 * time.Hour); r.abandonOverdue(1) },
		"committed": func(r *rig, g upload.Grant) { _, err := r.commit(g, r.send(g, r.fleet.Nodes, 100)); r.must(err) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 2)
			g := r.open(1 << 20)
			send := r.send(g, r.fleet.Nodes, 5000)
			closing(r, g)
			_, err := r.Get(t.Context(), g.Upload, g.Secret)
			r.want(err, upload.ErrClosed)
			_, err = r.Extend(t.Context(), g.Upload, g.Secret, 2<<20)
			r.want(err, upload.ErrClosed)
			r.want(r.Stage(t.Context(), g.Upload, g.Secret, 0, &upload.Page{}), upload.ErrClosed)
			_, err = r.commit(g, send)
			if name == "committed" {
				r.want(err, upload.ErrConflict)
			} else {
				r.want(err, upload.ErrClosed)
			}
		})
	}
}

func (r *rig) abandonOverdue(want int) {
	r.Helper()
	if n, err := r.AbandonOverdue(r.Context(), 100); err != nil || n != want {
		r.Fatalf("%d uploads given up, %v; want %d", n, err, want)
	}
}

func TestTicketEndsWithTheUpload(t *testing.T) {
	r := newRig(t, 2)
	g := r.open(1000)
	r.clock.Add(23*time.Hour + 30*time.Minute)
	again, err := r.Get(t.Context(), g.Upload, g.Secret)
	r.must(err)
	if again.Expires != g.Closes || again.Closes != g.Closes || again.Secret != "" {
		t.Errorf("grant %+v", again)
	}
}

// TestFreshTicket: chains stay while their nodes do; what fell silent is replaced.
func TestFreshTicket(t *testing.T) {
	r := newRig(t, 4)
	r.fleet.Order = []int{0, 1, 2}
	g := r.open(1000)
	ids := r.fleet.IDs()
	get := func() [][]id.Node {
		t.Helper()
		g, err := r.Get(t.Context(), g.Upload, g.Secret)
		r.must(err)
		var chains [][]id.Node
		for _, chain := range r.ticket(g).Chains {
			var nodes []id.Node
			for _, p := range chain {
				nodes = append(nodes, p.Node)
			}
			chains = append(chains, nodes)
		}
		return chains
	}
	same := func(have [][]id.Node, want ...[]id.Node) {
		t.Helper()
		if !slices.EqualFunc(have, want, slices.Equal[[]id.Node]) {
			t.Errorf("chains %v, want %v", have, want)
		}
	}
	same(get(), []id.Node{ids[0], ids[1], ids[2]}, []id.Node{ids[2], ids[1], ids[0]})
	r.fleet.Away[ids[0]] = true
	same(get(), []id.Node{ids[1], ids[2]}, []id.Node{ids[2], ids[1]})
	r.fleet.Away[ids[1]] = true // each chain has one node left: they go, others come
	r.fleet.Order = []int{2, 3}
	same(get(), []id.Node{ids[2], ids[3]}, []id.Node{ids[3], ids[2]})
	same(get(), []id.Node{ids[2], ids[3]}, []id.Node{ids[3], ids[2]})
	r.fleet.Away[ids[3]] = true
	_, err := r.Get(t.Context(), g.Upload, g.Secret)
	r.want(err, placement.ErrNoPlacement)

	r.must(r.Abandon(t.Context(), g.Upload, g.Secret))
	for i, n := range r.fleet.Nodes {
		if r.issued(n) != 1 {
			t.Errorf("node %d was named by a ticket and has %d orders", i, r.issued(n))
		}
	}
}

func TestChainsOfAnUploadAreBounded(t *testing.T) {
	r := newRig(t, 6)
	r.fleet.Order = []int{0, 1}
	g := r.open(1000)
	for i := range 200 { // nodes come and go
		r.fleet.Away = map[id.Node]bool{r.fleet.Nodes[i%6].ID: true, r.fleet.Nodes[(i+1)%6].ID: true}
		r.fleet.Order = []int{(i + 2) % 6, (i + 3) % 6, (i + 4) % 6}
		g2, err := r.Get(t.Context(), g.Upload, g.Secret)
		r.must(err)
		if n := len(r.ticket(g2).Chains); n < 1 || n > 8 {
			t.Fatalf("%d chains", n)
		}
	}
	u, err := r.store.Upload(t.Context(), g.Upload)
	r.must(err)
	if len(u.Chains) > 40 {
		t.Errorf("%d chains are kept", len(u.Chains))
	}
}

func TestAbandonedByItsOwner(t *testing.T) {
	r := newRig(t, 3)
	g := r.open(1000)
	r.must(r.Abandon(t.Context(), g.Upload, g.Secret))
	r.must(r.Abandon(t.Context(), g.Upload, g.Secret)) // repeating is harmless
	for _, n := range r.fleet.Nodes {
		if r.issued(n) != 1 {
			t.Errorf("%d orders for a node of its chains", r.issued(n))
		}
	}
}

func TestCommittedUploadsAreNotAbandoned(t *testing.T) {
	r := newRig(t, 2)
	g := r.open(1 << 20)
	_, err := r.commit(g, r.send(g, r.fleet.Nodes, 100))
	r.must(err)
	r.want(r.Abandon(t.Context(), g.Upload, g.Secret), upload.ErrClosed)
	r.clock.Add(48 * time.Hour)
	r.abandonOverdue(0)
	if r.issued(r.fleet.Nodes[0]) != 0 {
		t.Error("a committed upload was ordered away")
	}
}

func TestAbandonOverdueIsBoundedAndResumes(t *testing.T) {
	r := newRig(t, 2)
	for range 5 {
		r.open(10)
	}
	r.abandonOverdue(0)
	r.clock.Add(24 * time.Hour)
	for _, want := range []int{2, 2, 1, 0} {
		if n, err := r.AbandonOverdue(t.Context(), 2); err != nil || n != want {
			t.Fatalf("%d given up, %v; want %d", n, err, want)
		}
	}
	if n := r.issued(r.fleet.Nodes[0]); n != 5 {
		t.Errorf("%d orders", n)
	}
}

func TestClosedUploadsAreForgotten(t *testing.T) {
	r := newRig(t, 2)
	g := r.open(1 << 20)
	send := r.send(g, r.fleet.Nodes, 100)
	_, err := r.commit(g, send)
	r.must(err)
	r.clock.Add(48 * time.Hour)
	if n, err := r.Forget(t.Context(), 10); err != nil || n != 0 {
		t.Fatalf("forgotten after two days: %d, %v", n, err)
	}
	_, err = r.commit(g, send)
	r.must(err)
	r.clock.Add(24 * time.Hour)
	if n, err := r.Forget(t.Context(), 10); err != nil || n != 1 {
		t.Fatalf("forgotten after three days: %d, %v", n, err)
	}
	_, err = r.commit(g, send)
	r.want(err, upload.ErrUnknown)
}
