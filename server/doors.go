package server

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// connectionsMost bounds the connections, each of which takes some 30 KiB.
const connectionsMost = 1024

// doors is a listener that lets in no more than so many connections at once.
// When all places are taken those that are idle give theirs up, the longest idle
// first, so that nobody shuts the server by keeping connections and asking
// nothing. The server tells it of their states.
type doors struct {
	net.Listener
	places chan struct{}
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex // guards what follows
	idle    *list.List // of net.Conn, the longest idle first
	at      map[net.Conn]*list.Element
	waiting bool // somebody waits for a place: who becomes idle gives it up
}

func newDoors(l net.Listener, most int) *doors {
	return &doors{
		Listener: l, places: make(chan struct{}, most), closed: make(chan struct{}), idle: list.New(), at: map[net.Conn]*list.Element{},
	}
}

// Accept implements net.Listener.
func (d *doors) Accept() (net.Conn, error) {
	d.makeRoom()
	select {
	case d.places <- struct{}{}:
	case <-d.closed:
		return nil, net.ErrClosed
	}
	d.mu.Lock()
	d.waiting = false
	d.mu.Unlock()
	c, err := d.Listener.Accept()
	if err != nil {
		<-d.places
	}
	return c, err
}

// makeRoom ends the longest idle connection if all places are taken.
func (d *doors) makeRoom() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.places) < cap(d.places) {
		return
	}
	oldest := d.idle.Front()
	if oldest == nil {
		d.waiting = true
		return
	}
	d.idle.Remove(oldest)
	shut(oldest.Value.(net.Conn)) // the server notices, and state gives the place back
}

// Close implements net.Listener.
func (d *doors) Close() error {
	d.once.Do(func() { close(d.closed) })
	return d.Listener.Close()
}

// state is http.Server.ConnState.
func (d *doors) state(c net.Conn, s http.ConnState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.at[c]; e != nil {
		d.idle.Remove(e)
		delete(d.at, c)
	}
	switch s {
	case http.StateIdle:
		if d.waiting {
			d.waiting = false
			shut(c)
			return
		}
		d.at[c] = d.idle.PushBack(c)
	case http.StateClosed, http.StateHijacked:
		<-d.places
	}
}

// shut closes a connection at once: a farewell by TLS could wait for the other
// side, and everybody at the doors with it.
func shut(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	c.Close() // the server finds it closed, whatever this says
}
