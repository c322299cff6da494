package node_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/node"
	"holdfast/node/store"
	"holdfast/node/store/storetest"
)

// fakePeer is a node that can be made to misbehave.
type fakePeer struct {
	t   *testing.T
	url string
	key ed25519.PrivateKey
	// before is called with each blob's request; false ends it.
	before misbehave
	// hang is closed when the test ends.
	hang chan struct{}
	// forge changes what is signed.
	forge func(*ticket.Receipt)
	// signer and declarer are the keys used, usually key.
	signer, declarer ed25519.PrivateKey
	store            *store.Mem

	mu    sync.Mutex // guards asked
	asked int
}

type misbehave func(*fakePeer, http.ResponseWriter, *http.Request) bool

var peerSeed atomic.Int32

func newPeer(t *testing.T, f *fleet, before misbehave) *fakePeer {
	p := &fakePeer{t: t, key: newKey(byte(100 + peerSeed.Add(1))), before: before, hang: make(chan struct{}), store: store.NewMem(1<<30, nil)}
	p.signer, p.declarer = p.key, p.key
	mux := http.NewServeMux()
	mux.HandleFunc("POST /blobs", p.blobs)
	api.GetHealth.Handle(mux, func(string, error) {}, func(context.Context, api.Request, api.Empty) (api.Health, error) {
		return api.Health{Node: p.id(), Declaration: p.declaration()}, nil
	})
	server := httptest.NewServer(mux)
	p.url = server.URL
	t.Cleanup(func() {
		close(p.hang)
		server.CloseClientConnections()
		server.Close()
	})
	f.set(func() {
		f.members[p.id()] = ticket.Declaration{Public: [32]byte(p.key.Public().(ed25519.PublicKey))}
	})
	return p
}

func (p *fakePeer) id() id.Node         { return ticket.NodeID(p.key.Public().(ed25519.PublicKey)) }
func (p *fakePeer) place() ticket.Place { return ticket.Place{Node: p.id(), URL: p.url} }

func (p *fakePeer) declaration() string {
	return sign(p.t, p.declarer, ticket.Declaration{Public: [32]byte(p.declarer.Public().(ed25519.PublicKey)),
		Operator: "Peer", Jurisdiction: "NZ", URL: p.url})
}

func (p *fakePeer) stored(b storetest.Blob) bool {
	_, err := p.store.Stat(b.Key)
	return err == nil
}

func (p *fakePeer) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func (p *fakePeer) blobs(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked++
	p.mu.Unlock()
	if p.before != nil && !p.before(p, w, r) {
		return
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	name, err := id.Parse32(r.Header.Get(api.HeaderBlob))
	if err != nil || blob.Name(data) != name || r.Header.Get(api.HeaderCopies) != "1" {
		api.WriteProblem(w, api.NewProblem(api.BlobMismatch, "not what the header says"))
		return
	}
	raw, err := ticket.ParseText(r.Header.Get(api.HeaderTicket))
	if err != nil {
		p.t.Error(err)
	}
	t, err := ticket.Open[ticket.UploadTicket](newKey(1).Public().(ed25519.PublicKey), raw)
	if err != nil {
		p.t.Error(err)
	}
	if err := storetest.Put(p.store, storetest.Blob{Key: store.Key{Upload: t.Upload, Name: name}, Data: data}, t.Budget); err != nil && err != store.ErrExists {
		p.t.Error(err)
	}
	receipt := ticket.Receipt{Upload: t.Upload, Node: ticket.NodeID(p.signer.Public().(ed25519.PublicKey)), Day: 1,
		Blobs: []ticket.Stored{{Name: name, Size: int64(len(data))}}}
	if p.forge != nil {
		p.forge(&receipt)
	}
	w.Header().Set("Content-Type", api.TypeEvents)
	json.NewEncoder(w).Encode(api.Event{Receipt: sign(p.t, p.signer, receipt)})
}

func problemPeer(code api.Code) misbehave {
	return func(_ *fakePeer, w http.ResponseWriter, r *http.Request) bool {
		io.Copy(io.Discard, r.Body)
		api.WriteProblem(w, api.NewProblem(code, "no"))
		return false
	}
}

// TestSecondNodeFails goes through the ways in which a second node fails: the
// first goes on with the third from its own disk, and says who failed. The client
// sends its bytes once.
func TestSecondNodeFails(t *testing.T) {
	for _, c := range []struct {
		name   string
		before misbehave
		change func(*fakePeer)
		want   api.Code
		stalls bool
	}{
		{"read-only", problemPeer(api.ReadOnly), nil, api.ReadOnly, false},
		{"disk failed", problemPeer(api.NodeIO), nil, api.NodeIO, false},
		{"clock is wrong", problemPeer(api.TicketExpired), nil, api.TicketExpired, false},
		{"says mismatch", problemPeer(api.BlobMismatch), nil, api.BlobMismatch, false},
		{"dies before the body", func(*fakePeer, http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }, nil, api.Unavailable, false},
		{"dies in the body", func(p *fakePeer, _ http.ResponseWriter, r *http.Request) bool {
			io.CopyN(io.Discard, r.Body, 100_000)
			panic(http.ErrAbortHandler)
		}, nil, api.Unavailable, false},
		{"dies after the body", func(p *fakePeer, _ http.ResponseWriter, r *http.Request) bool {
			io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}, nil, api.Unavailable, false},
		{"takes nothing", func(p *fakePeer, _ http.ResponseWriter, r *http.Request) bool {
			<-p.hang
			return false
		}, nil, api.Unavailable, true},
		{"takes all and says nothing", func(p *fakePeer, _ http.ResponseWriter, r *http.Request) bool {
			io.Copy(io.Discard, r.Body)
			<-p.hang
			return false
		}, nil, api.Unavailable, true},
		{"takes a drip", func(p *fakePeer, _ http.ResponseWriter, r *http.Request) bool {
			for {
				if _, err := io.CopyN(io.Discard, r.Body, 50); err != nil {
					return false
				}
				select {
				case <-p.hang:
					return false
				case <-time.After(50 * time.Millisecond):
				}
			}
		}, nil, api.Unavailable, true},
		{"ends without a receipt", func(p *fakePeer, w http.ResponseWriter, r *http.Request) bool {
			io.Copy(io.Discard, r.Body)
			return false
		}, nil, api.Unavailable, false},
		{"answers nonsense", func(p *fakePeer, w http.ResponseWriter, r *http.Request) bool {
			io.Copy(io.Discard, r.Body)
			w.Write([]byte("<html>hello</html>"))
			return false
		}, nil, api.Unavailable, false},
		{"sends elsewhere", func(p *fakePeer, w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "/health", http.StatusTemporaryRedirect)
			return false
		}, nil, api.Internal, false},
		{"receipt for another blob", nil, func(p *fakePeer) { p.forge = func(r *ticket.Receipt) { r.Blobs[0].Name[0] ^= 1 } }, api.ReceiptInvalid, false},
		{"receipt for another size", nil, func(p *fakePeer) { p.forge = func(r *ticket.Receipt) { r.Blobs[0].Size-- } }, api.ReceiptInvalid, false},
		{"receipt for another upload", nil, func(p *fakePeer) { p.forge = func(r *ticket.Receipt) { r.Upload[0] ^= 1 } }, api.ReceiptInvalid, false},
		{"receipt of another key", nil, func(p *fakePeer) { p.signer = newKey(200) }, api.ReceiptInvalid, false},
		{"another node answers", nil, func(p *fakePeer) { p.signer, p.declarer = newKey(201), newKey(201) }, api.ReceiptInvalid, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, 0)
			for range 2 {
				f.add(t.TempDir(), func(cfg *node.Config) {
					if c.stalls {
						cfg.Stall = time.Second
					}
				})
			}
			bad := newPeer(t, f, c.before)
			if c.change != nil {
				c.change(bad)
			}
			p, spare := f.nodes[0], f.nodes[1]
			b := storetest.Make(id.New[id.Upload](), 1, blob.MaxSize)
			got := f.put(p, f.ticket(b.Key.Upload, budget, placeOf(p), bad.place(), placeOf(spare)), 2, b)
			f.wantCopies(got, p, spare)
			if len(got.failed) != 1 || got.failed[0] != (api.NodeFailure{Node: bad.id(), Code: c.want}) {
				t.Errorf("failed %+v, want %s", got.failed, c.want)
			}
			if !holds(p, b) || !holds(spare, b) {
				t.Error("not at both")
			}
		})
	}
}

func TestPeerThatFailedRests(t *testing.T) {
	f := newFleet(t, 2)
	p, spare := f.nodes[0], f.nodes[1]
	bad := newPeer(t, f, problemPeer(api.ReadOnly))
	up := id.New[id.Upload]()
	text := f.ticket(up, budget, placeOf(p), bad.place(), placeOf(spare))
	for i := range 5 {
		f.wantCopies(f.put(p, text, 2, storetest.Make(up, uint64(i), 5000)), p, spare)
	}
	if bad.count() != 1 {
		t.Errorf("a node that failed was asked %d times", bad.count())
	}
	f.clock.add(3 * time.Second)
	bad.before = nil // it has recovered
	for i := range 3 {
		got := f.put(p, text, 2, storetest.Make(up, uint64(10+i), 5000))
		if got.err != nil || len(got.receipts) != 2 || got.receipts[1] != bad.id() {
			t.Fatalf("%+v", got)
		}
	}
}

func TestAllOthersFail(t *testing.T) {
	f := newFleet(t, 1)
	p := f.nodes[0]
	one, two := newPeer(t, f, problemPeer(api.ReadOnly)), newPeer(t, f, problemPeer(api.NodeIO))
	far := ticket.Place{Node: id.Node{9}, URL: "http://192.0.2.1:9"} // plain HTTP beyond this machine
	b := storetest.Make(id.New[id.Upload](), 1, 5000)
	text := f.ticket(b.Key.Upload, budget, one.place(), placeOf(p), two.place(), far)
	for range 2 { // also when all of them rest
		got := f.put(p, text, 3, b)
		want(t, got.err, api.ForwardFailed)
		if len(got.receipts) != 1 || got.receipts[0] != p.ID() || len(got.failed) != 3 {
			t.Fatalf("%+v", got)
		}
	}
}

func TestFirstNodeFailsWhileTheSecondWorks(t *testing.T) {
	f := newFleet(t, 2)
	p, s := f.nodes[0], f.nodes[1]
	b := storetest.Make(id.New[id.Upload](), 1, 2<<20)
	text := f.ticket(b.Key.Upload, budget, f.places()...)
	body := slowly(b.Data, 1<<20, io.EOF)
	done := make(chan result)
	go func() { done <- f.do(putRequest(t.Context(), p, text, 2, b, body), b) }()
	<-body.reached
	if _, err := p.Store().CloseUpload(b.Key.Upload); err != nil { // anything that makes the commit fail
		t.Fatal(err)
	}
	close(body.release)
	got := <-done
	want(t, got.err, api.TicketInvalid)
	eventually(t, "the second node is done", idle(s))
}
