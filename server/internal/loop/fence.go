package loop

import (
	"context"
	"errors"
)

// ErrFenced: the lease went to another holder; what was being done is not.
var ErrFenced = errors.New("the lease on this work went to another server")

// Fence names the lease under which work is done and its epoch, which grows
// whenever the lease changes hands.
type Fence struct {
	Lease string
	Epoch int64
}

type fenceKey struct{}

// WithFence marks work as done under f. The store checks the fence in every
// transaction that writes, so that a holder that wakes late changes nothing.
func WithFence(ctx context.Context, f Fence) context.Context {
	return context.WithValue(ctx, fenceKey{}, f)
}

// FenceOf returns the fence of ctx, if there is one.
func FenceOf(ctx context.Context) (Fence, bool) {
	f, ok := ctx.Value(fenceKey{}).(Fence)
	return f, ok
}
