package seal

import (
	"context"
	"io"
	"sync"
)

// pipeline works on items in parallel and hands them out in the order in which
// they were fed. What bounds it is the feeder, which waits for buffers.
type pipeline[T any] struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	ordered chan *task[T]
	queue   chan *task[T]
	workers sync.WaitGroup
	drop    func(*T)
	failed  error // of next, whose caller is one goroutine
	closing sync.Once
	drained chan struct{} // closed when nothing runs any more and every item was dropped
}

type task[T any] struct {
	item *T
	err  error
	done chan struct{}
}

// start runs feed in a goroutine of its own and work in several. feed calls emit
// for every item and returns what next shall return after them; nil is io.EOF. Items that
// nobody takes are dropped.
func start[T any](ctx context.Context, workers, depth int,
	feed func(ctx context.Context, emit func(*T) error) error, work func(*T) error, drop func(*T)) *pipeline[T] {
	p := &pipeline[T]{ordered: make(chan *task[T], depth), queue: make(chan *task[T]), drop: drop, drained: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	for range workers {
		p.workers.Go(func() { p.run(work) })
	}
	go func() {
		defer close(p.ordered)
		defer close(p.queue)
		if err := feed(p.ctx, p.emit); err != nil {
			t := &task[T]{err: err, done: make(chan struct{})}
			close(t.done)
			select {
			case p.ordered <- t:
			case <-p.ctx.Done():
			}
		}
	}()
	return p
}

func (p *pipeline[T]) run(work func(*T) error) {
	for {
		select {
		case t, ok := <-p.queue:
			if !ok {
				return
			}
			t.err = work(t.item)
			close(t.done)
		case <-p.ctx.Done():
			return
		}
	}
}

func (p *pipeline[T]) emit(item *T) error {
	t := &task[T]{item: item, done: make(chan struct{})}
	select {
	case p.ordered <- t:
	case <-p.ctx.Done():
		p.drop(item)
		return context.Cause(p.ctx)
	}
	select {
	case p.queue <- t:
		return nil
	case <-p.ctx.Done():
		t.err = context.Cause(p.ctx) // whoever takes t from ordered drops its item
		close(t.done)
		return t.err
	}
}

// next returns the next item once it was worked on. Its first error stays.
func (p *pipeline[T]) next() (*T, error) {
	if p.failed != nil {
		return nil, p.failed
	}
	t, err := p.take()
	if err != nil {
		p.failed = err
		return nil, err
	}
	return t.item, nil
}

func (p *pipeline[T]) take() (*task[T], error) {
	var t *task[T]
	var ok bool
	select {
	case t, ok = <-p.ordered:
	case <-p.ctx.Done():
		return nil, context.Cause(p.ctx)
	}
	if !ok {
		if p.ctx.Err() != nil {
			return nil, context.Cause(p.ctx)
		}
		return nil, io.EOF
	}
	<-t.done
	if t.err == nil {
		t.err = context.Cause(p.ctx) // a select may have preferred the item to the end
	}
	if t.err != nil {
		p.discard(t)
		p.cancel(t.err)
		return nil, t.err
	}
	return t, nil
}

func (p *pipeline[T]) discard(t *task[T]) {
	if t.item != nil {
		p.drop(t.item)
	}
}

// close stops everything and waits for the workers, but not for a feeder that
// is blocked in its caller's reader; what that still brings is dropped.
func (p *pipeline[T]) close() {
	p.cancel(ErrClosed)
	p.workers.Wait()
	p.closing.Do(func() {
		go func() {
			defer close(p.drained)
			for t := range p.ordered {
				<-t.done
				p.discard(t)
			}
		}()
	})
}
