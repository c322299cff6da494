// Package fake is a service in memory, for tests of the client: a server and
// nodes that speak the protocol, and that a test can make dead, slow or lying. It
// keeps what it is given and checks what a client must get right; it knows
// nothing of disks or databases.
package fake

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/ticket"
)

// Blob names a blob within the service.
type Blob struct {
	Upload id.Upload
	Name   id.Name
}

// Node is a storage node.
type Node struct {
	api.Node
	Declared ticket.Declaration
	// Around, if set, stands around every request; serve answers as usual.
	Around atomic.Pointer[func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc)]
	// Bytes are those of the bodies that came from clients.
	Bytes atomic.Int64
	// Reads are requests for blobs.
	Reads atomic.Int64

	service *Service
	key     ed25519.PrivateKey
	http    *httptest.Server
	over    chan struct{} // closed with the test

	mu    sync.Mutex // guards blobs
	blobs map[Blob][]byte
}

// Hook makes the node do something else; nil is back to usual.
func (n *Node) Hook(f func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc)) {
	if f == nil {
		n.Around.Store(nil)
		return
	}
	n.Around.Store(&f)
}

// Stand stands still, like a stopped process, until the request or the test ends.
func (n *Node) Stand(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-n.over:
	}
}

// Kill makes the node refuse connections' requests until Hook(nil).
func (n *Node) Kill() {
	n.Hook(func(http.ResponseWriter, *http.Request, http.HandlerFunc) { panic(http.ErrAbortHandler) })
	n.http.CloseClientConnections()
}

func newNode(t testing.TB, s *Service, operator, jurisdiction string) *Node {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{service: s, key: private, blobs: map[Blob][]byte{}, over: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc(api.PutBlob.Pattern(), n.put)
	mux.HandleFunc(api.GetBlob.Pattern(), n.get)
	mux.HandleFunc(api.ForwardBlobs.Pattern(), n.forward)
	mux.HandleFunc(api.ListReceipts.Pattern(), n.receipts)
	mux.HandleFunc(api.GetHealth.Pattern(), func(w http.ResponseWriter, _ *http.Request) {
		write(w, api.Health{Node: n.ID, State: "serving", Declaration: n.Declaration})
	})
	n.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if around := n.Around.Load(); around != nil {
			(*around)(w, r, mux.ServeHTTP)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	n.http.Config.ErrorLog = quiet
	t.Cleanup(func() {
		close(n.over)
		n.http.CloseClientConnections()
		n.http.Close()
	})
	n.Declared = ticket.Declaration{
		Public: [32]byte(public), Operator: operator, Jurisdiction: jurisdiction, URL: n.http.URL, Capacity: 1 << 40, Day: ticket.Day(time.Now()),
	}
	text, err := ticket.SignText(private, n.Declared)
	if err != nil {
		t.Fatal(err)
	}
	n.Node = api.Node{ID: ticket.NodeID(public), URL: n.http.URL, Declaration: text}
	return n
}

// Holds tells how many blobs the node has of all uploads.
func (n *Node) Holds() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.blobs)
}

// Damage flips a bit of every blob.
func (n *Node) Damage() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for k, b := range n.blobs {
		b = bytes.Clone(b)
		b[len(b)/2] ^= 1
		n.blobs[k] = b
	}
}

// Lose forgets every blob.
func (n *Node) Lose() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.blobs)
}

func (n *Node) blob(b Blob) ([]byte, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	data, ok := n.blobs[b]
	return data, ok
}

// Receipt is the node's signature for blobs.
func (n *Node) Receipt(upload id.Upload, stored ...ticket.Stored) string {
	text, err := ticket.SignText(n.key, ticket.Receipt{Upload: upload, Node: n.ID, Day: 1, Blobs: stored})
	if err != nil {
		panic(err)
	}
	return text
}

// store keeps a blob and gives the receipt, as long as the node lives.
func (n *Node) store(b Blob, data []byte) (string, bool) {
	if n.Around.Load() != nil {
		return "", false // whatever is wrong with it, other nodes do not wait for it
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.blobs[b] = data
	return n.Receipt(b.Upload, ticket.Stored{Name: b.Name, Size: int64(len(data))}), true
}

func (n *Node) put(w http.ResponseWriter, r *http.Request) {
	t := n.uploadTicket(r.Header.Get(api.HeaderTicket))
	name, err := id.Parse32(r.Header.Get(api.HeaderBlob))
	chain, err2 := strconv.Atoi(r.Header.Get(api.HeaderChain))
	copies, err3 := strconv.Atoi(r.Header.Get(api.HeaderCopies))
	if t == nil || err != nil || err2 != nil || err3 != nil || r.ContentLength < 1 || r.ContentLength > blob.MaxSize {
		api.WriteProblem(w, api.NewProblem(api.BadRequest, "headers"))
		return
	}
	data := make([]byte, r.ContentLength)
	got, err := io.ReadFull(r.Body, data)
	n.Bytes.Add(int64(got))
	switch {
	case err != nil:
		return
	case blob.Name(data) != name:
		api.WriteProblem(w, api.NewProblem(api.BlobMismatch, "name"))
		return
	}
	if problem := n.within(t, int64(len(data))); problem != nil {
		api.WriteProblem(w, problem)
		return
	}
	b := Blob{t.Upload, name}
	n.mu.Lock()
	n.blobs[b] = data
	n.mu.Unlock()
	n.spread(w, t, b, data, chain, copies)
}

// within counts the bytes of the upload.
func (n *Node) within(t *ticket.UploadTicket, more int64) *api.Problem {
	n.mu.Lock()
	defer n.mu.Unlock()
	for b, data := range n.blobs {
		if b.Upload == t.Upload {
			more += int64(len(data))
		}
	}
	if more > t.Budget {
		return api.NewProblem(api.TicketSpent, "budget")
	}
	return nil
}

// spread hands a blob on and answers with the events.
func (n *Node) spread(w http.ResponseWriter, t *ticket.UploadTicket, b Blob, data []byte, chain, copies int) {
	w.Header().Set("Content-Type", api.TypeEvents)
	enc := json.NewEncoder(w)
	event := func(e api.Event) {
		_ = enc.Encode(e) // the client may be gone
		_ = http.NewResponseController(w).Flush()
	}
	event(api.Event{Receipt: n.Receipt(b.Upload, ticket.Stored{Name: b.Name, Size: int64(len(data))})})
	for _, place := range t.Chains[chain] {
		if copies--; copies < 1 {
			return
		}
		other := n.service.node(place.Node)
		if other == n {
			copies++
			continue
		}
		receipt, ok := other.store(b, data)
		if !ok {
			copies++
			event(api.Event{Failed: &api.NodeFailure{Node: other.ID, Code: api.Unavailable}})
			continue
		}
		event(api.Event{Receipt: receipt})
	}
	if copies > 1 {
		event(api.Event{Problem: api.NewProblem(api.ForwardFailed, "nobody else")})
	}
}

func (n *Node) forward(w http.ResponseWriter, r *http.Request) {
	var req api.ForwardRequest
	if err := api.ReadJSON(w, r, api.ForwardBlobs.MaxBody, &req); err != nil {
		api.WriteProblem(w, err)
		return
	}
	t := n.uploadTicket(req.Ticket)
	b := Blob{t.Upload, req.Names[0]}
	data, ok := n.blob(b)
	if !ok {
		api.WriteProblem(w, api.NewProblem(api.BlobUnknown, "not here"))
		return
	}
	n.spread(w, t, b, data, req.Chain, req.Copies)
}

func (n *Node) receipts(w http.ResponseWriter, r *http.Request) {
	var req api.ListReceiptsRequest
	if err := api.ReadJSON(w, r, api.ListReceipts.MaxBody, &req); err != nil {
		api.WriteProblem(w, err)
		return
	}
	upload := n.uploadTicket(req.Ticket).Upload
	const most = 3 // so that pages turn
	n.mu.Lock()
	defer n.mu.Unlock()
	var stored []ticket.Stored
	res := api.ListReceiptsResponse{Receipts: []string{}}
	for b, data := range n.blobs {
		if b.Upload != upload {
			continue
		}
		res.Used += int64(len(data))
		if bytes.Compare(b.Name[:], req.After[:]) > 0 {
			stored = append(stored, ticket.Stored{Name: b.Name, Size: int64(len(data))})
		}
	}
	slices.SortFunc(stored, func(a, b ticket.Stored) int { return bytes.Compare(a.Name[:], b.Name[:]) })
	if len(stored) > most {
		stored = stored[:most]
		res.Next = stored[most-1].Name
	}
	if len(stored) > 0 {
		res.Receipts = append(res.Receipts, n.Receipt(upload, stored...))
	}
	write(w, res)
}

func (n *Node) get(w http.ResponseWriter, r *http.Request) {
	n.Reads.Add(1)
	query := r.URL.Query()
	name, err := id.Parse32(r.PathValue("name"))
	upload, err2 := id.Parse[id.Upload](query.Get("upload"))
	raw, err3 := ticket.ParseText(query.Get("ticket"))
	if err != nil || err2 != nil || err3 != nil || query.Get("v") != api.Version {
		api.WriteProblem(w, api.NewProblem(api.BadRequest, "query"))
		return
	}
	data, ok := n.blob(Blob{upload, name})
	if !ok {
		api.WriteProblem(w, api.NewProblem(api.BlobUnknown, "not here"))
		return
	}
	offset, length := int64(0), int64(len(data))
	if query.Has("offset") {
		offset, _ = strconv.ParseInt(query.Get("offset"), 10, 64)
		length, _ = strconv.ParseInt(query.Get("length"), 10, 64)
	}
	t, err := ticket.Open[ticket.ReadTicket](n.service.key.Public().(ed25519.PublicKey), raw)
	if err == nil {
		err = t.Allows(n.ID, upload, name, offset, length, time.Now())
	}
	if err != nil {
		api.WriteProblem(w, api.NewProblem(api.TicketExpired, "%v", err))
		return
	}
	body := data
	if query.Has("offset") {
		body = slice(data, offset, length)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client may be gone
}

func slice(data []byte, offset, length int64) []byte {
	tree, _, err := blob.NewOutboard(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		panic(err)
	}
	var out bytes.Buffer
	if err := blob.WriteSlice(&out, bytes.NewReader(data), tree, offset, length); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// uploadTicket reads a ticket that the service signed; nil if it did not.
func (n *Node) uploadTicket(text string) *ticket.UploadTicket {
	raw, err := ticket.ParseText(text)
	if err != nil {
		return nil
	}
	t, err := ticket.Open[ticket.UploadTicket](n.service.key.Public().(ed25519.PublicKey), raw)
	if err != nil {
		return nil
	}
	return &t
}
