// Package work is the proof of work that a sign-up shows when many sign up: a nonce
// with which a challenge hashes to many zeros (hashcash, Back 1997; docs/format.md §17).
// It costs whoever makes accounts by the thousand, and tells nothing about anybody.
package work

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
)

// MaxBits is the most that a client works for: about a minute of a phone. A server
// that asks for more is not served.
const MaxBits = 26

// attempt is a challenge with room for a nonce behind it.
type attempt []byte

func newAttempt(challenge []byte) attempt {
	return append(slices.Clone(challenge), make([]byte, 8)...)
}

// zeros are the bits before the first one of SHA-256(challenge || u64 nonce).
func (a attempt) zeros(nonce uint64) (n int) {
	binary.BigEndian.PutUint64(a[len(a)-8:], nonce)
	for _, b := range sha256.Sum256(a) {
		here := bits.LeadingZeros8(b)
		n += here
		if here < 8 {
			break
		}
	}
	return n
}

// Check tells whether SHA-256(challenge || u64 nonce) begins with so many zero bits.
func Check(challenge []byte, nonce uint64, zeros int) bool {
	return newAttempt(challenge).zeros(nonce) >= zeros
}

// stopEvery so many hashes Find looks whether to go on.
const stopEvery = 1 << 12

// Find looks for a nonce, the least one. It fails if more than MaxBits are wanted, or
// with what stop returns.
func Find(challenge []byte, zeros int, stop func() error) (nonce uint64, err error) {
	if zeros > MaxBits {
		return 0, fmt.Errorf("work: the server asks for %d bits of work, at most %d are done", zeros, MaxBits)
	}
	for a := newAttempt(challenge); ; nonce++ {
		if nonce%stopEvery == 0 {
			if err := stop(); err != nil {
				return 0, err
			}
		}
		if a.zeros(nonce) >= zeros {
			return nonce, nil
		}
	}
}
