package fleet

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/server/internal/placement"
)

// member is a Member with its declaration opened.
type member struct {
	Member
	declared ticket.Declaration
	origin   string
	text     string
}

// load returns the members, read again if the last reading is older than that.
func (f *Fleet) load(ctx context.Context, age time.Duration) ([]member, error) {
	if members, ok := f.fresh(age); ok {
		return members, nil
	}
	f.loading.Lock()
	defer f.loading.Unlock()
	if members, ok := f.fresh(age); ok { // somebody read while this call waited
		return members, nil
	}
	f.mu.Lock()
	before, known := f.changes, f.members
	f.mu.Unlock()
	at := f.cfg.Now()
	rows, err := f.cfg.Store.Members(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the fleet: %w", err)
	}
	members := make([]member, len(rows))
	for i, row := range rows {
		if members[i], err = open(row, known, i); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members = members
	if f.latest == 0 {
		f.latest = latest(members)
	}
	if f.changes == before { // otherwise something changed while this was read
		f.loadedAt = at
	}
	return members, nil
}

// open opens a row's declaration, unless it stands opened in known at the same
// place, as it nearly always does.
func open(row Member, known []member, i int) (member, error) {
	if i < len(known) && bytes.Equal(known[i].Declaration, row.Declaration) {
		m := known[i]
		m.Member = row
		return m, nil
	}
	declared, err := ticket.OpenDeclaration(row.Declaration)
	if err != nil {
		return member{}, fmt.Errorf("the database's declaration of node %s: %w", row.Node, err)
	}
	at, err := placeOf(declared.URL)
	if err != nil {
		return member{}, fmt.Errorf("the database's declaration of node %s: %w", row.Node, err)
	}
	return member{Member: row, declared: declared, origin: at.origin, text: ticket.Text(row.Declaration)}, nil
}

func (f *Fleet) fresh(age time.Duration) ([]member, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.cfg.Now().Sub(f.loadedAt)
	return f.members, !f.loadedAt.IsZero() && old >= 0 && old < age
}

// forget makes the next call read the members again.
func (f *Fleet) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loadedAt = time.Time{}
	f.changes++
}

// member returns one member. One that is not among those read last may have
// joined through another server a moment ago: they are read again, not as often
// as strangers ask.
func (f *Fleet) member(ctx context.Context, node id.Node) (member, error) {
	m, err := f.find(ctx, node)
	if errors.Is(err, ErrUnknownNode) && f.strangers.AllowN(f.cfg.Now(), 1) {
		f.forget()
		m, err = f.find(ctx, node)
	}
	return m, err
}

func (f *Fleet) find(ctx context.Context, node id.Node) (member, error) {
	members, err := f.load(ctx, staleAfter)
	if err != nil {
		return member{}, err
	}
	for _, m := range members {
		if m.Node == node {
			return m, nil
		}
	}
	return member{}, fmt.Errorf("node %s: %w", node, ErrUnknownNode)
}

func exposure(d ticket.Declaration) placement.Exposure {
	return placement.Exposure{Operator: d.Operator, Parent: d.Parent, Provider: d.Storage, Jurisdiction: d.Jurisdiction, Site: d.Site}
}

// node joins what a member declared with what its heartbeats told, here or, a
// little later, at another server.
func (f *Fleet) node(m member) Node {
	beat, seen := f.lastBeat(m)
	n := Node{
		ID: m.Node, Key: ed25519.PublicKey(m.declared.Public[:]), Declaration: m.text, Exposure: exposure(m.declared),
		URL: m.declared.URL, Origin: m.origin, Capacity: beat.Capacity, Used: beat.Used, Program: beat.Program,
		Held: beat.Held, Wiped: m.WipedDay != 0, Removed: m.Removed,
	}
	if beat.SeenAt == 0 {
		return n
	}
	n.LastSeen = seen
	n.Live = !n.Removed && (f.cfg.Now().Sub(seen).Abs() <= f.cfg.NodeTimeout || f.presumed(m)) // a clock set back makes nobody live
	n.Writable = n.Live && !n.Wiped && !beat.ReadOnly
	return n
}

// lastBeat is the later of what was heard here and what is stored, which another
// server may have heard. What seems to come from the future was stored before the
// clock was set back, and is the older by as much.
func (f *Fleet) lastBeat(m member) (Beat, time.Time) {
	now := f.cfg.Now().Unix()
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pulses[m.Node]
	if p != nil && distance(now, p.beat.SeenAt) <= distance(now, m.Beat.SeenAt) {
		return p.beat, p.at
	}
	return m.Beat, time.Unix(m.Beat.SeenAt, 0)
}

// presumed tells whether a node that has not been heard here yet counts as live
// because this server has only just started, and the node was there when any
// server was last: or a service that starts again would refuse everything until
// the first heartbeats come. Who meets a node that is gone goes to another.
//
// A server that is killed forgets what it heard since its last step, and one that
// starts believes no heartbeat of the second in which the last stored one was
// sent: a service killed several times in a row may store one node's heartbeats
// and miss another's. Nodes are given twice the time-out, and the second that
// whole seconds hide.
func (f *Fleet) presumed(m member) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	up := f.cfg.Now().Sub(f.started)
	return f.pulses[m.Node] == nil && up >= 0 && up <= f.cfg.NodeTimeout &&
		time.Duration(f.latest-m.Beat.SeenAt)*time.Second <= 2*f.cfg.NodeTimeout+time.Second
}

// latest is when any member was last seen, in Unix seconds.
func latest(members []member) (at int64) {
	for _, m := range members {
		if !m.Removed {
			at = max(at, m.Beat.SeenAt)
		}
	}
	return at
}

func distance(a, b int64) int64 { return max(a-b, b-a) }
