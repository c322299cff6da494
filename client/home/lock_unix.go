//go:build unix

package home

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func exclusive(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrBusy
	}
	if err != nil {
		return fmt.Errorf("lock state: %w", err)
	}
	return nil
}
