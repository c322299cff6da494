package fleet_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/server/internal/fleet"
	"holdfast/server/internal/fleet/fleettest"
	"holdfast/server/internal/placement"
)

// Whatever nodes do, in whatever sequence: come, fall silent, return, fill up,
// lose their disks, leave, and whenever the server crashes. No chain has two
// members that depend on each other, or one that cannot take data, and there
// are chains whenever two independent nodes can.
func TestChainsUnderAnySchedule(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &schedule{world: newWorld(t), nodes: map[id.Node]*actor{}}
		rt.Repeat(map[string]func(*rapid.T){
			"join": m.join, "beat": m.heartbeat, "time": m.time, "fill": m.fill, "read-only": m.readOnly, "wipe": m.wipe,
			"remove": m.remove, "crash": m.crash, "step": m.step, "abandon": m.abandonSome, "": m.check,
		})
	})
}

// actor is a node with what the test knows of it.
type actor struct {
	*fleettest.Node
	seen           time.Time
	stored         time.Time // seen as of the last step
	heard          bool      // by the server that runs now
	removed, wiped bool
	unstored       bool           // a heartbeat came since the last step
	reported       fleettest.Node // as of its last heartbeat
}

type schedule struct {
	*world
	nodes map[id.Node]*actor
	order []id.Node
	made  int
	// Of the server that runs now: when it started, and when a node had last been seen.
	started, latest time.Time
}

func (m *schedule) pick(t *rapid.T) *actor {
	if len(m.order) == 0 {
		t.Skip("no nodes")
	}
	a := m.nodes[m.order[rapid.IntRange(0, len(m.order)-1).Draw(t, "node")]]
	if a.removed {
		t.Skip("removed")
	}
	return a
}

func (m *schedule) join(t *rapid.T) {
	if len(m.order) >= 8 {
		t.Skip("enough")
	}
	m.made++
	operator := rapid.SampledFrom([]string{"Acme", "ACME ", "Zeta", "Straße", "STRASSE"}).Draw(t, "operator")
	law := rapid.SampledFrom([]string{"DE", "NZ", "IS"}).Draw(t, "law")
	n := fleettest.NewNode(m.t, m.clock, operator, law, fmt.Sprintf("https://n%d.example", m.made))
	n.Declared.Parent = rapid.SampledFrom([]string{"", "", "acme"}).Draw(t, "parent")
	n.Declared.Site = rapid.SampledFrom([]string{"", "", "NZ"}).Draw(t, "site")
	if _, err := m.Join(m.t.Context(), m.invite(), n.Declaration(m.t)); err != nil {
		t.Fatal(err)
	}
	m.nodes[n.ID] = &actor{Node: n}
	m.order = append(m.order, n.ID)
	m.send(t, m.nodes[n.ID])
}

func (m *schedule) send(t *rapid.T, a *actor) {
	answer, err := m.Heartbeat(m.t.Context(), a.Heartbeat(m.t), nil)
	if err != nil {
		t.Fatal(err)
	}
	a.seen, a.reported, a.unstored, a.heard = m.clock.Now(), *a.Node, true, true
	receipts := a.Do(m.t, m.orderPublic(), answer.Orders)
	if _, err := m.Heartbeat(m.t.Context(), a.Heartbeat(m.t), receipts); err != nil {
		t.Fatal(err)
	}
}

func (m *schedule) heartbeat(t *rapid.T) { m.send(t, m.pick(t)) }

func (m *schedule) time(t *rapid.T) {
	m.clock.Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "seconds")) * time.Second)
}

func (m *schedule) fill(t *rapid.T) {
	a := m.pick(t)
	a.Used = rapid.Int64Range(0, a.Capacity+1).Draw(t, "used")
	m.send(t, a)
}

func (m *schedule) readOnly(t *rapid.T) {
	a := m.pick(t)
	a.State = ticket.ReadOnly - a.State
	m.send(t, a)
}

func (m *schedule) wipe(t *rapid.T) {
	a := m.pick(t)
	m.clock.Add(time.Second) // a loss takes longer than that
	a.wiped = a.wiped || a.Done.Number > 0
	a.Done = fleet.Progress{}
	m.send(t, a)
}

func (m *schedule) abandonSome(t *rapid.T) { m.abandon(m.pick(t).Node) }

func (m *schedule) remove(t *rapid.T) {
	a := m.pick(t)
	if err := m.Remove(m.t.Context(), a.ID); err != nil {
		t.Fatal(err)
	}
	a.removed = true
}

// crash loses what was heard since the last step.
func (m *schedule) crash(t *rapid.T) {
	m.restart()
	m.started, m.latest = m.clock.Now(), time.Time{}
	for _, a := range m.nodes {
		a.heard = false
		if !a.removed && a.stored.After(m.latest) {
			m.latest = a.stored
		}
	}
	m.clock.Add(time.Second)
	for _, a := range m.nodes {
		if a.unstored && !a.removed {
			m.send(t, a) // to be heard again before it counts
		}
	}
}

func (m *schedule) step(t *rapid.T) {
	if err := m.Step(m.t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, a := range m.nodes {
		if a.unstored {
			a.stored, a.unstored = a.seen, false
		}
	}
}

// presumed: a server that has just started believes of a node what was so last.
func (m *schedule) presumed(a *actor) bool {
	const timeout = 45 * time.Second
	return !a.heard && m.clock.Now().Sub(m.started) <= timeout && m.latest.Unix()-a.stored.Unix() <= 91
}

func (m *schedule) check(t *rapid.T) {
	const bytes = 1 << 30
	can := map[id.Node]placement.Exposure{}
	var exposures []placement.Exposure
	for _, a := range m.nodes {
		n := m.see(a.Node)
		live := !a.removed && !a.seen.IsZero() && (m.clock.Now().Unix()-a.seen.Unix() <= 45 || m.presumed(a))
		writable := live && !a.wiped && a.reported.State == ticket.Serving
		if n.Live != live || n.Writable != writable || n.Wiped != a.wiped || n.Removed != a.removed {
			t.Fatalf("live %v, writable %v, wiped %v, removed %v; expected %v, %v, %v, %v", n.Live, n.Writable, n.Wiped, n.Removed, live, writable, a.wiped, a.removed)
		}
		if writable && a.reported.Capacity-a.reported.Used >= bytes {
			can[a.ID] = n.Exposure
			exposures = append(exposures, n.Exposure)
		}
	}
	chains, err := m.Chains(m.t.Context(), bytes, nil)
	if (err == nil) != placement.Satisfies(exposures, 2) || err != nil && !errors.Is(err, placement.ErrNoPlacement) {
		t.Fatalf("%v with %d nodes that can: %+v", err, len(exposures), exposures)
	}
	for _, chain := range chains {
		for i, node := range chain {
			e, ok := can[node]
			if !ok {
				t.Fatalf("%s cannot take it", node)
			}
			for _, other := range chain[:i] {
				if !placement.Independent(e, can[other]) {
					t.Fatalf("%+v and %+v in one chain", e, can[other])
				}
			}
		}
	}
}
