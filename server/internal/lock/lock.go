// Package lock keeps two processes from working on one data directory at once.
// A lock ends with its process, however that ends: nothing has to be cleaned up.
package lock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// ErrHeld: another process has the lock.
var ErrHeld = errors.New("another process works on this directory; stop it first")

// Lock is held until Release, or the end of the process.
type Lock struct{ file *os.File }

// poll is how often Wait tries again: the lock's holder has no way to tell us.
const poll = 50 * time.Millisecond

// Try takes the lock on the file at path, which it makes if need be, or fails
// with ErrHeld.
func Try(path string) (*Lock, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := exclusive(file); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
	}
	return &Lock{file}, nil
}

// Wait takes the lock as soon as its holder lets go of it.
func Wait(ctx context.Context, path string) (*Lock, error) {
	for {
		l, err := Try(path)
		if !errors.Is(err, ErrHeld) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %s: %w", path, context.Cause(ctx))
		case <-time.After(poll):
		}
	}
}

// Release lets go of the lock. The file stays: removing it would let two
// processes lock two files of one name.
func (l *Lock) Release() error { return l.file.Close() }
