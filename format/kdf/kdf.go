// Package kdf is the one door to HKDF-SHA256 (RFC 5869): info is always a
// label, one zero byte, and the ids that the result belongs to (docs/format.md §2).
package kdf

import (
	"crypto/hkdf"
	"crypto/sha256"
)

// Labels of Holdfast's derivations, version 1.
const (
	ContentKey = "holdfast/v1/content-key"
	Content    = "holdfast/v1/content"
	Commit     = "holdfast/v1/commit"
	LinkFinal  = "holdfast/v1/link-final"
	LinkAuth   = "holdfast/v1/link-auth"
	LinkRecord = "holdfast/v1/link-record"
	ChildWrite = "holdfast/v1/child-write-key"
	ChildAdmin = "holdfast/v1/child-admin-key"

	IdentitySign = "holdfast/v1/identity-sign"
	IdentityBox  = "holdfast/v1/identity-box"
	RootFolder   = "holdfast/v1/root-folder"
	RootRead     = "holdfast/v1/root-read"
	RootWrite    = "holdfast/v1/root-write"
	RootAdmin    = "holdfast/v1/root-admin"
	HeadsFolder  = "holdfast/v1/heads-folder"
	HeadsRead    = "holdfast/v1/heads-read"
	HeadsWrite   = "holdfast/v1/heads-write"
	HeadsAdmin   = "holdfast/v1/heads-admin"
	Settings     = "holdfast/v1/settings"
	WrapPassword = "holdfast/v1/wrap-password"
	WrapPhrase   = "holdfast/v1/wrap-phrase"
	WrapPasskey  = "holdfast/v1/wrap-passkey"
	PhraseAuth   = "holdfast/v1/phrase-auth"
	Message      = "holdfast/v1/message"
	DriveLinks   = "holdfast/v1/drive-links"
)

// Info joins a label, a zero byte and ids.
func Info(label string, ids ...[]byte) []byte {
	info := append([]byte(label), 0)
	for _, id := range ids {
		info = append(info, id...)
	}
	return info
}

// Derive returns n bytes; salt may be nil, which HKDF takes as zero bytes.
func Derive(ikm, salt, info []byte, n int) []byte {
	out, err := hkdf.Key(sha256.New, ikm, salt, string(info), n)
	if err != nil {
		panic("kdf: " + err.Error()) // only a length above 255·32 fails: a programmer's error
	}
	return out
}

// Key32 derives 32 bytes with an empty salt.
func Key32(ikm []byte, label string, ids ...[]byte) (key [32]byte) {
	copy(key[:], Derive(ikm, nil, Info(label, ids...), 32))
	return key
}
