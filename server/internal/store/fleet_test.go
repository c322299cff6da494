//go:build linux

package store

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/server/internal/fleet"
)

// The code of an invite can be used; a thief of the database must not find it.
func TestNoInviteCodeInTheDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "holdfast.db")
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	code, _, err := fleet.Invite(t.Context(), s, time.Now(), 0)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := id.Parse32(code[len(code)-43:])
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, secret[:]) || bytes.Contains(raw, []byte(secret.String())) {
			t.Errorf("%s holds the code", filepath.Base(file))
		}
	}
}
