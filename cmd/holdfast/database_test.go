package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/server"
)

const secretAddress = "postgres://u:s3cr3t-word@127.0.0.1:1/x?sslmode=disable"

// TestAddressOfTheDatabase: a password is taken from the environment and from a
// file of one's own, and not from where others read it.
func TestAddressOfTheDatabase(t *testing.T) {
	t.Setenv(databaseEnv, "")
	file := func(text string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "address")
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var usage *usageError
	for what, f := range map[string]databaseFlags{
		"password":            {Database: secretAddress},
		"password as option":  {Database: "postgres://u@127.0.0.1/x?password=s3cr3t-word"},
		"what cannot be read": {Database: "postgres://u:s3cr3t-word@127.0.0.1:port/%zz"},
		"a path":              {Database: "/var/s3cr3t-word.db"},
		"others' file":        {DatabaseFile: file(secretAddress, 0o640)},
		"empty file":          {DatabaseFile: file("\n", 0o600)},
	} {
		if _, err := f.address(); !errors.As(err, &usage) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, f := range map[string]databaseFlags{
		"":                         {},
		"postgres://u@127.0.0.1/x": {Database: "postgres://u@127.0.0.1/x"},
		secretAddress:              {DatabaseFile: file(secretAddress+"\n", 0o600)},
	} {
		if have, err := f.address(); err != nil || have != what {
			t.Errorf("%q: %q, %v", what, have, err)
		}
	}
	t.Setenv(databaseEnv, secretAddress)
	if have, err := (databaseFlags{Database: secretAddress}).address(); err != nil || have != secretAddress {
		t.Errorf("from the environment: %q, %v", have, err)
	}
}

// TestDatabaseAway: nobody answers: exit code 8, the host and what to do, no password.
func TestDatabaseAway(t *testing.T) {
	t.Setenv(databaseEnv, secretAddress)
	for what, run := range map[string]func() error{
		"server": func() error {
			return (&serverCmd{databaseFlags: databaseFlags{Database: secretAddress}, Data: t.TempDir(), Listen: "127.0.0.1:0", MaxSendBytes: 1, DefaultSendDays: 1, MaxSendDays: 1, MaxDownloads: 1, MaxReservedBytes: 1}).Run(t.Context())
		},
		"admin": func() error {
			return (&adminNodesCmd{databaseFlags: databaseFlags{Database: secretAddress}}).Run(t.Context())
		},
	} {
		err := run()
		if exitCode(err) != exitUnreachable || !errors.Is(err, server.ErrAway) {
			t.Errorf("%s: exit %d, %v", what, exitCode(err), err)
			continue
		}
		if text := explain(err); !strings.Contains(text, "127.0.0.1:1") || !strings.Contains(text, "start it") || strings.Contains(text, "s3cr3t") {
			t.Errorf("%s says: %s", what, text)
		}
	}
}
