// Package durable makes names outlast a power cut: a file that was fsynced is
// lost all the same if the folder that names it was not. It knows nothing of
// what is in the files.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Mkdir makes a folder with its parents, as os.MkdirAll does, and the names of
// all that it made durable. In a folder that may be written and not read nobody
// can: its new name stands as the file system leaves it.
func Mkdir(path string, mode fs.FileMode) error {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(path)
	if errors.Is(err, fs.ErrNotExist) && parent != path {
		if err := Mkdir(parent, mode); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, mode); err != nil {
		if info, stat := os.Stat(path); stat != nil || !info.IsDir() { // else another process was faster
			return err
		}
	}
	if err := Sync(parent); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// Sync makes the names in a folder durable.
func Sync(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	if err := errors.Join(SyncFolder(f), f.Close()); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}
