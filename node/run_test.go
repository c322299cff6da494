package node_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/node"
	"holdfast/node/member"
	"holdfast/node/store/storetest"
)

// callHandler asks a node that does not listen.
func callHandler(ctx context.Context, n *node.Node) (res api.ListReceiptsResponse, err error) {
	req := httptest.NewRequestWithContext(ctx, "POST", "/receipts", strings.NewReader(`{"ticket":"x"}`))
	req.Header.Set(api.HeaderVersion, "1")
	req.Header.Set("Content-Type", api.TypeJSON)
	w := httptest.NewRecorder()
	n.Handler().ServeHTTP(w, req)
	if w.Code != http.StatusOK {
		return res, api.ReadProblem(w.Result())
	}
	return res, json.NewDecoder(w.Body).Decode(&res)
}

// run starts a node as the program does.
func run(t *testing.T, cfg node.Config) (n *node.Node, stop func() error) {
	t.Helper()
	n, err := node.New(cfg)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	return n, func() error {
		cancel()
		return <-done
	}
}

func TestRun(t *testing.T) {
	f := newFleet(t, 0)
	dir := t.TempDir()
	cfg := f.config(dir)
	cfg.Heartbeat = 10 * time.Millisecond
	f.set(func() { f.refuse = api.NewProblem(api.Unavailable, "starting") }) // the server is slower
	n, stop := run(t, cfg)
	select {
	case <-n.Ready():
		t.Fatal("ready without being a member")
	case <-time.After(50 * time.Millisecond):
	}
	if h := health(t, n); h.State != "read-only" || h.Reason != "not-joined" {
		t.Errorf("health %+v", h)
	}
	f.set(func() { f.refuse = nil })
	<-n.Ready()
	eventually(t, "two heartbeats", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.beats) >= 2 })
	f.nodes = append(f.nodes, n)
	b := storetest.Make(id.New[id.Upload](), 1, 5000)
	f.wantCopies(f.put(n, f.ticket(b.Key.Upload, budget, placeOf(n), nowhere), 1, b), n)
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	// The server is gone: a member serves all the same.
	f.Close()
	n, stop = run(t, cfg)
	<-n.Ready()
	if !holds(n, b) {
		t.Error("lost")
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// TestRunTidiesOnceItsClockIsConfirmed: what has been in the trash for its days
// goes soon after a start, by the time that the server told.
func TestRunTidiesOnceItsClockIsConfirmed(t *testing.T) {
	f := newFleet(t, 0)
	dir := t.TempDir()
	old, stop := f.add(dir, nil)
	b := storetest.Make(id.New[id.Upload](), 1, 5000)
	must(t, storetest.Put(old.Store(), b, budget))
	must(t, f.beat(old, f.order(old, 1, 1, b.Key.Upload)))
	stop()
	f.clock.add(8 * 24 * time.Hour)
	f.set(func() { f.answer.Time = f.clock.now().Unix() })
	n, stopRun := run(t, f.config(dir))
	eventually(t, "the trash is empty", func() bool { return n.Store().Status().Trash.Bytes == 0 })
	must(t, stopRun())
}

func TestRunEndsWhenRefused(t *testing.T) {
	f := newFleet(t, 0)
	cfg := f.config(t.TempDir())
	cfg.Invite = "bad"
	n, err := node.New(cfg)
	must(t, err)
	want(t, n.Run(t.Context()), member.ErrRefused)
}

func TestStopLetsUploadsFinish(t *testing.T) {
	f := newFleet(t, 1)
	cfg := f.config(t.TempDir())
	n, stop := run(t, cfg)
	f.set(func() { f.invites["good"] = true })
	<-n.Ready()
	f.nodes = append(f.nodes, n)
	b := storetest.Make(id.New[id.Upload](), 1, 1<<20)
	body := slowly(b.Data, 500_000, io.EOF)
	done := make(chan result)
	go func() {
		done <- f.do(putRequest(t.Context(), n, f.ticket(b.Key.Upload, budget, placeOf(n), placeOf(f.nodes[0])), 2, b, body), b)
	}()
	<-body.reached
	eventually(t, "it arrives", func() bool { return n.Store().Status().Arriving > 0 })
	stopped := make(chan error)
	go func() { stopped <- stop() }()
	eventually(t, "no new connections", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(n.URL(), "http://"))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	close(body.release)
	f.wantCopies(<-done, n, f.nodes[0])
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
}

func TestConfigRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*node.Config)
		want   string
	}{
		{"no data", func(c *node.Config) { c.Data = "" }, "data directory"},
		{"no capacity", func(c *node.Config) { c.Capacity = 0 }, "capacity"},
		{"no operator", func(c *node.Config) { c.Operator = "  " }, "operator"},
		{"long operator", func(c *node.Config) { c.Operator = strings.Repeat("x", 129) }, "operator"},
		{"long parent", func(c *node.Config) { c.Parent = strings.Repeat("x", 257) }, "companies"},
		{"lower case", func(c *node.Config) { c.Jurisdiction = "de" }, "jurisdiction"},
		{"no such country", func(c *node.Config) { c.Jurisdiction = "ZZ" }, "jurisdiction"},
		{"no such site", func(c *node.Config) { c.Site = "Germany" }, "jurisdiction"},
		{"no server", func(c *node.Config) { c.Server = "" }, "server"},
		{"server with a query", func(c *node.Config) { c.Server = "https://example.org/?a=b" }, "server"},
		{"server in the clear", func(c *node.Config) { c.Server = "http://example.org" }, "https://"},
		{"public URL in the clear", func(c *node.Config) { c.PublicURL = "http://example.org" }, "https://"},
		{"public URL with a user", func(c *node.Config) { c.PublicURL = "https://a@example.org" }, "public URL"},
		{"listens in the clear", func(c *node.Config) { c.Listen = "0.0.0.0:80" }, "--tls-cert"},
		{"listens on all", func(c *node.Config) { c.Listen = ":80" }, "--tls-cert"},
		{"no port", func(c *node.Config) { c.Listen = "127.0.0.1" }, "host:port"},
		{"certificate without key", func(c *node.Config) { c.TLSCert = "x" }, "together"},
		{"trash", func(c *node.Config) { c.TrashDays = -1 }, "days"},
		{"heartbeat", func(c *node.Config) { c.Heartbeat = -1 }, "heartbeats"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := node.Config{Data: "x", Server: "https://example.org", Operator: "O", Jurisdiction: "DE", Listen: "[::1]:0", Capacity: 1 << 30}
			if err := cfg.Check(); err != nil {
				t.Fatal(err)
			}
			c.change(&cfg)
			err := cfg.Check()
			if !errors.Is(err, node.ErrConfig) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("have %v, want something about %q", err, c.want)
			}
		})
	}
}

func TestNewFailsWithoutLeavingTheLock(t *testing.T) {
	f := newFleet(t, 0)
	dir := t.TempDir()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	cfg := f.config(dir)
	cfg.Listen = taken.Addr().String()
	if _, err := node.New(cfg); err == nil {
		t.Fatal("listens where another does")
	}
	cfg = f.config(dir)
	cfg.CA = dir + "/missing"
	if _, err := node.New(cfg); err == nil {
		t.Fatal("no such file")
	}
	n, err := node.New(f.config(dir))
	must(t, err)
	must(t, n.Close())
}

// TestUploadInMemory holds the node to keeping no blob in memory (targets, A5).
func TestUploadsAreNotHeldInMemory(t *testing.T) {
	f := newFleet(t, 2)
	ups := []id.Upload{id.New[id.Upload](), id.New[id.Upload]()} // one has 16 places
	texts := []string{f.ticket(ups[0], 1<<30, f.places()...), f.ticket(ups[1], 1<<30, f.places()...)}
	b := storetest.Make(ups[0], 1, 8<<20)
	const parallel = 32
	heap := measureHeap(t, func() {
		done := make(chan result, parallel)
		for i := range parallel {
			data := b.Data[i*1000:]
			blob := storetest.Blob{Key: b.Key, Data: data}
			blob.Key.Upload, blob.Key.Name = ups[i%2], nameOf(data)
			go func() {
				done <- f.do(putRequest(t.Context(), f.nodes[0], texts[i%2], 2, blob, bytes.NewReader(data)), blob)
			}()
		}
		for range parallel {
			if got := <-done; got.err != nil || len(got.receipts) != 2 {
				t.Errorf("%+v", got)
			}
		}
	})
	t.Logf("%d MiB of heap in use at most, for both nodes and the client", heap>>20)
	if heap > 64<<20 {
		t.Errorf("%d MiB of heap in use", heap>>20)
	}
}
