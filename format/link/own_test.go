package link

import (
	"crypto/sha256"
	"testing"

	"golang.org/x/crypto/argon2"

	"holdfast/format/id"
	"holdfast/format/password"
)

// passwordKey stretches a password without password.LinkKey, as docs/format.md
// §11 writes it.
func passwordKey(t *testing.T, pass string, handle id.Handle) []byte {
	t.Helper()
	prepared, err := password.Prepare(pass)
	if err != nil {
		t.Fatal(err)
	}
	salt := sha256.Sum256(append([]byte("holdfast/v1/link-pw\x00"), handle[:]...))
	return argon2.IDKey([]byte(prepared), salt[:16], 3, 65536, 1, 32)
}
