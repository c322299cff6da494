// Package bucket limits tries with one number to keep: when all of them are free
// again. It knows nothing of what is tried, nor where the number is kept.
package bucket

import "time"

// Bucket allows Burst tries at once, and gives one back every Refill seconds.
type Bucket struct{ Burst, Refill int64 }

// Wait is how long until the next try at now (Unix seconds), given when all are free
// again. A clock that was set back frees nothing.
func (b Bucket) Wait(free, now int64) time.Duration {
	return time.Duration(max(free-now-(b.Burst-1)*b.Refill, 0)) * time.Second
}

// Used is when all tries are free again after one more at now.
func (b Bucket) Used(free, now int64) int64 { return max(free, now) + b.Refill }
