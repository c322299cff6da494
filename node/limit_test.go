package node

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// limitedServer serves on loopback with few connections; requests for /wait hang
// until the test ends.
func limitedServer(t *testing.T, most int) (address string) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limit(inner, most)
	hang := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/wait", func(http.ResponseWriter, *http.Request) { <-hang })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "served") })
	server := &http.Server{Handler: mux, ConnState: l.state}
	done := make(chan struct{})
	go func() {
		server.Serve(l)
		close(done)
	}()
	t.Cleanup(func() {
		close(hang)
		server.Close()
		<-done
	})
	return inner.Addr().String()
}

// dial opens a connection on which everything must happen within seconds.
func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func ask(c net.Conn, path string) error {
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// TestIdleConnectionsGiveWay: who fills a node with connections and asks nothing
// keeps nobody out, and loses the oldest of them.
func TestIdleConnectionsGiveWay(t *testing.T) {
	const most = 8
	address := limitedServer(t, most)
	var held []net.Conn
	for i := range most + 5 {
		c := dial(t, address)
		if err := ask(c, "/"); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		held = append(held, c)
	}
	if n, err := held[0].Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the oldest is still there: %d, %v", n, err)
	}
	if err := ask(held[len(held)-1], "/"); err != nil {
		t.Errorf("the youngest is gone: %v", err)
	}
}

// TestBusyConnectionsStay: as many as are allowed are at work; the next waits
// until one becomes idle, which then gives way.
func TestBusyConnectionsStay(t *testing.T) {
	const most = 4
	address := limitedServer(t, most)
	for range most - 1 {
		c := dial(t, address)
		if _, err := io.WriteString(c, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	last := dial(t, address)
	if _, err := io.WriteString(last, "GET / HTTP/1.1\r\nHost: x\r\n"); err != nil { // not all of it yet
		t.Fatal(err)
	}
	next := dial(t, address)
	answered := make(chan error, 1)
	go func() { answered <- ask(next, "/") }()
	if _, err := io.WriteString(last, "\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
}
