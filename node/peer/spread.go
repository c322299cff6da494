package peer

import (
	"context"
	"io"
	"sync"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/ticket"
)

// Job is a blob to be handed on.
type Job struct {
	Ticket string
	Chain  int
	Upload id.Upload
	Name   id.Name
	Size   int64
	// Nodes are tried in this order, resting ones last.
	Nodes []ticket.Place
	// Copies is how many of them shall store it.
	Copies int
	// Open returns the bytes from the first on; it may be called several times, and
	// its readers may wait for bytes that are still to come.
	Open func() (io.ReadCloser, error)
	// Held tells that this node has had the blob for a while, so that the others may
	// have it, too: they are asked before the bytes are sent.
	Held bool
}

// Spread starts to hand a blob on to as many nodes as wanted at once, each time
// one fails going on with the next. The channel carries one event for each node
// tried, never blocks the work, and is closed at the end.
func (p *Peers) Spread(ctx context.Context, job Job) <-chan api.Event {
	events := make(chan api.Event, len(job.Nodes))
	queue := &queue{left: p.Sort(job.Nodes)}
	var workers sync.WaitGroup
	for range min(job.Copies, len(job.Nodes)) {
		workers.Go(func() {
			for ctx.Err() == nil {
				place, ok := queue.next()
				if !ok {
					return
				}
				receipt, err := p.send(ctx, place, job)
				if ctx.Err() == nil {
					p.note(place.Node, err == nil || !blames(err))
				}
				if err == nil {
					events <- api.Event{Receipt: receipt}
					return
				}
				events <- api.Event{Failed: &api.NodeFailure{Node: place.Node, Code: code(err)}}
			}
		})
	}
	go func() {
		workers.Wait()
		close(events)
	}()
	return events
}

type queue struct {
	mu   sync.Mutex
	left []ticket.Place // guarded by mu
}

func (q *queue) next() (ticket.Place, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.left) == 0 {
		return ticket.Place{}, false
	}
	place := q.left[0]
	q.left = q.left[1:]
	return place, true
}
