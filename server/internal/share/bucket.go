package share

import (
	"sync"
	"time"

	"holdfast/format/id"
)

// A handle has tries for burst wrong keys, and gets one back every refill. What
// is kept is one number: when all of them are free again.
const (
	burst  = 10
	refill = 10 // seconds
)

// wait is how long until the next try at now, given when all are free again.
func wait(free, now int64) time.Duration {
	return time.Duration(max(free-now-(burst-1)*refill, 0)) * time.Second
}

// failed is when all tries are free again after one more wrong key at now.
func failed(free, now int64) int64 { return max(free, now) + refill }

// gate lets one try of a handle in at a time: otherwise any number of keys
// could be tried at once while the count still allows it. Every server has its
// own gate, so that n servers allow n tries at once.
type gate struct {
	mu   sync.Mutex // guards busy
	busy map[id.Handle]*turn
}

type turn struct {
	mu      sync.Mutex // held by whoever tries
	waiting int        // guarded by gate.mu
}

// enter waits for the handle's turn; the caller calls the result once.
func (g *gate) enter(handle id.Handle) (leave func()) {
	g.mu.Lock()
	if g.busy == nil {
		g.busy = map[id.Handle]*turn{}
	}
	t := g.busy[handle]
	if t == nil {
		t = &turn{}
		g.busy[handle] = t
	}
	t.waiting++
	g.mu.Unlock()
	t.mu.Lock()
	return func() {
		t.mu.Unlock()
		g.mu.Lock()
		defer g.mu.Unlock()
		if t.waiting--; t.waiting == 0 {
			delete(g.busy, handle)
		}
	}
}
