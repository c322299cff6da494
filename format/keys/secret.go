package keys

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Every verb of fmt and slog shows a placeholder for a phrase and a wrapper, as
// link.Secret does for the keys of a Root and a Folder. Words is the one way to a
// phrase's text.

const redacted = "[secret]"

// errSecretText is returned to whoever marshals a phrase as text; one that was quietly
// replaced by a placeholder would be a lost account.
var errSecretText = errors.New("keys: a recovery phrase is not marshalled as text; use Words")

// Format writes the placeholder whatever the verb.
func (Phrase) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) } // fmt.State has no failure to report

// LogValue is a placeholder.
func (Phrase) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText fails, and with it every encoding to JSON.
func (Phrase) MarshalText() ([]byte, error) { return nil, errSecretText }

// Format writes the placeholder whatever the verb.
func (Wrapper) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue is a placeholder.
func (Wrapper) LogValue() slog.Value { return slog.StringValue(redacted) }
