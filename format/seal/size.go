package seal

import (
	"fmt"

	"holdfast/format/blob"
	"holdfast/format/pad"
)

const (
	// HeaderSize is the length of a stream's header: 0x28, salt, prefix.
	HeaderSize = 1 + saltSize + prefixSize
	// SegmentSize is what a segment fills in a stream with its tag, segment 0
	// with the header. 256 KiB is what WebCrypto seals fastest.
	SegmentSize = 256 << 10
	// TagSize is the length of AES-GCM's tag.
	TagSize = 16

	saltSize   = 32
	prefixSize = 7
	headerByte = HeaderSize

	plainFirst = SegmentSize - HeaderSize - TagSize
	plainRest  = SegmentSize - TagSize

	pieceSegments = blob.MaxSize / SegmentSize
)

// MaxLength is the greatest length of a stream: what the extents of a revision
// can hold.
const MaxLength = blob.MaxStream

// SegmentCount is the number of segments of a padded plaintext of n bytes.
func SegmentCount(n int64) int64 {
	if n <= plainFirst {
		return 1
	}
	return 1 + (n-plainFirst+plainRest-1)/plainRest
}

// StreamLength is the length of the stream of a padded plaintext of n bytes.
func StreamLength(n int64) int64 { return HeaderSize + n + TagSize*SegmentCount(n) }

// PaddedStreamLength is the length of the stream of a file of n bytes, 0 ≤ n.
// It fails with ErrLength if the file is too large for the format.
func PaddedStreamLength(n int64) (int64, error) {
	if n < 0 || n > MaxLength {
		return 0, fmt.Errorf("%w: %d bytes of plaintext", ErrLength, n)
	}
	length := StreamLength(pad.Length(n))
	if length > MaxLength {
		return 0, fmt.Errorf("%w: %d bytes of plaintext do not fit a stream of %d", ErrLength, n, int64(MaxLength))
	}
	return length, nil
}

// PlainLength is the length of the padded plaintext in a stream, and whether
// any plaintext at all, padded or not, makes a stream of that length.
func PlainLength(stream int64) (n int64, ok bool) {
	segments := (stream + SegmentSize - 1) / SegmentSize
	n = stream - HeaderSize - TagSize*segments
	return n, n >= 0 && StreamLength(n) == stream
}

// ValidStreamLength tells whether a stream of a padded plaintext can have this
// length. All other lengths are refused everywhere.
func ValidStreamLength(stream int64) bool {
	n, ok := PlainLength(stream)
	return ok && stream <= MaxLength && pad.IsLength(n)
}

// Span is what a read of part of the padded plaintext needs of a stream.
type Span struct {
	First, Count int64 // segments
	From, To     int64 // bytes of the stream, To not included: whole segments, never the header
	Skip         int64 // plaintext bytes before the wanted ones in segment First
	Length       int64 // wanted plaintext bytes
}

// Cover computes the span for length ≥ 1 bytes from offset of the padded
// plaintext of a stream.
func Cover(stream, offset, length int64) (Span, error) {
	n, ok := PlainLength(stream)
	if !ok || offset < 0 || length < 1 || offset > n || length > n-offset {
		return Span{}, fmt.Errorf("%w: no %d bytes at %d in a stream of %d", ErrLength, length, offset, stream)
	}
	first, skip := Locate(offset)
	last, _ := Locate(offset + length - 1)
	from, _ := segmentRange(stream, first)
	_, to := segmentRange(stream, last)
	return Span{First: first, Count: last - first + 1, From: from, To: to, Skip: skip, Length: length}, nil
}

// Locate tells in which segment a byte of plaintext lies, and where in it.
func Locate(offset int64) (segment, within int64) {
	if offset < plainFirst {
		return 0, offset
	}
	offset -= plainFirst
	return 1 + offset/plainRest, offset % plainRest
}

// PieceStart is the offset in the plaintext of the first byte of piece i.
func PieceStart(i int) int64 { return segmentStart(int64(i) * pieceSegments) }

// segmentStart is the offset in the plaintext of segment i.
func segmentStart(i int64) int64 {
	if i == 0 {
		return 0
	}
	return plainFirst + (i-1)*plainRest
}

// segmentRange is where segment i, without the header, lies in a stream.
func segmentRange(stream, i int64) (from, to int64) {
	from = i * SegmentSize
	to = min(from+SegmentSize, stream)
	if i == 0 {
		from = HeaderSize
	}
	return from, to
}
