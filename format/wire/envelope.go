package wire

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"

	"holdfast/format/id"
)

// Errors of OpenEnvelope.
var (
	// ErrEnvelope: not an envelope of the expected type from an expected key.
	ErrEnvelope = errors.New("envelope: unexpected type or key")
	// ErrSignature: the signature is not the named key's over these bytes.
	ErrSignature = errors.New("signature: does not verify")
)

// MaxEnvelope is the greatest size of an envelope in bytes.
const MaxEnvelope = 64 << 10

// maxType bounds an envelope's type in bytes.
const maxType = 256

const keyIDLabel = "holdfast/v1/key-id\x00"

// Envelope is the one shape of everything signed (docs/format.md §8). The
// payload is kept as transmitted and never encoded again.
type Envelope struct {
	Type      string `cbor:"1,keyasint"`
	Key       id.Key `cbor:"2,keyasint"`
	Payload   []byte `cbor:"3,keyasint"`
	Signature []byte `cbor:"4,keyasint"`
}

// KeyID names an Ed25519 public key.
func KeyID(public ed25519.PublicKey) id.Key {
	sum := sha256.Sum256(append([]byte(keyIDLabel), public...))
	return id.Key(sum[:id.Size])
}

func signed(kind string, payload []byte) []byte {
	msg := make([]byte, 0, len("holdfast/v1/")+len(kind)+1+len(payload))
	msg = append(msg, "holdfast/v1/"...)
	msg = append(msg, kind...)
	msg = append(msg, 0)
	return append(msg, payload...)
}

// Seal signs payload under key and returns the encoded envelope.
func Seal(kind string, key ed25519.PrivateKey, payload []byte) []byte {
	return Marshal(Envelope{
		Type:      kind,
		Key:       KeyID(key.Public().(ed25519.PublicKey)),
		Payload:   payload,
		Signature: ed25519.Sign(key, signed(kind, payload)),
	})
}

// Parse decodes an envelope without checking its signature, so that the caller
// can choose the key by its id. Nothing in it may be believed yet.
func Parse(b []byte) (Envelope, error) { return ParseMax(b, MaxEnvelope) }

// ParseMax is Parse for types whose envelopes may have max bytes instead of MaxEnvelope.
func ParseMax(b []byte, max int) (Envelope, error) {
	var e Envelope
	if err := Unmarshal(b, max, &e); err != nil {
		return Envelope{}, err
	}
	if len(e.Type) > maxType {
		return Envelope{}, fmt.Errorf("%w: type of %d bytes", ErrEncoding, len(e.Type))
	}
	if len(e.Signature) != ed25519.SignatureSize {
		return Envelope{}, fmt.Errorf("%w: signature of %d bytes", ErrEncoding, len(e.Signature))
	}
	return e, nil
}

// Verify checks that e has the wanted type and that public, whose id it must
// name, signed it; it returns the payload.
func (e Envelope) Verify(kind string, public ed25519.PublicKey) ([]byte, error) {
	if e.Type != kind || e.Key != KeyID(public) {
		return nil, fmt.Errorf("%w: have %q", ErrEnvelope, e.Type)
	}
	if !ed25519.Verify(public, signed(kind, e.Payload), e.Signature) {
		return nil, ErrSignature
	}
	return e.Payload, nil
}

// Open parses b and verifies it under public.
func Open(kind string, public ed25519.PublicKey, b []byte) ([]byte, error) {
	e, err := Parse(b)
	if err != nil {
		return nil, err
	}
	return e.Verify(kind, public)
}
