package node

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/certs"
	"holdfast/certs/certtest"
)

// pipes is a listener whose connections are in memory, so that a test's time
// passes on both ends.
type pipes struct {
	waiting chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.waiting:
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
	near, far := net.Pipe()
	p.waiting <- far
	return near
}

// TestSlowHandshake: who connects and does not shake hands is put out as soon as
// who sends no header, and holds a place for no longer.
func TestSlowHandshake(t *testing.T) {
	ca := certtest.New(t)
	cert, key := ca.Issue(t, t.TempDir(), certtest.Spec{Hosts: []string{"node.example"}, From: time.Unix(0, 0), Until: time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC)})
	synctest.Test(t, func(t *testing.T) {
		held, err := certs.Open(certs.Options{Cert: cert, Key: key, Host: "node.example"})
		if err != nil {
			t.Fatal(err)
		}
		n := &Node{certs: held, life: t.Context(), handler: http.NotFoundHandler()}
		p := &pipes{waiting: make(chan net.Conn), closed: make(chan struct{})}
		n.listener = p
		server := n.httpServer()
		served := make(chan error, 1)
		go func() { served <- n.serve(server) }()
		for what, act := range map[string]func(net.Conn){
			"nothing": func(net.Conn) {},
			"half a hello": func(c net.Conn) {
				_, _ = c.Write([]byte{22, 3, 1, 0, 200, 1, 0}) // put out for it, perhaps
			},
			"a hand, and nothing asked": func(c net.Conn) {
				if err := tls.Client(c, &tls.Config{RootCAs: ca.Pool(), ServerName: "node.example"}).HandshakeContext(t.Context()); err != nil {
					t.Error(err)
				}
			},
		} {
			c := p.dial()
			begun := time.Now()
			act(c)
			_, _ = io.Copy(io.Discard, c)
			if took := time.Since(begun); took > headerTime+time.Second {
				t.Errorf("%s: the connection stays for %s", what, took)
			}
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

// TestCertificateIsWatched: a node that runs takes up a renewed certificate.
func TestCertificateIsWatched(t *testing.T) {
	ca := certtest.New(t)
	spec := certtest.Spec{Hosts: []string{"node.example"}, From: time.Unix(0, 0), Until: time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC)}
	cert, key := ca.Issue(t, t.TempDir(), spec)
	newCert, newKey := ca.Issue(t, t.TempDir(), spec)
	data := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{waiting: make(chan net.Conn), closed: make(chan struct{})}
		n, err := New(Config{
			Data: data, Server: "http://127.0.0.1:1", Invite: "none", Operator: "O", Jurisdiction: "DE", Capacity: leastCapacity,
			Listener: p, PublicURL: "https://node.example", TLSCert: cert, TLSKey: key,
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- n.Run(ctx) }()
		serial := func() string {
			c := tls.Client(p.dial(), &tls.Config{RootCAs: ca.Pool(), ServerName: "node.example"})
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
