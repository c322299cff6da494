package keys

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestKeysStay(t *testing.T) {
	dir := t.TempDir()
	first, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !first.Ticket.Equal(second.Ticket) || !first.Order.Equal(second.Order) {
		t.Error("other keys at the second start")
	}
	if first.Ticket.Equal(first.Order) {
		t.Error("one key for both")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Errorf("%d files in the directory", len(entries))
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %s, %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"readable by the group": func(path string) error { return os.Chmod(path, 0o640) },
		"readable by all":       func(path string) error { return os.Chmod(path, 0o604) },
		"empty":                 func(path string) error { return os.Truncate(path, 0) },
		"cut":                   func(path string) error { return os.Truncate(path, 20) },
		"a directory":           func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := Load(dir); err != nil {
				t.Fatal(err)
			}
			if err := spoil(filepath.Join(dir, "order.key")); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(dir); !errors.Is(err, ErrKey) {
				t.Errorf("accepted: %v", err)
			}
		})
	}
}

func TestNoDirectory(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("keys in a directory that is not there")
	}
}

// TestTwoProcesses: whoever makes the keys first, all get the same.
func TestTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	loaded := make([]ed25519.PrivateKey, 8)
	for i := range loaded {
		wg.Go(func() {
			k, err := Load(dir)
			if err != nil {
				t.Error(err)
			}
			loaded[i] = k.Order
		})
	}
	wg.Wait()
	for _, k := range loaded {
		if !k.Equal(loaded[0]) {
			t.Fatal("two keys were made")
		}
	}
}
