package seal

import (
	"fmt"
	"slices"

	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/pad"
)

// Seal appends the whole stream of a plaintext held in memory to dst, so that
// small streams can be packed into one buffer. The plaintext must not overlap dst.
func Seal(dst []byte, k Keys, p Params, plaintext []byte) ([]byte, Content, error) {
	length, err := PaddedStreamLength(int64(len(plaintext)))
	if err != nil {
		return dst, Content{}, err
	}
	s := NewSealer(k, p)
	start := len(dst)
	dst = slices.Grow(dst, int(length))[:start+int(length)]
	stream := dst[start:]
	var names []id.Name
	for i := range blob.Pieces(length) {
		at, n := blob.Piece(length, i)
		name, err := s.sealPiece(stream[at:at+n], i, at+n == length, func(to []byte, offset int64) error {
			have := 0
			if offset < int64(len(plaintext)) {
				have = copy(to, plaintext[offset:])
			}
			clear(to[have:])
			return nil
		})
		if err != nil {
			return dst[:start], Content{}, err
		}
		names = append(names, name)
	}
	return dst, Content{Commitment: s.commitment, Root: blob.Root(names), TrueSize: int64(len(plaintext))}, nil
}

// Open appends the plaintext of a whole stream held in memory to dst. When a
// check fails, nothing is appended, and the error is that of the first check in
// the order of docs/format.md §4. The stream is left as it is and must not overlap dst.
func Open(dst []byte, k Keys, want Content, stream []byte) ([]byte, error) {
	o, err := openHead(k, want, stream)
	if err != nil {
		return dst, err
	}
	start := len(dst)
	length := int64(len(stream))
	dst = slices.Grow(dst, int(pad.Length(want.TrueSize)))
	text := dst[start:start]
	for i := range (length + SegmentSize - 1) / SegmentSize {
		from, to := segmentRange(length, i)
		if text, err = o.OpenSegment(text, stream[from:to], uint32(i), to == length); err != nil {
			break
		}
	}
	if err == nil {
		err = checkWhole(want, stream, text)
	}
	if err != nil {
		clear(dst[start:cap(dst)]) // nothing unverified stays behind
		return dst[:start], err
	}
	return dst[:start+int(want.TrueSize)], nil
}

// openHead does the checks before the first segment.
func openHead(k Keys, want Content, stream []byte) (*Opener, error) {
	p, err := ParseHeader(stream)
	if err != nil {
		return nil, err
	}
	length, err := PaddedStreamLength(want.TrueSize)
	if err != nil {
		return nil, err
	}
	if int64(len(stream)) != length {
		return nil, fmt.Errorf("%w: %d bytes instead of %d", ErrLength, len(stream), length)
	}
	return NewOpener(k, p, want.Commitment)
}

// checkWhole does the checks after the last segment.
func checkWhole(want Content, stream, text []byte) error {
	var names []id.Name
	for i := range blob.Pieces(int64(len(stream))) {
		at, n := blob.Piece(int64(len(stream)), i)
		names = append(names, blob.Name(stream[at:at+n]))
	}
	if blob.Root(names) != want.Root {
		return ErrRoot
	}
	if !allZero(text[want.TrueSize:]) {
		return ErrPadding
	}
	return nil
}

func allZero(b []byte) bool {
	var or byte
	for _, v := range b {
		or |= v
	}
	return or == 0
}
