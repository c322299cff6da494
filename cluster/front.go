package cluster

import (
	"context"
	"crypto/tls"
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
	addr   string      // "" before the first time
	tls    *tls.Config // nil for plain HTTP
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

func (f *front) url() string {
	if f.tls != nil {
		return "https://" + f.addr
	}
	return "http://" + f.addr
}

func (f *front) serve(l net.Listener, h http.Handler) {
	f.server = &http.Server{Handler: f.tap.over(h), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	f.ended = make(chan error, 1)
	if f.tls != nil {
		l = tls.NewListener(l, f.tls)
	}
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
	mu   sync.Mutex // guards what follows
	seen []*Request
	trap *trap // nil unless set
}

// trap springs once when so many more bytes were answered.
type trap struct {
	left   int64
	spring func()
	done   chan struct{}
}

// After calls f, once, when bytes more have been answered. The answer that is
// on its way then stands still until its connection ends: f may stop the node in
// the middle of it. The channel is closed when f has returned.
func (t *Tap) After(bytes int64, f func()) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trap = &trap{left: bytes, spring: f, done: make(chan struct{})}
	return t.trap.done
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
		h.ServeHTTP(&counting{w, t, t.note(r), r.Context()}, r)
	})
}

// note begins to count a request. It does so before the answer, so that who has
// an answer finds its request here.
func (t *Tap) note(r *http.Request) *Request {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := &Request{Method: r.Method, Path: r.URL.Path}
	t.seen = append(t.seen, seen)
	return seen
}

// answers counts bytes that are about to be answered; true means that the trap
// was sprung.
func (t *Tap) answers(r *Request, n int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.Answered += int64(n)
	if t.trap == nil {
		return false
	}
	if t.trap.left -= int64(n); t.trap.left > 0 {
		return false
	}
	sprung := t.trap
	t.trap = nil
	go func() {
		defer close(sprung.done)
		sprung.spring()
	}()
	return true
}

// counting counts what is answered; deadlines and flushing go through Unwrap.
type counting struct {
	http.ResponseWriter
	tap     *Tap
	request *Request
	ctx     context.Context
}

func (c *counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *counting) Write(p []byte) (int, error) {
	if c.tap.answers(c.request, len(p)) {
		<-c.ctx.Done()
		return 0, context.Cause(c.ctx)
	}
	return c.ResponseWriter.Write(p)
}
