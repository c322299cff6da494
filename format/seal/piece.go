package seal

import (
	"context"
	"fmt"
	"io"
	"iter"

	"holdfast/format/blob"
	"holdfast/format/id"
)

// Content is what a descriptor says of a stream.
type Content struct {
	Commitment, Root [32]byte
	TrueSize         int64
}

// Piece is one 8 MiB piece of a stream (the last may be shorter) in a buffer
// that is given back by Release.
type Piece struct {
	Index int
	Bytes []byte  // the whole piece; whoever holds the Piece may overwrite it
	Name  id.Name // BLAKE3 of Bytes; the zero name means that nobody computed it yet
	Last  bool

	// Free is called by the first Release, if set.
	Free func()
}

// Release gives the buffer back. Bytes must not be used afterwards.
func (p *Piece) Release() {
	free := p.Free
	p.Bytes, p.Free = nil, nil
	if free != nil {
		free()
	}
}

// Buffers is a bounded stock of buffers of 8 MiB: the memory that transfers
// may use at most. They are made when first needed. Several streams may share a
// stock if their pieces are taken independently of each other.
type Buffers struct{ slots chan []byte }

// NewBuffers allows n ≥ 1 buffers.
func NewBuffers(n int) *Buffers {
	b := &Buffers{slots: make(chan []byte, n)}
	for range n {
		b.slots <- nil
	}
	return b
}

// Get waits for a buffer of blob.MaxSize bytes, of arbitrary content, and
// returns it with the function that gives it back, to be called once.
func (b *Buffers) Get(ctx context.Context) (buf []byte, free func(), err error) {
	select {
	case buf = <-b.slots:
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	if buf == nil {
		buf = make([]byte, blob.MaxSize)
	}
	return buf, func() { b.slots <- buf }, nil
}

// slot is where the segment of a number stands within a piece.
type slot struct {
	segment  int64
	from, to int // ciphertext with tag, without the header
}

// plain is the number of plaintext bytes in the slot; they stand at its front.
func (s slot) plain() int { return s.to - s.from - TagSize }

// slots yields the slots of piece index, of n bytes.
func slots(index, n int) iter.Seq[slot] {
	return func(yield func(slot) bool) {
		for at := 0; at < n; at += SegmentSize {
			s := slot{segment: int64(index)*pieceSegments + int64(at/SegmentSize), from: at, to: min(at+SegmentSize, n)}
			if s.segment == 0 {
				s.from = HeaderSize
			}
			if !yield(s) {
				return
			}
		}
	}
}

// sealPiece seals a piece in place: the plaintext stands at the front of each
// slot, or is put there by fill, so that every segment is read, sealed and
// hashed while it is in the cache. It returns the name.
func (s *Sealer) sealPiece(b []byte, index int, last bool, fill func(dst []byte, offset int64) error) (id.Name, error) {
	h, start := blob.NewHasher(), 0
	if index == 0 {
		s.AppendHeader(b[:0])
	}
	for sl := range slots(index, len(b)) {
		text := b[sl.from : sl.from+sl.plain()]
		if fill != nil {
			if err := fill(text, segmentStart(sl.segment)); err != nil {
				return id.Name{}, err
			}
		}
		s.seal(b[sl.from:sl.from], text, uint32(sl.segment), last && sl.to == len(b))
		h.Write(b[start:sl.to])
		start = sl.to
	}
	return h.Name(), nil
}

// SealPiece seals piece index of the stream of a source of trueSize bytes into
// buf, which has room for a piece, and returns the piece and its name. It fails
// with ErrSource if the source is no longer that long.
func (s *Sealer) SealPiece(buf []byte, src io.ReaderAt, trueSize int64, index int) ([]byte, id.Name, error) {
	length, err := PaddedStreamLength(trueSize)
	if err != nil {
		return nil, id.Name{}, err
	}
	if index < 0 || index >= blob.Pieces(length) {
		return nil, id.Name{}, fmt.Errorf("%w: no piece %d in a stream of %d", ErrLength, index, length)
	}
	_, n := blob.Piece(length, index)
	last := index == blob.Pieces(length)-1
	if last {
		if err := atEnd(src, trueSize); err != nil {
			return nil, id.Name{}, err
		}
	}
	piece := buf[:n]
	name, err := s.sealPiece(piece, index, last, func(dst []byte, offset int64) error {
		return readAt(src, dst, offset, trueSize)
	})
	return piece, name, err
}

// readAt fills dst from offset of src, with zeros from size on.
func readAt(src io.ReaderAt, dst []byte, offset, size int64) error {
	n := int(max(0, min(int64(len(dst)), size-offset)))
	if n > 0 {
		if got, err := src.ReadAt(dst[:n], offset); got < n {
			if err == io.EOF {
				return fmt.Errorf("%w: it ended before its %d bytes", ErrSource, size)
			}
			return failure("read source", err)
		}
	}
	clear(dst[n:])
	return nil
}

// atEnd checks that src ends at size.
func atEnd(src io.ReaderAt, size int64) error {
	var one [1]byte
	if n, err := src.ReadAt(one[:], size); n > 0 {
		return fmt.Errorf("%w: it has more than its %d bytes", ErrSource, size)
	} else if err != nil && err != io.EOF {
		return failure("read source", err)
	}
	return nil
}
