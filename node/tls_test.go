package node_test

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/certs"
	"holdfast/certs/certtest"
	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/node"
	"holdfast/node/store/storetest"
)

// lasting is a certificate that is good by the tests' clock and by the machine's.
func lasting(hosts ...string) certtest.Spec {
	return certtest.Spec{Hosts: hosts, From: time.Unix(1_700_000_000, 0), Until: time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// trusting makes http.DefaultClient trust an authority until the test ends.
func trusting(t *testing.T, ca *certtest.Authority) {
	t.Helper()
	before, transport := http.DefaultClient, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}
	http.DefaultClient = &http.Client{Transport: transport}
	t.Cleanup(func() {
		http.DefaultClient = before
		transport.CloseIdleConnections()
	})
}

// runTLS starts a member that serves a certificate for loopback.
func runTLS(t *testing.T, f *fleet, ca *certtest.Authority, change func(*node.Config)) *node.Node {
	t.Helper()
	cfg := f.config(t.TempDir())
	cfg.TLSCert, cfg.TLSKey = ca.Issue(t, t.TempDir(), lasting("127.0.0.1", "localhost"))
	cfg.CA = ca.File
	if change != nil {
		change(&cfg)
	}
	f.set(func() { f.invites["good"] = true })
	n, stop := run(t, cfg)
	t.Cleanup(func() { must(t, stop()) })
	<-n.Ready()
	f.nodes = append(f.nodes, n)
	return n
}

// TestTLS: clients reach nodes, and nodes each other, over TLS alone; and a
// renewed certificate is served without a restart.
func TestTLS(t *testing.T) {
	f, ca := newFleet(t, 0), certtest.New(t)
	var cert, key string
	p := runTLS(t, f, ca, func(c *node.Config) { cert, key = c.TLSCert, c.TLSKey })
	s := runTLS(t, f, ca, nil)
	trusting(t, ca)
	if !strings.HasPrefix(p.URL(), "https://127.0.0.1:") {
		t.Errorf("its address is %s", p.URL())
	}
	b := storetest.Make(id.New[id.Upload](), 1, 300_000)
	f.wantCopies(f.put(p, f.ticket(b.Key.Upload, budget, f.places()...), 2, b), p, s)
	res, body, err := get(t, p, "GET", b.Key.Name, query(b.Key.Upload, f.reads(b.Key.Upload, whole(b))))
	must(t, err)
	if string(body) != string(b.Data) || res.ProtoMajor != 1 {
		t.Errorf("%d bytes by %s", len(body), res.Proto)
	}

	before := res.TLS.PeerCertificates[0].SerialNumber
	newCert, newKey := ca.Issue(t, t.TempDir(), lasting("127.0.0.1"))
	must(t, os.Rename(newCert, cert))
	must(t, os.Rename(newKey, key))
	p.RenewCertificate()
	http.DefaultClient.CloseIdleConnections()
	res, _, err = get(t, p, "GET", b.Key.Name, query(b.Key.Upload, f.reads(b.Key.Upload, whole(b))))
	must(t, err)
	if res.TLS.PeerCertificates[0].SerialNumber.Cmp(before) == 0 {
		t.Error("the old certificate is served")
	}
}

// TestNodesProveThemselves: a node gives ticket and bytes to no other that has no
// certificate for its address, from an authority that it knows.
func TestNodesProveThemselves(t *testing.T) {
	f, ca, strange := newFleet(t, 0), certtest.New(t), certtest.New(t)
	p := runTLS(t, f, ca, nil)
	stranger := runTLS(t, f, strange, nil)
	other := runTLS(t, f, ca, func(c *node.Config) {
		c.Listener = listen(t)
		c.PublicURL = "https://localhost:" + port(t, c.Listener.Addr().String())
		c.TLSCert, c.TLSKey = ca.Issue(t, t.TempDir(), lasting("localhost"))
	})
	trusting(t, ca)
	for what, place := range map[string]ticket.Place{
		"an unknown authority": placeOf(stranger),
		"another name":         {Node: other.ID(), URL: strings.Replace(other.URL(), "localhost", "127.0.0.1", 1)},
	} {
		b := storetest.Make(id.New[id.Upload](), 1, 300_000)
		got := f.put(p, f.ticket(b.Key.Upload, budget, placeOf(p), place), 2, b)
		if len(got.receipts) != 1 || len(got.failed) != 1 || holds(stranger, b) || holds(other, b) {
			t.Errorf("%s: %+v", what, got)
		}
	}
	b := storetest.Make(id.New[id.Upload](), 1, 300_000)
	f.wantCopies(f.put(p, f.ticket(b.Key.Upload, budget, placeOf(p), placeOf(other)), 2, b), p, other)
}

// TestServerProvesItself: a node joins no service without a certificate that it
// can check, and says so.
func TestServerProvesItself(t *testing.T) {
	f, ca := newFleet(t, 0), certtest.New(t)
	at := httptestTLS(t, f, certtest.New(t))
	cfg := f.config(t.TempDir())
	cfg.Server, cfg.CA = at, ca.File
	n, err := node.New(cfg)
	must(t, err)
	defer n.Close()
	if err := n.Join(t.Context()); !errors.Is(err, api.ErrUntrusted) || !strings.Contains(err.Error(), certtest.Name) {
		t.Fatalf("joined: %v", err)
	}
}

// httptestTLS puts TLS before the fleet's service.
func httptestTLS(t *testing.T, f *fleet, ca *certtest.Authority) string {
	t.Helper()
	cert, key := ca.Issue(t, t.TempDir(), lasting("127.0.0.1"))
	pair, err := tls.LoadX509KeyPair(cert, key)
	must(t, err)
	l := tls.NewListener(listen(t), &tls.Config{Certificates: []tls.Certificate{pair}})
	server := &http.Server{Handler: f.service.Config.Handler, ErrorLog: log.New(io.Discard, "", 0)}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return "https://" + l.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	return l
}

func port(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	must(t, err)
	return port
}

func TestBadCertificates(t *testing.T) {
	f, ca := newFleet(t, 0), certtest.New(t)
	cert, key := ca.Issue(t, t.TempDir(), lasting("127.0.0.1"))
	empty := filepath.Join(t.TempDir(), "empty.pem")
	must(t, os.WriteFile(empty, nil, 0o600))
	for name, c := range map[string]struct {
		change func(*node.Config)
		want   error
	}{
		"no certificate":    {func(c *node.Config) { c.TLSCert, c.TLSKey = "missing", key }, certs.ErrFiles},
		"another's address": {func(c *node.Config) { c.TLSCert, c.TLSKey, c.PublicURL = cert, key, "https://node.example" }, certs.ErrFiles},
		"key for cert":      {func(c *node.Config) { c.TLSCert, c.TLSKey = cert, cert }, certs.ErrFiles},
		"no roots":          {func(c *node.Config) { c.CA = empty }, nil},
		"plain address":     {func(c *node.Config) { c.TLSCert, c.TLSKey, c.PublicURL = cert, key, "http://127.0.0.1:1" }, node.ErrConfig},
		"no address":        {func(c *node.Config) { c.TLSCert, c.TLSKey, c.Listen = cert, key, ":0" }, node.ErrConfig},
	} {
		cfg := f.config(t.TempDir())
		c.change(&cfg)
		n, err := node.New(cfg)
		if err == nil {
			n.Close()
		}
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
