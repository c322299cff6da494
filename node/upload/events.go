package upload

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"holdfast/api"
	"holdfast/node/pace"
)

// beatTime is how often a client that waits for another node's receipt is told
// that this one is still at work: it gives up a node from which nothing has come
// for 10 seconds. That the other node is at work is the peers' to watch.
const beatTime = 3 * time.Second

// events writes an answer of newline-separated JSON, each line when it happens.
// Whoever does not take a line in time is gone.
type events struct {
	conn *http.ResponseController
	out  *pace.Writer
	// lost is called, once, when the client is found gone; may be nil.
	lost func()

	mu   sync.Mutex // guards what follows
	json *json.Encoder
	gone bool // the client; the work goes on without it, unless lost ends it
}

func newEvents(w http.ResponseWriter) *events {
	w.Header().Set("Content-Type", api.TypeEvents)
	w.Header().Set("Cache-Control", "no-store")
	return &events{conn: http.NewResponseController(w), out: pace.NewWriter(w), json: json.NewEncoder(w)}
}

// send writes an event and lets it out at once.
func (e *events) send(event api.Event) {
	e.write(event)
	e.flush()
}

func (e *events) write(event api.Event) { e.try(func() error { return e.json.Encode(event) }) }

func (e *events) flush() { e.try(e.conn.Flush) }

func (e *events) try(write func() error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tryLocked(write)
}

func (e *events) tryLocked(write func() error) {
	if e.gone {
		return
	}
	e.out.Next()
	if e.gone = write() != nil; e.gone && e.lost != nil {
		e.lost()
	}
}

// beat lets an empty event out now and then, until stop is called, which must be
// before the answer ends.
func (e *events) beat() (stop func()) {
	done := make(chan struct{})
	var beats sync.WaitGroup
	beats.Go(func() {
		tick := time.NewTicker(beatTime)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			if e.mu.TryLock() { // else something is on its way
				e.tryLocked(func() error { return e.json.Encode(api.Event{}) })
				e.tryLocked(e.conn.Flush)
				e.mu.Unlock()
			}
		}
	})
	return func() {
		close(done)
		beats.Wait()
	}
}
