package node

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// limited is a listener that accepts no more while too many connections are
// open. When it gets crowded, those on which nothing is asked give way, the
// longest idle first: who only holds connections keeps nobody out. It hands out
// the connections as they are, so that the kernel can still copy files into them;
// the server tells it what becomes of each.
type limited struct {
	net.Listener
	open    chan struct{}
	crowded int // from so many open connections on
	closed  chan struct{}
	once    sync.Once

	mu   sync.Mutex // guards what follows
	idle map[net.Conn]int64
	turn int64 // numbers them in the order in which they became idle
}

func limit(l net.Listener, most int) *limited {
	return &limited{Listener: l, open: make(chan struct{}, most), crowded: most * 3 / 4, closed: make(chan struct{}), idle: map[net.Conn]int64{}}
}

func (l *limited) Accept() (net.Conn, error) {
	if len(l.open) >= l.crowded {
		l.dropIdle()
	}
	select {
	case l.open <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.open
	}
	return c, err
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// state is http.Server.ConnState.
func (l *limited) state(c net.Conn, s http.ConnState) {
	l.mu.Lock()
	delete(l.idle, c)
	if s == http.StateIdle {
		l.turn++
		l.idle[c] = l.turn
	}
	l.mu.Unlock()
	switch {
	case s == http.StateClosed || s == http.StateHijacked:
		<-l.open
	case s == http.StateIdle && len(l.open) == cap(l.open):
		l.dropIdle() // somebody may be at the door already
	}
}

// dropIdle closes the connection that has been idle for longest, if there is one.
func (l *limited) dropIdle() {
	l.mu.Lock()
	var oldest net.Conn
	for c, turn := range l.idle {
		if oldest == nil || turn < l.idle[oldest] {
			oldest = c
		}
	}
	delete(l.idle, oldest)
	l.mu.Unlock()
	if oldest == nil {
		return
	}
	if t, ok := oldest.(*tls.Conn); ok {
		oldest = t.NetConn() // a farewell could wait for the other side
	}
	oldest.Close() // the server finds it closed, whatever this says
}
