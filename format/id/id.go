// Package id holds the identifiers of Holdfast and their one text form.
//
// An identifier is 16 random bytes, a name or secret 32; the text of either is
// base64url without padding (RFC 4648 §5), and every value has exactly one
// text: a decoder refuses padding, white space, other alphabets, other lengths
// and non-zero trailing bits (docs/format.md §1). The kinds are distinct types,
// so that a node's id never passes for an upload's.
package id

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
)

// ErrText is returned for text that is not an identifier's one text form.
var ErrText = errors.New("id: not 22 (id) or 43 (name, key) characters of base64url")

// Size is the length of an identifier in bytes, Size32 that of names, keys and secrets.
const (
	Size   = 16
	Size32 = 32
)

// Encoding is base64url without padding, refusing non-zero trailing bits.
var Encoding = base64.RawURLEncoding.Strict()

// ID is an identifier of kind K (16 random bytes). K is only a tag.
type ID[K any] [Size]byte

type (
	uploadKind   struct{}
	nodeKind     struct{}
	fileKind     struct{}
	revisionKind struct{}
	handleKind   struct{}
	keyKind      struct{}
	accountKind  struct{}
	folderKind   struct{}
	entryKind    struct{}
	commitKind   struct{}
	messageKind  struct{}
)

type (
	// Upload names one upload; together with a Name it identifies a blob.
	Upload = ID[uploadKind]
	// Node names a storage node: the key id of its signing key.
	Node = ID[nodeKind]
	// File names a file across its revisions.
	File = ID[fileKind]
	// Revision names one version of a file's content.
	Revision = ID[revisionKind]
	// Handle is the public half of a link.
	Handle = ID[handleKind]
	// Key names an Ed25519 public key.
	Key = ID[keyKind]
	// Account is an account's handle, drawn by its owner's program.
	Account = ID[accountKind]
	// Folder names a folder across its epochs.
	Folder = ID[folderKind]
	// Entry names a file or folder in a folder, across renames and moves.
	Entry = ID[entryKind]
	// Commit names one change of a drive, for retries.
	Commit = ID[commitKind]
	// Message names a message that waits at a server for an account.
	Message = ID[messageKind]
)

// New returns a fresh random identifier.
func New[T ~[Size]byte]() T {
	var v T
	rand.Read(v[:]) // never fails since Go 1.24: it crashes the program instead
	return v
}

// New32 returns 32 fresh random bytes: a file key, a release key, a secret.
func New32() (v [Size32]byte) {
	rand.Read(v[:])
	return v
}

// Parse decodes the text form of an identifier.
func Parse[T ~[Size]byte](text string) (T, error) {
	var v T
	err := decode(v[:], text)
	return v, err
}

func decode(dst []byte, text string) error {
	if len(text) != Encoding.EncodedLen(len(dst)) {
		return fmt.Errorf("%w: %d characters", ErrText, len(text))
	}
	// The standard decoder skips CR and LF; the length check alone would let them pass.
	raw, err := Encoding.DecodeString(text)
	if err != nil || len(raw) != len(dst) {
		return ErrText
	}
	copy(dst, raw)
	return nil
}

// String is the text form.
func (v ID[K]) String() string { return Encoding.EncodeToString(v[:]) }

// IsZero tells whether v is all zero bytes, which no random identifier is.
func (v ID[K]) IsZero() bool { return v == ID[K]{} }

// MarshalText implements encoding.TextMarshaler.
func (v ID[K]) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *ID[K]) UnmarshalText(text []byte) error { return decode(v[:], string(text)) }

// Bytes32 is a name, key or secret of 32 bytes with the same text form.
// Its String is for names only: secrets must not be printed.
type Bytes32 [Size32]byte

// Name is a blob's name: the BLAKE3 hash of its bytes.
type Name = Bytes32

// Parse32 decodes the text form of 32 bytes.
func Parse32(text string) (Bytes32, error) {
	var v Bytes32
	err := decode(v[:], text)
	return v, err
}

// String is the text form.
func (v Bytes32) String() string { return Encoding.EncodeToString(v[:]) }

// MarshalText implements encoding.TextMarshaler.
func (v Bytes32) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *Bytes32) UnmarshalText(text []byte) error { return decode(v[:], string(text)) }
