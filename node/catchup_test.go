package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/node/order"
	"holdfast/node/store"
)

// TestMissedOrders: the node goes on asking while there is more, waits for its
// count if that decides, and serves when nothing more can be done.
func TestMissedOrders(t *testing.T) {
	type answer struct {
		more bool
		err  error
	}
	uncounted := answer{err: fmt.Errorf("order 1: %w", order.ErrNotCounted)}
	held := answer{err: fmt.Errorf("order 1: %w", order.ErrHeld)}
	for _, c := range []struct {
		name    string
		answers []answer
		counts  time.Duration // 0: the disk fails
		beats   int
		takes   time.Duration
	}{
		{"nothing missed", []answer{{}}, time.Hour, 1, 0},
		{"many", []answer{{more: true}, {more: true}, {}}, time.Hour, 3, 0},
		{"no server", []answer{{err: errors.New("refused")}}, time.Hour, 1, 0},
		{"too many", []answer{{more: true}, held}, time.Hour, 2, 0},
		{"not counted yet", []answer{uncounted, {more: true}, {}}, time.Minute, 3, time.Minute},
		{"counted, and too many", []answer{uncounted, held}, time.Minute, 2, time.Minute},
		{"the count fails", []answer{uncounted}, 0, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start, beats := time.Now(), 0
				m := missed{log: slog.New(slog.DiscardHandler)}
				m.status = func() store.Status {
					if c.counts == 0 {
						return store.Status{Reason: store.IOError}
					}
					return store.Status{Counted: time.Since(start) >= c.counts}
				}
				m.beat = func(context.Context) (bool, error) {
					beats++
					if beats > len(c.answers) {
						return false, nil
					}
					return c.answers[beats-1].more, c.answers[beats-1].err
				}
				m.do(t.Context())
				if took := time.Since(start); beats != c.beats || took != c.takes {
					t.Errorf("%d heartbeats in %s, want %d in %s", beats, took, c.beats, c.takes)
				}
			})
		})
	}
}
