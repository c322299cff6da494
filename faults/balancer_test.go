//go:build linux

package faults

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/server/postgrestest"
)

// balancer hands each request to the next server, as what stands before several
// servers does; one that cannot be reached is passed over.
type balancer struct {
	url     string
	targets []*url.URL
	next    atomic.Int64
	web     *http.Transport
	// onCommit is called with the server that a commit is passed on to; broken
	// counts commits whose answer never came.
	onCommit atomic.Pointer[func(server int)]
	broken   atomic.Int32
}

// RoundTrip implements http.RoundTripper.
func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	commit := strings.HasSuffix(r.URL.Path, "/commit")
	var failed error
	for range b.targets {
		n := int(b.next.Add(1)) % len(b.targets)
		out := r.Clone(r.Context())
		if r.Body != nil {
			out.Body = io.NopCloser(r.Body) // a dial that fails closes it
		}
		out.URL.Scheme, out.URL.Host = b.targets[n].Scheme, b.targets[n].Host
		if hook := b.onCommit.Load(); commit && hook != nil {
			(*hook)(n)
		}
		res, err := b.web.RoundTrip(out)
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" { // nothing was sent
			failed = err
			continue
		}
		if commit && err != nil {
			b.broken.Add(1)
		}
		return res, err
	}
	return nil, failed
}

func newBalancer(t *testing.T, targets []string) *balancer {
	t.Helper()
	b := &balancer{web: &http.Transport{DisableKeepAlives: true}}
	for _, target := range targets {
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		b.targets = append(b.targets, u)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ErrorLog: quiet, Handler: &httputil.ReverseProxy{
		Transport: b, Rewrite: func(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}}
	go server.Serve(l) // ends with Close
	t.Cleanup(func() { server.Close() })
	b.url = "http://" + l.Addr().String()
	return b
}

// service is a fleet behind three servers on one PostgreSQL.
type service struct {
	*fleet
	postgres *postgrestest.Server
	name     string // of the database
	front    *balancer
	servers  [3]*process
}

// serversNodeTimeout is longer than nodeTimeout: what one server hears of a node
// the others see up to three seconds later.
const serversNodeTimeout = "8s"

// startService starts servers that share the keys of the first one, and nodes,
// all of which reach the servers through the balancer.
func startService(t *testing.T, postgres *postgrestest.Server, name string) *service {
	t.Helper()
	s := &service{fleet: newFleet(t), postgres: postgres, name: name}
	file := filepath.Join(s.dir, "database")
	if err := os.WriteFile(file, []byte(postgres.URL(name)), 0o600); err != nil {
		t.Fatal(err)
	}
	s.database = []string{"--database-file", file}
	var targets []string
	for n := range s.servers {
		if n > 0 {
			s.copyKeys(n)
		}
		s.start(n)
		targets = append(targets, s.servers[n].url)
	}
	s.front = newBalancer(t, targets)
	s.server = &process{url: s.front.url} // where nodes and clients go
	for _, j := range []string{"DE", "NZ", "IS"} {
		s.startNode(j)
	}
	s.eventually("every server sees every node", 10*time.Second, func() bool {
		for _, server := range s.servers {
			if live(server.url) != len(s.nodes) {
				return false
			}
		}
		return true
	})
	return s
}

// live is how many nodes a server says there are, or -1.
func live(base string) int {
	info, err := info(base)
	if err != nil {
		return -1
	}
	return len(info.Nodes)
}

var plain = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}

func info(base string) (api.ServiceInfo, error) {
	return api.GetInfo.Call(context.Background(), api.Caller{Base: base, HTTP: plain}, api.Args{}, api.Empty{})
}

func (s *service) folder(n int) string { return filepath.Join(s.dir, fmt.Sprint("server-", n)) }

func (s *service) copyKeys(n int) {
	s.t.Helper()
	if err := os.Mkdir(s.folder(n), 0o700); err != nil {
		s.t.Fatal(err)
	}
	for _, name := range []string{"ticket.key", "order.key", "accounts.key"} {
		raw, err := os.ReadFile(filepath.Join(s.folder(0), name))
		if err == nil {
			err = os.WriteFile(filepath.Join(s.folder(n), name), raw, 0o600)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// start starts, or starts again, the server of that number.
func (s *service) start(n int) {
	s.t.Helper()
	name := fmt.Sprint("server-", n)
	if s.ports[name] == 0 {
		s.ports[name] = freePort(s.t)
	}
	s.servers[n] = start(s.owner, name, append([]string{programs.holdfast, "server", "--data", s.folder(n),
		"--listen", fmt.Sprintf("127.0.0.1:%d", s.ports[name]), "--node-timeout", serversNodeTimeout, "--sweep-every", sweepEvery}, s.database...)...)
}

// number runs a query for one number beside the servers.
func (s *service) number(query string) (n int) {
	s.t.Helper()
	db := s.open()
	defer db.Close()
	if err := db.QueryRowContext(s.context(), query).Scan(&n); err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
	return n
}

func (s *service) open() *sql.DB {
	s.t.Helper()
	return s.postgres.Open(s.t, s.name)
}

// whole fails if anything in the database is half of what it should be.
func (s *service) whole() {
	s.t.Helper()
	for what, query := range map[string]string{
		"links without their upload":      `SELECT COUNT(*) FROM link l WHERE state = 1 AND NOT EXISTS (SELECT 1 FROM upload u WHERE u.num = l.upload AND u.state = 2)`,
		"committed uploads without links": `SELECT COUNT(*) FROM upload u WHERE state = 2 AND NOT EXISTS (SELECT 1 FROM link l WHERE l.upload = u.num)`,
		"revisions of no commit":          `SELECT COUNT(*) FROM revision r JOIN upload u ON u.num = r.upload WHERE u.state <> 2`,
		"revisions without all extents":   `SELECT COUNT(*) FROM revision r WHERE extents <> (SELECT COUNT(*) FROM extent e WHERE e.revision = r.num)`,
		"blobs without two copies":        `SELECT COUNT(*) FROM blob b WHERE (SELECT COUNT(*) FROM copy c WHERE c.blob = b.num AND c.state = 1) < 2`,
		"reserved bytes counted wrong":    `SELECT (SELECT reserved FROM total) - (SELECT COALESCE(SUM(reserved), 0) FROM upload)`,
		"downloads beyond limits":         `SELECT COUNT(*) FROM link WHERE state = 1 AND download_limit > 0 AND downloads > download_limit`,
		"gaps between orders":             `SELECT COUNT(*) FROM node n WHERE issued <> (SELECT COALESCE(MAX(number), 0) FROM node_order o WHERE o.node = n.num)`,
	} {
		if n := s.number(query); n != 0 {
			s.t.Errorf("%s: %d", what, n)
		}
	}
}
