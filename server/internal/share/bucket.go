package share

import (
	"sync"

	"holdfast/format/id"
	"holdfast/server/internal/bucket"
)

// tries of wrong keys of one handle.
var tries = bucket.Bucket{Burst: 10, Refill: 10}

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
