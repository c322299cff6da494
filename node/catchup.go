package node

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"holdfast/node/order"
	"holdfast/node/store"
)

// countPause is how often a node looks whether its blobs are counted, before it serves.
const countPause = 200 * time.Millisecond

// missed does the orders that were given while the node was away.
type missed struct {
	// beat asks the server once and does what it orders; true means that more waits.
	beat   func(context.Context) (more bool, err error)
	status func() store.Status
	log    *slog.Logger
}

// do returns when nothing is left, or nothing more can be done. Orders that
// would delete too much are left to the owner: whoever gives them is in doubt,
// and the node serves without having done them.
func (m missed) do(ctx context.Context) {
	for ctx.Err() == nil {
		ask, done := context.WithTimeout(ctx, catchUpTime)
		more, err := m.beat(ask)
		done()
		switch {
		case errors.Is(err, order.ErrNotCounted) && m.counted(ctx):
			continue
		case err != nil:
			m.log.Warn("starting without the server's orders", "error", withoutAddress(err))
			return
		case !more:
			return
		}
	}
}

// counted waits until it is known how much the node holds, and returns false if
// the disk fails or ctx ends before. Meanwhile the server hears nothing of a node
// that would not serve anyway.
func (m missed) counted(ctx context.Context) bool {
	m.log.Info("blobs are counted before the orders of the time away are done")
	for {
		status := m.status()
		if status.Counted || status.Reason == store.IOError {
			return status.Counted
		}
		if !pause(ctx, countPause) {
			return false
		}
	}
}
