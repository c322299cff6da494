package keys

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"fmt"

	"holdfast/format/id"
	"holdfast/format/kdf"
	"holdfast/format/wire"
)

// EncryptionKeySize is the length of an X-Wing public key in bytes.
const EncryptionKeySize = 1216

const (
	identityKind = "identity"
	// MaxIdentity is the greatest size of an identity's envelope: twice what it has
	// today, for keys that later versions add.
	MaxIdentity = 4 << 10
)

// payload of an identity.
type payload struct {
	Account id.Account `cbor:"1,keyasint"`
	Epoch   uint64     `cbor:"2,keyasint"`
	Signing []byte     `cbor:"3,keyasint"`
	Box     []byte     `cbor:"4,keyasint"`
}

// Identity is the public side of an account in one identity epoch. Those that
// ParseIdentity and Root.Identity return are whole and signed by themselves.
type Identity struct {
	Account     id.Account
	Epoch       uint32
	Signing     ed25519.PublicKey
	Fingerprint [32]byte

	box      hpke.PublicKey
	envelope []byte
}

// Identity signs the account's identity.
func (r Root) Identity() Identity {
	key := r.SigningKey()
	p := wire.Marshal(payload{r.Account, uint64(r.Epoch), key.Public().(ed25519.PublicKey), r.decryptionKey().PublicKey().Bytes()})
	i, err := ParseIdentity(wire.Seal(identityKind, key, p))
	if err != nil {
		panic("keys: " + err.Error()) // only what this function made wrongly fails
	}
	return i
}

// ParseIdentity reads an identity and checks that it signed itself. Whose it is, only
// a contact code or an earlier meeting tells. It fails with wire.ErrEncoding,
// wire.ErrEnvelope or wire.ErrSignature.
func ParseIdentity(b []byte) (Identity, error) {
	if len(b) > MaxIdentity {
		return Identity{}, fmt.Errorf("%w: an identity of %d bytes", wire.ErrEncoding, len(b))
	}
	e, err := wire.Parse(b)
	if err != nil {
		return Identity{}, err
	}
	var p payload
	if err := wire.Unmarshal(e.Payload, MaxIdentity, &p); err != nil {
		return Identity{}, err
	}
	if p.Epoch < 1 || p.Epoch > 1<<32-1 || len(p.Signing) != ed25519.PublicKeySize || len(p.Box) != EncryptionKeySize {
		return Identity{}, fmt.Errorf("%w: an identity with an epoch or keys of another size", wire.ErrEncoding)
	}
	if _, err := e.Verify(identityKind, p.Signing); err != nil {
		return Identity{}, err
	}
	box, err := encryptionKey(p.Box)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: an encryption key that is none", wire.ErrEncoding)
	}
	return Identity{
		Account: p.Account, Epoch: uint32(p.Epoch), Signing: p.Signing, box: box, envelope: b,
		Fingerprint: sha256.Sum256(kdf.Info("holdfast/v1/identity-fingerprint", e.Payload)),
	}, nil
}

// x25519At is where the X25519 part of an X-Wing public key begins.
const x25519At = 1184

// encryptionKey refuses what nobody can seal to: an ML-KEM key that is none, and an
// X25519 point of small order, with which every agreement fails (RFC 7748, §6.1).
// Whether a point is one shows in any agreement with it.
func encryptionKey(b []byte) (hpke.PublicKey, error) {
	box, err := hpke.MLKEM768X25519().NewPublicKey(b)
	if err != nil {
		return nil, err
	}
	point, err := ecdh.X25519().NewPublicKey(b[x25519At:])
	if err != nil {
		return nil, err
	}
	_, err = anyX25519.ECDH(point)
	return box, err
}

var anyX25519 = func() *ecdh.PrivateKey {
	k, err := ecdh.X25519().NewPrivateKey(make([]byte, 32))
	if err != nil {
		panic("keys: " + err.Error()) // only another length fails
	}
	return k
}()

// Envelope is the signed form, for storing and sending.
func (i Identity) Envelope() []byte { return i.envelope }
