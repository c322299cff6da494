package node_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"syscall"
	"testing"
	"time"

	"holdfast/certs/certtest"
	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/node/store/storetest"
)

const wideWindow = 16 << 20

// wires are the ways in which 8 MiB can travel.
var wires = []struct {
	name    string
	tls     bool
	major   int
	windows *http.HTTP2Config // of both ends
}{
	{"plain", false, 1, nil},
	{"tls-http1", true, 1, nil},
	{"tls-http2", true, 2, nil},
	{"tls-http2-wide", true, 2, &http.HTTP2Config{MaxReceiveBufferPerConnection: wideWindow, MaxReceiveBufferPerStream: wideWindow, MaxReadFrameSize: 1 << 20}},
}

// BenchmarkWire moves bodies of 8 MiB over loopback: down from a node's store, up
// into nothing, so that neither hash nor disk is measured. Both ends share the
// machine (docs/decisions/0009-tls-and-http2.md).
func BenchmarkWire(b *testing.B) {
	for i := range wires {
		for _, clients := range []int{2, 4} {
			for _, way := range []string{"down", "up"} {
				b.Run(fmt.Sprintf("%s/%s/%d", way, wires[i].name, clients), func(b *testing.B) { benchWire(b, i, way, clients) })
			}
		}
	}
}

func benchWire(b *testing.B, i int, way string, clients int) {
	w := wires[i]
	f, up, _ := benchFleet(b)
	one := storetest.Make(up, 1, 8<<20)
	if err := storetest.Put(f.nodes[0].Store(), one, 1<<50); err != nil {
		b.Fatal(err)
	}
	sink := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	handlers := map[string]http.Handler{"down": f.nodes[0].Handler(), "up": sink}
	base, client := serveWire(b, i, handlers[way])
	q := url.Values{"v": {"1"}, "upload": {up.String()}, "ticket": {f.reads(up, ticket.Range{Name: one.Key.Name, Length: int64(len(one.Data))})}}
	address := base + "/blobs/" + id.Bytes32(one.Key.Name).String() + "?" + q.Encode()
	b.SetBytes(int64(len(one.Data)))
	b.SetParallelism(max(1, clients/runtime.GOMAXPROCS(0)))
	b.ResetTimer()
	before := processor(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			method, body := "GET", io.Reader(nil)
			if way == "up" {
				method, body = "POST", bytes.NewReader(one.Data)
			}
			req, err := http.NewRequestWithContext(b.Context(), method, address, body)
			if err != nil {
				b.Fatal(err)
			}
			res, err := client.Do(req)
			if err != nil {
				b.Fatal(err)
			}
			n, err := io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if err != nil || way == "down" && n != int64(len(one.Data)) || res.ProtoMajor != w.major {
				b.Fatal(n, err, res.Proto)
			}
		}
	})
	spent := processor(b) - before
	b.ReportMetric(spent.Seconds()*1000/(float64(b.N)*float64(len(one.Data))/(1<<30)), "cpu-ms/GiB")
}

// processor is the processors' time that this process has taken: what it takes to
// move a gigabyte is the same on a busy machine.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// serveWire serves a handler in one of the ways, and gives a client for it.
func serveWire(b *testing.B, i int, handler http.Handler) (base string, client *http.Client) {
	b.Helper()
	w := wires[i]
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var protocols http.Protocols
	protocols.SetHTTP1(w.major == 1)
	protocols.SetHTTP2(w.major == 2)
	server := &http.Server{Handler: handler, Protocols: &protocols, HTTP2: w.windows, ErrorLog: log.New(io.Discard, "", 0)}
	const buffer = 128 << 10 // as package transfer has it
	transport := &http.Transport{Protocols: &protocols, HTTP2: w.windows, MaxIdleConnsPerHost: 64, ReadBufferSize: buffer, WriteBufferSize: buffer}
	base = "http://" + l.Addr().String()
	if w.tls {
		ca := certtest.New(b)
		certFile, keyFile := ca.Issue(b, b.TempDir(), certtest.For("127.0.0.1"))
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			b.Fatal(err)
		}
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}}
		transport.TLSClientConfig = &tls.Config{RootCAs: ca.Pool()}
		base = "https://" + l.Addr().String()
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if w.tls {
			_ = server.ServeTLS(l, "", "") // closed below
		} else {
			_ = server.Serve(l)
		}
	}()
	b.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		<-served
	})
	return base, &http.Client{Transport: transport}
}
