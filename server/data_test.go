package server_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/server"
)

// TestKeysAreTheDatabases: a server whose keys are not those of the service that
// its database belongs to does not start, makes none of its own, and says what to do.
func TestKeysAreTheDatabases(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "first")
	open := func() error {
		s, err := server.New(server.Config{DataDir: dir})
		if err == nil {
			err = s.Close()
		}
		return err
	}
	files := []string{filepath.Join(dir, "ticket.key"), filepath.Join(dir, "order.key")}
	var good [][]byte
	for n := range 2 {
		if err := open(); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(files[n])
		if err != nil {
			t.Fatal(err)
		}
		good = append(good, raw)
	}
	refused := func(what string) {
		t.Helper()
		if err := open(); !errors.Is(err, server.ErrConfig) || !strings.Contains(err.Error(), "copy ticket.key and order.key") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for n, file := range files {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		refused("without " + filepath.Base(file))
		if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s was made anew", file)
		}
		if err := os.WriteFile(file, good[1-n], 0o600); err != nil {
			t.Fatal(err)
		}
		refused("with another " + filepath.Base(file))
		if err := os.WriteFile(file, good[n], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := open(); err != nil {
		t.Error("with its own again:", err)
	}
}

// TestAccountsKeyIsTheDatabases: with another key nobody could log in, so that a server
// does not start with one, nor makes one where the service has one.
func TestAccountsKeyIsTheDatabases(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "first")
	open := func() error {
		s, err := server.New(server.Config{DataDir: dir})
		if err == nil {
			err = s.Close()
		}
		return err
	}
	if err := open(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "accounts.key")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func() error{
		"without it": func() error { return os.Remove(file) },
		"with another one": func() error {
			other, err := os.ReadFile(filepath.Join(dir, "order.key"))
			return errors.Join(err, os.WriteFile(file, other, 0o600))
		},
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if err := open(); !errors.Is(err, server.ErrConfig) || !strings.Contains(err.Error(), "copy accounts.key") {
			t.Errorf("%s: %v", what, err)
		}
		if err := os.WriteFile(file, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := open(); err != nil {
		t.Error(err)
	}
}
