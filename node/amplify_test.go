package node_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/node"
	"holdfast/node/store/storetest"
)

// counted is a listener that counts what comes in.
type counted struct {
	net.Listener
	bytes *atomic.Int64
}

func (l counted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countedConn{c, l.bytes}, nil
}

type countedConn struct {
	net.Conn
	bytes *atomic.Int64
}

func (c countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

// TestSmallRequestsMoveNoBlobs: a few bytes cannot make a node send another one
// what that has already.
func TestSmallRequestsMoveNoBlobs(t *testing.T) {
	f := newFleet(t, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var taken atomic.Int64
	s, _ := f.add(t.TempDir(), func(c *node.Config) { c.Listener = counted{l, &taken} })
	p := f.nodes[0]
	up := id.New[id.Upload]()
	text := f.ticket(up, budget, f.places()...)
	const size, times = 1 << 20, 3
	var names []id.Name
	var blobs []storetest.Blob
	for i := range 8 {
		b := storetest.Make(up, uint64(i), size)
		f.wantCopies(f.put(p, text, 2, b), p, s)
		names, blobs = append(names, b.Key.Name), append(blobs, b)
	}
	const headers = 4 << 10 // of one request, at most
	taken.Store(0)
	for range times {
		got := f.forward(p, api.ForwardRequest{Ticket: text, Copies: 2, Names: names}, blobs...)
		if got.err != nil || len(got.receipts) != 1+len(names) {
			t.Fatalf("%+v", got)
		}
	}
	if n := taken.Load(); n > times*int64(len(names))*headers {
		t.Errorf("%d requests to hand %d MiB on made the other node take %d KiB", times, len(names), n>>10)
	}
	taken.Store(0)
	for range times { // a client that sends it again moves it once, not twice
		f.wantCopies(f.put(p, text, 2, blobs[0]), p, s)
	}
	if n := taken.Load(); n > times*headers {
		t.Errorf("%d blobs sent again made the other node take %d KiB", times, n>>10)
	}
	// What it has not is sent as before.
	fresh := storetest.Make(up, 99, size)
	f.wantCopies(f.put(p, text, 1, fresh), p)
	got := f.forward(p, api.ForwardRequest{Ticket: text, Copies: 2, Names: []id.Name{fresh.Key.Name}}, fresh)
	if got.err != nil || len(got.receipts) != 2 || !holds(s, fresh) {
		t.Fatalf("%+v", got)
	}
}

// TestSlowSecondNode: while the second node is at work, the client hears that the
// first is.
func TestSlowSecondNode(t *testing.T) {
	t.Parallel() // it takes 3 seconds
	f := newFleet(t, 1)
	heard := make(chan struct{})
	slow := newPeer(t, f, func(*fakePeer, http.ResponseWriter, *http.Request) bool {
		<-heard
		return true
	})
	b := storetest.Make(id.New[id.Upload](), 1, 100_000)
	text := f.ticket(b.Key.Upload, budget, placeOf(f.nodes[0]), slow.place())
	res, err := http.DefaultClient.Do(putRequest(t.Context(), f.nodes[0], text, 2, b, bytes.NewReader(b.Data)))
	must(t, err)
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	receipt, err := lines.ReadString('\n')
	must(t, err)
	beat, err := lines.ReadString('\n')
	must(t, err)
	if !strings.Contains(receipt, `"receipt"`) || beat != "{}\n" {
		t.Errorf("first %q, then %q", receipt, beat)
	}
	close(heard)
	rest, err := io.ReadAll(lines)
	must(t, err)
	var event api.Event
	must(t, json.Unmarshal(bytes.TrimSpace(bytes.ReplaceAll(rest, []byte("{}\n"), nil)), &event))
	if event.Receipt == "" || !slow.stored(b) {
		t.Errorf("%s", rest)
	}
}
