//go:build !linux

package peer

import "syscall"

// limitUnsent has no counterpart here; a stall is noticed later.
func limitUnsent(_, _ string, _ syscall.RawConn) error { return nil }
