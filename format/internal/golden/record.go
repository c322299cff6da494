package golden

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"slices"
	"testing"
)

// SealRecord seals a small record as docs/format.md §6 writes it, with a salt of the
// caller's choice, which package seal rightly does not offer.
func SealRecord(t *testing.T, kind string, key, salt, aad, plaintext []byte) []byte {
	t.Helper()
	both, err := hkdf.Key(sha256.New, key, salt, "holdfast/v1/"+kind+"\x00"+string(aad), 64)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(both[:32])
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return gcm.Seal(slices.Concat([]byte{1}, salt, both[32:]), make([]byte, gcm.NonceSize()), plaintext, nil)
}
