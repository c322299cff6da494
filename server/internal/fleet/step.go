package fleet

import (
	"context"
	"fmt"
	"time"

	"holdfast/format/ticket"
)

// StepEvery is how often Step should be called: a server that is killed forgets
// what heartbeats told since, of which the next ones tell again.
const StepEvery = 15 * time.Second

// Step stores what heartbeats told since the last step, in one transaction, and
// logs which nodes fell silent or came back. Each server calls it for itself,
// under no lease, and once more before it ends.
func (f *Fleet) Step(ctx context.Context) error {
	if err := f.flush(ctx); err != nil {
		return err
	}
	nodes, err := f.Nodes(ctx)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range nodes {
		was, known := f.silent[n.ID]
		now := !n.Live
		f.silent[n.ID] = now
		switch {
		case n.Removed || n.LastSeen.IsZero():
		case now && known && !was:
			f.cfg.Log.Warn("node fell silent", "node", n.ID, "last_seen", n.LastSeen.UTC().Format(time.RFC3339))
		case !now && known && was:
			f.cfg.Log.Info("node is back", "node", n.ID)
		}
	}
	return nil
}

// keepOrders is for how many full days after an order was given it is kept once
// it was answered. A node that came back from a copy of its disk that old gets
// again what it missed; tickets for the uploads have long expired.
const keepOrders = 2

// ForgetOrders drops at most limit orders that are done, and returns how many.
func (f *Fleet) ForgetOrders(ctx context.Context, limit int) (int, error) {
	return f.cfg.Store.ForgetOrders(ctx, ticket.Day(f.cfg.Now())-keepOrders, limit)
}

// flush stores the beats that are not stored yet.
func (f *Fleet) flush(ctx context.Context) error {
	f.mu.Lock()
	var beats []Beat
	for _, p := range f.pulses {
		if p.dirty {
			beats = append(beats, p.beat)
			p.dirty = false
		}
	}
	f.mu.Unlock()
	if len(beats) == 0 {
		return nil
	}
	err := f.cfg.Store.SaveBeats(ctx, beats, f.cfg.Now())
	if err == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range beats { // tried again at the next step
		f.pulses[b.Node].dirty = true
	}
	return fmt.Errorf("store heartbeats: %w", err)
}
