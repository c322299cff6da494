package peer

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// unsentMost is how much the kernel may hold that it has not sent yet. Without a
// limit it takes megabytes at once, and a peer that has stopped reading would
// look as if it had taken them.
const unsentMost = 128 << 10

func limitUnsent(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		// Where it is not supported, a stall is noticed later.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentMost)
	})
}
