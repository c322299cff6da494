package descriptor

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Key is a file key K. It never appears in text: every verb of fmt, slog and
// JSON shows a placeholder or fails.
type Key [32]byte

const redacted = "[file key]"

// errKeyText is returned to whoever tries to write a key as text; a key that
// was quietly replaced by a placeholder would be a lost file.
var errKeyText = errors.New("descriptor: a file key is not written as text")

// String is a placeholder.
func (Key) String() string { return redacted }

// GoString is a placeholder.
func (Key) GoString() string { return redacted }

// Format writes the placeholder whatever the verb.
func (Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) } // fmt.State has no failure to report

// LogValue is a placeholder.
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText fails, and with it every encoding to JSON.
func (Key) MarshalText() ([]byte, error) { return nil, errKeyText }
