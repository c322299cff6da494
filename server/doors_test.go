package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"
)

// crowd is a server with room for few, whose callers tests hold up.
type crowd struct {
	*testing.T
	doors *doors
	begun chan struct{} // for each request to /slow
	leave chan struct{} // lets one of them end
}

func newCrowd(t *testing.T, most int) *crowd {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{t, newDoors(listener, most), make(chan struct{}), make(chan struct{})}
	server := &http.Server{ConnState: c.doors.state, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			c.begun <- struct{}{}
			<-c.leave
		}
		fmt.Fprint(w, "x")
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(c.doors) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return c
}

// caller is one connection.
type caller struct {
	c    *crowd
	conn net.Conn
	in   *bufio.Reader
}

func (c *crowd) dial() *caller {
	c.Helper()
	conn, err := net.Dial("tcp", c.doors.Addr().String())
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return &caller{c, conn, bufio.NewReader(conn)}
}

func (c *caller) ask(path string) { fmt.Fprintf(c.conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path) }

func (c *caller) answered() error {
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	_, err = bufio.NewReader(res.Body).ReadByte()
	return err
}

func (c *caller) served() {
	c.c.Helper()
	c.ask("/")
	if err := c.answered(); err != nil {
		c.c.Fatal(err)
	}
}

// until waits for a state of the doors.
func (c *crowd) until(reached func() bool) {
	for end := false; !end; runtime.Gosched() {
		c.doors.mu.Lock()
		end = reached()
		c.doors.mu.Unlock()
	}
}

// TestIdleConnectionsGiveWay: with all places taken by connections that ask
// nothing, others are served, and the longest idle one has gone for them.
func TestIdleConnectionsGiveWay(t *testing.T) {
	c := newCrowd(t, 3)
	first, second := c.dial(), c.dial()
	for n, idle := range []*caller{first, second} {
		idle.served()
		c.until(func() bool { return c.doors.idle.Len() == n+1 })
	}
	c.dial().served()
	if err := first.answered(); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the longest idle: %v", err)
	}
	second.served()
	for range 20 {
		c.dial().served()
	}
}

// TestBusyConnectionsKeepTheirPlace: who is being served is not sent away, and
// the next comes in as soon as one has been.
func TestBusyConnectionsKeepTheirPlace(t *testing.T) {
	c := newCrowd(t, 2)
	first, second := c.dial(), c.dial()
	for _, busy := range []*caller{first, second} {
		busy.ask("/slow")
		<-c.begun
	}
	third := c.dial()
	third.ask("/slow")
	c.until(func() bool {
		select {
		case <-c.begun:
			t.Fatal("a third one was let in")
		default:
		}
		return c.doors.waiting
	})
	c.leave <- struct{}{}
	<-c.begun
	c.leave <- struct{}{}
	c.leave <- struct{}{}
	answers := 0
	for _, busy := range []*caller{first, second, third} {
		if err := busy.answered(); err != nil {
			t.Error(err)
		}
		answers++
	}
	if answers != 3 {
		t.Errorf("%d answers", answers)
	}
}
