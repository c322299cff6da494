package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/api"
	"holdfast/certs"
	"holdfast/certs/certtest"
)

const secureHost = "files.example"

// secureConfig is that of a server with a certificate for secureHost.
func secureConfig(t *testing.T, ca *certtest.Authority) Config {
	t.Helper()
	cert, key := ca.Issue(t, t.TempDir(), certtest.For(secureHost))
	return Config{DataDir: t.TempDir(), Listen: "127.0.0.1:0", PublicURL: "https://" + secureHost, TLSCert: cert, TLSKey: key}
}

// visitor reaches secureHost by dial, with HTTP/2 or without.
func visitor(t testing.TB, roots *x509.CertPool, two bool, dial func(context.Context) (net.Conn, error)) *http.Client {
	t.Helper()
	var protocols http.Protocols
	protocols.SetHTTP1(!two)
	protocols.SetHTTP2(two)
	transport := &http.Transport{
		Protocols: &protocols, TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestTLS: the program's server speaks HTTP/2 and HTTP/1.1 by TLS, tells its
// public address, and binds browsers to HTTPS.
func TestTLS(t *testing.T) {
	ca := certtest.New(t)
	cfg := secureConfig(t, ca)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Listen = taken.Addr().String()
	taken.Close()
	ready := make(chan string, 1)
	base := cfg.PublicURL
	cfg.PublicURL += "/"
	cfg.Ready = func(base string) { ready <- base }
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	select {
	case said := <-ready:
		if said != base {
			t.Errorf("ready at %s", said)
		}
	case err := <-ended:
		t.Fatal(err)
	}
	dial := func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", cfg.Listen)
	}
	for major, two := range map[int]bool{1: false, 2: true} {
		client := visitor(t, ca.Pool(), two, dial)
		for _, path := range []string{"/", "/api/v1/info?v=1", "/nowhere"} {
			res, err := client.Get(base + path)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.ProtoMajor != major || res.TLS.Version != tls.VersionTLS13 {
				t.Errorf("%s by %s, TLS %x", path, res.Proto, res.TLS.Version)
			}
			if have := res.Header.Get("Strict-Transport-Security"); have != "max-age=15552000" {
				t.Errorf("%s: Strict-Transport-Security %q", path, have)
			}
		}
		client.CloseIdleConnections()
	}
	plain, err := http.Get("http://" + cfg.Listen + "/")
	if err == nil {
		plain.Body.Close()
	}
	if err == nil && plain.StatusCode != http.StatusBadRequest {
		t.Errorf("plain HTTP was answered with %s", plain.Status)
	}
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestLoopbackIsNotBound: a developer's machine serves other things by HTTP.
func TestLoopbackIsNotBound(t *testing.T) {
	cert, key := certtest.New(t).Issue(t, t.TempDir(), certtest.For("localhost", "127.0.0.1"))
	for what, c := range map[string]Config{
		"by name":    {PublicURL: "https://localhost:8443", TLSCert: cert, TLSKey: key},
		"by address": {TLSCert: cert, TLSKey: key},
		"plain":      {PublicURL: "https://" + secureHost},
	} {
		c.DataDir = t.TempDir()
		s, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
		if have := w.Header().Get("Strict-Transport-Security"); have != "" {
			t.Errorf("%s: %q", what, have)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestTLSSettings(t *testing.T) {
	ca := certtest.New(t)
	good := secureConfig(t, ca)
	other, otherKey := ca.Issue(t, t.TempDir(), certtest.For("other.example"))
	old, oldKey := ca.Issue(t, t.TempDir(), certtest.Spec{Hosts: []string{secureHost}, From: time.Now().Add(-48 * time.Hour), Until: time.Now().Add(-time.Hour)})
	for what, c := range map[string]struct {
		change func(*Config)
		is     error
		want   string
	}{
		"no key":              {func(c *Config) { c.TLSKey = "" }, ErrConfig, "together"},
		"no certificate":      {func(c *Config) { c.TLSCert = "" }, ErrConfig, "together"},
		"plain public URL":    {func(c *Config) { c.PublicURL = "http://127.0.0.1:1" }, ErrConfig, "https://"},
		"every address":       {func(c *Config) { c.PublicURL, c.Listen = "", ":443" }, ErrConfig, "--public-url"},
		"every IPv6 address":  {func(c *Config) { c.PublicURL, c.Listen = "", "[::]:443" }, ErrConfig, "--public-url"},
		"another's name":      {func(c *Config) { c.TLSCert, c.TLSKey = other, otherKey }, certs.ErrFiles, secureHost},
		"the listen address":  {func(c *Config) { c.PublicURL = "" }, certs.ErrFiles, "127.0.0.1"},
		"ended":               {func(c *Config) { c.TLSCert, c.TLSKey = old, oldKey }, certs.ErrFiles, "ended on"},
		"plain on the street": {func(c *Config) { c.TLSCert, c.TLSKey, c.Listen = "", "", "0.0.0.0:80" }, ErrConfig, "--tls-cert"},
	} {
		cfg := good
		c.change(&cfg)
		s, err := New(cfg)
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	good.Listen = "0.0.0.0:0"
	s, err := New(good)
	if err != nil {
		t.Fatal(err)
	}
	if !s.cfg.public() {
		t.Error("a service with a certificate for a name is not public")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// memory is a listener whose connections have no sockets, so that a test's time
// passes on both ends.
type memory struct {
	waiting chan net.Conn
	closed  chan struct{}
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.waiting:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}
func (m *memory) Close() error   { close(m.closed); return nil }
func (m *memory) Addr() net.Addr { return &net.TCPAddr{} }

func (m *memory) dial(context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	m.waiting <- far
	return near, nil
}

// inMemory runs f with a server for one endpoint, in time that passes at once.
func inMemory(t *testing.T, f func(t *testing.T, m *memory, ca *certtest.Authority)) {
	t.Helper()
	ca := certtest.New(t)
	cert, key := ca.Issue(t, t.TempDir(), certtest.Spec{Hosts: []string{secureHost}, From: time.Unix(0, 0), Until: time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC)})
	synctest.Test(t, func(t *testing.T) {
		held, err := certs.Open(certs.Options{Cert: cert, Key: key, Host: secureHost})
		if err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		api.OpenUpload.Handle(mux, func(_ string, err error) { t.Error(err) }, func(context.Context, api.Request, api.OpenUploadRequest) (api.UploadGrant, error) {
			return api.UploadGrant{}, api.NewProblem(api.NoPlacement, "")
		})
		s := &Server{certs: held, handler: mux}
		m := &memory{make(chan net.Conn), make(chan struct{})}
		doors := newDoors(m, 8)
		server := s.httpServer(doors)
		served := make(chan error, 1)
		go func() { served <- s.serve(server, doors) }()
		f(t, m, ca)
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

// TestSlowHandshake: who connects and does not shake hands is put out as soon as
// who sends no header.
func TestSlowHandshake(t *testing.T) {
	inMemory(t, func(t *testing.T, m *memory, _ *certtest.Authority) {
		for what, first := range map[string][]byte{"nothing": nil, "half a hello": {22, 3, 1, 0, 200, 1, 0}} {
			c, _ := m.dial(t.Context())
			begun := time.Now()
			if len(first) > 0 {
				_, _ = c.Write(first) // put out for it, perhaps
			}
			_, _ = io.Copy(io.Discard, c)
			if took := time.Since(begun); took > headerTimeout+time.Second {
				t.Errorf("%s: the connection stays for %s", what, took)
			}
		}
	})
}

// TestSlowBodyByHTTP2: an endpoint's time-out counts for streams as for
// connections, and other streams go on.
func TestSlowBodyByHTTP2(t *testing.T) {
	inMemory(t, func(t *testing.T, m *memory, ca *certtest.Authority) {
		client := visitor(t, ca.Pool(), true, m.dial)
		defer client.CloseIdleConnections()
		ask := func(body io.Reader) (*http.Response, error) {
			req, err := http.NewRequestWithContext(t.Context(), "POST", "https://"+secureHost+api.OpenUpload.Path, body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set(api.HeaderVersion, api.Version)
			req.Header.Set("Content-Type", api.TypeJSON)
			return client.Do(req)
		}
		never, w := io.Pipe()
		defer w.Close()
		slow := make(chan error, 1)
		begun := time.Now()
		go func() {
			res, err := ask(never)
			if err == nil {
				res.Body.Close()
				if res.StatusCode < 400 {
					err = errors.New(res.Status)
				}
			}
			slow <- err
		}()
		res, err := ask(strings.NewReader(`{"bytes":1,"days":1}`))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.ProtoMajor != 2 || res.StatusCode != 503 {
			t.Errorf("%s by %s", res.Status, res.Proto)
		}
		<-slow // refused or reset
		if took := time.Since(begun); took > api.OpenUpload.Timeout+time.Second {
			t.Errorf("a body that does not come holds a stream for %s", took)
		}
	})
}

// TestLimitsOfHTTP2: what the server announces, and net/http holds callers to
// (RFC 9113 §6.5.2).
func TestLimitsOfHTTP2(t *testing.T) {
	inMemory(t, func(t *testing.T, m *memory, ca *certtest.Authority) {
		near, _ := m.dial(t.Context())
		defer near.Close()
		c := tls.Client(near, &tls.Config{RootCAs: ca.Pool(), ServerName: secureHost, NextProtos: []string{"h2"}})
		if _, err := io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"); err != nil {
			t.Fatal(err)
		}
		head := make([]byte, 9)
		if _, err := io.ReadFull(c, head); err != nil || head[3] != 4 {
			t.Fatalf("not its settings first: %x, %v", head, err)
		}
		body := make([]byte, int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(c, body); err != nil {
			t.Fatal(err)
		}
		have := map[uint16]uint32{}
		for ; len(body) >= 6; body = body[6:] {
			have[binary.BigEndian.Uint16(body)] = binary.BigEndian.Uint32(body[2:])
		}
		const streams, window, headers = 3, 4, 6
		if have[streams] != 16 || have[window] != 256<<10 || have[headers] < 8<<10 || have[headers] > 9<<10 {
			t.Errorf("announced %v", have)
		}
	})
}

// TestManyHeadersByHTTP2: unpacked headers are bounded, since few
// bytes on the line can stand for many.
func TestManyHeadersByHTTP2(t *testing.T) {
	inMemory(t, func(t *testing.T, m *memory, ca *certtest.Authority) {
		client := visitor(t, ca.Pool(), true, m.dial)
		defer client.CloseIdleConnections()
		for bytes, good := range map[int]bool{2 << 10: true, 16 << 10: false} {
			req, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+secureHost+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := range bytes / 64 {
				req.Header.Set(fmt.Sprintf("X-%04d", i), "1234567890123456789012")
			}
			res, err := client.Do(req)
			if err == nil {
				res.Body.Close()
			}
			if taken := err == nil && res.StatusCode == http.StatusNotFound; taken != good {
				t.Errorf("%d bytes: taken %v, %v", bytes, taken, err)
			}
		}
	})
}

// TestFarewellHoldsUpNobody: an idle connection that gives way is closed at once,
// though its owner reads nothing.
func TestFarewellHoldsUpNobody(t *testing.T) {
	conf := tlsOf(t)
	synctest.Test(t, func(t *testing.T) {
		held, far := net.Pipe()
		defer held.Close()
		pair := tls.Server(far, conf)
		shaken := make(chan error, 1)
		go func() { shaken <- pair.Handshake() }()
		if err := tls.Client(held, &tls.Config{InsecureSkipVerify: true}).Handshake(); err != nil {
			t.Fatal(err)
		}
		if err := <-shaken; err != nil {
			t.Fatal(err)
		}
		d := newDoors(&memory{}, 1)
		d.places <- struct{}{}
		d.state(pair, http.StateIdle)
		begun := time.Now()
		d.makeRoom()
		if took := time.Since(begun); took > 0 {
			t.Errorf("the door was shut for %s", took)
		}
	})
}

// tlsOf is for a server on a pipe, where nobody reads tickets.
func tlsOf(t *testing.T) *tls.Config {
	t.Helper()
	cert, key := certtest.New(t).Issue(t, t.TempDir(), certtest.For(secureHost))
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, SessionTicketsDisabled: true}
}

// TestCertificateIsWatched: a server that runs takes up a renewed certificate.
func TestCertificateIsWatched(t *testing.T) {
	ca := certtest.New(t)
	spec := certtest.Spec{Hosts: []string{secureHost}, From: time.Unix(0, 0), Until: time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC)}
	cert, key := ca.Issue(t, t.TempDir(), spec)
	newCert, newKey := ca.Issue(t, t.TempDir(), spec)
	data := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{DataDir: data, PublicURL: "https://" + secureHost, TLSCert: cert, TLSKey: key})
		if err != nil {
			t.Fatal(err)
		}
		m := &memory{make(chan net.Conn), make(chan struct{})}
		s.listen = func() (net.Listener, error) { return m, nil }
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- s.Run(ctx) }()
		serial := func() string {
			near, _ := m.dial(ctx)
			c := tls.Client(near, &tls.Config{RootCAs: ca.Pool(), ServerName: secureHost})
			defer c.Close()
			if err := c.HandshakeContext(ctx); err != nil {
				t.Fatal(err)
			}
			return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
		}
		before := serial()
		if err := errors.Join(os.Rename(newCert, cert), os.Rename(newKey, key)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute + time.Second)
		if serial() == before {
			t.Error("the old certificate is served")
		}
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
}
