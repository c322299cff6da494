// Package link turns shares into URLs and back (docs/format.md §11): the handle
// that the server sees, the fragment that it never sees, the keys that both
// derive from, and the sealed record that tells the receiver what the link opens.
//
// It promises that a link that was cut, that is of another version, or that was
// damaged or mixed with another link is told apart before anything is asked of
// a server; and that secrets never come out of fmt, slog or JSON by accident.
// It knows no network and no disk.
package link

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"

	"holdfast/format/id"
)

// Errors of reading links. The first word of the first three is the name by
// which the golden vectors and the web page know them.
var (
	// ErrCut: not as long as a link is, or with characters that no link has.
	ErrCut = errors.New("cut: the link is incomplete; copy it again, to its very end")
	// ErrUnknown: a version or flag of a newer program.
	ErrUnknown = errors.New("unknown: the link was made by a newer version; update this program")
	// ErrChecksum: a character differs, or the key belongs to another link.
	ErrChecksum = errors.New("checksum: the link was mistyped, or its key belongs to another link; copy it again")
	// ErrNoKey: everything up to the # and nothing after it.
	ErrNoKey = errors.New("link without key: the part after # is missing; ask the sender for it")
	// ErrURL: not a link of Holdfast at all.
	ErrURL = errors.New("not a link: expected https://HOST/s/…#…")
)

// Flags are the bits of the fragment's second byte.
type Flags byte

// NeedsPassword says that the keys also depend on a password.
const NeedsPassword Flags = 1

const (
	version       = 0x01
	checksumSize  = 4
	fragmentSize  = 2 + id.Size32 + checksumSize
	fragmentChars = 51
)

// Labels of docs/format.md §11.
const (
	checksumLabel = "holdfast/v1/link-checksum\x00"
	authLabel     = "holdfast/v1/link-auth-hash\x00"
	manageLabel   = "holdfast/v1/manage-hash\x00"
)

// Link is what a share URL says, without the server's address.
type Link struct {
	Handle id.Handle
	Secret Secret
	Flags  Flags
}

// New draws a fresh link.
func New(flags Flags) Link {
	return Link{Handle: id.New[id.Handle](), Secret: id.New32(), Flags: flags}
}

// NeedsPassword tells whether Keys wants a password.
func (l Link) NeedsPassword() bool { return l.Flags&NeedsPassword != 0 }

func (l Link) checksum() [checksumSize]byte {
	h := sha256.New()
	h.Write([]byte(checksumLabel))
	h.Write(l.Handle[:])
	h.Write([]byte{version, byte(l.Flags)})
	h.Write(l.Secret[:])
	return [checksumSize]byte(h.Sum(nil))
}

// Fragment is the part of the URL after #. It is the key: print it only to the
// person whom it is for.
func (l Link) Fragment() string {
	sum := l.checksum()
	raw := append([]byte{version, byte(l.Flags)}, l.Secret[:]...)
	return id.Encoding.EncodeToString(append(raw, sum[:]...))
}

// ParseFragment reads the part after # of the link with that handle.
func ParseFragment(handle id.Handle, text string) (Link, error) {
	if len(text) != fragmentChars {
		return Link{}, fmt.Errorf("%w (%d characters after #, a link has %d)", ErrCut, len(text), fragmentChars)
	}
	raw, err := id.Encoding.DecodeString(text)
	if err != nil || len(raw) != fragmentSize { // the decoder skips line breaks: hence the length
		return Link{}, fmt.Errorf("%w (a character after # is none that links have)", ErrCut)
	}
	if raw[0] != version {
		return Link{}, fmt.Errorf("%w (version %d)", ErrUnknown, raw[0])
	}
	if Flags(raw[1])&^NeedsPassword != 0 {
		return Link{}, fmt.Errorf("%w (flags %#02x)", ErrUnknown, raw[1])
	}
	l := Link{Handle: handle, Secret: Secret(raw[2 : 2+id.Size32]), Flags: Flags(raw[1])}
	sum := l.checksum()
	if subtle.ConstantTimeCompare(sum[:], raw[2+id.Size32:]) != 1 {
		return Link{}, ErrChecksum
	}
	return l, nil
}

// AuthHash is what the server stores of a link's auth value.
func AuthHash(auth Secret) [sha256.Size]byte {
	return sha256.Sum256(append([]byte(authLabel), auth[:]...))
}

// ManageHash is what the server stores of a link's management secret.
func ManageHash(handle id.Handle, secret Secret) [sha256.Size]byte {
	return sha256.Sum256(append(append([]byte(manageLabel), handle[:]...), secret[:]...))
}

// SameHash compares a hash made from what a caller sent with the stored one, in
// constant time.
func SameHash(a, b [sha256.Size]byte) bool { return subtle.ConstantTimeCompare(a[:], b[:]) == 1 }
