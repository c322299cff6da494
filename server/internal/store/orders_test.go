//go:build linux

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast/format/id"
	"holdfast/server/internal/fleet"
	"holdfast/server/internal/fleet/fleettest"
)

func admit(t *testing.T, s *Store, url string) id.Node {
	t.Helper()
	clock := fleettest.NewClock()
	invite := fleet.Invitation{Hash: [32]byte(id.New32()), Expires: clock.Now().Add(time.Hour)}
	if err := s.AddInvite(t.Context(), invite, clock.Now()); err != nil {
		t.Fatal(err)
	}
	m := fleettest.NewNode(t, clock, "Alpha", "DE", url).Member(t)
	if err := s.AdmitNode(t.Context(), m, invite.Hash, clock.Now()); err != nil {
		t.Fatal(err)
	}
	return m.Node
}

// An order is given by the transaction that ends an upload, or not at all.
func TestEnqueueDeleteIsPartOfTheTransaction(t *testing.T) { onEach(t, enqueuePartOf) }

func enqueuePartOf(t *testing.T, open func(*testing.T) *Store) {
	s := open(t)
	node := admit(t, s, "https://a.example")
	enqueue := func(upload byte, end error) error {
		return s.write(t.Context(), func(tx *sql.Tx) error {
			if err := enqueueDelete(t.Context(), tx, id.Upload{upload}, []id.Node{node}, 1); err != nil {
				return err
			}
			return end
		})
	}
	failed := errors.New("the caller failed")
	for i, end := range []error{nil, failed, nil} {
		if err := enqueue(byte(i), end); !errors.Is(err, end) {
			t.Fatal(err)
		}
	}
	got, err := s.Orders(t.Context(), node, fleet.Progress{Epoch: 1}, 10)
	if err != nil || len(got) != 2 || got[0].Number != 1 || got[1].Number != 2 || got[1].Upload != (id.Upload{2}) {
		t.Errorf("%+v, %v", got, err)
	}
}

// Whatever is ordered, answered, rolled back and begun anew, and in whatever
// sequence: numbers of a node are 1, 2, 3 … within an epoch, an order never
// changes, and none that was not answered is lost.
func TestOrdersUnderAnySchedule(t *testing.T) {
	s := open(t)
	nodes := 0
	rapid.Check(t, func(rt *rapid.T) {
		m := &orderModel{s: s, ctx: t.Context(), orders: map[id.Node][]fleet.Order{}, pending: map[id.Node][]id.Upload{}}
		for range 3 {
			nodes++
			m.nodes = append(m.nodes, admit(t, s, fmt.Sprintf("https://n%d.example", nodes)))
		}
		var err error
		if m.epoch, err = s.Epoch(m.ctx); err != nil {
			rt.Fatal(err)
		}
		rt.Repeat(map[string]func(*rapid.T){"order": m.order, "fail": m.fail, "answer": m.answer, "raise": m.raise, "": m.check})
	})
}

type orderModel struct {
	s      *Store
	ctx    context.Context
	nodes  []id.Node
	epoch  int64
	orders map[id.Node][]fleet.Order // of the present epoch
	// pending are uploads whose deletion was not answered, in the sequence in
	// which they were ordered.
	pending map[id.Node][]id.Upload
}

var errFail = errors.New("rolled back")

func (m *orderModel) enqueue(t *rapid.T, end error) (id.Upload, []id.Node) {
	upload := id.New[id.Upload]()
	nodes := rapid.SliceOfNDistinct(rapid.SampledFrom(m.nodes), 0, 3, rapid.ID).Draw(t, "nodes")
	err := m.s.write(m.ctx, func(tx *sql.Tx) error {
		if err := enqueueDelete(m.ctx, tx, upload, nodes, 1); err != nil {
			return err
		}
		return end
	})
	if !errors.Is(err, end) {
		t.Fatal(err)
	}
	return upload, nodes
}

func (m *orderModel) order(t *rapid.T) {
	upload, nodes := m.enqueue(t, nil)
	for _, n := range nodes {
		m.pending[n] = append(m.pending[n], upload)
	}
}

func (m *orderModel) fail(t *rapid.T) { m.enqueue(t, errFail) }

func (m *orderModel) answer(t *rapid.T) {
	node := rapid.SampledFrom(m.nodes).Draw(t, "node")
	if len(m.orders[node]) == 0 {
		t.Skip("no orders")
	}
	o := rapid.SampledFrom(m.orders[node]).Draw(t, "order")
	if err := m.s.SaveReport(m.ctx, fleet.Report{Node: node, Receipts: []fleet.Answered{{Progress: o.Progress, Outcome: 1, Receipt: []byte{1}}}}); err != nil {
		t.Fatal(err)
	}
	m.pending[node] = slices.DeleteFunc(m.pending[node], func(u id.Upload) bool { return u == o.Upload })
}

func (m *orderModel) raise(t *rapid.T) {
	epoch, err := m.s.RaiseEpoch(m.ctx, m.epoch-1)
	if err != nil || epoch != m.epoch+1 {
		t.Fatalf("epoch %d, %v", epoch, err)
	}
	m.epoch = epoch
	clear(m.orders)
}

func (m *orderModel) check(t *rapid.T) {
	for _, node := range m.nodes {
		got, err := m.s.Orders(m.ctx, node, fleet.Progress{Epoch: m.epoch}, 1000)
		if err != nil {
			t.Fatal(err)
		}
		var pending []id.Upload
		for i, o := range got {
			if o.Number != int64(i+1) || o.Epoch != m.epoch {
				t.Fatalf("order %d of epoch %d stands in place %d", o.Number, o.Epoch, i+1)
			}
			if before := m.orders[node]; i < len(before) && before[i].Upload != o.Upload {
				t.Fatalf("order %d was for upload %s and is for %s", o.Number, before[i].Upload, o.Upload)
			}
			if o.Outcome == 0 {
				pending = append(pending, o.Upload)
			}
		}
		if len(got) < len(m.orders[node]) || !slices.Equal(pending, m.pending[node]) {
			t.Fatalf("%d orders, %d of them pending, %d expected", len(got), len(pending), len(m.pending[node]))
		}
		m.orders[node] = got
	}
}
