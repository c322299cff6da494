package blobs

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// ErrStalled: the other side took or gave no bytes for too long.
var ErrStalled = errors.New("the node stands still")

// ErrSlow: bytes move, but so slowly that another node is tried.
var ErrSlow = errors.New("the node is very slow")

// watch follows the progress of one exchange.
type watch struct {
	begun time.Time
	moved atomic.Int64 // nanoseconds from begun to the last progress
	bytes atomic.Int64
	// body is how many bytes are to leave; those that come are not foretold.
	body int64
	// gone is how many nanoseconds after begun the last of them left, 0 before.
	gone atomic.Int64

	mu   sync.Mutex // held while bytes of a body are copied
	over bool       // guarded by mu
}

// end waits for a read of a body under way; none follows.
func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
}

func newWatch() *watch { return &watch{begun: time.Now()} }

func (w *watch) progress(n int) {
	since := int64(time.Since(w.begun))
	if w.bytes.Add(int64(n)) >= w.body && w.body > 0 {
		w.gone.CompareAndSwap(0, max(since, 1))
	}
	w.moved.Store(since)
}

// leaving is how long the body took to leave.
func (w *watch) leaving() time.Duration { return time.Duration(w.gone.Load()) }

// silence is the time since the last progress.
func (w *watch) silence() time.Duration { return time.Since(w.begun) - time.Duration(w.moved.Load()) }

// left tells whether all bytes of the body are on their way: what takes time from
// then on is not the line to here.
func (w *watch) left() bool { return w.bytes.Load() >= w.body }

// rate is the average in bytes a second.
func (w *watch) rate() float64 {
	return float64(w.bytes.Load()) / max(time.Since(w.begun).Seconds(), 1e-3)
}

// guard ends the exchange when check returns an error, asked every step.
func guard(ctx context.Context, step time.Duration, check func() error) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		tick := time.NewTicker(step)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := check(); err != nil {
					cancel(err)
					return
				}
			}
		}
	}()
	return ctx, func() { cancel(context.Canceled) }
}

// watched counts the bytes that are read through it, and gives none once the
// exchange is over: net/http may still read a body when the answer is there
// already, and the buffer behind it is used again.
type watched struct {
	io.Reader
	watch    *watch
	progress func(n int)
}

func (r *watched) Read(p []byte) (int, error) {
	r.watch.mu.Lock()
	defer r.watch.mu.Unlock()
	if r.watch.over {
		return 0, errOver
	}
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.progress(n)
	}
	return n, err
}

// Close has nothing to close.
func (*watched) Close() error { return nil }

var errOver = errors.New("the exchange is over")
