package node_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/node"
	"holdfast/node/member"
	"holdfast/node/order"
	"holdfast/node/store"
	"holdfast/node/store/storetest"
)

// order signs an order for a node.
func (f *fleet) order(n *node.Node, epoch, number int64, up id.Upload) string {
	return sign(f.t, f.orders, ticket.Order{Node: n.ID(), Epoch: epoch, Number: number, Action: ticket.DeleteUpload, Upload: up, Day: 1})
}

// beat gives a node orders with its next heartbeat, and lets it report with one more.
func (f *fleet) beat(n *node.Node, orders ...string) error {
	f.t.Helper()
	f.set(func() { f.answer = api.HeartbeatResponse{Epoch: 1, Orders: orders, Time: f.clock.now().Unix()} })
	_, err := n.Beat(f.t.Context())
	f.set(func() { f.answer.Orders = nil })
	if err == nil {
		_, err = n.Beat(f.t.Context())
	}
	return err
}

func TestJoinAndBeat(t *testing.T) {
	f := newFleet(t, 1)
	n := f.nodes[0]
	b := storetest.Make(id.New[id.Upload](), 1, 5000)
	must(t, storetest.Put(n.Store(), b, budget))
	must(t, f.beat(n))
	d := f.members[n.ID()]
	if d.Operator != "Example" || d.Jurisdiction != "DE" || d.URL != n.URL() || d.Capacity != capacity {
		t.Fatalf("declared %+v", d)
	}
	got := f.beats[len(f.beats)-1]
	if got.Node != n.ID() || got.Used != 5000+store.Overhead || got.Capacity != capacity || got.Epoch != 1 || got.Number != 0 || got.State != ticket.Serving || got.Program != "test" {
		t.Fatalf("heartbeat %+v", got)
	}
	if h := health(t, n); h.Node != n.ID() || h.State != "serving" || h.Used != 5000+store.Overhead || h.Software != "test" {
		t.Fatalf("health %+v", h)
	}
}

func TestJoinRefused(t *testing.T) {
	f := newFleet(t, 0)
	start := func(change func(*node.Config)) *node.Node {
		cfg := f.config(t.TempDir())
		change(&cfg)
		n, err := node.New(cfg)
		must(t, err)
		t.Cleanup(func() { must(t, n.Close()) })
		return n
	}
	want(t, start(func(c *node.Config) { c.Invite = "" }).Join(t.Context()), member.ErrNoInvite)
	want(t, start(func(c *node.Config) { c.Invite = "bad" }).Join(t.Context()), member.ErrRefused)
	n := start(func(*node.Config) {})
	f.set(func() { f.refuse = api.NewProblem(api.Unavailable, "later") })
	if err := n.Join(t.Context()); err == nil || errors.Is(err, member.ErrRefused) {
		t.Fatalf("what passes is not final: %v", err)
	}
	f.set(func() { f.refuse = api.NewProblem(api.DeclarationInvalid, "no") })
	want(t, n.Join(t.Context()), member.ErrRefused)
	f.set(func() { f.refuse = nil })
	// Before joining it gives no rights to anybody, since it knows no ticket key.
	if _, err := listReceiptsOffline(n); !errors.Is(err, api.Unavailable) {
		t.Fatalf("before joining: %v", err)
	}
	f.set(func() { f.lost = true })
	if err := n.Join(t.Context()); err == nil {
		t.Fatal("the answer was lost")
	}
	must(t, n.Join(t.Context())) // its invite is used, by itself
}

// TestKeysStayPinned: a node that has joined goes to no other service, whatever
// answers at the address.
func TestKeysStayPinned(t *testing.T) {
	f := newFleet(t, 0)
	dir := t.TempDir()
	n, stop := f.add(dir, nil)
	must(t, n.Join(t.Context())) // renews
	stop()
	f.set(func() { f.orders = newKey(9) })
	cfg := f.config(dir)
	n, err := node.New(cfg)
	must(t, err)
	want(t, n.Join(t.Context()), member.ErrOtherService)
	must(t, n.Close())
}

func TestDataDirectory(t *testing.T) {
	f := newFleet(t, 0)
	dir := t.TempDir()
	n, stop := f.add(dir, nil)
	first := n.ID()
	if _, err := node.New(f.config(dir)); !errors.Is(err, node.ErrInUse) {
		t.Fatalf("in use: %v", err)
	}
	stop()
	info, err := os.Stat(filepath.Join(dir, "node.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("key file: %v, %v", info.Mode(), err)
	}
	n, stop = f.add(dir, nil)
	if n.ID() != first {
		t.Fatal("another identity after a restart")
	}
	stop()
	try := func(dir string) error {
		n, err := node.New(f.config(dir))
		if err == nil {
			must(t, n.Close())
		}
		return err
	}
	key := filepath.Join(dir, "node.key")
	good, err := os.ReadFile(key)
	must(t, err)
	must(t, os.Remove(key))
	want(t, try(dir), node.ErrKeyLost)
	_, stopOther := f.add(filepath.Join(dir, "..", "other"), nil)
	stopOther()
	other, err := os.ReadFile(filepath.Join(dir, "..", "other", "node.key"))
	must(t, err)
	must(t, os.WriteFile(key, other, 0o600))
	want(t, try(dir), member.ErrOtherIdentity)
	must(t, os.WriteFile(key, good, 0o600))
	must(t, try(dir))
	must(t, os.WriteFile(filepath.Join(dir, "layout"), []byte("holdfast node 2\n"), 0o600))
	want(t, try(dir), node.ErrNewerData)
	foreign := t.TempDir()
	must(t, os.WriteFile(filepath.Join(foreign, "thesis.txt"), nil, 0o600))
	want(t, try(foreign), node.ErrForeignData)
	if _, err := os.Stat(filepath.Join(foreign, "node.key")); err == nil {
		t.Fatal("wrote into a directory that is not its own")
	}
	mount := t.TempDir()
	must(t, os.Mkdir(filepath.Join(mount, "lost+found"), 0o700))
	must(t, try(mount))
}

func TestOrdersAreDoneOnceAndReported(t *testing.T) {
	f := newFleet(t, 1)
	n := f.nodes[0]
	a, b := storetest.Make(id.New[id.Upload](), 1, 5000), storetest.Make(id.New[id.Upload](), 2, 6000)
	for _, x := range []storetest.Blob{a, b} {
		must(t, storetest.Put(n.Store(), x, budget))
	}
	first := f.order(n, 1, 1, a.Key.Upload)
	must(t, f.beat(n, first, f.order(n, 1, 2, b.Key.Upload)))
	if holds(n, a) || holds(n, b) {
		t.Fatal("not deleted")
	}
	if len(f.receipts) != 2 {
		t.Fatalf("%d receipts", len(f.receipts))
	}
	raw, err := ticket.ParseText(first)
	must(t, err)
	digest, err := ticket.Digest(raw)
	must(t, err)
	if r := f.receipts[0]; r.Number != 1 || r.Epoch != 1 || r.Outcome != ticket.Done || r.Blobs != 1 || r.Bytes != 5000 || r.Order != digest {
		t.Fatalf("receipt %+v", r)
	}
	if got := f.beats[len(f.beats)-1]; got.Number != 2 || got.Used != 11_000+2*store.Overhead || got.Order == nil || *got.Order != f.receipts[1].Order { // in the trash, still taking room
		t.Fatalf("heartbeat %+v", got)
	}
	// The same bytes come again for another upload; replaying the old orders does nothing.
	again := storetest.Make(id.New[id.Upload](), 1, 5000)
	must(t, storetest.Put(n.Store(), again, budget))
	must(t, f.beat(n, first))
	if !holds(n, again) || len(f.receipts) != 2 {
		t.Fatal("a replayed order did something")
	}
	if got := n.Orders().Counters(); got.Old != 1 {
		t.Errorf("counters %+v", got)
	}
	f.clock.add(8 * 24 * time.Hour)
	f.tidy(n)
	if got := n.Store().Status(); got.Trash.Bytes != 0 || got.Held.Bytes != 5000 {
		t.Errorf("after the trash: %+v", got)
	}
}

// TestWrongClockDestroysNothing: fault 21. A machine that believes it is next year
// keeps its trash, and what it knows of closed uploads, until the server agrees.
func TestWrongClockDestroysNothing(t *testing.T) {
	f := newFleet(t, 0)
	dir := t.TempDir()
	n, stop := f.add(dir, nil)
	b := storetest.Make(id.New[id.Upload](), 1, 5000)
	text := f.ticket(b.Key.Upload, budget, placeOf(n), nowhere)
	must(t, storetest.Put(n.Store(), b, budget))
	must(t, f.beat(n, f.order(n, 1, 1, b.Key.Upload)))
	kept := func(when string) {
		t.Helper()
		n.Tidy()
		if have := n.Store().Status().Trash.Bytes; have != 5000 {
			t.Errorf("%s: %d bytes in the trash", when, have)
		}
	}
	const year = 365 * 24 * time.Hour
	f.clock.add(year)
	kept("set ahead since the last heartbeat")
	stop()
	n, _ = f.add(dir, nil)
	kept("started with a wrong clock")
	right := f.clock.now().Add(-year).Unix()
	f.set(func() { f.answer = api.HeartbeatResponse{Epoch: 1, Time: right} })
	_, err := n.Beat(t.Context())
	must(t, err)
	kept("the server says another time")
	f.set(func() { f.answer.Time = 0 })
	_, err = n.Beat(t.Context())
	must(t, err)
	kept("the server says no time")
	f.clock.add(-year)
	kept("set right, but nobody has said so")
	f.tidy(n)
	kept("not a week yet")
	want(t, f.put(n, text, 1, b).err, api.TicketInvalid) // it knows that the upload is closed
	f.clock.add(8 * 24 * time.Hour)
	kept("no heartbeat for a week")
	f.tidy(n)
	if have := n.Store().Status().Trash.Bytes; have != 0 {
		t.Errorf("%d bytes in the trash after a week, by both clocks", have)
	}
}

// TestReceiptsSurvive: what the server did not hear is told again, also by the
// next process.
func TestReceiptsSurvive(t *testing.T) {
	f := newFleet(t, 0)
	dir := t.TempDir()
	n, stop := f.add(dir, nil)
	up := id.New[id.Upload]()
	f.set(func() {
		f.answer = api.HeartbeatResponse{Orders: []string{f.order(n, 1, 1, up)}, Time: f.clock.now().Unix()}
	})
	_, err := n.Beat(t.Context())
	must(t, err)
	f.set(func() { f.answer.Orders, f.lost = nil, true })
	if _, err := n.Beat(t.Context()); err == nil {
		t.Fatal("the answer was lost")
	}
	stop()
	n, _ = f.add(dir, nil)
	if epoch, last := n.Orders().Position(); epoch != 1 || last != 1 {
		t.Fatalf("position %d, %d", epoch, last)
	}
	_, err = n.Beat(t.Context())
	must(t, err)
	if len(f.receipts) != 2 || f.receipts[0] != f.receipts[1] {
		t.Fatalf("%d receipts", len(f.receipts))
	}
	_, err = n.Beat(t.Context())
	must(t, err)
	if len(f.receipts) != 2 {
		t.Fatal("a delivered receipt was sent again")
	}
}

func TestHeldOrdersShowInHealth(t *testing.T) {
	f := newFleet(t, 0)
	dir := t.TempDir()
	n, _ := f.add(dir, nil)
	up := id.New[id.Upload]()
	for i := range 1001 {
		must(t, storetest.Put(n.Store(), storetest.Make(up, uint64(i), 10), budget))
	}
	f.settle(dir)
	want(t, f.beat(n, f.order(n, 1, 1, up)), order.ErrHeld)
	if h := health(t, n); h.Reason != "orders-held" {
		t.Fatalf("health %+v", h)
	}
	_, err := n.Beat(t.Context())
	must(t, err)
	if got := f.beats[len(f.beats)-1]; got.Held == nil || got.Order != nil || got.Number != 0 {
		t.Fatalf("heartbeat %+v", got)
	}
	want(t, f.beat(n, f.order(n, 1, 1, up)), order.ErrHeld)
	if usage, err := n.Store().Usage(up); err != nil || usage.Blobs != 1001 {
		t.Fatalf("usage %+v, %v", usage, err)
	}
	must(t, node.Release(dir))
	must(t, f.beat(n, f.order(n, 1, 1, up)))
	if h := health(t, n); h.Reason != "" {
		t.Fatalf("health %+v", h)
	}
	if got := f.beats[len(f.beats)-1]; got.Held != nil || got.Order == nil {
		t.Fatalf("heartbeat %+v", got)
	}
	if err := node.Release(t.TempDir()); err == nil {
		t.Fatal("released a directory that is not a node's")
	}
}

// settle makes everything that a node holds three days old by the fleet's clock.
func (f *fleet) settle(dir string) {
	f.t.Helper()
	at := f.clock.now().Add(-72 * time.Hour)
	must(f.t, filepath.WalkDir(filepath.Join(dir, "store", "blobs"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return os.Chtimes(path, at, at)
	}))
}

func TestClocksApartAreNoticed(t *testing.T) {
	f := newFleet(t, 1)
	f.set(func() { f.answer = api.HeartbeatResponse{Time: f.clock.now().Unix() - 600} })
	_, err := f.nodes[0].Beat(t.Context())
	must(t, err)
	if !strings.Contains(f.logs.String(), "apart") {
		t.Error("nothing was said")
	}
}

func listReceiptsOffline(n *node.Node) (api.ListReceiptsResponse, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	return callHandler(ctx, n)
}
