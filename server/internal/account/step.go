package account

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"

	"holdfast/format/id"
)

// stepLife is how long a login or sign-up may take between its messages, in seconds:
// stretching a password takes seconds on a slow phone, and proofs of work may too.
const stepLife = 5 * 60

// sealer seals what goes from one message of a login to the next into what the client
// carries back, so that any server may answer next (docs/protocol.md).
type sealer struct{ aead cipher.AEAD }

func newSealer(key [32]byte) sealer {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("account: " + err.Error()) // only another length fails
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("account: " + err.Error())
	}
	return sealer{aead}
}

// seal binds state to what it is for. States are structs of a fixed size: all of one
// purpose are as long, whoever they are about.
func (s sealer) seal(purpose string, state any) []byte {
	plain, err := binary.Append(nil, binary.BigEndian, state)
	if err != nil {
		panic("account: " + err.Error()) // only types of this package are sealed
	}
	return s.aead.Seal(nil, nil, plain, []byte(purpose))
}

// open fails with ErrStep for whatever was not sealed for this purpose.
func (s sealer) open(purpose string, sealed []byte, state any) error {
	plain, err := s.aead.Open(nil, nil, sealed, []byte(purpose))
	if err != nil || len(plain) != binary.Size(state) {
		return ErrStep
	}
	if _, err := binary.Decode(plain, binary.BigEndian, state); err != nil {
		return ErrStep
	}
	return nil
}

// onceOf names a sealed state; its expiry is kept longer than it is good, because
// clocks of servers differ.
func onceOf(sealed []byte, expires int64) Once {
	return Once{Hash: sha256.Sum256(sealed), Expires: expires + stepLife}
}

// workBits are the leading zero bits that a sign-up's proof of work has: 2^16 hashes
// take a phone less than a second. Each doubling of sign-ups above calm in an hour
// asks for one more.
const (
	workBits = 16
	workMost = 26
	calm     = 64
)

// bitsFor so many sign-ups in the last hour.
func bitsFor(signUps int) int {
	more := bits.Len(uint(max(signUps, 0) / calm))
	return min(workBits+more, workMost)
}

// drawn is 16 random bytes, so that no two states are alike.
func drawn() (b [id.Size]byte) {
	rand.Read(b[:])
	return b
}
