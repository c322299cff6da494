//go:build linux

package faults

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"
)

// phase is a moment in the life of one POST /blobs, as a front sees it.
type phase int

const (
	atHeaders phase = iota
	atFirstByte
	atQuarter
	atHalf
	atAlmostAll
	atAll
	atAnswer
	atFirstEvent
	atSecondEvent
	phases
)

func (p phase) String() string {
	return [...]string{"headers", "first byte", "quarter", "half", "almost all", "all", "answer", "first event", "second event"}[p]
}

// moment is one phase of the n-th POST of a kind: from a client (copies 2) or
// from another node (copies 1).
type moment struct {
	copies string
	n      int
	phase  phase
}

func (m moment) String() string {
	who := map[string]string{"2": "first node", "1": "second node"}[m.copies]
	return fmt.Sprintf("%s, blob %d, %s", who, m.n, m.phase)
}

// fronts stand before nodes, count what passes, and strike at one moment.
type fronts struct {
	mu     sync.Mutex // guards all below
	posts  map[string]int
	bytes  map[string]int64
	at     moment
	strike func(node string)
	struck string

	// names are the blobs that any node was asked to store, from the first header on.
	names map[string]bool

	// tls is what fronts serve, and what they trust; nil for plain HTTP.
	tls *tls.Config

	reads     int64
	readMark  int64
	onReading func()
}

// armReads calls strike once when so many bytes of blobs were read.
func (f *fronts) armReads(mark int64, strike func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads, f.readMark, f.onReading = 0, mark, strike
}

func (f *fronts) readBytes() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads
}

func (f *fronts) countRead(n int) {
	f.mu.Lock()
	before := f.reads
	f.reads += int64(n)
	hit := f.onReading != nil && before < f.readMark && f.readMark <= f.reads
	strike := f.onReading
	f.mu.Unlock()
	if hit {
		strike()
	}
}

// watchedRead counts what a node sends to readers.
type watchedRead struct {
	io.ReadCloser
	fronts *fronts
}

func (r *watchedRead) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.fronts.countRead(n)
	return n, err
}

// arm resets the counts and sets what happens once, when the moment comes.
func (f *fronts) arm(at moment, strike func(node string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.posts, f.bytes, f.names = map[string]int{}, map[string]int64{}, map[string]bool{}
	f.at, f.strike, f.struck = at, strike, ""
}

// posted are the names of the blobs that any node was asked to store since arm.
func (f *fronts) posted() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.names))
}

func (f *fronts) begin(copies, name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.posts == nil {
		f.posts, f.bytes, f.names = map[string]int{}, map[string]int64{}, map[string]bool{}
	}
	f.names[name] = true
	f.posts[copies]++
	return f.posts[copies]
}

func (f *fronts) count(copies string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bytes[copies] += int64(n)
}

// reached strikes if this is the moment. The strike is done when it returns.
func (f *fronts) reached(node string, m moment) {
	f.mu.Lock()
	hit := f.struck == "" && f.strike != nil && m == f.at
	if hit {
		f.struck = node
	}
	strike := f.strike
	f.mu.Unlock()
	if hit {
		strike(node)
	}
}

// outcome tells who was struck and how many bytes of bodies clients sent.
func (f *fronts) outcome() (struck string, clientBytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.struck, f.bytes["2"]
}

// before puts a front before the node of a jurisdiction and returns its URL.
func (f *fronts) before(t *testing.T, node, target string) string {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1,
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: f.tls, DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Host = r.In.Host
		},
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ModifyResponse: func(res *http.Response) error { return f.watchAnswer(node, res) },
		ErrorLog:       nil,
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	scheme := "http://"
	if f.tls != nil {
		l, scheme = tls.NewListener(l, f.tls), "https://"
	}
	server := &http.Server{Handler: f.watchRequests(node, proxy), ErrorLog: quiet}
	go server.Serve(l) // ends with Close
	t.Cleanup(func() { server.Close() })
	return scheme + l.Addr().String()
}

func (f *fronts) watchRequests(node string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/blobs" {
			copies := r.Header.Get("Holdfast-Copies")
			m := moment{copies: copies, n: f.begin(copies, r.Header.Get("Holdfast-Blob"))}
			r.Header.Set("X-Front", fmt.Sprint(m.n))
			f.reached(node, m)
			r.Body = &watchedBody{ReadCloser: r.Body, fronts: f, node: node, at: m, size: r.ContentLength}
		}
		next.ServeHTTP(w, r)
	})
}

// watchedBody strikes while a request's body passes.
type watchedBody struct {
	io.ReadCloser
	fronts *fronts
	node   string
	at     moment
	size   int64
	seen   int64
}

func (b *watchedBody) Read(p []byte) (int, error) {
	// Small steps, so that the moments lie apart.
	n, err := b.ReadCloser.Read(p[:min(len(p), 32<<10)])
	before := b.seen
	b.seen += int64(n)
	b.fronts.count(b.at.copies, n)
	marks := map[phase]int64{atFirstByte: 1, atQuarter: b.size / 4, atHalf: b.size / 2, atAlmostAll: b.size * 99 / 100, atAll: b.size}
	for phase, mark := range marks {
		if before < mark && mark <= b.seen {
			at := b.at
			at.phase = phase
			b.fronts.reached(b.node, at)
		}
	}
	return n, err
}

func (f *fronts) watchAnswer(node string, res *http.Response) error {
	r := res.Request
	if r.Method == http.MethodGet {
		res.Body = &watchedRead{ReadCloser: res.Body, fronts: f}
	}
	if r.Method != http.MethodPost || r.URL.Path != "/blobs" {
		return nil
	}
	m := moment{copies: r.Header.Get("Holdfast-Copies"), phase: atAnswer}
	fmt.Sscan(r.Header.Get("X-Front"), &m.n)
	f.reached(node, m)
	res.Body = &watchedAnswer{ReadCloser: res.Body, fronts: f, node: node, at: m}
	return nil
}

// watchedAnswer strikes after the first and the second event went through.
type watchedAnswer struct {
	io.ReadCloser
	fronts *fronts
	node   string
	at     moment
	lines  int
}

func (a *watchedAnswer) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	for range bytes.Count(p[:n], []byte("\n")) {
		a.lines++
		if a.lines <= 2 {
			at := a.at
			at.phase = atFirstEvent + phase(a.lines-1)
			a.fronts.reached(a.node, at)
		}
	}
	return n, err
}
