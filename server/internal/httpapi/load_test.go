package httpapi

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/format/wire"
)

// peak is the greatest heap, in bytes, while f runs.
func peak(f func()) uint64 {
	const name = "/memory/classes/heap/objects:bytes"
	runtime.GC()
	stop, most := make(chan struct{}), make(chan uint64)
	go func() {
		var top uint64
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			sample := []metrics.Sample{{Name: name}}
			metrics.Read(sample)
			top = max(top, sample[0].Value.Uint64())
			select {
			case <-stop:
				most <- top
				return
			case <-tick.C:
			}
		}
	}()
	f()
	close(stop)
	return <-most
}

// list is a body of nearly n bytes whose list is full of entries.
func list(begin, entry, end string, n int) []byte {
	many := bytes.Repeat([]byte(entry+","), (n-len(begin)-len(entry+end))/(len(entry)+1))
	return slices.Concat([]byte(begin), many, []byte(entry+end))
}

// TestHostileBodiesTakeLittleMemory: strangers, and owners of an upload, who send
// as much as they can over many connections at once, and what grows most when
// it is decoded.
func TestHostileBodiesTakeLittleMemory(t *testing.T) {
	r := newRig(t)
	g := r.open(1 << 30)
	upload := "/api/v1/uploads/" + g.Upload.String()
	const connections, stranger, owner = 150, 200 << 20, 500 << 20
	for what, c := range map[string]struct {
		method, path, secret string
		body                 []byte
		chunked              bool
		most                 uint64
	}{
		"heartbeats as long as may": {"POST", "/api/v1/nodes/heartbeat", "", list(`{"receipts":[`, `""`, `]}`, 512<<10), false, stranger},
		"heartbeats without length": {"POST", "/api/v1/nodes/heartbeat", "", list(`{"receipts":[`, `""`, `]}`, 4<<20), true, stranger},
		"revisions of a link":       {"POST", "/api/v1/links/" + g.Upload.String() + "/revisions", "", list(`{"revisions":[`, `1`, `]}`, 4<<20), true, stranger},
		"pages of nobody":           {"PUT", upload + "/pages/0", anotherSecret(), list(`{"revisions":[`, `{}`, `]}`, 4<<20), false, stranger},
		"empty objects":             {"PUT", upload + "/pages/0", g.Secret, list(`{"revisions":[`, `{}`, `]}`, 4<<20), false, owner},
		"numbers, without length":   {"POST", upload + "/commit", g.Secret, list(`{"page":{"revisions":[`, `1`, `]}}`, 4<<20), true, owner},
		"extents":                   {"PUT", upload + "/pages/0", g.Secret, list(`{"revisions":[{"extents":[`, `[0,0,1]`, `]}]}`, 4<<20), false, owner},
		"numbers of an extent":      {"PUT", upload + "/pages/0", g.Secret, list(`{"revisions":[{"extents":[[`, `1`, `]]}]}`, 4<<20), false, owner},
	} {
		answers := make(chan string, connections)
		top := peak(func() {
			var all sync.WaitGroup
			for range connections {
				all.Go(func() { answers <- r.pour(c.method, c.path, c.secret, c.body, c.chunked) })
			}
			all.Wait()
		})
		close(answers)
		counts := map[string]int{}
		for a := range answers {
			counts[a]++
		}
		t.Logf("%s: %d MiB at most, answers %v", what, top>>20, counts)
		if top > c.most {
			t.Errorf("%s: %d MiB of memory", what, top>>20)
		}
		for a := range counts {
			if strings.HasPrefix(a, "2") || strings.HasPrefix(a, "500") {
				t.Errorf("%s: answered %s", what, a)
			}
		}
	}
}

// pour sends a body over a connection of its own and returns the status of the
// answer; it takes no memory of its own for the body.
func (r *rig) pour(method, path, secret string, body []byte, chunked bool) string {
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	length := fmt.Sprintf("Content-Length: %d", len(body))
	if chunked {
		length = "Transfer-Encoding: chunked"
	}
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\n%s: %s\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\n%s\r\n\r\n",
		method, path, api.HeaderVersion, api.Version, secret, api.TypeJSON, length)
	go func() { // the other side may answer without reading to the end
		if chunked {
			fmt.Fprintf(conn, "%x\r\n", len(body))
		}
		conn.Write(body)
		if chunked {
			io.WriteString(conn, "\r\n0\r\n\r\n")
		}
	}()
	res, err := http.ReadResponse(bufio.NewReaderSize(conn, 512), nil)
	if err != nil {
		return err.Error()
	}
	return res.Status
}

// TestStrangersAreAnsweredBeforeTheirBody: without the upload's secret nothing
// of a body is waited for.
func TestStrangersAreAnsweredBeforeTheirBody(t *testing.T) {
	r := newRig(t)
	g := r.open(1000)
	for path, want := range map[string]string{
		"PUT /api/v1/uploads/" + g.Upload.String() + "/pages/0": "401",
		"POST /api/v1/uploads/" + g.Upload.String() + "/commit": "401",
		"POST /api/v1/uploads/AAAAAAAAAAAAAAAAAAAAAA/commit":    "404",
		"POST /api/v1/uploads/x/commit":                         "404",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		r.must(err)
		fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: x\r\n%s: %s\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: 1000000\r\n\r\n{",
			path, api.HeaderVersion, api.Version, anotherSecret(), api.TypeJSON)
		conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		r.must(err)
		if !strings.HasPrefix(res.Status, want) {
			t.Errorf("%s: %s", path, res.Status)
		}
		conn.Close()
	}
}

// TestLargeBodiesThatNeverEndKeepOutNoSmallOnes: strangers who hold all places
// for large bodies of an endpoint hold up neither its small bodies nor others.
func TestLargeBodiesThatNeverEndKeepOutNoSmallOnes(t *testing.T) {
	r := newRig(t)
	for range 20 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		r.must(err)
		defer conn.Close()
		fmt.Fprintf(conn, "POST /api/v1/nodes/heartbeat HTTP/1.1\r\nHost: x\r\n%s: %s\r\nContent-Type: %s\r\nContent-Length: 500000\r\n\r\n{",
			api.HeaderVersion, api.Version, api.TypeJSON)
	}
	large := api.HeartbeatRequest{Heartbeat: strings.Repeat("x", 100_000)}
	for full := false; !full; { // until the places are taken
		_, err := api.Heartbeat.Call(t.Context(), r.call, api.Args{}, large)
		if full = err != nil; full {
			r.want(err, api.Unavailable)
		}
	}
	_, err := api.Heartbeat.Call(t.Context(), r.call, api.Args{}, api.HeartbeatRequest{Heartbeat: "x"})
	r.must(err)
	g := r.open(1 << 20)
	args := uploadArgs(g)
	args.Path["page"] = "0"
	_, err = api.StagePage.Call(t.Context(), r.call, args, api.Page{Receipts: []string{strings.Repeat("A", 100_000)}})
	r.want(err, api.ReceiptInvalid)
}

// TestLongestHeartbeat: as many receipts as a server takes at once, of the
// greatest numbers, fit.
func TestLongestHeartbeat(t *testing.T) {
	r := newRig(t)
	req := api.HeartbeatRequest{Heartbeat: r.fleet.Nodes[0].Heartbeat(t, r.clock.Now(), 1, 1)}
	const most = wire.MaxInt
	text, err := ticket.SignText(r.fleet.Nodes[0].Key, ticket.OrderReceipt{
		Node: r.fleet.Nodes[0].ID, Epoch: most, Number: most, Outcome: ticket.Refused, Blobs: most, Bytes: most, Day: most,
	})
	r.must(err)
	for range 1024 {
		req.Receipts = append(req.Receipts, text)
	}
	_, err = api.Heartbeat.Call(t.Context(), r.call, api.Args{}, req)
	r.must(err)
}

// TestMostRevisionsByID: as many ids as the protocol allows fit.
func TestMostRevisionsByID(t *testing.T) {
	r := newRig(t)
	send := r.sent(nil, 5000)
	session := id.Bytes32(id.New32()).String()
	_, err := api.StartSession.Call(t.Context(), r.call, linkArgs(send), api.LinkAuth{Auth: send.Auth, Session: session})
	r.must(err)
	req := api.RevisionsRequest{Session: session, Cursor: strings.Repeat("x", 1000)}
	for range 16384 {
		req.Revisions = append(req.Revisions, send.Page.Revisions[0].ID)
	}
	_, err = api.GetRevisions.Call(t.Context(), r.call, linkArgs(send), req)
	r.want(err, api.BadRequest) // of the cursor
	req.Cursor = ""
	_, err = api.GetRevisions.Call(t.Context(), r.call, linkArgs(send), req)
	r.must(err)
}
