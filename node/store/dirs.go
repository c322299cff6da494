package store

import "sync"

// dirQueues lets concurrent writers share the syncs of a directory (group
// commit): whoever comes while one runs waits for the next, which covers all
// that came until it began.
type dirQueues struct {
	// step syncs a directory. What it notes of a failure is known before anybody
	// who waited, or whose own sync comes later, goes on.
	step func(dir string) error

	mu sync.Mutex
	m  map[string]*dirQueue // guarded by mu
}

// dirQueue is a directory being synced, and the sync to come. Both are guarded
// by dirQueues.mu.
type dirQueue struct{ running, next *dirSync }

type dirSync struct {
	done chan struct{}
	err  error // set before done is closed
}

// sync returns once a sync of dir that began after the call has ended.
func (q *dirQueues) sync(dir string) error {
	q.mu.Lock()
	if q.m == nil {
		q.m = map[string]*dirQueue{}
	}
	queue := q.m[dir]
	if queue == nil {
		queue = &dirQueue{}
		q.m[dir] = queue
	}
	if mine := queue.next; mine != nil {
		q.mu.Unlock()
		<-mine.done
		return mine.err
	}
	mine, before := &dirSync{done: make(chan struct{})}, queue.running
	if before != nil {
		queue.next = mine
		q.mu.Unlock()
		<-before.done
		q.mu.Lock()
		queue.next = nil // from here on others wait for the one after this
	}
	queue.running = mine
	q.mu.Unlock()

	mine.err = q.step(dir)

	q.mu.Lock()
	if queue.next == nil {
		// Nobody waits for this one to end before starting the next.
		delete(q.m, dir)
	}
	close(mine.done)
	q.mu.Unlock()
	return mine.err
}
