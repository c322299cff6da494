package seal

import (
	"crypto/aes"
	"encoding/binary"
)

// field is an element of GF(2^128) in GCM's bit order: the first bit of the
// block is the coefficient of x^0.
type field [2]uint64

func load(b []byte) field {
	return field{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (a field) store(b []byte) {
	binary.BigEndian.PutUint64(b, a[0])
	binary.BigEndian.PutUint64(b[8:], a[1])
}

func (a field) add(b field) field { return field{a[0] ^ b[0], a[1] ^ b[1]} }

func (a field) mul(b field) (z field) {
	for i := range 128 {
		if a[i/64]>>(63-i%64)&1 == 1 {
			z = z.add(b)
		}
		carry := b[1] & 1
		b = field{b[0] >> 1, b[1]>>1 | b[0]<<63}
		if carry == 1 {
			b[0] ^= 0xe1 << 56
		}
	}
	return z
}

func (a field) pow(n int) field {
	z := field{1 << 63}
	for range n {
		z = z.mul(a)
	}
	return z
}

// inverse is a^(2^128-2).
func (a field) inverse() field {
	z := field{1 << 63}
	for range 127 {
		a = a.mul(a)
		z = z.mul(a)
	}
	return z
}

// ghash is the sum of blocks of text and the length block, each times the
// power of h that its place gives it.
func ghash(h field, text []byte) (y field) {
	for i := 0; i < len(text); i += 16 {
		y = y.add(load(text[i:])).mul(h)
	}
	return y.add(field{0, uint64(len(text)) * 8}).mul(h)
}

// twoKeys makes a sealed segment of whole blocks that AES-GCM opens under both
// keys: the attack that the commitment is for. It changes the last block of text
// so that both tags are the same, and returns text with that tag.
func twoKeys(key1, key2, nonce, text []byte) []byte {
	var h, mask [2]field
	for i, key := range [][]byte{key1, key2} {
		block, err := aes.NewCipher(key)
		if err != nil {
			panic(err)
		}
		var b [16]byte
		block.Encrypt(b[:], b[:])
		h[i] = load(b[:])
		block.Encrypt(b[:], append(append([]byte(nil), nonce...), 0, 0, 0, 1))
		mask[i] = load(b[:])
	}
	last := text[len(text)-16:]
	clear(last)
	rest := ghash(h[0], text).add(mask[0]).add(ghash(h[1], text)).add(mask[1])
	coefficient := h[0].pow(2).add(h[1].pow(2)) // the last block is multiplied by h twice
	rest.mul(coefficient.inverse()).store(last)
	tag := make([]byte, 16)
	ghash(h[0], text).add(mask[0]).store(tag)
	return append(text, tag...)
}
