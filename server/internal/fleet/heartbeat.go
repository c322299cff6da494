package fleet

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/format/wire"
)

const (
	// maxSkew is how far a node's clock may be from the server's. Tickets live for
	// minutes, so that a node further off could not serve.
	maxSkew = 10 * time.Minute
	// maxReceipts and maxOrders bound one exchange; a node comes back at once for more.
	maxReceipts = 1024
	maxOrders   = 256
	// maxNonces bounds what is remembered of one node: heartbeats come every 15
	// seconds, and faster only while orders wait, 256 with each.
	maxNonces = 2048
)

// Answer is what a node gets for a heartbeat.
type Answer struct {
	Epoch int64
	// Orders are signed envelopes in the sequence of their numbers. More tells
	// that others follow.
	Orders []string
	More   bool
	// Time is the server's clock.
	Time time.Time
}

// pulse is what this server heard of one node.
type pulse struct {
	beat   Beat
	at     time.Time // when beat was taken: Beat.SeenAt more precisely
	dirty  bool      // not stored yet
	nonces map[[16]byte]int64
}

// Heartbeat takes a node's heartbeat and the receipts of orders that it did,
// and answers with the orders that come next. Receipts that do not hold are
// logged and left out, so that one bad receipt cannot keep a node from its
// orders. It fails with ErrUnknownNode or ErrHeartbeat.
func (f *Fleet) Heartbeat(ctx context.Context, heartbeat string, receipts []string) (Answer, error) {
	m, h, err := f.openHeartbeat(ctx, heartbeat)
	if err != nil {
		return Answer{}, err
	}
	if len(receipts) > maxReceipts {
		return Answer{}, fmt.Errorf("%w: %d receipts of orders, at most %d go with one", ErrHeartbeat, len(receipts), maxReceipts)
	}
	if err := f.checkClock(h); err != nil {
		return Answer{}, err
	}
	epoch, err := f.checkProgress(ctx, m, h)
	if err != nil {
		return Answer{}, err
	}
	if err := f.accept(m, h); err != nil {
		return Answer{}, err
	}
	if err := f.report(ctx, m, h, receipts); err != nil {
		return Answer{}, err
	}
	answer := Answer{Epoch: epoch, Time: f.cfg.Now()}
	after := Progress{Epoch: epoch}
	if h.Epoch == epoch {
		after.Number = h.Number
	}
	answer.Orders, answer.More, err = f.orders(ctx, m.Node, after)
	return answer, err
}

// openHeartbeat finds out who speaks and whether that node signed it.
func (f *Fleet) openHeartbeat(ctx context.Context, text string) (member, ticket.Heartbeat, error) {
	fail := func(err error) (member, ticket.Heartbeat, error) { return member{}, ticket.Heartbeat{}, err }
	envelope, err := ticket.ParseText(text)
	if err != nil {
		return fail(fmt.Errorf("%w: %w", ErrHeartbeat, err))
	}
	unverified, err := wire.Parse(envelope)
	if err != nil {
		return fail(fmt.Errorf("%w: %w", ErrHeartbeat, err))
	}
	m, err := f.member(ctx, id.Node(unverified.Key)) // a node's id is its key's id
	if err != nil {
		return fail(err)
	}
	if m.Removed {
		return fail(fmt.Errorf("node %s was removed: %w", m.Node, ErrUnknownNode))
	}
	h, err := ticket.Open[ticket.Heartbeat](m.declared.Public[:], envelope)
	if err != nil {
		return fail(fmt.Errorf("%w: %w", ErrHeartbeat, err))
	}
	if h.Epoch == 0 && h.Number != 0 {
		return fail(fmt.Errorf("%w: order %d without an epoch", ErrHeartbeat, h.Number))
	}
	return m, h, nil
}

// checkProgress refuses a node that did more orders than the database knows, or
// another one under the number that it names: then the database was restored from
// a backup, and the orders that it would give have numbers that this node did
// under another meaning. Older epochs are not compared: raising the epoch is the cure.
func (f *Fleet) checkProgress(ctx context.Context, m member, h ticket.Heartbeat) (epoch int64, err error) {
	last, err := f.cfg.Store.Issued(ctx, m.Node)
	if err != nil {
		return 0, fmt.Errorf("heartbeat: %w", err)
	}
	told := Progress{h.Epoch, h.Number}
	known := !last.Before(told)
	if known && h.Epoch == last.Epoch && h.Number > 0 && h.Order != nil {
		if known, err = f.same(ctx, m.Node, told, *h.Order); err != nil {
			return 0, fmt.Errorf("heartbeat: %w", err)
		}
	}
	if known {
		return last.Epoch, nil
	}
	f.cfg.Log.Error("a node has done orders that the database does not know as such: the database was restored from a backup; raise its epoch above the node's before anything is deleted",
		"node", m.Node, "node_epoch", h.Epoch, "node_order", h.Number, "database_epoch", last.Epoch, "database_order", last.Number)
	return 0, fmt.Errorf("%w: it is at order %d of epoch %d, the database in epoch %d; the operator has to raise the database's epoch", ErrRestored, h.Number, h.Epoch, last.Epoch)
}

func (f *Fleet) checkClock(h ticket.Heartbeat) error {
	now := f.cfg.Now()
	if h.Time > now.Add(maxSkew).Unix() || h.Time < now.Add(-maxSkew).Unix() {
		return fmt.Errorf("%w: the node's clock says %s and the server's %s; set the wrong one right",
			ErrClock, time.Unix(h.Time, 0).UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if off := h.Time - now.Unix(); max(off, -off) > int64(ticket.Skew/time.Second) {
		f.cfg.Log.Warn("a node's clock is off", "node", h.Node, "seconds", off)
	}
	return nil
}

// accept believes a heartbeat once: its nonce is new, and it is not older than
// what was stored before this server started or than the node's furthest progress.
// Nonces are this server's own: of several servers each may believe it once, which
// shows no more than that the node lived within maxSkew (docs/decisions/0008).
//
// After the clock was set back, a time stored before may lie so far ahead that no
// heartbeat could be believed until then; it is left out. Heartbeats of the time
// that comes twice could then be sent again, once each. They show at most that
// the node lives: the time of its furthest progress is never left out, and never
// goes back, so that none of them makes a node look wiped.
func (f *Fleet) accept(m member, h ticket.Heartbeat) error {
	now := f.cfg.Now()
	ahead := now.Add(maxSkew).Unix()
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pulses[m.Node]
	switch {
	case p == nil && h.Time <= m.Beat.ToldAt && m.Beat.ToldAt <= ahead:
		return fmt.Errorf("%w: an earlier one was %d seconds newer; if the node's clock was set back it is believed again after that time", ErrReplay, m.Beat.ToldAt-h.Time)
	case forgot(m, h) && h.Time <= m.DoneAt:
		return fmt.Errorf("%w: the node was further %d seconds later", ErrReplay, m.DoneAt-h.Time)
	case p == nil:
		p = &pulse{beat: Beat{Held: m.Beat.Held}, nonces: map[[16]byte]int64{}}
		f.pulses[m.Node] = p
	}
	p.prune(now.Add(-maxSkew).Unix())
	if _, used := p.nonces[h.Nonce]; used {
		return fmt.Errorf("%w: its nonce was used", ErrReplay)
	}
	if len(p.nonces) >= maxNonces {
		return fmt.Errorf("%w: more than %d heartbeats within %s; slow down", ErrHeartbeat, maxNonces, 2*maxSkew)
	}
	p.nonces[h.Nonce] = h.Time
	beat := Beat{
		Node: m.Node, SeenAt: now.Unix(), ToldAt: h.Time, Used: h.Used, Capacity: h.Capacity,
		ReadOnly: h.State != ticket.Serving, Held: h.Held != nil, Program: printable(h.Program),
	}
	if p.beat.ToldAt <= ahead {
		beat.ToldAt = max(h.Time, p.beat.ToldAt)
	}
	f.logHeld(p.beat, beat)
	p.beat, p.at, p.dirty = beat, now, true
	return nil
}

// printable leaves out what nobody could read, and NUL, which PostgreSQL keeps in
// no text: what one node says must not keep the beats of all from being stored.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text)
}

// logHeld says once that a node holds orders back, and once that it does not any more.
func (f *Fleet) logHeld(before, now Beat) {
	switch {
	case now.Held && !before.Held:
		f.cfg.Log.Error("a node holds its orders back, since they would delete more than half of what it holds within a day; if that is meant its owner releases them with `holdfast node release`", "node", now.Node)
	case before.Held && !now.Held:
		f.cfg.Log.Info("a node does its orders again", "node", now.Node)
	}
}

// prune forgets nonces of heartbeats that are too old to be accepted anyway.
func (p *pulse) prune(before int64) {
	for nonce, at := range p.nonces {
		if at < before {
			delete(p.nonces, nonce)
		}
	}
}

// forgot tells whether the node has done fewer orders than it once said.
func forgot(m member, h ticket.Heartbeat) bool { return Progress{h.Epoch, h.Number}.Before(m.Done) }

// report stores what a heartbeat changes for good: progress, receipts, and the
// loss of a node's state. Most heartbeats change nothing.
func (f *Fleet) report(ctx context.Context, m member, h ticket.Heartbeat, receipts []string) error {
	r := Report{Node: m.Node, Done: m.Done, DoneAt: m.DoneAt}
	if told := (Progress{h.Epoch, h.Number}); h.Number > 0 && m.Done.Before(told) {
		r.Done, r.DoneAt = told, max(h.Time, m.DoneAt)
	}
	lost := forgot(m, h) && m.WipedDay == 0
	if lost {
		r.WipedDay = max(ticket.Day(f.cfg.Now()), 1)
	}
	var err error
	if r.Receipts, err = f.answered(ctx, m, receipts); err != nil {
		return err
	}
	if r.Done == m.Done && !lost && len(r.Receipts) == 0 {
		return nil
	}
	if err := f.cfg.Store.SaveReport(ctx, r); err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	f.forget()
	if lost {
		f.cfg.Log.Error("a node forgot orders that it had done: its disk was lost or exchanged; it gets no new data. Remove it and let it join with a new key",
			"node", m.Node, "done", h.Number, "had_done", m.Done.Number)
	}
	return nil
}
