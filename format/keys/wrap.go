package keys

import (
	"crypto/sha256"
	"errors"
	"slices"

	"holdfast/format/id"
	"holdfast/format/kdf"
	"holdfast/format/seal"
)

// ErrWrap is the one answer to a wrap that does not open, whatever the reason: who
// changed it learns nothing from how it failed (MEGA 2022, doi:10.1109/SP46215.2023.10179290).
var ErrWrap = errors.New("wrap: this does not open the account's key")

// WrapSize is the length of every wrap in bytes.
const WrapSize = 32 + seal.RecordOverhead

const wrapKind = "root-wrap"

// Wrapper wraps and unwraps the root key in one of the ways to sign in.
type Wrapper struct {
	account id.Account
	purpose [32]byte
	bound   []byte // kind and binding
}

// ByPassword wraps under OPAQUE's export key (RFC 9807).
func ByPassword(account id.Account, export [64]byte) Wrapper {
	return wrapper(account, export[:], kdf.WrapPassword, 1, nil)
}

// ByPhrase wraps under the recovery phrase.
func ByPhrase(account id.Account, p Phrase) Wrapper {
	return wrapper(account, p[:], kdf.WrapPhrase, 2, nil)
}

// ByPasskey wraps under a passkey's output of the PRF extension (WebAuthn Level 3).
func ByPasskey(account id.Account, output [32]byte, credential []byte) Wrapper {
	sum := sha256.Sum256(credential)
	return wrapper(account, output[:], kdf.WrapPasskey, 3, sum[:])
}

func wrapper(account id.Account, ikm []byte, label string, kind byte, binding []byte) Wrapper {
	return Wrapper{account, kdf.Key32(ikm, label, account[:]), append([]byte{kind}, binding...)}
}

func (w Wrapper) aad(r Root) []byte { return slices.Concat(r.ids(), w.bound) }

// Wrap seals the root key. It panics if the root is another account's.
func (w Wrapper) Wrap(r Root) []byte {
	if r.Account != w.account {
		panic("keys: a wrap of another account")
	}
	return seal.SealRecord(w.purpose, wrapKind, w.aad(r), r.Key[:])
}

// Unwrap opens the wrap of an epoch, which comes from whoever keeps the wrap and is
// believed only if the wrap opens. It fails with ErrWrap.
func (w Wrapper) Unwrap(epoch uint32, wrap []byte) (Root, error) {
	r := Root{Account: w.account, Epoch: epoch}
	key, err := seal.OpenRecord(w.purpose, wrapKind, w.aad(r), wrap, WrapSize)
	if err != nil || len(key) != len(r.Key) || epoch == 0 {
		return Root{}, ErrWrap
	}
	copy(r.Key[:], key)
	return r, nil
}
