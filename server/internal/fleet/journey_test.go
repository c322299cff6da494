package fleet_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/server/internal/fleet"
	"holdfast/server/internal/fleet/fleettest"
)

// A node's life over the database on disk: invited, joined, heard, given
// orders, which it does and answers, away and back.
func TestJourneyFromInviteToReceipts(t *testing.T) {
	w := newWorld(t)
	a := w.node("Alpha GmbH", "DE")
	pinned, err := w.Join(t.Context(), w.invite(), a.Declaration(t))
	if err != nil {
		t.Fatal(err)
	}
	b := w.joined("Beta Ltd", "NZ")
	if answer := w.beat(a); len(answer.Orders) != 0 || answer.More || answer.Epoch != pinned.Epoch || !answer.Time.Equal(w.clock.Now()) {
		t.Errorf("a first heartbeat is answered with %+v", answer)
	}
	if chains, err := w.Chains(t.Context(), 1<<20, nil); err != nil || len(chains) != 2 || len(chains[0]) != 2 {
		t.Fatalf("%v, %v", chains, err)
	}

	gone := []id.Upload{w.abandon(a, b), w.abandon(a), w.abandon(b, a)}
	answer := w.beat(a)
	if len(answer.Orders) != 3 {
		t.Fatalf("%d orders", len(answer.Orders))
	}
	for i, o := range opened(t, pinned.OrderKey, answer.Orders) {
		if o.Action != ticket.DeleteUpload || o.Upload != gone[i] || o.Number != int64(i+1) || o.Day != ticket.Day(w.clock.Now()) {
			t.Errorf("order %d: %+v", i, o)
		}
	}
	// The answer is lost, and the server begins anew: the same bytes come again.
	w.restart()
	if again := w.beat(a); !slices.Equal(again.Orders, answer.Orders) {
		t.Error("an order that is fetched again is not the same bytes")
	}
	if rest := w.beat(a, a.Do(t, pinned.OrderKey, answer.Orders[:2])...); !slices.Equal(rest.Orders, answer.Orders[2:]) {
		t.Errorf("after two orders were done %d come", len(rest.Orders))
	}
	w.wantOutcomes(a, ticket.Done, ticket.Done, 0)
	w.drain(a)
	w.wantOutcomes(a, ticket.Done, ticket.Done, ticket.Done)
	w.wantOutcomes(b, 0, 0)
	if err := w.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.restart()
	if seen := w.see(a); seen.Wiped || !seen.Writable {
		t.Errorf("a node that did its orders: %+v", seen)
	}
}

// drain sends heartbeats and does orders until none is left, and returns how
// many came with each answer.
func (w *world) drain(n *fleettest.Node) (counts []int) {
	w.t.Helper()
	answer := w.beat(n)
	for len(answer.Orders) > 0 {
		counts = append(counts, len(answer.Orders))
		if answer.More != (len(answer.Orders) == 256) {
			w.t.Errorf("%d orders, more %v", len(answer.Orders), answer.More)
		}
		answer = w.beat(n, n.Do(w.t, w.orderPublic(), answer.Orders)...)
	}
	return counts
}

func (w *world) wantOutcomes(n *fleettest.Node, want ...ticket.Outcome) {
	w.t.Helper()
	if got := w.outcomes(n); !slices.Equal(got, want) {
		w.t.Errorf("outcomes %v, want %v", got, want)
	}
}

// outcomes are those of the node's orders of the present epoch, by number.
func (w *world) outcomes(n *fleettest.Node) (all []ticket.Outcome) {
	w.t.Helper()
	epoch, err := w.store.Epoch(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	orders, err := w.store.Orders(w.t.Context(), n.ID, fleet.Progress{Epoch: epoch}, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, o := range orders {
		all = append(all, o.Outcome)
	}
	return all
}

// Fault 22: a month away, in which uploads ended.
func TestJourneyOfANodeThatWasAway(t *testing.T) {
	w := newWorld(t)
	a, b := w.joined("Alpha", "DE"), w.joined("Beta", "NZ")
	for range 300 {
		w.abandon(a, b)
	}
	w.drain(a)
	w.clock.Add(30 * 24 * time.Hour)
	if w.see(b).Live {
		t.Error("live after a month of silence")
	}
	if counts := w.drain(b); !slices.Equal(counts, []int{256, 44}) {
		t.Errorf("orders came as %v", counts)
	}
	if open := slices.Index(w.outcomes(b), 0); open >= 0 || b.Done.Number != 300 {
		t.Errorf("order %d is open, %+v done", open+1, b.Done)
	}
}

// Fault 20: receipts replayed and altered.
func TestJourneyOfSpoiledReceipts(t *testing.T) {
	w := newWorld(t)
	a, b := w.joined("Alpha", "DE"), w.joined("Beta", "NZ")
	w.abandon(a, b)
	w.abandon(a, b)
	w.abandon(a, b)
	fetched := w.beat(a).Orders
	orders := opened(t, w.orderPublic(), fetched)
	others := opened(t, w.orderPublic(), w.beat(b).Orders)
	one := orders[0]
	bits := 8 * len(a.Receipt(t, one)) * 3 / 4 // at least those of payload and signature
	said := func(change func(*ticket.OrderReceipt)) string { return a.Receipt(t, one, change) }
	spoiled := map[string]string{
		"nothing":                     "",
		"a heartbeat":                 a.Heartbeat(t),
		"the order itself":            fetched[0],
		"signed by another":           fleettest.Sign(t, b.Key, ticket.OrderReceipt{Node: a.ID, Epoch: 1, Number: 1, Outcome: ticket.Done, Order: [32]byte{}}),
		"another node's":              b.Receipt(t, others[0]),
		"another node's, signed here": fleettest.Sign(t, a.Key, ticket.OrderReceipt{Node: b.ID, Epoch: 1, Number: 1, Outcome: ticket.Done}),
		"of another order":            said(func(r *ticket.OrderReceipt) { r.Number = 2 }),
		"of an order to come":         said(func(r *ticket.OrderReceipt) { r.Number = 4 }),
		"of order zero":               said(func(r *ticket.OrderReceipt) { r.Number = 0 }),
		"of another epoch":            said(func(r *ticket.OrderReceipt) { r.Epoch = 2 }),
		"of other words":              said(func(r *ticket.OrderReceipt) { r.Order[31] ^= 1 }),
		"unknown outcome":             said(func(r *ticket.OrderReceipt) { r.Outcome = 3 }),
	}
	for bit := 0; bit < bits; bit += 37 {
		spoiled["a bit flipped"] = fleettest.Flip(t, a.Receipt(t, one), bit)
		for what, text := range spoiled {
			if bit > 0 && what != "a bit flipped" {
				continue
			}
			if answer := w.beat(a, text); len(answer.Orders) != 3 {
				t.Errorf("%s: %d orders, and the node was to get them all the same", what, len(answer.Orders))
			}
		}
	}
	w.wantOutcomes(a, 0, 0, 0)
	w.wantOutcomes(b, 0, 0, 0)

	// Good ones count between bad ones, once, and the first stays.
	good := a.Do(t, w.orderPublic(), fetched[:2])
	w.beat(a, spoiled["of other words"], good[1], good[1], spoiled["nothing"])
	w.wantOutcomes(a, 0, ticket.Done, 0)
	w.beat(a, good[1], a.Receipt(t, orders[1], func(r *ticket.OrderReceipt) { r.Outcome = ticket.Refused }))
	w.wantOutcomes(a, 0, ticket.Done, 0)
	w.beat(a, good[0], a.Receipt(t, orders[2], func(r *ticket.OrderReceipt) { r.Outcome = ticket.Refused }))
	w.wantOutcomes(a, ticket.Done, ticket.Done, ticket.Refused)
	if !w.logged("refuses an order", a.ID.String(), "order=3") {
		t.Error("a refused order is not logged")
	}
	w.beat(a, a.Do(t, w.orderPublic(), fetched[2:])...) // its owner agreed
	w.wantOutcomes(a, ticket.Done, ticket.Done, ticket.Done)
	if !w.logged("does not hold", a.ID.String()) || !w.logged("answers no order", a.ID.String()) {
		t.Error("spoiled receipts are not logged")
	}
}

// Fault 10: a node comes back under its id without what it held.
func TestJourneyOfAWipedNode(t *testing.T) {
	w := newWorld(t)
	a, b := w.joined("Alpha", "DE"), w.joined("Beta", "NZ")
	first := w.abandon(a, b)
	w.abandon(a)
	w.drain(a)
	w.clock.Add(15 * time.Second)
	captured := a.Heartbeat(t, func(h *ticket.Heartbeat) { h.Number, h.Time, h.Order = 1, h.Time-20, nil })
	w.refused(captured, fleet.ErrReplay, "further")
	if w.see(a).Wiped {
		t.Error("an old heartbeat that comes late makes a node wiped")
	}

	a.Done, a.Used = fleet.Progress{}, 0
	w.beat(b)
	answer := w.beat(a)
	seen := w.see(a)
	if !seen.Wiped || !seen.Live || seen.Writable || seen.Health() != 1 {
		t.Errorf("%+v", seen)
	}
	w.clock.Add(15 * time.Second)
	w.beat(b)
	w.beat(a)
	if n := strings.Count(w.log.String(), "forgot orders"); n != 1 || !w.logged("ERROR", "forgot orders", a.ID.String()) {
		t.Errorf("the loss is logged %d times", n)
	}
	if _, err := w.Chains(t.Context(), 1, nil); err == nil {
		t.Error("a wiped node is given data")
	}
	// It closes the old uploads again, so that replayed tickets store nothing.
	if orders := opened(t, w.orderPublic(), answer.Orders); len(orders) != 2 || orders[0].Upload != first || orders[0].Number != 1 {
		t.Errorf("it gets the orders %+v", orders)
	}
	w.drain(a)
	w.restart()
	if seen := w.see(a); !seen.Wiped || seen.Writable {
		t.Error("it is trusted again after it caught up")
	}

	// Its owner begins anew: the same machine and URL, another key.
	if err := w.Remove(t.Context(), a.ID); err != nil {
		t.Fatal(err)
	}
	c := w.joined("Alpha", "DE")
	w.beat(b)
	if seen := w.see(c); !seen.Writable || seen.URL != seen.Origin {
		t.Errorf("%+v", seen)
	}
	if _, err := w.Chains(t.Context(), 1, nil); err != nil {
		t.Errorf("with its successor: %v", err)
	}
	w.clock.Add(15 * time.Second)
	w.refused(a.Heartbeat(t), fleet.ErrUnknownNode)
}

// Fault 23: the database was restored from a backup and forgot orders that a
// node has done. Numbers must not be given twice.
func TestJourneyOfARestoredDatabase(t *testing.T) {
	w := newWorld(t)
	a, b := w.joined("Alpha", "DE"), w.joined("Beta", "NZ")
	w.abandon(a, b)
	w.drain(a)
	kept := w.abandon(a)
	a.Done.Number = 5 // orders 2 to 5 were given, and done, after the backup was made
	w.clock.Add(15 * time.Second)
	w.refused(a.Heartbeat(t), fleet.ErrRestored, "order 5 of epoch 1")
	if w.see(a).LastSeen.Equal(w.clock.Now()) {
		t.Error("a refused heartbeat keeps it alive")
	}
	if !w.logged("ERROR", "restored", a.ID.String(), "node_order=5", "database_order=2") {
		t.Error("not logged")
	}
	epoch, err := w.store.RaiseEpoch(t.Context(), a.Done.Epoch)
	if err != nil || epoch != 2 {
		t.Fatal(epoch, err)
	}
	answer := w.beat(a)
	if orders := opened(t, w.orderPublic(), answer.Orders); answer.Epoch != 2 || len(orders) != 1 || orders[0].Upload != kept || orders[0].Epoch != 2 || orders[0].Number != 1 {
		t.Errorf("epoch %d: %+v", answer.Epoch, orders)
	}
	w.drain(a)
	w.drain(b)
	w.wantOutcomes(a, ticket.Done)
	w.wantOutcomes(b, ticket.Done)
	if w.see(a).Wiped || w.see(b).Wiped {
		t.Error("an epoch's first orders look like a loss")
	}
	w.clock.Add(15 * time.Second)
	w.refused(a.Heartbeat(t, func(h *ticket.Heartbeat) { h.Epoch = 3 }), fleet.ErrRestored, "epoch 3")
}

// Fault 23, later noticed: the restored database gave as many orders as the node
// had done before the node came by. The counts are equal, the orders are not.
func TestJourneyOfAForkedDatabase(t *testing.T) {
	w := newWorld(t)
	a, b := w.joined("Alpha", "DE"), w.joined("Beta", "NZ")
	w.abandon(a, b)
	w.drain(a)
	w.drain(b)
	restored := w.backup()
	w.abandon(a)
	w.drain(a)
	restored()
	w.clock.Add(15 * time.Second)
	kept := w.abandon(a, b)
	w.refused(a.Heartbeat(t), fleet.ErrRestored, "order 2 of epoch 1")
	if w.see(a).LastSeen.Equal(w.clock.Now()) || a.Done.Number != 2 {
		t.Error("a refused heartbeat keeps it alive")
	}
	if !w.logged("ERROR", "restored", a.ID.String(), "node_order=2", "database_order=2") {
		t.Error("not logged")
	}
	w.drain(b) // which did nothing meanwhile, and is on this history
	if _, err := w.Heartbeat(t.Context(), a.Heartbeat(t, func(h *ticket.Heartbeat) { h.Order = nil }), nil); err != nil {
		t.Error("a node that does not say which order it did:", err)
	}
	if _, err := w.store.RaiseEpoch(t.Context(), a.Done.Epoch); err != nil {
		t.Fatal(err)
	}
	answer := w.beat(a)
	if orders := opened(t, w.orderPublic(), answer.Orders); len(orders) != 1 || orders[0].Upload != kept || orders[0].Epoch != 2 {
		t.Errorf("%+v", orders)
	}
	w.drain(a)
	w.drain(b)
	w.wantOutcomes(a, ticket.Done)
	if w.see(a).Wiped || w.see(b).Wiped {
		t.Error("an epoch's first orders look like a loss")
	}
}

// What was done is forgotten after two days, whatever strangers open and leave.
func TestJourneyOfForgottenOrders(t *testing.T) {
	w := newWorld(t)
	a, b := w.joined("Alpha", "DE"), w.joined("Beta", "NZ")
	rows := func(n *fleettest.Node) int { return len(w.outcomes(n)) }
	for range 300 {
		w.abandon(a, b)
	}
	w.drain(a)
	receipts := b.Do(t, w.orderPublic(), w.beat(b).Orders[:100]) // and no more for a while
	w.beat(b, receipts...)
	forget := func(want int) {
		t.Helper()
		if n, err := w.ForgetOrders(t.Context(), 1000); err != nil || n != want {
			t.Errorf("%d orders forgotten, %v; want %d", n, err, want)
		}
	}
	w.clock.Add(48 * time.Hour)
	forget(0)
	w.clock.Add(24 * time.Hour)
	forget(299 + 99)
	if rows(a) != 1 || rows(b) != 201 {
		t.Errorf("%d orders are left of the one, %d of the other", rows(a), rows(b))
	}
	w.beat(b, receipts...) // told again, since the answer was lost
	if w.logged("answers no order") {
		t.Error("a receipt of an order that was done is taken for a false one")
	}
	w.drain(b)
	w.abandon(a, b)
	w.drain(a)
	w.drain(b)
	if a.Done.Number != 301 || b.Done.Number != 301 {
		t.Errorf("%+v and %+v done", a.Done, b.Done)
	}
	w.clock.Add(15 * time.Second)
	w.refused(a.Heartbeat(t, func(h *ticket.Heartbeat) { h.Order = new([32]byte) }), fleet.ErrRestored)

	// A node that was wiped could not go on from where it is.
	a.Done = fleet.Progress{}
	if answer := w.beat(a); len(answer.Orders) != 0 || answer.More || !w.see(a).Wiped {
		t.Errorf("%d orders, wiped %v", len(answer.Orders), w.see(a).Wiped)
	}
}

// A node that holds orders back says so: it is shown, and logged once.
func TestHeldOrdersAreSeen(t *testing.T) {
	w := newWorld(t)
	a := w.joined("Alpha", "DE")
	if w.see(a).Held {
		t.Error("held from the beginning")
	}
	a.Held = true
	w.later(time.Minute, a)
	if seen := w.see(a); !seen.Held || !seen.Writable {
		t.Errorf("%+v", seen)
	}
	w.restart()
	if !w.see(a).Held {
		t.Error("not stored")
	}
	w.later(time.Minute, a)
	if n := strings.Count(w.log.String(), "holds its orders back"); n != 1 || !w.logged("ERROR", "holds its orders back", a.ID.String()) {
		t.Errorf("logged %d times", n)
	}
	a.Held = false
	w.later(time.Minute, a)
	if w.see(a).Held || strings.Count(w.log.String(), "does its orders again") != 1 {
		t.Error("its release is not seen, or not logged once")
	}
}
