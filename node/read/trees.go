package read

import (
	"container/list"
	"runtime"
	"sync"

	"holdfast/format/blob"
	"holdfast/node/store"
)

// kept is how many outboards are remembered: at 32 KiB for the largest blobs
// that is 8 MiB. Readers of parts come back to the same few blobs.
const kept = 256

// trees remembers outboards, and lets concurrent readers of one blob wait for one
// pass over it.
type trees struct {
	turn chan struct{} // bounds the passes at a time

	mu      sync.Mutex // guards what follows
	entries map[store.Key]*list.Element
	recent  list.List // of *tree, the latest in front
}

type tree struct {
	key   store.Key
	ready chan struct{}
	board blob.Outboard // set before ready is closed, like err
	err   error
}

func (t *trees) init() {
	t.entries = map[store.Key]*list.Element{}
	t.turn = make(chan struct{}, runtime.GOMAXPROCS(0))
}

// get returns a blob's outboard, made by build where it is not known. A failure is
// not remembered.
func (t *trees) get(key store.Key, build func() (blob.Outboard, error)) (blob.Outboard, error) {
	t.mu.Lock()
	if e := t.entries[key]; e != nil {
		t.recent.MoveToFront(e)
		t.mu.Unlock()
		known := e.Value.(*tree)
		<-known.ready
		return known.board, known.err
	}
	mine := &tree{key: key, ready: make(chan struct{})}
	t.entries[key] = t.recent.PushFront(mine)
	if t.recent.Len() > kept {
		oldest := t.recent.Remove(t.recent.Back()).(*tree)
		delete(t.entries, oldest.key)
	}
	t.mu.Unlock()

	t.turn <- struct{}{}
	mine.board, mine.err = build()
	<-t.turn
	if mine.err != nil {
		t.forget(mine)
	}
	close(mine.ready)
	return mine.board, mine.err
}

func (t *trees) forget(which *tree) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.entries[which.key]; e != nil && e.Value == which {
		t.recent.Remove(e)
		delete(t.entries, which.key)
	}
}
