// Package pad computes Padmé lengths, which hide a file's true size within
// about 12 % (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files
// and Communication with PURBs", PETS 2019; docs/format.md §3).
package pad

import "math/bits"

// Min is the least padded length in bytes.
const Min = 1024

// Max is the greatest length that can be padded: 2^53-1, what JSON and
// JavaScript carry exactly.
const Max = 1<<53 - 1

// Length is the padded length in bytes of a plaintext of n bytes, 0 ≤ n ≤ Max.
func Length(n int64) int64 {
	if n <= Min {
		return Min
	}
	e := bits.Len64(uint64(n)) - 1
	s := bits.Len64(uint64(e))
	mask := int64(1)<<(e-s) - 1
	return (n + mask) &^ mask
}

// IsLength tells whether n is the padded length of some plaintext.
func IsLength(n int64) bool { return n >= Min && n <= Max && Length(n) == n }
