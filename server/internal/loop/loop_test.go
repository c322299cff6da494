package loop

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/format/id"
)

// leases is one lease in memory.
type leases struct {
	holder id.Bytes32
	epoch  int64
	until  int64
	taken  int
}

func (l *leases) TakeLease(_ context.Context, _ string, holder id.Bytes32, now, until int64) (int64, error) {
	if l.holder != holder && l.until > now {
		return 0, ErrHeld
	}
	if l.holder != holder {
		l.epoch++
	}
	l.holder, l.until = holder, until
	l.taken++
	return l.epoch, nil
}

func (l *leases) DropLease(_ context.Context, _ string, holder id.Bytes32) error {
	if l.holder == holder {
		l.until = 0
	}
	return nil
}

var quiet = slog.New(slog.DiscardHandler)

// work is a step with so much to do.
type work struct {
	left  int
	fails error
	calls int
	fence Fence
}

func (w *work) run(ctx context.Context, limit int) (int, error) {
	w.calls++
	w.fence, _ = FenceOf(ctx)
	if w.fails != nil {
		return 0, w.fails
	}
	n := min(limit, w.left)
	w.left -= n
	return n, nil
}

func TestStepsRunUntilNothingIsLeft(t *testing.T) {
	first, second := &work{left: 250}, &work{}
	l := New("sweep", &leases{}, time.Now, quiet, Step{"first", first.run}, Step{"second", second.run})
	if err := l.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if first.left != 0 || first.calls != 3 || second.calls != 1 {
		t.Errorf("first %+v, second %+v", first, second)
	}
	if first.fence != (Fence{Lease: "sweep", Epoch: 1}) {
		t.Errorf("fence %+v", first.fence)
	}
}

func TestOneStepDoesNotStarveOthers(t *testing.T) {
	endless, other := &work{left: 1 << 30}, &work{left: 1}
	l := New("sweep", &leases{}, time.Now, quiet, Step{"endless", endless.run}, Step{"other", other.run})
	if err := l.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if endless.calls != rounds || other.left != 0 {
		t.Errorf("endless ran %d times, other has %d left", endless.calls, other.left)
	}
}

func TestFailureDoesNotStopOthers(t *testing.T) {
	fault := errors.New("fault")
	bad, good := &work{fails: fault}, &work{left: 1}
	l := New("sweep", &leases{}, time.Now, quiet, Step{"bad", bad.run}, Step{"good", good.run})
	if err := l.Step(t.Context()); !errors.Is(err, fault) {
		t.Errorf("have %v", err)
	}
	if good.left != 0 {
		t.Error("the other step did not run")
	}
}

func TestOnlyTheHolderWorks(t *testing.T) {
	shared, clock := &leases{}, time.Unix(1000, 0)
	now := func() time.Time { return clock }
	a, b := &work{}, &work{}
	first := New("sweep", shared, now, quiet, Step{"a", a.run})
	second := New("sweep", shared, now, quiet, Step{"b", b.run}, Step{"b again", b.run})
	for _, l := range []*Loop{first, second} {
		if err := l.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if a.calls != 1 || b.calls != 0 {
		t.Errorf("both worked: %d, %d", a.calls, b.calls)
	}
	clock = clock.Add(leaseFor)
	if err := second.Step(t.Context()); err != nil || b.calls != 2 || b.fence.Epoch != 2 {
		t.Errorf("after the lease ended: %d calls, fence %+v, %v", b.calls, b.fence, err)
	}
}

func TestStepStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	second := &work{}
	l := New("sweep", &leases{}, time.Now, quiet,
		Step{"first", func(context.Context, int) (int, error) { cancel(); return 0, ctx.Err() }}, Step{"second", second.run})
	if err := l.Step(ctx); !errors.Is(err, context.Canceled) || second.calls != 0 {
		t.Errorf("%v, %d calls", err, second.calls)
	}
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, w := &leases{}, &work{}
		fails := New("sweep", shared, time.Now, quiet, Step{"work", w.run}, Step{"bad", (&work{fails: errors.New("fault")}).run})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { fails.Run(ctx, time.Minute); close(done) }()
		synctest.Wait()
		time.Sleep(2*time.Minute + time.Second)
		synctest.Wait()
		if w.calls != 3 {
			t.Errorf("%d rounds in two minutes", w.calls)
		}
		cancel()
		<-done
		if shared.until != 0 {
			t.Error("the lease was not given back")
		}
	})
}
