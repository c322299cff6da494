// Package durable does the few file operations whose effect must survive a
// power cut. It promises that a file written by it is, after any crash, either
// the old one or the new one, and the new one once the call has returned. It
// knows nothing of what is in the files.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrSync marks errors of a sync itself, not of what comes before it. The kernel
// reports what it could not write once, to one caller: a second sync of the same
// directory may succeed although names are lost.
var ErrSync = errors.New("what was written may be lost")

// Suffix ends the names of files that a crash may leave behind; whoever owns
// the directory removes them when it starts.
const Suffix = ".new"

// SyncDir makes the names in a directory durable. Where the sync itself fails,
// the error is an ErrSync.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return fmt.Errorf("sync directory: %w: %w", ErrSync, err)
	}
	return f.Close()
}

// MkdirAll makes a directory and its missing parents, readable for their owner
// only, and makes each new name durable in its parent.
func MkdirAll(dir string) error {
	info, err := os.Stat(dir)
	if err == nil {
		if !info.IsDir() {
			return fmt.Errorf("make directory: %s is a file", dir)
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make directory: %w", err)
	}
	parent := filepath.Dir(dir)
	if err := MkdirAll(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make directory: %w", err)
	}
	return SyncDir(parent)
}

// WriteFile replaces a file by data, readable for its owner only.
func WriteFile(path string, data []byte) error {
	temp := path + Suffix
	if err := writeSynced(temp, data); err != nil {
		os.Remove(temp) // a leftover is removed at the next start as well
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	// The bytes are on the disk before the name points at them …
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	// … and the name is before anybody is told.
	return SyncDir(filepath.Dir(path))
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
