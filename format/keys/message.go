package keys

import (
	"crypto/hpke"
	"errors"
	"fmt"
	"slices"

	"holdfast/format/id"
	"holdfast/format/kdf"
	"holdfast/format/wire"
)

// Errors of messages, besides those of envelopes (wire).
var (
	ErrSender    = errors.New("sender: the message says that another account sent it")
	ErrRecipient = errors.New("recipient: the message is to somebody else")
	ErrPurpose   = errors.New("purpose: the message is for something else")
	ErrMessage   = errors.New("message: it does not open; ask the sender for a new one")
)

const (
	messageKind = "message"
	// MaxMessage is the greatest plaintext of a message in bytes.
	MaxMessage = 32 << 10
	// maxPurpose bounds purposes in bytes.
	maxPurpose = 64
	// encSize is the length of an X-Wing encapsulation, gcmTag that of the tag.
	encSize = 1120
	gcmTag  = 16
)

type message struct {
	Purpose   string     `cbor:"1,keyasint"`
	Sender    id.Bytes32 `cbor:"2,keyasint"` // fingerprints
	Recipient id.Bytes32 `cbor:"3,keyasint"`
	Sealed    []byte     `cbor:"4,keyasint"`
}

func messageInfo(sender, recipient [32]byte, purpose string) []byte {
	return kdf.Info(kdf.Message, slices.Concat(sender[:], recipient[:], []byte(purpose)))
}

// Send seals a text to a person and signs it (RFC 9180, base mode). The recipient's
// identity must have been checked against a contact code or a pin. It panics for a
// purpose or text of a wrong size.
func (r Root) Send(to Identity, purpose string, text []byte) []byte {
	if len(purpose) < 1 || len(purpose) > maxPurpose || len(text) > MaxMessage {
		panic("keys: a message of a wrong size")
	}
	mine := r.Identity().Fingerprint
	sealed, err := hpke.Seal(to.box, hpke.HKDFSHA256(), hpke.AES256GCM(), messageInfo(mine, to.Fingerprint, purpose), text)
	if err != nil {
		panic("keys: " + err.Error()) // only a key that is none fails, and ParseIdentity refuses those
	}
	return wire.Seal(messageKind, r.SigningKey(), wire.Marshal(message{purpose, mine, to.Fingerprint, sealed}))
}

// Receive checks that the pinned sender signed the message for this account and
// purpose, and only then opens it. It fails with an error of wire, ErrSender,
// ErrRecipient, ErrPurpose or ErrMessage.
func (r Root) Receive(from Identity, purpose string, b []byte) ([]byte, error) {
	signed, err := wire.Open(messageKind, from.Signing, b)
	if err != nil {
		return nil, err
	}
	var m message
	if err := wire.Unmarshal(signed, wire.MaxEnvelope, &m); err != nil {
		return nil, err
	}
	if len(m.Sealed) < encSize+gcmTag || len(m.Sealed) > encSize+gcmTag+MaxMessage || len(m.Purpose) < 1 || len(m.Purpose) > maxPurpose {
		return nil, fmt.Errorf("%w: a message of a wrong size", wire.ErrEncoding)
	}
	mine := r.Identity().Fingerprint
	switch {
	case m.Sender != from.Fingerprint:
		return nil, ErrSender
	case m.Recipient != mine:
		return nil, ErrRecipient
	case m.Purpose != purpose:
		return nil, ErrPurpose
	}
	text, err := hpke.Open(r.decryptionKey(), hpke.HKDFSHA256(), hpke.AES256GCM(), messageInfo(from.Fingerprint, mine, purpose), m.Sealed)
	if err != nil {
		return nil, ErrMessage
	}
	return text, nil
}
