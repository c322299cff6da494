package transfer

import (
	"context"
	"fmt"
	"io"

	"holdfast/format/blob"
	"holdfast/format/descriptor"
	"holdfast/format/seal"

	"golang.org/x/sync/errgroup"
)

// FileReader reads a file of a share at random. Every byte it returns was
// verified; that the whole file is the one meant shows only when all of it is
// read in order, as Stream and Receive do. Safe for concurrent use.
type FileReader struct {
	ctx    context.Context
	r      *revision
	opener *seal.Opener
}

// Reader opens an entry, which must be a file, for reading at random. Reads end
// with ctx. The download must have been started.
func (s *Share) Reader(ctx context.Context, entry int) (*FileReader, error) {
	return s.reader(ctx, s.Entries[entry])
}

func (d *download) reader(ctx context.Context, of descriptor.Descriptor) (*FileReader, error) {
	if of.Kind != descriptor.File {
		return nil, fmt.Errorf("%s: %w", descriptor.Display(of.Path), ErrNotOne)
	}
	revs, err := d.revisions(ctx, []descriptor.Content{*of.Content})
	if err != nil {
		return nil, err
	}
	r := revs[of.Content.Revision]
	opener, err := seal.NewOpener(r.keys, r.params, of.Content.Commitment)
	if err != nil {
		return nil, integrity(err)
	}
	return &FileReader{ctx, r, opener}, nil
}

// Range writes length bytes from offset of an entry, which must be a file, to w.
// What FileReader says of its bytes holds for these too.
func (s *Share) Range(ctx context.Context, entry int, offset, length int64, w io.Writer) error {
	return s.part(ctx, s.Entries[entry], offset, length, w)
}

func (d *download) part(ctx context.Context, of descriptor.Descriptor, offset, length int64, w io.Writer) error {
	f, err := d.reader(ctx, of)
	if err != nil {
		return err
	}
	name := descriptor.Display(of.Path)
	if offset < 0 || length < 0 || offset > f.Size() || length > f.Size()-offset {
		return fmt.Errorf("%s: %w: no %d bytes at %d in a file of %d", name, seal.ErrLength, length, offset, f.Size())
	}
	if length == 0 {
		return nil
	}
	if err := f.copy(&written{w, d.report}, offset, length); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Size of the file in bytes.
func (f *FileReader) Size() int64 { return f.r.content.Size }

// ReadAt implements io.ReaderAt.
func (f *FileReader) ReadAt(p []byte, off int64) (int, error) {
	size := f.Size()
	if off < 0 {
		return 0, fmt.Errorf("read at %d: not within the file", off)
	}
	if off >= size {
		return 0, io.EOF
	}
	want := min(int64(len(p)), size-off)
	if want == 0 {
		return 0, nil
	}
	out := filler{p: p[:want]}
	if err := f.copy(&out, off, want); err != nil {
		return out.n, err
	}
	if want < int64(len(p)) {
		return out.n, io.EOF
	}
	return out.n, nil
}

// copy fetches no more than the segments that hold the range, with a proof for
// each blob that these lie in.
func (f *FileReader) copy(w io.Writer, off, length int64) error {
	span, err := seal.Cover(f.r.length, off, length)
	if err != nil {
		return err
	}
	src := &rangeReader{f: f, at: span.From, to: span.To}
	return sealed(f.opener.OpenSpan(w, src, span, f.r.length))
}

// filler writes to memory of the right size.
type filler struct {
	p []byte
	n int
}

func (f *filler) Write(b []byte) (int, error) {
	n := copy(f.p[f.n:], b)
	f.n += n
	return n, nil
}

// rangeReader yields bytes of the stream, fetching some pieces at once.
type rangeReader struct {
	f      *FileReader
	at, to int64
	have   [][]byte
}

func (r *rangeReader) Read(p []byte) (int, error) {
	for len(r.have) == 0 {
		if r.at >= r.to {
			return 0, io.EOF
		}
		if err := r.fetch(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.have[0])
	if r.have[0] = r.have[0][n:]; len(r.have[0]) == 0 {
		r.have = r.have[1:]
	}
	return n, nil
}

// fetch gets what is wanted of the next pieces.
func (r *rangeReader) fetch() error {
	g, ctx := errgroup.WithContext(r.f.ctx)
	var have [inFlight][]byte
	n := 0
	for ; n < inFlight && r.at < r.to; n++ {
		piece := 0
		start, length := int64(0), r.f.r.length
		if r.f.r.length > blob.PackMax {
			piece = int(r.at / blob.MaxSize)
			start, length = blob.Piece(r.f.r.length, piece)
		}
		from, to := r.at-start, min(r.to-start, length)
		slot := n
		g.Go(func() (err error) {
			have[slot], err = r.f.part(ctx, piece, from, to-from)
			return err
		})
		r.at = start + to
	}
	if err := g.Wait(); err != nil {
		return err
	}
	r.have = have[:n]
	return nil
}

// part fetches some bytes of a piece.
func (f *FileReader) part(ctx context.Context, piece int, offset, length int64) ([]byte, error) {
	e, err := f.r.extent(ctx, piece, false)
	if err != nil {
		return nil, err
	}
	var buf []byte
	if e.offset+offset == 0 && length == e.Size { // read whole, without a proof
		buf = make([]byte, length)
	}
	return f.r.d.take(ctx, f.r.at(piece), e.offset+offset, length, buf)
}
