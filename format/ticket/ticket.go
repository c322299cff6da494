// Package ticket holds everything that Holdfast signs besides journals: the
// server's tickets and orders, the nodes' receipts, declarations and heartbeats
// (docs/format.md §8).
//
// It promises that Sign writes and Open returns only what obeys every limit of
// that section, and that a statement of a node is signed by the node that it
// names. It knows the rules, not the state: whether a budget is spent, an order
// was done before or a node is known is for those who keep that. Times are
// compared with an allowance of Skew.
package ticket

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"holdfast/format/id"
	"holdfast/format/wire"
)

// Errors of Allows.
var (
	// ErrExpired: the ticket's time is over; ask the server for a new one.
	ErrExpired = errors.New("expired: the ticket's time is over; ask the server for a new one")
	// ErrOtherNode: the ticket is for other nodes than this one.
	ErrOtherNode = errors.New("other-node: the ticket is for other nodes")
	// ErrNotListed: the ticket does not cover these bytes.
	ErrNotListed = errors.New("not-listed: the ticket does not cover these bytes")
)

// ErrPayload: a field is out of range or out of place. It is wire.ErrEncoding too.
const ErrPayload = invalid("ticket: not allowed")

type invalid string

// Error is the message.
func (e invalid) Error() string { return string(e) }

// Unwrap makes the error a wire.ErrEncoding.
func (invalid) Unwrap() error { return wire.ErrEncoding }

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrPayload, fmt.Sprintf(format, args...))
}

// Skew is how far the clocks of two machines may differ: a ticket is good for
// that much longer than it says. Machines that keep time at all stay within a
// second; a minute covers those that have just started, and adds a fifth to the
// shortest life of a ticket, five minutes.
const Skew = 60 * time.Second

// Limits of docs/format.md §8.
const (
	// MaxBlob is the greatest size of a blob in bytes.
	MaxBlob = 8 << 20
	// MaxText bounds texts that have no limit of their own, in bytes.
	MaxText = 256
)

// Payload is one of the things that are signed.
type Payload interface {
	UploadTicket | ReadTicket | Receipt | Order | OrderReceipt | Declaration | Heartbeat

	// Check tells whether every field obeys docs/format.md §8.
	Check() error
	// kind is the envelope's type.
	kind() string
	// signer is the node that alone may sign it; ok is false if the server does.
	signer() (node id.Node, ok bool)
}

// NodeID is the id of the node with that signing key.
func NodeID(public ed25519.PublicKey) id.Node { return id.Node(wire.KeyID(public)) }

// Day is the day of t as payloads state it: days since 1970-01-01 UTC.
func Day(t time.Time) int64 { return t.Unix() / (24 * 60 * 60) }

// Sign checks p and returns its envelope, signed by key.
func Sign[P Payload](key ed25519.PrivateKey, p P) ([]byte, error) {
	if err := p.Check(); err != nil {
		return nil, fmt.Errorf("sign %s: %w", p.kind(), err)
	}
	if err := checkSigner(p, key.Public().(ed25519.PublicKey)); err != nil {
		return nil, fmt.Errorf("sign %s: %w", p.kind(), err)
	}
	envelope := wire.Seal(p.kind(), key, wire.Marshal(p))
	if len(envelope) > wire.MaxEnvelope {
		return nil, fmt.Errorf("sign %s: %w", p.kind(), refuse("%d bytes, at most %d allowed: split it", len(envelope), wire.MaxEnvelope))
	}
	return envelope, nil
}

// Open returns the payload of an envelope that public signed.
func Open[P Payload](public ed25519.PublicKey, envelope []byte) (P, error) {
	return OpenAny[P]([]ed25519.PublicKey{public}, envelope)
}

// OpenAny returns the payload of an envelope that one of the keys signed; which
// one is said by the envelope's key id.
func OpenAny[P Payload](keys []ed25519.PublicKey, envelope []byte) (P, error) {
	var p, none P
	e, err := wire.Parse(envelope)
	if err != nil {
		return none, fmt.Errorf("open %s: %w", p.kind(), err)
	}
	for _, public := range keys {
		if wire.KeyID(public) != e.Key {
			continue
		}
		payload, err := e.Verify(p.kind(), public)
		if err != nil {
			return none, fmt.Errorf("open %s: %w", p.kind(), err)
		}
		if p, err = decode[P](payload, public); err != nil {
			return none, fmt.Errorf("open %s: %w", p.kind(), err)
		}
		return p, nil
	}
	return none, fmt.Errorf("open %s: %w: signed under key %s, which is not accepted here", p.kind(), wire.ErrEnvelope, e.Key)
}

func decode[P Payload](payload []byte, public ed25519.PublicKey) (P, error) {
	var p, none P
	if err := wire.Unmarshal(payload, wire.MaxEnvelope, &p); err != nil {
		return none, err
	}
	if err := p.Check(); err != nil {
		return none, err
	}
	if err := checkSigner(p, public); err != nil {
		return none, err
	}
	return p, nil
}

// checkSigner refuses a node's statement about itself from another node's key.
func checkSigner[P Payload](p P, public ed25519.PublicKey) error {
	if node, ok := p.signer(); ok && node != NodeID(public) {
		return fmt.Errorf("%w: it names node %s and is signed by %s", wire.ErrEnvelope, node, NodeID(public))
	}
	return nil
}

// SignText is Sign as base64url text, for JSON, headers and URLs.
func SignText[P Payload](key ed25519.PrivateKey, p P) (string, error) {
	envelope, err := Sign(key, p)
	if err != nil {
		return "", err
	}
	return Text(envelope), nil
}

// OpenText is Open for base64url text.
func OpenText[P Payload](public ed25519.PublicKey, text string) (P, error) {
	envelope, err := ParseText(text)
	if err != nil {
		var none P
		return none, err
	}
	return Open[P](public, envelope)
}

// Text is an envelope as base64url text.
func Text(envelope []byte) string { return id.Encoding.EncodeToString(envelope) }

// ParseText turns base64url text into the bytes of an envelope, of which it
// checks nothing yet but the size.
func ParseText(text string) ([]byte, error) {
	if len(text) > id.Encoding.EncodedLen(wire.MaxEnvelope) {
		return nil, fmt.Errorf("%w: %d characters", wire.ErrEncoding, len(text))
	}
	envelope, err := id.Encoding.DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") { // which the decoder skips
		return nil, fmt.Errorf("%w: not base64url without padding", wire.ErrEncoding)
	}
	return envelope, nil
}

// Digest is the SHA-256 of an envelope's payload as transmitted, by which an
// order receipt names its order.
func Digest(envelope []byte) ([sha256.Size]byte, error) {
	e, err := wire.Parse(envelope)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return sha256.Sum256(e.Payload), nil
}

func expired(expires int64, now time.Time) error {
	if late := now.Unix() - expires; late > int64(Skew/time.Second) {
		return fmt.Errorf("%w (%d seconds ago)", ErrExpired, late)
	}
	return nil
}

func checkUints(values ...int64) error {
	for _, v := range values {
		if v < 0 || v > wire.MaxInt {
			return refuse("number %d", v)
		}
	}
	return nil
}

func checkCount(what string, n, most int) error {
	if n < 1 || n > most {
		return refuse("%d %s, 1 to %d allowed", n, what, most)
	}
	return nil
}
