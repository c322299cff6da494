package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/server"
	"holdfast/server/internal/servertest"
)

// rig is a whole server with nodes that have joined.
type rig struct {
	*testing.T
	*server.Server
	dir      string
	clock    *servertest.Clock
	call     api.Caller
	fleet    *servertest.Fleet
	orderKey id.Bytes32
	log      *bytes.Buffer
}

func start(t *testing.T, dir string, clock *servertest.Clock) *rig {
	t.Helper()
	r := &rig{T: t, dir: dir, clock: clock, log: &bytes.Buffer{}}
	var err error
	r.Server, err = server.New(server.Config{DataDir: dir, Now: clock.Now, Software: "test", Log: slog.New(slog.NewTextHandler(r.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(r.Handler())
	t.Cleanup(func() {
		web.Close()
		r.must(r.Close())
	})
	r.call = api.Caller{Base: web.URL, HTTP: web.Client()}
	return r
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// join makes n nodes members, each with an invite of its own.
func (r *rig) join(n int) {
	r.Helper()
	r.fleet = servertest.NewFleet(r.T, n)
	for _, node := range r.fleet.Nodes {
		code, _, err := server.Invite(r.Context(), server.Data{Dir: r.dir}, r.clock.Now(), 0)
		r.must(err)
		joined, err := api.JoinNode.Call(r.Context(), r.call, api.Args{}, api.JoinRequest{Invite: code, Declaration: ticket.Text(node.Declaration)})
		r.must(err)
		if joined.Node != node.ID {
			r.Fatalf("joined %+v", joined)
		}
		r.orderKey = joined.OrderKey
	}
	r.beat(0)
}

// beat sends the heartbeat of every node, which has done the orders up to a
// number, and returns the orders that each of them gets.
func (r *rig) beat(number int64) (orders [][]ticket.Order) {
	r.Helper()
	r.clock.Add(time.Second) // heartbeats of one second could be replays
	for _, node := range r.fleet.Nodes {
		answer, err := api.Heartbeat.Call(r.Context(), r.call, api.Args{}, api.HeartbeatRequest{Heartbeat: node.Heartbeat(r.T, r.clock.Now(), 1, number)})
		r.must(err)
		var mine []ticket.Order
		for _, text := range answer.Orders {
			o, err := ticket.OpenText[ticket.Order](r.orderKey[:], text)
			r.must(err)
			if o.Node != node.ID || o.Action != ticket.DeleteUpload {
				r.Errorf("order %+v", o)
			}
			mine = append(mine, o)
		}
		orders = append(orders, mine)
	}
	return orders
}

func (r *rig) open() api.UploadGrant {
	r.Helper()
	g, err := api.OpenUpload.Call(r.Context(), r.call, api.Args{}, api.OpenUploadRequest{Bytes: 10 << 20, Days: 7})
	r.must(err)
	return g
}

func (r *rig) send(g api.UploadGrant) *servertest.Send {
	r.Helper()
	send := servertest.NewSend(r.T, g.Upload, r.clock.Now(), r.fleet.Nodes[:2], 3<<20)
	req := api.CommitRequest{Link: api.LinkSpec{
		Handle: send.Link.Handle, AuthHash: send.Link.Auth, ManageHash: send.Link.Manage, Record: id.Encoding.EncodeToString(send.Link.Record), Expires: send.Link.Expires,
	}}
	req.Page.Receipts = send.Page.Receipts
	for _, b := range send.Page.Blobs {
		req.Page.Blobs = append(req.Page.Blobs, api.BlobEntry{Name: b.Name, Size: b.Size})
	}
	for _, v := range send.Page.Revisions {
		e := api.RevisionEntry{RevisionHead: api.RevisionHead{
			ID: v.ID, ReleaseKey: v.ReleaseKey, Commitment: v.Commitment, Root: v.Root, Salt: v.Salt, Prefix: id.Encoding.EncodeToString(v.Prefix[:]), Length: v.Length,
		}}
		for _, x := range v.Extents {
			e.Extents = append(e.Extents, api.Extent{x.Blob, x.Offset, x.Length})
		}
		req.Page.Revisions = append(req.Page.Revisions, e)
	}
	done, err := api.CommitUpload.Call(r.Context(), r.call, api.Args{Path: map[string]string{"upload": g.Upload.String()}, Secret: g.Secret}, req)
	r.must(err)
	if len(done.Copies) != 2 {
		r.Errorf("committed %+v", done)
	}
	return send
}

func linkArgs(s *servertest.Send) api.Args {
	return api.Args{Path: map[string]string{"handle": s.Link.Handle.String()}, Secret: s.Manage.Reveal()}
}

// TestSendToItsEnd: nodes join, something is sent and looked at, it is revoked,
// and the nodes are told to delete it.
func TestSendToItsEnd(t *testing.T) {
	r := start(t, t.TempDir(), servertest.NewClock())
	info, err := api.GetInfo.Call(t.Context(), r.call, api.Args{}, api.Empty{})
	r.must(err)
	if info.Accepting || len(info.Nodes) != 0 {
		t.Errorf("without nodes: %+v", info)
	}
	r.join(3)
	info, err = api.GetInfo.Call(t.Context(), r.call, api.Args{}, api.Empty{})
	r.must(err)
	if !info.Accepting || len(info.Nodes) != 3 || info.Fleet == "" || info.Limits.FreeBytes == 0 {
		t.Errorf("with nodes: %+v", info)
	}
	send := r.send(r.open())
	look, err := api.LookLink.Call(t.Context(), r.call, linkArgs(send), api.LinkAuth{Auth: send.Auth})
	r.must(err)
	if len(look.Copies) != 2 {
		t.Errorf("look %+v", look)
	}
	if orders := r.beat(0); len(orders[0])+len(orders[1])+len(orders[2]) != 0 {
		t.Errorf("orders before the end: %v", orders)
	}
	_, err = api.RevokeLink.Call(t.Context(), r.call, linkArgs(send), api.Empty{})
	r.must(err)
	for i, mine := range r.beat(0) {
		if len(mine) != 1 || mine[0].Number != 1 || mine[0].Epoch != 1 {
			t.Errorf("node %d has orders %+v", i, mine)
		}
	}
	if orders := r.beat(1); len(orders[0])+len(orders[1])+len(orders[2]) != 0 {
		t.Errorf("orders after they were done: %v", orders)
	}
}

// TestSweep: what nobody closed is closed by the background work.
func TestSweep(t *testing.T) {
	r := start(t, t.TempDir(), servertest.NewClock())
	r.join(3)
	g, send := r.open(), r.send(r.open())
	r.must(r.Step(t.Context()))
	r.clock.Add(25 * time.Hour)
	r.must(r.Step(t.Context()))
	_, err := api.GetUpload.Call(t.Context(), r.call, api.Args{Path: map[string]string{"upload": g.Upload.String()}, Secret: g.Secret}, api.Empty{})
	if !errors.Is(err, api.UploadClosed) {
		t.Errorf("the open upload: %v", err)
	}
	if orders := r.beat(0); len(orders[0]) != 1 || orders[0][0].Upload != g.Upload {
		t.Errorf("orders %+v", orders)
	}
	r.clock.Add(8 * 24 * time.Hour)
	r.must(r.Step(t.Context()))
	if orders := r.beat(1); len(orders[0]) != 1 {
		t.Errorf("orders %+v", orders)
	}
	st, err := api.LinkStatus.Call(t.Context(), r.call, linkArgs(send), api.Empty{})
	r.must(err)
	if st.State != "expired" || st.Bytes != 0 {
		t.Errorf("status %+v", st)
	}
}

// TestRestart: a server that is started again has the same keys and links.
func TestRestart(t *testing.T) {
	dir, clock := t.TempDir(), servertest.NewClock()
	first := start(t, dir, clock)
	first.join(3)
	g := first.open()
	send := first.send(g)
	clock.Add(time.Second)
	held, err := ticket.SignText(first.fleet.Nodes[2].Key, ticket.Heartbeat{Node: first.fleet.Nodes[2].ID, Time: clock.Now().Unix(), Held: new(true)})
	first.must(err)
	_, err = api.Heartbeat.Call(t.Context(), first.call, api.Args{}, api.HeartbeatRequest{Heartbeat: held})
	first.must(err)
	first.must(first.Close())

	second := start(t, dir, clock)
	second.fleet, second.orderKey = first.fleet, first.orderKey
	nodes, err := server.Nodes(t.Context(), server.Data{Dir: dir}, time.Minute)
	second.must(err)
	if len(nodes) != 3 || nodes[0].LastSeen.IsZero() || nodes[1].Operator != "Operator NZ" || nodes[1].OrdersHeld || !nodes[2].OrdersHeld {
		t.Errorf("nodes %+v", nodes)
	}
	_, err = api.LookLink.Call(t.Context(), second.call, linkArgs(send), api.LinkAuth{Auth: send.Auth})
	second.must(err)
	_, err = api.RevokeLink.Call(t.Context(), second.call, linkArgs(send), api.Empty{})
	second.must(err)
	if orders := second.beat(0); len(orders[0]) != 1 { // under the key that the nodes pinned
		t.Errorf("orders %+v", orders)
	}
}

func TestOneServerOnADirectory(t *testing.T) {
	r := start(t, t.TempDir(), servertest.NewClock())
	if _, err := server.New(server.Config{DataDir: r.dir}); err == nil {
		t.Fatal("two servers work on one directory")
	}
	r.must(r.Close())
	second, err := server.New(server.Config{DataDir: r.dir})
	r.must(err)
	r.must(second.Close())
	r.must(second.Close()) // closing twice does nothing
}

func TestDataDirectoryIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	start(t, dir, servertest.NewClock())
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s, %v", e.Name(), info.Mode(), err)
		}
	}
}

// TestRun: a server on a socket answers until it is told to stop.
func TestRun(t *testing.T) {
	ready := make(chan string, 1)
	s, err := server.New(server.Config{DataDir: t.TempDir(), Listen: "127.0.0.1:0", Ready: func(base string) { ready <- base }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	base := <-ready
	if _, err := api.GetInfo.Call(t.Context(), api.Caller{Base: base, HTTP: http.DefaultClient}, api.Args{}, api.Empty{}); err != nil {
		t.Error(err)
	}
	if _, err := server.New(server.Config{DataDir: t.TempDir(), Listen: base[len("http://"):]}); err != nil {
		t.Error("settings alone do not clash:", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := http.Get(base + "/api/v1/info"); err == nil {
		t.Error("it answers after its end")
	}
}

func TestRunOnATakenAddress(t *testing.T) {
	taken := httptest.NewServer(http.NotFoundHandler())
	defer taken.Close()
	s, err := server.New(server.Config{DataDir: t.TempDir(), Listen: taken.Listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err == nil {
		t.Error("two servers on one address")
	}
}

func TestUnknownAPIPath(t *testing.T) {
	r := start(t, t.TempDir(), servertest.NewClock())
	res, err := http.Get(r.call.Base + "/api/v1/nothing")
	r.must(err)
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	r.must(err)
	var p api.Problem
	if err := json.Unmarshal(raw, &p); err != nil || p.Code != api.NotFound {
		t.Errorf("%s: %v", raw, err)
	}
}

func TestSettingsThatAreRefused(t *testing.T) {
	limits := func(change func(*server.Limits)) server.Limits {
		l := server.DefaultLimits
		change(&l)
		return l
	}
	for name, c := range map[string]server.Config{
		"no data":            {},
		"all interfaces":     {DataDir: "x", Listen: ":8080"},
		"another interface":  {DataDir: "x", Listen: "192.0.2.1:8080"},
		"a name":             {DataDir: "x", Listen: "example.org:8080"},
		"unspecified":        {DataDir: "x", Listen: "0.0.0.0:8080"},
		"no port":            {DataDir: "x", Listen: "127.0.0.1"},
		"public over http":   {DataDir: "x", PublicURL: "http://example.org"},
		"public with a path": {DataDir: "x", PublicURL: "https://example.org/files"},
		"public without":     {DataDir: "x", PublicURL: "example.org"},
		"public with user":   {DataDir: "x", PublicURL: "https://me@example.org"},
		"no sends":           {DataDir: "x", Limits: limits(func(l *server.Limits) { l.SendBytes = 0 })},
		"less than one send": {DataDir: "x", Limits: limits(func(l *server.Limits) { l.ReservedBytes = l.SendBytes - 1 })},
		"no days":            {DataDir: "x", Limits: limits(func(l *server.Limits) { l.MaxDays = 0 })},
		"very many days":     {DataDir: "x", Limits: limits(func(l *server.Limits) { l.MaxDays = 1 << 40 })},
		"default too long":   {DataDir: "x", Limits: limits(func(l *server.Limits) { l.DefaultDays = l.MaxDays + 1 })},
		"no downloads":       {DataDir: "x", Limits: limits(func(l *server.Limits) { l.Downloads = 0 })},
	} {
		t.Run(name, func(t *testing.T) {
			if c.DataDir != "" {
				c.DataDir = filepath.Join(t.TempDir(), "data")
			}
			if s, err := server.New(c); !errors.Is(err, server.ErrConfig) {
				if err == nil {
					s.Close()
				}
				t.Errorf("have %v", err)
			}
			if _, err := os.Stat(c.DataDir); c.DataDir != "" && err == nil {
				t.Error("a directory was made for it")
			}
		})
	}
}

func TestSettingsThatAreTaken(t *testing.T) {
	for _, c := range []server.Config{
		{Listen: "127.0.0.1:0"}, {Listen: "[::1]:0"}, {Listen: "localhost:0"}, {PublicURL: "https://example.org"}, {PublicURL: "https://example.org/"},
		{PublicURL: "http://127.0.0.1:8080"},
	} {
		c.DataDir = t.TempDir()
		s, err := server.New(c)
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		s.Close()
	}
}

func TestAdminWithoutAServer(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	if _, _, err := server.Invite(t.Context(), server.Data{Dir: missing}, time.Now(), 0); !errors.Is(err, server.ErrConfig) {
		t.Errorf("have %v", err)
	}
	if _, err := server.Nodes(t.Context(), server.Data{Dir: missing}, 0); !errors.Is(err, server.ErrConfig) {
		t.Errorf("have %v", err)
	}
}
