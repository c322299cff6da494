package threats

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"holdfast/api"
)

// exchange is one request and its answer, whole.
type exchange struct {
	at     *front
	req    *http.Request
	sent   []byte // the request's body
	status int
	header http.Header
	body   []byte // the answer's
}

// evil is what a test does to exchanges. request may change the request, or
// answer it itself (true); answer may change the answer. Both are called by
// several goroutines. What nodes tell the server does not pass here.
type evil struct {
	request func(x *exchange) bool
	answer  func(x *exchange)
}

// front stands before the server or a node.
type front struct {
	name string
	url  string
	http *http.Server

	mu     sync.Mutex // guards what follows
	target string
	evil   evil
	tape   *tape
}

var transport = &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}

func newFront(name, target string) (*front, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &front{name: name, url: "http://" + l.Addr().String(), target: target}
	f.http = &http.Server{Handler: f, ErrorLog: log.New(io.Discard, "", 0)}
	go f.http.Serve(l) // ends with close
	return f, nil
}

func (f *front) aim(target string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.target = target
}

func (f *front) close() { f.http.Close() }

func (f *front) now() (string, evil, *tape) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.target, f.evil, f.tape
}

// ServeHTTP passes an exchange on.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target, play, tape := f.now()
	if strings.HasPrefix(r.URL.Path, "/api/v1/nodes") {
		play = evil{}
	}
	sent, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	x := &exchange{at: f, req: r, sent: sent, header: http.Header{}}
	if play.request == nil || !play.request(x) {
		if err := x.pass(target); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	if play.answer != nil {
		play.answer(x)
	}
	if tape != nil {
		tape.record(x)
	}
	for key, values := range x.header {
		w.Header()[key] = values
	}
	if x.status != http.StatusNoContent {
		w.Header().Set("Content-Length", fmt.Sprint(len(x.body)))
	}
	w.WriteHeader(x.status)
	w.Write(x.body) // a caller that went away cannot be told
}

func (x *exchange) pass(target string) error {
	req, err := http.NewRequestWithContext(x.req.Context(), x.req.Method, target+x.req.URL.RequestURI(), bytes.NewReader(x.sent))
	if err != nil {
		return err
	}
	req.Header = x.req.Header.Clone()
	res, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	x.status, x.header = res.StatusCode, res.Header.Clone()
	x.body, err = io.ReadAll(res.Body)
	return err
}

// is tells whether the exchange is a call of that endpoint.
func (x *exchange) is(e api.Info) bool {
	have, want := strings.Split(x.req.URL.Path, "/"), strings.Split(e.Path, "/")
	if x.req.Method != e.Method || len(have) != len(want) {
		return false
	}
	for i := range want {
		if want[i] != have[i] && !strings.HasPrefix(want[i], "{") {
			return false
		}
	}
	return true
}

// reply answers with JSON.
func (x *exchange) reply(status int, v any) bool {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	x.status, x.body, x.header = status, raw, http.Header{"Content-Type": {api.TypeJSON}}
	return true
}

// refuse answers with a problem.
func (x *exchange) refuse(code api.Code) bool {
	p := api.NewProblem(code, "refused by a test")
	x.reply(p.Status, p)
	x.header.Set("Content-Type", api.TypeProblem)
	return true
}

// rewrite changes the JSON of a good answer.
func rewrite[T any](x *exchange, change func(v *T)) {
	if x.status != http.StatusOK {
		return
	}
	var v T
	if err := json.Unmarshal(x.body, &v); err != nil {
		panic(err)
	}
	change(&v)
	x.reply(x.status, v)
}

// fronts are all of them.
func (w *world) fronts() []*front {
	out := []*front{w.front}
	for _, m := range w.nodes {
		out = append(out, m.front)
	}
	return out
}

// play lets all fronts do evil until the test ends or plays something else.
func play(t testing.TB, e evil) {
	for _, f := range service.fronts() {
		f.play(e)
	}
	t.Cleanup(honest)
}

func honest() {
	for _, f := range service.fronts() {
		f.play(evil{})
	}
}

func (f *front) play(e evil) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.evil = e
}

// tape is all that passed the fronts.
type tape struct {
	mu  sync.Mutex // guards all
	all []*exchange
}

func (t *tape) record(x *exchange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, x)
}

// taped records until the test ends.
func taped(t testing.TB) *tape {
	out := &tape{}
	set := func(tp *tape) {
		for _, f := range service.fronts() {
			f.mu.Lock()
			f.tape = tp
			f.mu.Unlock()
		}
	}
	set(out)
	t.Cleanup(func() { set(nil) })
	return out
}

// calls are the recorded calls of an endpoint.
func (t *tape) calls(e api.Info) []*exchange {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []*exchange
	for _, x := range t.all {
		if x.is(e) {
			out = append(out, x)
		}
	}
	return out
}

// ofClients are the exchanges but for those of nodes with the server.
func (t *tape) ofClients() []*exchange {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []*exchange
	for _, x := range t.all {
		if !strings.HasPrefix(x.req.URL.Path, "/api/v1/nodes") {
			out = append(out, x)
		}
	}
	return out
}

// wire is the text of an exchange, both ways.
func (x *exchange) wire() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\n", x.req.Method, x.req.URL.RequestURI())
	x.req.Header.Write(&b)
	b.Write(x.sent)
	fmt.Fprintf(&b, "\n%d\n", x.status)
	x.header.Write(&b)
	b.Write(x.body)
	return b.Bytes()
}
