package upload

import (
	"encoding/json"
	"net/http"
	"sync"

	"holdfast/api"
)

// events writes an answer of newline-separated JSON, each line when it happens.
type events struct {
	conn *http.ResponseController

	mu   sync.Mutex // guards what follows
	json *json.Encoder
	gone bool // the client; the work goes on without it
}

func newEvents(w http.ResponseWriter) *events {
	w.Header().Set("Content-Type", api.TypeEvents)
	w.Header().Set("Cache-Control", "no-store")
	return &events{conn: http.NewResponseController(w), json: json.NewEncoder(w)}
}

// send writes an event and lets it out at once.
func (e *events) send(event api.Event) {
	e.write(event)
	e.flush()
}

func (e *events) write(event api.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gone = e.gone || e.json.Encode(event) != nil
}

func (e *events) flush() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gone = e.gone || e.conn.Flush() != nil
}
