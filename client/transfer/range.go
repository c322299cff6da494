package transfer

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"holdfast/format/blob"
	"holdfast/format/descriptor"
	"holdfast/format/seal"
)

// Range writes length bytes from offset of an entry's content, which must be a
// file, to w. It fetches no more than the segments that hold them, with a proof
// for each blob that these lie in. Every byte was verified under the file's keys
// and stands where it should; that the rest of the file is whole stays unknown.
func (s *Share) Range(ctx context.Context, entry int, offset, length int64, w io.Writer) error {
	d := s.Entries[entry]
	if d.Kind != descriptor.File {
		return fmt.Errorf("%s: %w", descriptor.Display(d.Path), ErrNotOne)
	}
	if offset < 0 || length < 0 || offset > d.Content.Size || length > d.Content.Size-offset {
		return fmt.Errorf("%s: %w: no %d bytes at %d in a file of %d", descriptor.Display(d.Path), seal.ErrLength, length, offset, d.Content.Size)
	}
	if length == 0 {
		return nil
	}
	revs, err := s.revisions(ctx, []descriptor.Content{*d.Content})
	if err != nil {
		return err
	}
	if err := s.span(ctx, revs[d.Content.Revision], offset, length, &written{w, s.report}); err != nil {
		return fmt.Errorf("%s: %w", descriptor.Display(d.Path), err)
	}
	return nil
}

// span fetches and opens the segments that cover a range of the plaintext.
func (s *Share) span(ctx context.Context, r *revision, offset, length int64, w io.Writer) error {
	opener, err := seal.NewOpener(r.keys, r.params, r.content.Commitment)
	if err != nil {
		return integrity(err)
	}
	sp, err := seal.Cover(r.length, offset, length)
	if err != nil {
		return err
	}
	return sealed(opener.OpenSpan(w, &ciphertext{s: s, ctx: ctx, r: r, from: sp.From, to: sp.To}, sp, r.length))
}

// ciphertext reads bytes from to to of a stream, a part of a blob at a time.
type ciphertext struct {
	s        *Share
	ctx      context.Context
	r        *revision
	from, to int64
	have     bytes.Reader
}

// Read implements io.Reader.
func (c *ciphertext) Read(p []byte) (int, error) {
	for c.have.Len() == 0 {
		if c.from == c.to {
			return 0, io.EOF
		}
		part, err := c.next()
		if err != nil {
			return 0, err
		}
		c.have.Reset(part)
		c.from += int64(len(part))
	}
	return c.have.Read(p)
}

// next fetches what the blob at from holds of the range.
func (c *ciphertext) next() ([]byte, error) {
	i, start, end := 0, int64(0), c.r.length
	if c.r.length > blob.PackMax {
		i = int(c.from / blob.MaxSize)
		from, n := blob.Piece(c.r.length, i)
		start, end = from, from+n
	}
	e, err := c.r.extent(c.ctx, i, false)
	if err != nil {
		return nil, err
	}
	n := min(c.to, end) - c.from
	buf, free, err := c.s.buffers.Get(c.ctx) // only a whole blob is read into it
	if err != nil {
		return nil, err
	}
	defer free()
	data, err := c.s.take(c.ctx, c.r.at(i), e.offset+c.from-start, n, buf)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(data), nil
}
