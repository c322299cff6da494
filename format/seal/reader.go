package seal

import (
	"context"
	"fmt"
	"io"
	"slices"

	"holdfast/format/blob"
	"holdfast/format/id"
)

// Reader opens the pieces of a stream in parallel and yields the plaintext in
// order. It never yields a byte whose segment did not verify. That the stream
// is whole and the one meant (ErrRoot, ErrPadding, a missing end) shows only
// after the last byte: whoever writes a file writes to a temporary one, and
// renames it once Read has returned io.EOF or WriteTo nil.
type Reader struct {
	keys   Keys
	want   Content
	length int64
	params Params
	opener *Opener // set by the feeder before it feeds the first piece
	line   *pipeline[opening]
	names  []id.Name
	dirty  bool // a padding byte was not zero

	now  *opening // being read
	text []byte   // what is left of its current slot
	next int      // offset in now.piece.Bytes of the next slot
	err  error
}

// opening is a piece on its way. Segments are opened in place.
type opening struct {
	piece *Piece
	text  int64 // plaintext bytes of the piece that belong to the file
	dirty bool
}

// NewReader opens the stream that src yields: cut in pieces of 8 MiB, as Stream
// cuts it. A piece with a name is taken to have been checked against it; others
// are hashed here. The Reader overwrites the pieces and releases them. A Next of
// src that blocks outlives Close; what it brings is released.
func NewReader(ctx context.Context, k Keys, want Content, src Source, o Options) (*Reader, error) {
	length, err := PaddedStreamLength(want.TrueSize)
	if err != nil {
		return nil, err
	}
	if len(o.Before) > blob.Pieces(length) {
		return nil, fmt.Errorf("%w: more pieces than the stream has", ErrLength)
	}
	workers := o.workers()
	r := &Reader{keys: k, want: want, length: length, params: o.Params, names: slices.Clone(o.Before)}
	first := len(o.Before)
	feed := func(ctx context.Context, emit func(*opening) error) error { return r.feed(ctx, src, first, emit) }
	r.line = start(ctx, workers, workers, feed, r.open, func(p *opening) { p.piece.Release() })
	return r, nil
}

// feed takes the pieces from the source and checks what can be checked before
// a segment is opened.
func (r *Reader) feed(ctx context.Context, src Source, first int, emit func(*opening) error) error {
	if first > 0 {
		if err := r.commit(r.params); err != nil {
			return err
		}
	}
	for i := first; i < blob.Pieces(r.length); i++ {
		p, err := src.Next()
		if err == io.EOF {
			return fmt.Errorf("%w: it ends after %d of %d pieces", ErrLength, i, blob.Pieces(r.length))
		}
		if err != nil {
			return failure("next piece", err)
		}
		if err := r.accept(p, i); err != nil {
			p.Release()
			return err
		}
		if err := emit(&opening{piece: p}); err != nil {
			return err
		}
	}
	switch p, err := src.Next(); {
	case err == nil:
		p.Release()
		return fmt.Errorf("%w: it goes on after its end", ErrLength)
	case err != io.EOF:
		return failure("next piece", err)
	}
	return nil
}

// accept checks a piece before it is opened: header, length, commitment.
func (r *Reader) accept(p *Piece, i int) error {
	var params Params
	if i == 0 {
		var err error
		if params, err = ParseHeader(p.Bytes); err != nil {
			return err
		}
	}
	if _, n := blob.Piece(r.length, i); int64(len(p.Bytes)) != n {
		return fmt.Errorf("%w: piece %d has %d bytes instead of %d", ErrLength, i, len(p.Bytes), n)
	}
	p.Index, p.Last = i, i == blob.Pieces(r.length)-1
	if i == 0 {
		return r.commit(params)
	}
	return nil
}

func (r *Reader) commit(p Params) (err error) {
	r.opener, err = NewOpener(r.keys, p, r.want.Commitment)
	return err
}

// open is the workers' part: hash, open in place, look at the padding.
func (r *Reader) open(o *opening) error {
	p := o.piece
	h, hashed := blob.NewHasher(), 0
	named := p.Name != id.Name{}
	for sl := range slots(p.Index, len(p.Bytes)) {
		if !named {
			h.Write(p.Bytes[hashed:sl.to])
			hashed = sl.to
		}
		b := p.Bytes[sl.from:sl.to]
		text, err := r.opener.OpenSegment(b[:0], b, uint32(sl.segment), p.Last && sl.to == len(p.Bytes))
		if err != nil {
			return err
		}
		mine := max(0, min(int64(len(text)), r.want.TrueSize-segmentStart(sl.segment)))
		o.text += mine
		o.dirty = o.dirty || !allZero(text[mine:])
	}
	if !named {
		p.Name = h.Name()
	}
	return nil
}

// more makes r.text non-empty or sets r.err.
func (r *Reader) more() bool {
	for len(r.text) == 0 && r.err == nil {
		if r.now == nil || r.now.text == 0 {
			r.turn()
			continue
		}
		p := r.now.piece
		for sl := range slots(p.Index, len(p.Bytes)) {
			if sl.to > r.next {
				n := min(int64(sl.plain()), r.now.text)
				r.text = p.Bytes[sl.from : int64(sl.from)+n]
				r.next, r.now.text = sl.to, r.now.text-n
				break
			}
		}
	}
	return len(r.text) > 0
}

// turn releases the current piece and gets the next, or ends the stream.
func (r *Reader) turn() {
	if r.now != nil {
		r.now.piece.Release()
		r.now = nil
	}
	o, err := r.line.next()
	if err != nil {
		r.err = err
		if err == io.EOF {
			r.err = r.finish()
		}
		return
	}
	r.now, r.next = o, 0
	r.names = append(r.names, o.piece.Name)
	r.dirty = r.dirty || o.dirty
}

// finish does the checks that need the whole stream.
func (r *Reader) finish() error {
	if blob.Root(r.names) != r.want.Root {
		return ErrRoot
	}
	if r.dirty {
		return ErrPadding
	}
	return io.EOF
}

// Read yields plaintext. io.EOF means that every check of the whole stream passed.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !r.more() {
		return 0, r.err
	}
	n := copy(p, r.text)
	r.text = r.text[n:]
	return n, nil
}

// WriteTo writes all plaintext to w without copying it. nil means that every
// check of the whole stream passed.
func (r *Reader) WriteTo(w io.Writer) (total int64, err error) {
	for r.more() {
		n, err := w.Write(r.text)
		total += int64(n)
		r.text = r.text[n:]
		if err != nil {
			return total, err
		}
		if len(r.text) > 0 {
			return total, io.ErrShortWrite
		}
	}
	if r.err == io.EOF { // itself: a broken source may wrap one
		return total, nil
	}
	return total, r.err
}

// Close stops the Reader at any time and releases the pieces it holds.
func (r *Reader) Close() {
	r.line.close()
	if r.now != nil {
		r.now.piece.Release()
		r.now, r.text = nil, nil
	}
	if r.err == nil {
		r.err = ErrClosed
	}
}
