package node_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/node"
	"holdfast/node/store/storetest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		os.Exit(code)
	}))
}

func newKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(append(make([]byte, 31), seed))
}

func public(key ed25519.PrivateKey) id.Bytes32 {
	return id.Bytes32(key.Public().(ed25519.PublicKey))
}

func sign[P ticket.Payload](t testing.TB, key ed25519.PrivateKey, p P) string {
	t.Helper()
	text, err := ticket.SignText(key, p)
	must(t, err)
	return text
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t testing.TB, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("have %v, want %v", err, target)
	}
}

// clock is a time that tests set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Unix(1_800_000_000, 0)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// service is as much of a server as a node sees.
type service struct {
	*httptest.Server
	tickets, orders ed25519.PrivateKey

	mu       sync.Mutex // guards what follows
	refuse   error      // for joining
	members  map[id.Node]ticket.Declaration
	invites  map[string]bool
	beats    []ticket.Heartbeat
	receipts []ticket.OrderReceipt
	answer   api.HeartbeatResponse
	lost     bool // the next answer does not arrive
	slow     chan struct{}
}

func newService(t testing.TB) *service {
	s := &service{tickets: newKey(1), orders: newKey(2), members: map[id.Node]ticket.Declaration{}, invites: map[string]bool{"good": true}}
	mux := http.NewServeMux()
	onError := func(id string, err error) { t.Errorf("%s: %v", id, err) }
	api.JoinNode.Handle(mux, onError, s.join)
	api.Heartbeat.Handle(mux, onError, s.heartbeat)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		lost := s.lost
		s.lost = false
		s.mu.Unlock()
		if lost {
			w = httptest.NewRecorder()
		}
		mux.ServeHTTP(w, r)
		if lost {
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) join(_ context.Context, _ api.Request, req api.JoinRequest) (api.JoinResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		return api.JoinResponse{}, s.refuse
	}
	raw, err := ticket.ParseText(req.Declaration)
	if err != nil {
		return api.JoinResponse{}, api.NewProblem(api.DeclarationInvalid, "%v", err)
	}
	d, err := ticket.OpenDeclaration(raw)
	if err != nil {
		return api.JoinResponse{}, api.NewProblem(api.DeclarationInvalid, "%v", err)
	}
	if _, member := s.members[d.Node()]; !member || req.Invite != "" {
		if !s.invites[req.Invite] {
			return api.JoinResponse{}, api.NewProblem(api.InviteInvalid, "unknown or used")
		}
		delete(s.invites, req.Invite)
	}
	s.members[d.Node()] = d
	return api.JoinResponse{Node: d.Node(), TicketKey: public(s.tickets), OrderKey: public(s.orders), Epoch: 1}, nil
}

func (s *service) heartbeat(_ context.Context, _ api.Request, req api.HeartbeatRequest) (api.HeartbeatResponse, error) {
	s.mu.Lock()
	slow := s.slow
	s.mu.Unlock()
	if slow != nil {
		<-slow
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.members {
		key := ed25519.PublicKey(d.Public[:])
		beat, err := ticket.OpenText[ticket.Heartbeat](key, req.Heartbeat)
		if err != nil {
			continue
		}
		s.beats = append(s.beats, beat)
		for _, text := range req.Receipts {
			receipt, err := ticket.OpenText[ticket.OrderReceipt](key, text)
			if err != nil {
				return api.HeartbeatResponse{}, api.NewProblem(api.HeartbeatInvalid, "%v", err)
			}
			s.receipts = append(s.receipts, receipt)
		}
		return s.answer, nil
	}
	return api.HeartbeatResponse{}, api.NewProblem(api.NodeUnknown, "no member signed this")
}

// set changes the service under its lock.
func (s *service) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// fleet is a service and its nodes, each serving on loopback.
type fleet struct {
	t testing.TB
	*service
	clock *clock
	nodes []*node.Node
	logs  *bytes.Buffer
}

type lockedBuffer struct {
	mu *sync.Mutex
	*bytes.Buffer
}

func (b lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

const capacity = 1 << 30

// newFleet starts n nodes that are members.
func newFleet(t testing.TB, n int) *fleet {
	f := &fleet{t: t, service: newService(t), clock: newClock(), logs: &bytes.Buffer{}}
	t.Cleanup(func() { f.checkLogs() })
	for range n {
		f.add(t.TempDir(), nil)
	}
	return f
}

// tidy lets a node hear from the server that its clock is right, and tidies it.
func (f *fleet) tidy(n *node.Node) {
	f.t.Helper()
	must(f.t, f.beat(n))
	n.Tidy()
}

func (f *fleet) config(dir string) node.Config {
	log := slog.New(slog.NewTextHandler(lockedBuffer{&sync.Mutex{}, f.logs}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return node.Config{Data: dir, Server: f.URL, Invite: "good", Operator: "Example", Jurisdiction: "DE",
		Listen: "127.0.0.1:0", Capacity: capacity, Heartbeat: time.Hour, TrashDays: 7,
		Version: "test", Now: f.clock.now, Log: log}
}

// add starts one more node over a data directory; change may alter its
// configuration.
func (f *fleet) add(dir string, change func(*node.Config)) (n *node.Node, stop func()) {
	f.t.Helper()
	cfg := f.config(dir)
	if change != nil {
		change(&cfg)
	}
	if cfg.Listener == nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(f.t, err)
		cfg.Listener = l
	}
	n, err := node.New(cfg)
	must(f.t, err)
	f.set(func() { f.invites["good"] = true })
	must(f.t, n.Join(f.t.Context()))
	server := &http.Server{Handler: n.Handler()}
	done := make(chan struct{})
	go func() {
		server.Serve(cfg.Listener)
		close(done)
	}()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			server.Close()
			<-done
			must(f.t, n.Close())
		})
	}
	f.t.Cleanup(stop)
	f.nodes = append(f.nodes, n)
	return n, stop
}

// checkLogs holds every test to the rule that nothing personal is logged.
func (f *fleet) checkLogs() {
	for _, secret := range []string{"ticket=", "127.0.0.1", "upload-ticket", "read-ticket"} {
		if bytes.Contains(f.logs.Bytes(), []byte(secret)) {
			f.t.Errorf("the log holds %q:\n%s", secret, f.logs)
		}
	}
}

// nowhere is a node that is not there.
var nowhere = ticket.Place{Node: id.Node{5}, URL: "http://127.0.0.1:1"}

func placeOf(n *node.Node) ticket.Place { return ticket.Place{Node: n.ID(), URL: n.URL()} }

func (f *fleet) places() []ticket.Place {
	var all []ticket.Place
	for _, n := range f.nodes {
		all = append(all, placeOf(n))
	}
	return all
}

// ticket is an upload ticket with one chain.
func (f *fleet) ticket(up id.Upload, budget int64, chain ...ticket.Place) string {
	return sign(f.t, f.tickets, ticket.UploadTicket{Upload: up, Chains: [][]ticket.Place{chain}, Budget: budget, Expires: f.clock.now().Unix() + 3600})
}

// reads is a read ticket for all nodes and the given ranges.
func (f *fleet) reads(up id.Upload, ranges ...ticket.Range) string {
	var nodes []id.Node
	for _, n := range f.nodes {
		nodes = append(nodes, n.ID())
	}
	return sign(f.t, f.tickets, ticket.ReadTicket{Nodes: nodes, Expires: f.clock.now().Unix() + 300,
		Reads: []ticket.Reads{{Upload: up, Ranges: ranges}}})
}

func putRequest(ctx context.Context, n *node.Node, text string, copies int, b storetest.Blob, body io.Reader) *http.Request {
	req, err := http.NewRequestWithContext(ctx, "POST", n.URL()+"/blobs", body)
	if err != nil {
		panic(err)
	}
	req.ContentLength = int64(len(b.Data))
	for name, value := range map[string]string{api.HeaderVersion: "1", api.HeaderTicket: text, api.HeaderChain: "0",
		api.HeaderBlob: b.Key.Name.String(), api.HeaderCopies: strconv.Itoa(copies)} {
		req.Header.Set(name, value)
	}
	return req
}

// result is what came of a PUT: the nodes that gave receipts, those that failed,
// and how it ended.
type result struct {
	receipts []id.Node
	failed   []api.NodeFailure
	err      error
}

// put stores b at n and checks every receipt.
func (f *fleet) put(n *node.Node, text string, copies int, b storetest.Blob) result {
	return f.do(putRequest(f.t.Context(), n, text, copies, b, bytes.NewReader(b.Data)), b)
}

func (f *fleet) do(req *http.Request, blobs ...storetest.Blob) result {
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return result{err: err}
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return result{err: api.ReadProblem(res)}
	}
	var out result
	lines := json.NewDecoder(res.Body)
	for {
		var event api.Event
		err := lines.Decode(&event)
		switch {
		case errors.Is(err, io.EOF):
			return out
		case err != nil:
			out.err = err
			return out
		case event.Problem != nil:
			out.err = event.Problem
		case event.Failed != nil:
			out.failed = append(out.failed, *event.Failed)
		default:
			signer, err := f.checkReceipt(event.Receipt, blobs)
			if err != nil {
				out.err = err
				return out
			}
			out.receipts = append(out.receipts, signer)
		}
	}
}

// checkReceipt finds the member that signed a receipt for some of the blobs.
func (f *fleet) checkReceipt(text string, blobs []storetest.Blob) (id.Node, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for node, d := range f.members {
		r, err := ticket.OpenText[ticket.Receipt](d.Public[:], text)
		if err != nil {
			continue
		}
		if r.Upload != blobs[0].Key.Upload {
			return node, errors.New("receipt for another upload")
		}
		sizes := map[id.Name]int64{}
		for _, b := range blobs {
			sizes[b.Key.Name] = int64(len(b.Data))
		}
		for _, s := range r.Blobs {
			if sizes[s.Name] != s.Size {
				return node, fmt.Errorf("receipt for %s with %d bytes", s.Name, s.Size)
			}
		}
		return node, nil
	}
	return id.Node{}, errors.New("no member signed the receipt")
}

// wantCopies checks a result: who stored, in order, and who failed how.
func (f *fleet) wantCopies(got result, nodes ...*node.Node) {
	f.t.Helper()
	if got.err != nil || len(got.receipts) != len(nodes) {
		f.t.Fatalf("%d receipts, failed %+v, %v; want %d", len(got.receipts), got.failed, got.err, len(nodes))
	}
	for i, n := range nodes {
		if got.receipts[i] != n.ID() {
			f.t.Errorf("receipt %d is of another node", i)
		}
	}
}

// holds tells whether a node holds the blob's bytes.
func holds(n *node.Node, b storetest.Blob) bool {
	data, err := storetest.Get(n.Store(), b.Key)
	return err == nil && bytes.Equal(data, b.Data)
}

func nameOf(data []byte) id.Name { return blob.Name(data) }

// measureHeap returns the most heap in use, beyond what was before, while f runs.
func measureHeap(t *testing.T, f func()) uint64 {
	t.Helper()
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	stop, result := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		for {
			select {
			case <-stop:
				result <- most
				return
			case <-time.After(5 * time.Millisecond):
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapInuse)
			}
		}
	}()
	f()
	close(stop)
	most := <-result
	return most - min(most, before.HeapInuse)
}
