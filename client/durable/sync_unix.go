//go:build unix

package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// SyncFolder makes the names in an open folder durable.
func SyncFolder(f *os.File) error {
	err := f.Sync()
	if errors.Is(err, unix.EINVAL) {
		return nil // some file systems sync no folders
	}
	return err
}
