// Package blob cuts sealed streams into blobs, names blobs by their BLAKE3
// hash, and makes and checks the range proofs of partial reads
// (docs/format.md §4, §5). It promises that what it calls verified hashes to
// the name asked for. It sees ciphertext only and knows no keys.
package blob

import (
	"errors"
	"fmt"

	"holdfast/format/id"

	"github.com/zeebo/blake3"
)

const (
	// MaxSize is the greatest size of a blob in bytes; longer streams are cut here.
	MaxSize = 8 << 20
	// PackMax is the greatest length of a stream that may share a blob with others.
	PackMax = 1 << 20
	// ProofGroup is the number of bytes under one leaf of a range proof: 16
	// BLAKE3 chunks, so that the tree of a whole blob is 32 KiB.
	ProofGroup = 16 << 10
	// MaxExtents is the greatest number of extents of one revision.
	MaxExtents = 1 << 20
	// MaxStream is the greatest length of a stream: MaxExtents full blobs.
	MaxStream = MaxExtents * MaxSize
)

// Errors of this package. Either means that whoever served the bytes is at fault.
var (
	ErrName   = errors.New("name: bytes do not hash to the blob's name; fetch them from another node")
	ErrSlice  = errors.New("slice: range proof does not verify; fetch the range from another node")
	ErrExtent = errors.New("extent: not within a blob of 1 to 8388608 bytes")
)

// Name is the name of a blob: the BLAKE3 hash of its bytes.
func Name(b []byte) id.Name { return blake3.Sum256(b) }

// Check compares the name of b with the one wanted.
func Check(b []byte, want id.Name) error {
	if got := Name(b); got != want {
		return fmt.Errorf("%w: wanted %s, got %s", ErrName, want, got)
	}
	return nil
}

// Hasher computes a name from bytes as they pass by. The zero Hasher is not
// usable; NewHasher makes one. It is an io.Writer that never fails.
type Hasher struct{ h *blake3.Hasher }

// NewHasher returns a Hasher of no bytes.
func NewHasher() Hasher { return Hasher{blake3.New()} }

// Write adds bytes.
func (h Hasher) Write(p []byte) (int, error) { return h.h.Write(p) }

// Reset forgets all bytes.
func (h Hasher) Reset() { h.h.Reset() }

// Name is the name of the bytes written since the last Reset.
func (h Hasher) Name() (n id.Name) {
	h.h.Sum(n[:0])
	return n
}

// Root is the hash that a descriptor holds of a stream: BLAKE3 over the names
// of its pieces, in order.
func Root(names []id.Name) [id.Size32]byte {
	h := blake3.New()
	for i := range names {
		h.Write(names[i][:])
	}
	var root [id.Size32]byte
	h.Sum(root[:0])
	return root
}

// Pieces is the number of pieces that a stream of n > 0 bytes is cut into.
func Pieces(n int64) int { return int((n + MaxSize - 1) / MaxSize) }

// Piece tells where piece i of a stream of n bytes lies in it.
func Piece(n int64, i int) (offset, length int64) {
	offset = int64(i) * MaxSize
	return offset, min(MaxSize, n-offset)
}

// Extent is a range of a blob. The extents of a revision, joined, are its stream.
type Extent struct {
	Blob           id.Name
	Offset, Length int64
}

// Check tells whether e can lie within a blob.
func (e Extent) Check() error {
	if e.Offset < 0 || e.Length < 1 || e.Offset > MaxSize || e.Length > MaxSize-e.Offset {
		return fmt.Errorf("%w: offset %d, length %d", ErrExtent, e.Offset, e.Length)
	}
	return nil
}

// Total checks the extents of a revision one by one and returns the length of
// the stream that they make. Whether that length is valid is seal's to say.
func Total(extents []Extent) (int64, error) {
	if len(extents) < 1 || len(extents) > MaxExtents {
		return 0, fmt.Errorf("%w: %d extents, a revision has 1 to %d", ErrExtent, len(extents), MaxExtents)
	}
	var n int64
	for i, e := range extents {
		if err := e.Check(); err != nil {
			return 0, fmt.Errorf("extent %d: %w", i, err)
		}
		n += e.Length
	}
	return n, nil
}
