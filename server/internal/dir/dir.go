// Package dir makes directories whose names survive a power cut. It promises that
// what was put durably into a directory is found again, because the way to the
// directory is durable as well. It knows nothing of what is in them.
package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Make makes a directory and its missing parents, readable for their owner only.
// Each new name is durable in its parent when it returns.
func Make(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		return fmt.Errorf("make directory: %s is a file", path)
	}
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make directory: %w", err)
	}
	parent := filepath.Dir(path)
	if err := Make(parent); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make directory: %w", err)
	}
	return Sync(parent)
}

// Sync makes the names in a directory durable.
func Sync(path string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there, and renames are in the journal
	}
	d, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}
