package server

import (
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"holdfast/certs"
	"holdfast/certs/certtest"
)

// firstAssets are as many files as the home page loads besides itself, of 8 KiB.
const firstAssets = 12

// BenchmarkFirstLoad is a browser's first visit, by HTTP/1.1 on the six
// connections that browsers open to a host, and by HTTP/2 on one
// (docs/decisions/0009-tls-and-http2.md).
func BenchmarkFirstLoad(b *testing.B) {
	ca := certtest.New(b)
	cert, key := ca.Issue(b, b.TempDir(), certtest.For(secureHost))
	held, err := certs.Open(certs.Options{Cert: cert, Key: key, Host: secureHost})
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	body := make([]byte, 8<<10)
	s := &Server{certs: held, handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body) // who went away is not measured
	})}
	doors := newDoors(l, connectionsMost)
	server := s.httpServer(doors)
	served := make(chan struct{})
	go func() {
		_ = s.serve(server, doors) // closed below
		close(served)
	}()
	defer func() {
		server.Close()
		<-served
	}()
	dial := func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
	}
	for name, two := range map[string]bool{"http1": false, "http2": true} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				client := visitor(b, ca.Pool(), two, dial)
				client.Transport.(*http.Transport).MaxConnsPerHost = 6
				load(b, client, 1)
				load(b, client, firstAssets)
				client.CloseIdleConnections()
			}
		})
	}
}

// load gets so many files at once.
func load(b *testing.B, client *http.Client, files int) {
	var all sync.WaitGroup
	for range files {
		all.Go(func() {
			res, err := client.Get("https://" + secureHost + "/x")
			if err == nil {
				_, err = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
			if err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
}
