package link

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"holdfast/format/id"
)

// Secret is 32 bytes that open something: the secret of a fragment, a key
// derived from it, a management secret. Every verb of fmt and slog shows a
// placeholder, JSON fails; Reveal is the one way to its text.
type Secret [id.Size32]byte

const redacted = "[secret]"

// errSecretText is returned to whoever marshals a secret as text; one that was
// quietly replaced by a placeholder would be a lost link.
var errSecretText = errors.New("link: a secret is not marshalled as text; use Reveal")

// NewSecret draws a fresh secret, for instance a management secret.
func NewSecret() Secret { return id.New32() }

// ParseSecret reads the text that Reveal gives.
func ParseSecret(text string) (Secret, error) {
	v, err := id.Parse32(text)
	if err != nil {
		return Secret{}, errors.New("link: not a secret: expected 43 characters of base64url") // id's error could grow to quote it
	}
	return Secret(v), nil
}

// Reveal is the secret as base64url text, for the request or the file that
// needs it.
func (s Secret) Reveal() string { return id.Encoding.EncodeToString(s[:]) }

// String is a placeholder.
func (Secret) String() string { return redacted }

// GoString is a placeholder.
func (Secret) GoString() string { return redacted }

// Format writes the placeholder whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) } // fmt.State has no failure to report

// LogValue is a placeholder.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText fails, and with it every encoding to JSON.
func (Secret) MarshalText() ([]byte, error) { return nil, errSecretText }
