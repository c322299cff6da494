// Package home keeps what a client remembers on this machine: transfers that
// may resume, and the sends that it can revoke. It promises that everything
// stands in folders and files for their owner only, that a file is either old or
// new after a crash, and that two processes do not work on one transfer. It
// knows no network and no format beyond its own.
package home

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"holdfast/client/durable"
)

// ErrBusy: another process works on the same transfer.
var ErrBusy = errors.New("another process is at the same transfer already; wait for it, or stop it")

// Dir is the folder that holds all local state of a client.
type Dir struct{ path string }

// Default is where the state stands when nobody says otherwise.
func Default() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "holdfast"), nil
	}
	user, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no home folder: set HOLDFAST_HOME to where holdfast may keep its state: %w", err)
	}
	return filepath.Join(user, ".local", "state", "holdfast"), nil
}

// Open makes the folder if need be; "" is Default.
func Open(path string) (Dir, error) {
	if path == "" {
		var err error
		if path, err = Default(); err != nil {
			return Dir{}, err
		}
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return Dir{}, fmt.Errorf("state folder: %w", err)
	}
	d := Dir{path}
	return d, d.mkdir("")
}

// Sub is a folder in the state folder, made if need be.
func (d Dir) Sub(name string) (string, error) {
	return filepath.Join(d.path, name), d.mkdir(name)
}

func (d Dir) mkdir(name string) error {
	path := filepath.Join(d.path, name)
	if err := durable.Mkdir(path, 0o700); err != nil {
		return fmt.Errorf("state folder: %w (HOLDFAST_HOME names another place)", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	// It may have been made by hand: secrets go in there.
	if err := os.Chmod(path, 0o700); err != nil {
		return fmt.Errorf("state folder %s is open to others and cannot be closed: %w", path, err)
	}
	return nil
}

// WriteFile replaces a file by data, for its owner only. After a crash it is
// the old one or the new one.
func WriteFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync())
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write state: %w", err), os.Remove(f.Name()))
	}
	return durable.Sync(filepath.Dir(path))
}

// Remove removes a file, durably: what it says does not come back with a power
// cut. One that is not there is good as well.
func Remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = durable.Sync(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("remove state: %w", err)
	}
	return nil
}

// OpenLocked opens a file for reading and writing, makes it if need be, and
// holds it for this process alone until it is closed: ErrBusy if another has it.
func OpenLocked(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, fmt.Errorf("open state: %w", err)
		}
		if err := exclusive(f); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		same, err := stands(f, path)
		if same && err == nil {
			return f, nil
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("open state: %w", err)
		}
	}
}

// stands tells whether f is still the file of that name: its last holder may
// have removed it while we waited for the lock.
func stands(f *os.File, path string) (bool, error) {
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(mine, there), err
}
