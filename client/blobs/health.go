package blobs

import (
	"sync"
	"time"

	"holdfast/format/id"
)

const (
	// firstRest is how long a node that failed is asked last; it doubles with
	// every failure in a row, up to lastRest.
	firstRest = 2 * time.Second
	lastRest  = time.Minute
	// fullRest is for nodes that say that they take no more.
	fullRest = 5 * time.Minute
)

// health remembers during a transfer which nodes failed. Safe for concurrent use.
type health struct {
	mu    sync.Mutex // guards nodes
	nodes map[id.Node]*condition
}

type condition struct {
	failures int
	until    time.Time
	rate     float64 // bytes a second of late, 0 if unknown
	slow     bool    // was given up for being slow
}

func newHealth() *health { return &health{nodes: map[id.Node]*condition{}} }

// of is called with mu held.
func (h *health) of(node id.Node) *condition {
	c := h.nodes[node]
	if c == nil {
		c = &condition{}
		h.nodes[node] = c
	}
	return c
}

func (h *health) good(node id.Node, rate float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.of(node)
	c.failures, c.until = 0, time.Time{}
	if c.rate == 0 {
		c.rate = rate
	}
	c.rate = (3*c.rate + rate) / 4
}

func (h *health) failed(node id.Node, now time.Time, rest time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.of(node)
	if now.Before(c.until) && rest == 0 {
		return // one fault seen by several requests at once counts once
	}
	if rest == 0 {
		rest = min(firstRest<<min(c.failures, 10), lastRest)
	}
	c.failures++
	c.until = now.Add(rest)
}

func (h *health) tooSlow(node id.Node, now time.Time) {
	h.failed(node, now, lastRest)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.of(node).slow = true
}

// rests returns until when the node is asked last; the past if it is not.
func (h *health) rests(node id.Node) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.of(node).until
}

// wasSlow tells whether the node was given up for being slow before.
func (h *health) wasSlow(node id.Node) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.of(node).slow
}

// rate is the node's throughput of late, 0 if unknown.
func (h *health) rate(node id.Node) float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.of(node).rate
}
