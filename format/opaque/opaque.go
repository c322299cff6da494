// Package opaque is password login without the password: OPAQUE (RFC 9807) in the one
// suite that Holdfast uses (docs/format.md §16). The server never sees a password, not
// even once, and what it stores cannot be tested against guesses without its own
// secret. Nothing is negotiated: other parameters are not compiled in. It knows no
// names, no storage and no network.
package opaque

import (
	"crypto"
	"errors"

	"github.com/bytemare/ksf"
	"github.com/bytemare/opaque"
)

// ErrMessage: bytes that are no message of the protocol.
var ErrMessage = errors.New("opaque: a message that is none")

// ErrLogin is the one answer to whatever is wrong with a login: password, name,
// record, or a message that was changed on the way.
var ErrLogin = errors.New("opaque: wrong name or password")

// Sizes in bytes.
const (
	RequestSize  = 32  // of a registration's first message
	ResponseSize = 64  // of its answer
	RecordSize   = 192 // of what the server stores
	KE1Size      = 96
	KE2Size      = 320
	KE3Size      = 64
	ExportSize   = 64
	// SecretSize is the length of what a server must keep.
	SecretSize = 64 + 32
	// ExpectedSize is the length of what a server expects of KE3.
	ExpectedSize = 64
)

// suite is ristretto255-SHA512, 3DH, HKDF and HMAC with SHA-512, and Argon2id as RFC
// 9106 names it second; identities are the public keys, and there is no context.
func suite() *opaque.Configuration {
	return &opaque.Configuration{
		OPRF: opaque.RistrettoSha512, AKE: opaque.RistrettoSha512, KSF: ksf.Argon2id,
		KDF: crypto.SHA512, MAC: crypto.SHA512, Hash: crypto.SHA512,
	}
}

// stretch is what a password is stretched by. It can be exchanged by the tests of this
// package alone: no program has a way to.
type stretch struct{ parameters []uint64 } // passes, KiB, lanes

// argon2id: t = 3, 64 MiB, p = 4 (RFC 9106, second recommended option).
var argon2id = stretch{[]uint64{3, 64 << 10, 4}}

func (s stretch) options() *opaque.ClientOptions {
	return &opaque.ClientOptions{KSFSalt: make([]byte, 16), KSFParameters: s.parameters, KSFLength: 64}
}
