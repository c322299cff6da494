package seal

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"sync"
)

const nonceSize = prefixSize + 4 + 1

// nonces keeps nonces off the heap's bill: an interface call lets its slice
// arguments escape, which would cost one allocation a segment.
var nonces = sync.Pool{New: func() any { return new([nonceSize]byte) }}

// segments seals and opens the segments of one stream. Safe for concurrent use.
type segments struct {
	gcm    cipher.AEAD
	prefix [prefixSize]byte
}

func (s *segments) nonce(index uint32, last bool) *[nonceSize]byte {
	n := nonces.Get().(*[nonceSize]byte)
	copy(n[:], s.prefix[:])
	binary.BigEndian.PutUint32(n[prefixSize:], index)
	n[nonceSize-1] = 0
	if last {
		n[nonceSize-1] = 1
	}
	return n
}

func (s *segments) seal(dst, plaintext []byte, index uint32, last bool) []byte {
	n := s.nonce(index, last)
	defer nonces.Put(n)
	return s.gcm.Seal(dst, n[:], plaintext, nil)
}

func (s *segments) open(dst, ciphertext []byte, index uint32, last bool) ([]byte, error) {
	n := s.nonce(index, last)
	defer nonces.Put(n)
	out, err := s.gcm.Open(dst, n[:], ciphertext, nil)
	if err != nil {
		return nil, &SegmentError{Index: int64(index)}
	}
	return out, nil
}

// plainSize is the greatest number of plaintext bytes in segment index.
func plainSize(index int64) int {
	if index == 0 {
		return plainFirst
	}
	return plainRest
}

// Sealer seals the segments of one stream, in any order and concurrently,
// without allocating. It does not remember what it sealed: sealing different
// plaintext at one index breaks the encryption of both.
type Sealer struct {
	segments
	params     Params
	commitment [32]byte
}

// NewSealer derives the segment key and the commitment.
func NewSealer(k Keys, p Params) *Sealer {
	d := derive(k, p)
	return &Sealer{segments{newGCM(d.segmentKey), p.Prefix}, p, d.commitment}
}

// Commitment is the C of the stream, for descriptor and server.
func (s *Sealer) Commitment() [32]byte { return s.commitment }

// AppendHeader appends the header that precedes segment 0.
func (s *Sealer) AppendHeader(dst []byte) []byte { return s.params.appendHeader(dst) }

// SealSegment appends the sealed segment to dst. The plaintext is full unless it
// is the last; it may overlap dst's free space exactly, to seal in place.
func (s *Sealer) SealSegment(dst, plaintext []byte, index uint32, last bool) []byte {
	full := plainSize(int64(index))
	if len(plaintext) > full || len(plaintext) < full && !last || len(plaintext) == 0 && index > 0 {
		panic("seal: a segment of the wrong size")
	}
	return s.seal(dst, plaintext, index, last)
}

// Opener opens the segments of one stream, in any order and concurrently,
// without allocating.
type Opener struct{ segments }

// NewOpener derives the keys and compares the stream's commitment with the one
// that the descriptor holds, in constant time: ErrCommitment before any segment
// can be opened.
func NewOpener(k Keys, p Params, commitment [32]byte) (*Opener, error) {
	d := derive(k, p)
	if subtle.ConstantTimeCompare(d.commitment[:], commitment[:]) != 1 {
		return nil, ErrCommitment
	}
	return &Opener{segments{newGCM(d.segmentKey), p.Prefix}}, nil
}

// OpenSegment appends the plaintext of a segment to dst, or returns a
// *SegmentError. last comes from the length of the stream, never from whoever
// sent the segment. To open in place, pass ciphertext[:0] as dst.
func (o *Opener) OpenSegment(dst, ciphertext []byte, index uint32, last bool) ([]byte, error) {
	full := plainSize(int64(index)) + TagSize
	empty := len(ciphertext) <= TagSize && index > 0
	if len(ciphertext) > full || len(ciphertext) < full && !last || empty {
		return nil, &SegmentError{Index: int64(index)}
	}
	return o.open(dst, ciphertext, index, last)
}
