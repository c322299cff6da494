package upload

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/node/gate"
	"holdfast/node/identity"
	"holdfast/node/peer"
	"holdfast/node/store"
	"holdfast/node/store/storetest"
)

// pipes is a listener whose connections are in memory, so that their deadlines
// follow the test's clock.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.conns <- there
	return here
}

// whole is a handler with all that it needs, and a blob that it holds.
func whole(t *testing.T) (h *Handler, mux *http.ServeMux, text string, b storetest.Blob) {
	t.Helper()
	self, err := identity.Create(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	server := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	g := gate.New(self.ID(), time.Now)
	g.Pin(id.Bytes32(server.Public().(ed25519.PublicKey)))
	h = &Handler{Store: store.NewMem(1<<30, nil), Gate: g, Self: self, Peers: peer.New(peer.Options{}), Now: time.Now,
		Log: slog.New(slog.DiscardHandler), Life: t.Context()}
	mux = http.NewServeMux()
	h.Register(mux)
	b = storetest.Make(id.New[id.Upload](), 1, 1000)
	if err := storetest.Put(h.Store, b, 1<<20); err != nil {
		t.Fatal(err)
	}
	places := []ticket.Place{{Node: self.ID(), URL: "http://127.0.0.1:1"}, {Node: id.Node{5}, URL: "http://127.0.0.1:2"}}
	text, err = ticket.SignText(server, ticket.UploadTicket{Upload: b.Key.Upload, Budget: 1 << 20,
		Chains: [][]ticket.Place{places}, Expires: time.Now().Add(time.Hour).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	return h, mux, text, b
}

// TestAnswersToNobody: a client that takes no answer does not hold a place.
func TestAnswersToNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, mux, text, b := whole(t)
		raw, err := json.Marshal(api.ForwardRequest{Ticket: text, Copies: 1, Names: []id.Name{b.Key.Name}})
		if err != nil {
			t.Fatal(err)
		}
		requests := map[string]string{
			"forward": fmt.Sprintf("POST /forward HTTP/1.1\r\nHost: x\r\nHoldfast-Version: 1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(raw), raw),
			"existing": fmt.Sprintf("POST /blobs HTTP/1.1\r\nHost: x\r\nHoldfast-Version: 1\r\nHoldfast-Ticket: %s\r\nHoldfast-Blob: %s\r\n"+
				"Holdfast-Chain: 0\r\nHoldfast-Copies: 1\r\nContent-Length: %d\r\n\r\n%s", text, b.Key.Name, len(b.Data), b.Data),
		}
		listener := newPipes()
		var over atomic.Int32
		server := &http.Server{Handler: mux, ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateClosed {
				over.Add(1)
			}
		}}
		served := make(chan struct{})
		go func() {
			server.Serve(listener)
			close(served)
		}()
		for name, request := range requests {
			over.Store(0)
			conn := listener.dial()
			if _, err := io.WriteString(conn, request); err != nil {
				t.Error(name, err)
			}
			synctest.Wait()
			if over.Load() != 0 {
				t.Errorf("%s: has ended at once", name)
			}
			time.Sleep(time.Minute)
			if len(h.lasts.all) != 0 || over.Load() != 1 {
				t.Errorf("%s: holds %d places, %d connections are over", name, len(h.lasts.all), over.Load())
			}
			conn.Close()
			synctest.Wait()
		}
		server.Close()
		<-served
	})
}

// TestWaitingClientsAreToldSo: while other nodes are at work, an empty event comes
// often enough that a client does not give this node up.
func TestWaitingClientsAreToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _, _, b := whole(t)
		w := httptest.NewRecorder()
		copies := make(chan api.Event)
		done := make(chan struct{})
		go func() {
			h.answer(w, incoming{key: b.Key, copies: 2}, 1000, copies)
			close(done)
		}()
		time.Sleep(20 * time.Second)
		copies <- api.Event{Receipt: "theirs"}
		close(copies)
		<-done
		lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
		empty := 0
		for _, line := range lines {
			if line == "{}" {
				empty++
			}
		}
		if empty != 6 || len(lines) != 8 || lines[7] != `{"receipt":"theirs"}` || !strings.Contains(lines[0], `"receipt"`) {
			t.Errorf("%q", lines)
		}
		time.Sleep(time.Minute)
		if after := strings.TrimSpace(w.Body.String()); strings.Count(after, "\n") != 7 {
			t.Errorf("goes on after the answer: %q", after)
		}
	})
}
