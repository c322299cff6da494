// Package loop runs the server's background work: steps that find what is to be
// done in the store, do some of it, and are called again. It promises that of all
// servers on one database one works at a time, and that one which lost its lease
// without noticing changes nothing any more (Fence). It knows nothing of what the
// steps do, and tests call Step instead of waiting.
package loop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"holdfast/format/id"
)

// ErrHeld: another server has the lease.
var ErrHeld = errors.New("another server has the lease")

// Leases are kept where all servers see them.
type Leases interface {
	// TakeLease takes or renews a lease until a time, or fails with ErrHeld. The
	// epoch grows whenever the holder changes. Times are Unix seconds. A lease that
	// ends later than twice as long from now as is asked for holds nobody off.
	TakeLease(ctx context.Context, name string, holder id.Bytes32, now, until int64) (epoch int64, err error)
	// DropLease ends the holder's lease early.
	DropLease(ctx context.Context, name string, holder id.Bytes32) error
}

// Step does at most limit things and returns how many it did; fewer than limit
// means that nothing is left for now.
type Step struct {
	Name string
	Run  func(ctx context.Context, limit int) (int, error)
}

const (
	// batch is what a step does at once: short enough to let others write in between.
	batch = 100
	// rounds bounds one run of a step; the rest waits for the next run, so that
	// no step keeps the others from running.
	rounds = 50
	// leaseFor is how long a lease lasts when its holder dies. It is renewed
	// before every batch.
	leaseFor = time.Minute
)

// Loop is a list of steps that run again and again.
type Loop struct {
	name   string
	leases Leases
	holder id.Bytes32
	now    func() time.Time
	log    *slog.Logger
	steps  []Step
}

// New makes a loop; its name is that of its lease.
func New(name string, leases Leases, now func() time.Time, log *slog.Logger, steps ...Step) *Loop {
	return &Loop{name: name, leases: leases, holder: id.New32(), now: now, log: log, steps: steps}
}

// Step runs every step once, up to its bounds. It does nothing while another
// server has the lease. A step that fails does not keep the others from running.
func (l *Loop) Step(ctx context.Context) error {
	var failed []error
	for _, step := range l.steps {
		err := l.run(ctx, step)
		if errors.Is(err, ErrHeld) {
			break
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", step.Name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}

func (l *Loop) run(ctx context.Context, step Step) error {
	for range rounds {
		now := l.now()
		epoch, err := l.leases.TakeLease(ctx, l.name, l.holder, now.Unix(), now.Add(leaseFor).Unix())
		if err != nil {
			return err
		}
		n, err := step.Run(WithFence(ctx, Fence{Lease: l.name, Epoch: epoch}), batch)
		if err != nil {
			return err
		}
		if n > 0 {
			l.log.Debug("background step", "loop", l.name, "step", step.Name, "done", n)
		}
		if n < batch {
			return nil
		}
	}
	return nil
}

// Run calls Step at once and then after every pause, until ctx ends; then it
// gives the lease back. Failures are logged and tried again.
func (l *Loop) Run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := l.Step(ctx); err != nil && ctx.Err() == nil {
			l.log.Error("background work failed; it is tried again", "loop", l.name, "error", err)
		}
		select {
		case <-ctx.Done():
			l.drop(ctx)
			return
		case <-tick.C:
		}
	}
}

// drop lets another server go on at once. If it cannot, the lease ends by itself.
func (l *Loop) drop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := l.leases.DropLease(ctx, l.name, l.holder); err != nil {
		l.log.Warn("lease not given back", "loop", l.name, "error", err)
	}
}
