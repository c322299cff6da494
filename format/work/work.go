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

// hash of a challenge and a nonce.
func hash(challenge []byte, nonce uint64) [sha256.Size]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64(slices.Clone(challenge), nonce))
}

// Check tells whether SHA-256(challenge || u64 nonce) begins with so many zero bits.
func Check(challenge []byte, nonce uint64, zeros int) bool {
	sum := hash(challenge, nonce)
	have := 0
	for _, b := range sum {
		n := bits.LeadingZeros8(b)
		have += n
		if n < 8 {
			break
		}
	}
	return have >= zeros
}

// stopEvery so many hashes Find looks whether to go on.
const stopEvery = 1 << 12

// Find looks for a nonce, the least one. It fails if more than MaxBits are wanted, or
// with what stop returns.
func Find(challenge []byte, zeros int, stop func() error) (nonce uint64, err error) {
	if zeros > MaxBits {
		return 0, fmt.Errorf("work: the server asks for %d bits of work, at most %d are done", zeros, MaxBits)
	}
	for ; ; nonce++ {
		if nonce%stopEvery == 0 {
			if err := stop(); err != nil {
				return 0, err
			}
		}
		if Check(challenge, nonce, zeros) {
			return nonce, nil
		}
	}
}
