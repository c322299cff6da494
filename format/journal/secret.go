package journal

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"holdfast/format/id"
)

// secret is 32 bytes that never appear in text: every verb of fmt and slog shows
// a placeholder, JSON fails. K keeps kinds apart, so that no seed passes for a
// read key.
type secret[K any] [id.Size32]byte

type (
	readKind  struct{}
	writeKind struct{}
	adminKind struct{}
)

type (
	// ReadKey opens what is sealed in a folder in one epoch.
	ReadKey = secret[readKind]
	// WriteSeed is the private key of those who write, in RFC 8032's seed form.
	WriteSeed = secret[writeKind]
	// AdminSeed is the private key of those who change keys, members and epochs.
	AdminSeed = secret[adminKind]
)

const redacted = "[folder key]"

// errSecretText is returned to whoever tries to write a key as text; a key that
// was quietly replaced by a placeholder would be a lost folder.
var errSecretText = errors.New("journal: a folder's key is not written as text")

// IsZero tells whether the key is not there.
func (s secret[K]) IsZero() bool { return s == secret[K]{} }

// String is a placeholder.
func (secret[K]) String() string { return redacted }

// GoString is a placeholder.
func (secret[K]) GoString() string { return redacted }

// Format writes the placeholder whatever the verb.
func (secret[K]) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) } // fmt.State has no failure to report

// LogValue is a placeholder.
func (secret[K]) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText fails, and with it every encoding to JSON.
func (secret[K]) MarshalText() ([]byte, error) { return nil, errSecretText }

// key is the Ed25519 key of a seed.
func (s secret[K]) key() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(s[:]) }

// public is the public key of a seed.
func (s secret[K]) public() PublicKey { return PublicKey(s.key().Public().(ed25519.PublicKey)) }
