package cluster

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"holdfast/api"
)

// front serves a handler on loopback, always at the same address once it has one.
type front struct {
	tap    *Tap
	addr   string // "" before the first time
	server *http.Server
	ended  chan error
}

// listen takes the front's address, or a free one the first time.
func (f *front) listen() (net.Listener, error) {
	addr := f.addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	if err == nil {
		f.addr = l.Addr().String()
	}
	return l, err
}

func (f *front) url() string { return "http://" + f.addr }

func (f *front) serve(l net.Listener, h http.Handler) {
	f.server = &http.Server{Handler: f.tap.over(h), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	f.ended = make(chan error, 1)
	go func() { f.ended <- f.server.Serve(l) }()
}

// cut ends all connections in the middle of whatever they carry.
func (f *front) cut() error {
	err := f.server.Close()
	if served := <-f.ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// Request is one request as the tap saw it.
type Request struct {
	Method, Path string
	// Answered are the bytes of the answer's body.
	Answered int64
}

// Tap notes the requests that reach a server or node.
type Tap struct {
	mu   sync.Mutex // guards seen
	seen []*Request
}

// Take returns the requests that began since it was called last, without signs
// of life.
func (t *Tap) Take() []Request {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []Request
	for _, r := range t.seen {
		if r.Path != api.Heartbeat.Path {
			all = append(all, *r)
		}
	}
	t.seen = nil
	return all
}

func (t *Tap) over(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(&counting{w, t.note(r)}, r)
	})
}

// note begins to count a request. It does so before the answer, so that who has
// an answer finds its request here.
func (t *Tap) note(r *http.Request) (answered func(n int)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := &Request{Method: r.Method, Path: r.URL.Path}
	t.seen = append(t.seen, seen)
	return func(n int) {
		t.mu.Lock()
		defer t.mu.Unlock()
		seen.Answered += int64(n)
	}
}

// counting counts what is answered; deadlines and flushing go through Unwrap.
type counting struct {
	http.ResponseWriter
	answered func(n int)
}

func (c *counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *counting) Write(p []byte) (int, error) {
	c.answered(len(p))
	return c.ResponseWriter.Write(p)
}
