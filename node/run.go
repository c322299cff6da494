package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"holdfast/node/member"
	"holdfast/node/store"
)

const (
	headerTime = 10 * time.Second
	idleTime   = 2 * time.Minute
	// headerMost holds a read ticket of greatest size (64 KiB, as text 87,382
	// characters) in the request line.
	headerMost = 128 << 10
	// connectionsMost bounds what strangers can make the node hold open. From three
	// quarters of it on, idle connections are closed for new ones.
	connectionsMost = 2048
	// stopTime is for blobs under way when the node is told to stop; whoever runs it
	// often kills after 10 seconds.
	stopTime = 6 * time.Second
	// joinFirst and joinLast bound the waits while the server is not there yet.
	joinFirst, joinLast = 250 * time.Millisecond, 10 * time.Second
	// catchUpTime bounds one exchange with the server before the node serves.
	catchUpTime = 5 * time.Second
	// houseEvery is how often the trash is looked at, testEvery how often a broken
	// disk is tried again.
	houseEvery = time.Hour
	testEvery  = 5 * time.Minute
	// closedFor is how long it is remembered that an upload is closed
	// (docs/protocol.md, "Orders"): well beyond the life of its last ticket.
	closedFor = 7 * 24 * time.Hour
)

// Run serves until ctx ends, then lets what is under way finish for a moment and
// releases everything. It returns an error if the node cannot serve, or cannot
// be a member.
func (n *Node) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	n.behind.Store(true)
	server := n.httpServer()
	var all sync.WaitGroup
	all.Go(func() {
		if err := n.serve(server); !errors.Is(err, http.ErrServerClosed) {
			cancel(fmt.Errorf("node: serve: %w", err))
		}
	})
	all.Go(func() {
		if err := n.belong(ctx); err != nil {
			cancel(err)
		}
	})
	all.Go(func() { n.keepHouse(ctx) })
	if n.certs != nil {
		all.Go(func() { n.certs.Watch(ctx) })
	}
	<-ctx.Done()
	grace, done := context.WithTimeout(context.Background(), stopTime)
	defer done()
	stopErr := server.Shutdown(grace)
	if stopErr != nil { // somebody is still there after the grace
		n.cfg.Log.Warn("requests were cut off", "error", stopErr)
		n.stop()
		server.Close()
	}
	all.Wait()
	closeErr := n.Close()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return closeErr
}

func (n *Node) httpServer() *http.Server {
	var protocols http.Protocols
	// HTTP/1.1 only: one connection a blob uses the line better than streams that
	// share one window, and browsers open several.
	protocols.SetHTTP1(true)
	server := &http.Server{
		Handler: n.handler, Protocols: &protocols,
		ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: headerMost,
		BaseContext: func(net.Listener) context.Context { return n.life },
		// What net/http reports here are broken connections, with addresses.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	if n.certs != nil {
		server.TLSConfig = n.certs.Config()
	}
	return server
}

func (n *Node) serve(server *http.Server) error {
	limited := limit(n.listener, connectionsMost)
	server.ConnState = limited.state
	if n.certs != nil {
		return server.ServeTLS(limited, "", "")
	}
	return server.Serve(limited)
}

// belong joins, and then keeps in touch. It returns what will not pass by itself.
func (n *Node) belong(ctx context.Context) error {
	renewed := false
	if !n.member.Joined() {
		if err := n.joinFirst(ctx); err != nil || ctx.Err() != nil {
			return err
		}
		renewed = true
	}
	n.catchUp(ctx)
	close(n.ready)
	for {
		if !renewed { // what is declared may have changed since the last start
			err := n.member.Join(ctx)
			if renewed = err == nil; errors.Is(err, member.ErrOtherService) || errors.Is(err, member.ErrRefused) {
				return err
			}
		}
		more, err := n.member.Beat(ctx)
		if err != nil && ctx.Err() == nil {
			n.cfg.Log.Warn("heartbeat", "error", withoutAddress(err))
		}
		if more && err == nil {
			continue
		}
		if !pause(ctx, jitter(n.cfg.Heartbeat)) {
			return nil
		}
	}
}

// catchUp does the orders that were given while the node was away, before it
// gives out or takes a blob. A server that does not answer does not keep a node
// from serving: without the server there are no new tickets either.
func (n *Node) catchUp(ctx context.Context) {
	defer n.behind.Store(false)
	missed{beat: n.member.Beat, status: n.store.Status, log: n.cfg.Log}.do(ctx)
}

func (n *Node) joinFirst(ctx context.Context) error {
	for wait := joinFirst; ; wait = min(2*wait, joinLast) {
		err := n.member.Join(ctx)
		switch {
		case err == nil:
			n.cfg.Log.Info("joined", "node", n.ID())
			return nil
		case errors.Is(err, member.ErrRefused), errors.Is(err, member.ErrNoInvite):
			return err
		case ctx.Err() == nil:
			n.cfg.Log.Warn("not joined yet", "error", withoutAddress(err))
		}
		if !pause(ctx, jitter(wait)) {
			return nil
		}
	}
}

// withoutAddress is what a log may hold of a call that failed.
func withoutAddress(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return fmt.Errorf("no answer from the server: %s: %w", op.Op, op.Err)
	}
	return err
}

// jitter keeps a fleet from calling all at once.
func jitter(d time.Duration) time.Duration {
	return d*9/10 + rand.N(d/5+1)
}

// pause returns false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// keepHouse empties the trash and tries a broken disk again.
func (n *Node) keepHouse(ctx context.Context) {
	house, test := time.NewTicker(houseEvery), time.NewTicker(testEvery)
	defer house.Stop()
	defer test.Stop()
	ready := n.ready // the server has been asked, and with it what time it is
	for {
		select {
		case <-ctx.Done():
			return
		case <-ready:
			ready = nil
			n.Tidy()
		case <-house.C:
			n.Tidy()
		case <-test.C:
			n.TestDisk()
		}
	}
}

// Tidy destroys what has been in the trash for its days, and forgets closed
// uploads when no ticket can be left for them. It does nothing while only this
// machine says what day it is: a clock that is ahead would take days from both,
// for ever.
func (n *Node) Tidy() {
	if !n.member.ClockHolds() {
		n.cfg.Log.Info("the trash is kept until the server agrees with this machine's clock")
		return
	}
	before := n.cfg.Now().AddDate(0, 0, -n.cfg.TrashDays)
	if n.cfg.TrashDays == 0 {
		before = n.cfg.Now().AddDate(0, 0, 1) // today's as well
	}
	gone, err := n.store.EmptyTrash(before)
	if err != nil {
		n.cfg.Log.Error("empty trash", "error", err)
	}
	if gone.Blobs > 0 {
		n.cfg.Log.Info("trash emptied", "blobs", gone.Blobs, "bytes", gone.Bytes)
	}
	if _, err := n.store.ForgetClosed(n.cfg.Now().Add(-closedFor)); err != nil {
		n.cfg.Log.Error("forget closed uploads", "error", err)
	}
}

// TestDisk tries the disk if it failed before, and takes it into use again when
// it passes.
func (n *Node) TestDisk() {
	if n.store.Status().Reason != store.IOError {
		return
	}
	if err := n.store.SelfTest(); err != nil {
		n.cfg.Log.Error("the disk still fails", "error", err)
		return
	}
	n.cfg.Log.Info("the disk passed its test; blobs are taken again")
}
