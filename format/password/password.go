// Package password turns what a person typed into the bytes that keys are
// derived from: prepared by the OpaqueString profile of RFC 8265, so that one
// password typed on two systems is one string of bytes, and stretched by
// Argon2id for links (docs/format.md §11). It keeps no password, and no error
// of it quotes one.
package password

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"

	"holdfast/format/id"
)

// Errors of Prepare.
var (
	// ErrEmpty: there is no password.
	ErrEmpty = errors.New("password: empty; type at least one character")
	// ErrLong: more than MaxBytes once prepared.
	ErrLong = errors.New("password: longer than 1,024 bytes; use a shorter one")
	// ErrCharacter: a character that RFC 8265 does not allow in passwords.
	ErrCharacter = errors.New("password: contains a character that passwords may not contain")
)

// MaxBytes is the greatest length of a prepared password in UTF-8.
const MaxBytes = 1024

// maxRaw bounds what is looked at. Preparation shortens a text at most to a
// third (three bytes of an unusual space become one, two or more bytes of a
// letter and its marks become one letter), so that nothing longer could pass.
const maxRaw = 4 * MaxBytes

// Cost of Argon2id for link passwords (docs/format.md §11): RFC 9106's second
// recommendation, with one lane because browsers compute it in one thread.
const (
	argonTime    = 3
	argonMemory  = 64 << 10 // KiB
	argonThreads = 1
	keySize      = 32
)

// maxMarks bounds combining marks in a row. Unicode's Stream-Safe Text Format
// (UAX #15) has the same limit; beyond it normalisers differ, and a password
// must not depend on which one a program has.
const maxMarks = 30

const saltLabel = "holdfast/v1/link-pw\x00"

// Prepare returns the password as it enters a key derivation: spaces of all
// kinds become U+0020, the text is in NFC, nothing else changes. It refuses the
// empty password, control, invisible and unassigned characters, and characters
// outside the context that RFC 5892 demands for them.
func Prepare(text string) (string, error) {
	if text == "" {
		return "", ErrEmpty
	}
	if len(text) > maxRaw {
		return "", fmt.Errorf("%w (%d bytes)", ErrLong, len(text))
	}
	// Asked first, because precis replaces bytes that are not UTF-8 by U+FFFD,
	// which it allows: different passwords would become one.
	if !utf8.ValidString(text) {
		return "", fmt.Errorf("%w: it is not valid UTF-8", ErrCharacter)
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return "", fmt.Errorf("%w: a control character, such as Tab or a line break", ErrCharacter)
	}
	if ManyMarks(text) {
		return "", fmt.Errorf("%w: more than %d accents or other marks on one letter", ErrCharacter, maxMarks)
	}
	out, err := precis.OpaqueString.String(text)
	if err != nil {
		return "", fmt.Errorf("%w: an invisible, unassigned or joining character, or an emoji made of several; use letters, digits, signs and spaces", ErrCharacter)
	}
	if len(out) > MaxBytes {
		return "", fmt.Errorf("%w (%d bytes)", ErrLong, len(out))
	}
	return out, nil
}

// ManyMarks tells whether a text has more combining marks in a row than normalisers
// agree about.
func ManyMarks(text string) bool {
	marks := 0
	for _, r := range norm.NFD.String(text) {
		if !unicode.Is(unicode.M, r) {
			marks = 0
		} else if marks++; marks > maxMarks {
			return true
		}
	}
	return false
}

// LinkKey prepares the password and stretches it for the link with that handle.
// It takes 64 MiB of memory and some tenths of a second.
func LinkKey(text string, handle id.Handle) (key [keySize]byte, err error) {
	prepared, err := Prepare(text)
	if err != nil {
		return key, err
	}
	salt := sha256.Sum256(append([]byte(saltLabel), handle[:]...))
	copy(key[:], argon2.IDKey([]byte(prepared), salt[:id.Size], argonTime, argonMemory, argonThreads, keySize))
	return key, nil
}
