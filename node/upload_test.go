package node_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
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

const budget = 1 << 28

func TestPutStoresTwice(t *testing.T) {
	f := newFleet(t, 2)
	p, s := f.nodes[0], f.nodes[1]
	for _, size := range []int{1, 4096, 200_000, blob.MaxSize} {
		b := storetest.Make(id.New[id.Upload](), 1, size)
		text := f.ticket(b.Key.Upload, budget, f.places()...)
		f.wantCopies(f.put(p, text, 2, b), p, s)
		if !holds(p, b) || !holds(s, b) {
			t.Fatalf("%d bytes: not at both", size)
		}
		f.wantCopies(f.put(p, text, 2, b), p, s) // there already
		f.wantCopies(f.put(p, text, 1, b), p)
		f.wantCopies(f.put(s, text, 2, b), s, p) // the second node as the first
	}
	if got := p.Store().Status(); got.Held.Blobs != 4 || got.Arriving != 0 {
		t.Fatalf("status %+v", got)
	}
}

func TestPutThreeCopies(t *testing.T) {
	f := newFleet(t, 3)
	b := storetest.Make(id.New[id.Upload](), 1, 100_000)
	got := f.put(f.nodes[1], f.ticket(b.Key.Upload, budget, f.places()...), 3, b)
	if got.err != nil || len(got.receipts) != 3 || got.receipts[0] != f.nodes[1].ID() {
		t.Fatalf("%+v", got)
	}
	for _, n := range f.nodes {
		if !holds(n, b) {
			t.Error("a node has nothing")
		}
	}
}

// TestPutRefused has everything that is wrong before the body matters.
func TestPutRefused(t *testing.T) {
	f := newFleet(t, 2)
	p := f.nodes[0]
	b := storetest.Make(id.New[id.Upload](), 1, 5000)
	good := f.ticket(b.Key.Upload, budget, f.places()...)
	other := f.ticket(b.Key.Upload, budget, placeOf(f.nodes[1]), ticket.Place{Node: id.Node{5}, URL: "http://127.0.0.1:1"})
	raw, err := ticket.ParseText(good)
	must(t, err)
	raw[len(raw)/2] ^= 4
	for _, c := range []struct {
		name          string
		header, value string
		want          api.Code
	}{
		{"no version", api.HeaderVersion, "", api.UnknownVersion},
		{"another version", api.HeaderVersion, "2", api.UnknownVersion},
		{"no name", api.HeaderBlob, "", api.BadRequest},
		{"bad name", api.HeaderBlob, "../../etc/passwd", api.BadRequest},
		{"no chain", api.HeaderChain, "", api.BadRequest},
		{"negative chain", api.HeaderChain, "-1", api.BadRequest},
		{"no such chain", api.HeaderChain, "1", api.TicketInvalid},
		{"no copies", api.HeaderCopies, "0", api.BadRequest},
		{"more copies than nodes", api.HeaderCopies, "3", api.BadRequest},
		{"no ticket", api.HeaderTicket, "", api.TicketInvalid},
		{"altered ticket", api.HeaderTicket, ticket.Text(raw), api.TicketInvalid},
		{"ticket for others", api.HeaderTicket, other, api.TicketOtherNode},
		{"ticket of another key", api.HeaderTicket, sign(t, newKey(9), ticket.UploadTicket{Upload: b.Key.Upload,
			Chains: [][]ticket.Place{f.places()}, Budget: budget, Expires: f.clock.now().Unix() + 10}), api.TicketInvalid},
		{"expired ticket", api.HeaderTicket, sign(t, f.tickets, ticket.UploadTicket{Upload: b.Key.Upload,
			Chains: [][]ticket.Place{f.places()}, Budget: budget, Expires: f.clock.now().Unix() - 61}), api.TicketExpired},
		{"spent ticket", api.HeaderTicket, f.ticket(b.Key.Upload, 4999, f.places()...), api.TicketSpent},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := putRequest(t.Context(), p, good, 2, b, bytes.NewReader(b.Data))
			req.Header.Set(c.header, c.value)
			want(t, f.do(req, b).err, c.want)
		})
	}
	for _, c := range []struct {
		name   string
		length int64
		want   api.Code
	}{
		{"no length", -1, api.BadRequest},
		{"empty", 0, api.BadRequest},
		{"too large", blob.MaxSize + 1, api.BodyTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := io.Reader(bytes.NewReader(make([]byte, max(c.length, 0))))
			if c.length < 0 {
				body = io.MultiReader(bytes.NewReader(b.Data)) // sent in chunks
			}
			req := putRequest(t.Context(), p, good, 2, b, body)
			req.ContentLength = c.length
			want(t, f.do(req, b).err, c.want)
		})
	}
	t.Run("bytes of another blob", func(t *testing.T) {
		wrong := storetest.Blob{Key: b.Key, Data: bytes.Repeat([]byte{7}, 300_000)}
		want(t, f.put(p, good, 2, wrong).err, api.BlobMismatch)
	})
	if usage, err := p.Store().Usage(b.Key.Upload); err != nil || usage.Blobs != 0 {
		t.Fatalf("something was stored: %+v, %v", usage, err)
	}
	// Nothing of this stands in the way of the real thing.
	f.wantCopies(f.put(p, good, 2, b), p, f.nodes[1])
}

// TestRefusalReachesAClientThatIsStillSending: the answer must not be lost to a
// connection that ends while the body is on its way.
func TestRefusalReachesAClientThatIsStillSending(t *testing.T) {
	f := newFleet(t, 2)
	b := storetest.Make(id.New[id.Upload](), 1, blob.MaxSize)
	for range 5 {
		want(t, f.put(f.nodes[0], "nonsense", 2, b).err, api.TicketInvalid)
	}
	req := putRequest(t.Context(), f.nodes[0], "nonsense", 2, b, bytes.NewReader(b.Data))
	req.Header.Set("Expect", "100-continue")
	want(t, f.do(req, b).err, api.TicketInvalid)
}

// TestRefusalReachesAClientThatReadsLate: browsers look at the answer when they
// have sent everything.
func TestRefusalReachesAClientThatReadsLate(t *testing.T) {
	f := newFleet(t, 2)
	b := storetest.Make(id.New[id.Upload](), 1, blob.MaxSize)
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.nodes[0].URL(), "http://"))
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	req := putRequest(t.Context(), f.nodes[0], "nonsense", 2, b, bytes.NewReader(b.Data))
	for range 2 { // and the connection is good for the next request
		req.Body = io.NopCloser(bytes.NewReader(b.Data))
		must(t, req.Write(conn))
		time.Sleep(10 * time.Millisecond) // it is slow to look
		res, err := http.ReadResponse(bufio.NewReader(conn), req)
		must(t, err)
		want(t, api.ReadProblem(res), api.TicketInvalid)
	}
}

func TestPutSameBlobAtOnce(t *testing.T) {
	f := newFleet(t, 2)
	b := storetest.Make(id.New[id.Upload](), 1, 3<<20)
	text := f.ticket(b.Key.Upload, int64(len(b.Data)), f.places()...) // room for one
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			got := f.put(f.nodes[i%2], text, 2, b)
			if got.err != nil || len(got.receipts) != 2 {
				t.Errorf("%+v", got)
			}
		})
	}
	all.Wait()
	for _, n := range f.nodes {
		if got := n.Store().Status(); got.Held.Blobs != 1 || got.Arriving != 0 {
			t.Errorf("status %+v", got)
		}
	}
}

func TestBudgetUnderRace(t *testing.T) {
	f := newFleet(t, 2)
	up := id.New[id.Upload]()
	const size, fit = 50_000, 5
	text := f.ticket(up, fit*size+10, f.places()...)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			b := storetest.Make(up, uint64(i), size)
			if err := f.put(f.nodes[i%2], text, 1, b).err; err != nil && !errors.Is(err, api.TicketSpent) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, n := range f.nodes {
		if usage, err := n.Store().Usage(up); err != nil || usage.Bytes > fit*size || usage.Bytes == 0 {
			t.Errorf("usage %+v, %v", usage, err)
		}
	}
}

// slow gives out its bytes up to a point, waits, and then goes on or ends with err.
type slow struct {
	io.Reader
	reached, release chan struct{}
	once             sync.Once
}

func slowly(data []byte, upTo int, err error) *slow {
	s := &slow{reached: make(chan struct{}), release: make(chan struct{})}
	s.Reader = io.MultiReader(bytes.NewReader(data[:upTo]), readerFunc(func([]byte) (int, error) {
		s.once.Do(func() { close(s.reached) })
		<-s.release
		return 0, err
	}), bytes.NewReader(data[upTo:]))
	return s
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// eventually waits for something that other goroutines bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("not within 10 seconds: %s", what)
}

func idle(n *node.Node) func() bool {
	return func() bool { return n.Store().Status().Arriving == 0 }
}

func TestClientGoesAwayMidBody(t *testing.T) {
	f := newFleet(t, 2)
	b := storetest.Make(id.New[id.Upload](), 1, 1<<20)
	text := f.ticket(b.Key.Upload, int64(len(b.Data)), f.places()...)
	ctx, cancel := context.WithCancel(t.Context())
	body := slowly(b.Data, 500_000, errors.New("gone"))
	done := make(chan result)
	go func() { done <- f.do(putRequest(ctx, f.nodes[0], text, 2, b, body), b) }()
	<-body.reached
	eventually(t, "the second node receives as well", func() bool { return f.nodes[1].Store().Status().Arriving > 0 })
	cancel()
	close(body.release)
	if got := <-done; got.err == nil {
		t.Fatal("no error")
	}
	for _, n := range f.nodes {
		eventually(t, "nothing arrives any more", idle(n))
		if holds(n, b) {
			t.Error("a cut blob is held")
		}
	}
	f.wantCopies(f.put(f.nodes[0], text, 2, b), f.nodes[0], f.nodes[1]) // the budget is free again
}

// TestClientGoesAwayAfterTheBody: what was received whole is stored, twice.
func TestClientGoesAwayAfterTheBody(t *testing.T) {
	f := newFleet(t, 1)
	gate := make(chan struct{})
	s := newPeer(t, f, func(*fakePeer, http.ResponseWriter, *http.Request) bool {
		<-gate
		return true
	})
	b := storetest.Make(id.New[id.Upload](), 1, 1<<20)
	ctx, cancel := context.WithCancel(t.Context())
	text := f.ticket(b.Key.Upload, budget, placeOf(f.nodes[0]), s.place())
	req := putRequest(ctx, f.nodes[0], text, 2, b, bytes.NewReader(b.Data))
	done := make(chan result)
	go func() { done <- f.do(req, b) }()
	eventually(t, "stored", func() bool { return holds(f.nodes[0], b) })
	cancel()
	<-done
	close(gate)
	eventually(t, "the second node has it", func() bool { return s.stored(b) })
}

func TestFullNodeIsReadOnly(t *testing.T) {
	f := newFleet(t, 0)
	small, _ := f.add(t.TempDir(), func(c *node.Config) { c.Capacity = 2 * (blob.MaxSize + store.Overhead) })
	f.add(t.TempDir(), nil)
	up := id.New[id.Upload]()
	text := f.ticket(up, budget, f.places()...)
	a, b, c := storetest.Make(up, 1, blob.MaxSize), storetest.Make(up, 2, blob.MaxSize), storetest.Make(up, 3, 100)
	f.wantCopies(f.put(small, text, 1, a), small)
	f.wantCopies(f.put(small, text, 1, b), small)
	err := f.put(small, text, 1, c).err
	want(t, err, api.ReadOnly)
	if !strings.Contains(err.Error(), "full") {
		t.Errorf("the message does not say full: %v", err)
	}
	if h := health(t, small); h.State != "read-only" || h.Reason != "full" {
		t.Errorf("health %+v", h)
	}
	if !holds(small, a) {
		t.Error("old data is gone")
	}
	// Space is freed, and it takes blobs again by itself.
	if _, err := small.Store().CloseUpload(up); err != nil {
		t.Fatal(err)
	}
	f.clock.add(9 * 24 * time.Hour)
	f.tidy(small)
	if h := health(t, small); h.State != "serving" || h.Used != 0 {
		t.Errorf("health %+v", h)
	}
	other := storetest.Make(id.New[id.Upload](), 3, 100)
	f.wantCopies(f.put(small, f.ticket(other.Key.Upload, budget, f.places()...), 2, other), small, f.nodes[1])
}

func health(t *testing.T, n *node.Node) api.Health {
	t.Helper()
	h, err := api.GetHealth.Call(t.Context(), api.Caller{Base: n.URL(), HTTP: http.DefaultClient}, api.Args{}, api.Empty{})
	must(t, err)
	return h
}

func TestClosedUploadTakesNothing(t *testing.T) {
	f := newFleet(t, 2)
	b := storetest.Make(id.New[id.Upload](), 1, 5000)
	text := f.ticket(b.Key.Upload, budget, f.places()...)
	f.wantCopies(f.put(f.nodes[0], text, 2, b), f.nodes[0], f.nodes[1])
	if _, err := f.nodes[0].Store().CloseUpload(b.Key.Upload); err != nil {
		t.Fatal(err)
	}
	err := f.put(f.nodes[0], text, 2, b).err // the same ticket again
	want(t, err, api.TicketInvalid)
	if !strings.Contains(err.Error(), "upload is closed") {
		t.Errorf("have %v", err)
	}
}

// TestClosedUploadsAreForgottenInTime: a node does not keep the names of all
// uploads that ever ended; what it forgets no ticket can open again.
func TestClosedUploadsAreForgottenInTime(t *testing.T) {
	f := newFleet(t, 1)
	n := f.nodes[0]
	b := storetest.Make(id.New[id.Upload](), 1, 5000)
	ticketFor := func(life time.Duration) string {
		return sign(t, f.tickets, ticket.UploadTicket{Upload: b.Key.Upload, Budget: budget,
			Chains: [][]ticket.Place{{placeOf(n), nowhere}}, Expires: f.clock.now().Add(life).Unix()})
	}
	longest := ticketFor(24 * time.Hour) // that the node takes
	f.wantCopies(f.put(n, longest, 1, b), n)
	_, err := n.Store().CloseUpload(b.Key.Upload)
	must(t, err)
	for range 24 { // while the ticket lives, and beyond
		f.tidy(n)
		want(t, f.put(n, longest, 1, b).err, api.TicketInvalid)
		f.clock.add(time.Hour)
	}
	f.clock.add(5 * 24 * time.Hour)
	f.tidy(n)
	want(t, f.put(n, ticketFor(time.Hour), 1, b).err, api.TicketInvalid) // not forgotten yet
	f.clock.add(24*time.Hour + 2*time.Minute)
	f.tidy(n)
	want(t, f.put(n, longest, 1, b).err, api.TicketExpired)
	// It is forgotten: only the server's word, which it gives for open uploads,
	// could open it again; and not for long.
	want(t, f.put(n, ticketFor(25*time.Hour), 1, b).err, api.TicketInvalid)
	f.wantCopies(f.put(n, ticketFor(time.Hour), 1, b), n)
}
