package seal

import (
	"fmt"
	"io"
)

// OpenSpan reads the ciphertext of a span (bytes From to To of the stream) from
// src, opens its segments and writes the wanted plaintext to w, segment by
// segment. length is that of the whole stream: it tells which segment is the last. A
// range read does not check root and padding, which need the whole stream.
func (o *Opener) OpenSpan(w io.Writer, src io.Reader, sp Span, length int64) error {
	buf := make([]byte, SegmentSize)
	skip, left := sp.Skip, sp.Length
	for i := sp.First; i < sp.First+sp.Count; i++ {
		from, to := segmentRange(length, i)
		b := buf[:to-from]
		if _, err := io.ReadFull(src, b); err != nil {
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				return fmt.Errorf("%w: it ends within segment %d", ErrLength, i)
			}
			return failure("read segment", err)
		}
		text, err := o.OpenSegment(b[:0], b, uint32(i), to == length)
		if err != nil {
			return err
		}
		text = text[skip:]
		text = text[:min(int64(len(text)), left)]
		skip, left = 0, left-int64(len(text))
		if _, err := w.Write(text); err != nil {
			return fmt.Errorf("seal: write plaintext: %w", err)
		}
	}
	return nil
}

// OpenRange opens length ≥ 1 bytes of padded plaintext from offset of a stream
// of streamLength bytes that can be read at random, into dst.
func (o *Opener) OpenRange(dst io.Writer, stream io.ReaderAt, streamLength, offset, length int64) error {
	sp, err := Cover(streamLength, offset, length)
	if err != nil {
		return err
	}
	return o.OpenSpan(dst, io.NewSectionReader(stream, sp.From, sp.To-sp.From), sp, streamLength)
}
