package seal

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"

	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/pad"
)

// Options of Stream and Reader. The zero value serves.
type Options struct {
	// Workers seal or open at the same time; 0 is one for every core.
	Workers int
	// Buffers bounds the memory of a Stream. It needs to hold one more than the
	// pieces that the caller keeps; nil is Workers + 2 of its own.
	Buffers *Buffers
	// Before holds the names of the pieces that need not be made or fetched
	// again: the transfer starts with the piece after them. Not for NewStream,
	// whose source has no known size.
	Before []id.Name
	// Params is needed by a Reader that does not start with piece 0, which holds them.
	Params Params
}

func (o *Options) workers() int {
	if o.Workers > 0 {
		return o.Workers
	}
	return runtime.GOMAXPROCS(0)
}

func (o *Options) buffers() *Buffers {
	if o.Buffers != nil {
		return o.Buffers
	}
	return NewBuffers(o.workers() + 2)
}

// Source yields the pieces of a stream in order, io.EOF after the last. A
// Stream is a Source, and so is a download.
type Source interface{ Next() (*Piece, error) }

// Stream seals a source in parallel and hands out its pieces in order, each
// sealed and hashed once. Next is for one goroutine, pieces may be used by
// any. A piece that is not released is not made twice: Next waits for buffers.
type Stream struct {
	sealer  *Sealer
	buffers *Buffers
	line    *pipeline[Piece]
	names   []id.Name
	next    int   // index of the next piece, of the feeder
	size    int64 // set by the feeder before the last piece is fed
	length  int64
	ended   bool
}

// NewStream seals what r yields until io.EOF, of any length. Keys and Params
// must not have sealed anything else. A Read that blocks outlives Close; what
// it brings is dropped.
func NewStream(ctx context.Context, k Keys, p Params, r io.Reader, o Options) *Stream {
	if len(o.Before) > 0 {
		panic("seal: a source of unknown size cannot resume")
	}
	s := newStream(k, p, o)
	f := feeder{s: s, r: r}
	s.line = start(ctx, o.workers(), cap(s.buffers.slots), f.run, func(p *Piece) error {
		return s.seal(p, nil)
	}, (*Piece).Release)
	return s
}

// NewStreamAt seals a source of known size, which the workers read themselves.
// If it ends earlier or later, the last piece fails with ErrSource.
func NewStreamAt(ctx context.Context, k Keys, p Params, src io.ReaderAt, size int64, o Options) *Stream {
	s := newStream(k, p, o)
	feed := func(ctx context.Context, emit func(*Piece) error) (err error) {
		s.size = size
		if s.length, err = PaddedStreamLength(size); err != nil {
			return err
		}
		pieces := blob.Pieces(s.length)
		if s.next > pieces {
			return fmt.Errorf("%w: it has fewer pieces than were sent", ErrSource)
		}
		for ; s.next < pieces; s.next++ {
			if err := s.emit(ctx, emit, s.next == pieces-1); err != nil {
				return err
			}
		}
		return nil
	}
	s.line = start(ctx, o.workers(), cap(s.buffers.slots), feed, func(p *Piece) error {
		if p.Last {
			if err := atEnd(src, size); err != nil {
				return err
			}
		}
		return s.seal(p, func(dst []byte, offset int64) error { return readAt(src, dst, offset, size) })
	}, (*Piece).Release)
	return s
}

func newStream(k Keys, p Params, o Options) *Stream {
	return &Stream{
		sealer:  NewSealer(k, p),
		buffers: o.buffers(),
		names:   slices.Clone(o.Before),
		next:    len(o.Before),
	}
}

// emit feeds an empty piece for the worker to fill.
func (s *Stream) emit(ctx context.Context, emit func(*Piece) error, last bool) error {
	buf, free, err := s.buffers.Get(ctx)
	if err != nil {
		return err
	}
	_, n := blob.Piece(s.length, s.next)
	return emit(&Piece{Index: s.next, Bytes: buf[:n], Last: last, Free: free})
}

func (s *Stream) seal(p *Piece, fill func([]byte, int64) error) (err error) {
	p.Name, err = s.sealer.sealPiece(p.Bytes, p.Index, p.Last, fill)
	return err
}

// Commitment is known from the start.
func (s *Stream) Commitment() [32]byte { return s.sealer.commitment }

// Next returns the next piece, or io.EOF after the last. An error ends the stream.
func (s *Stream) Next() (*Piece, error) {
	p, err := s.line.next()
	if err != nil {
		s.ended = err == io.EOF
		return nil, err
	}
	s.names = append(s.names, p.Name)
	return p, nil
}

// Result is what is known once Next has returned io.EOF.
type Result struct {
	Content
	Length int64     // of the stream
	Names  []id.Name // of all pieces, those of Options.Before included
}

// Result returns it; before the end it panics, since its parts would be wrong.
func (s *Stream) Result() Result {
	if !s.ended {
		panic("seal: Result before the end of the stream")
	}
	return Result{
		Content: Content{Commitment: s.sealer.commitment, Root: blob.Root(s.names), TrueSize: s.size},
		Length:  s.length,
		Names:   s.names,
	}
}

// Close stops the stream at any time. Pieces handed out stay valid until released.
func (s *Stream) Close() { s.line.close() }

// maxIdle is how often a source may return no bytes and no error.
const maxIdle = 100

// feeder reads a source of unknown length into pieces.
type feeder struct {
	s    *Stream
	r    io.Reader
	at   int64   // bytes of the source in pieces so far
	peek [1]byte // the byte after a full piece, read to learn whether it was the last
	have int     // bytes in peek
	eof  bool
}

func (f *feeder) run(ctx context.Context, emit func(*Piece) error) error {
	for last := false; !last; f.s.next++ {
		buf, free, err := f.s.buffers.Get(ctx)
		if err != nil {
			return err
		}
		p := &Piece{Index: f.s.next, Bytes: buf, Free: free}
		if err := f.fill(p); err != nil {
			p.Release()
			return err
		}
		last = p.Last
		if err := emit(p); err != nil {
			return err
		}
	}
	return nil
}

// fill reads the plaintext of a piece to where its ciphertext will stand, and
// zeros after the source's end.
func (f *feeder) fill(p *Piece) error {
	for sl := range slots(p.Index, len(p.Bytes)) {
		text := p.Bytes[sl.from : sl.from+sl.plain()]
		n, err := f.read(text)
		if err != nil {
			return err
		}
		clear(text[n:])
		f.at += int64(n)
	}
	if !f.eof {
		if err := f.lookAhead(); err != nil {
			return err
		}
	}
	if f.have > 0 { // even if the source said io.EOF with that byte
		return f.within(pad.Length(f.at + 1))
	}
	if f.s.length == 0 {
		f.s.size = f.at
		if err := f.within(pad.Length(f.at)); err != nil {
			return err
		}
		f.s.length = StreamLength(pad.Length(f.at))
	}
	_, n := blob.Piece(f.s.length, p.Index)
	p.Bytes = p.Bytes[:n]
	p.Last = p.Index == blob.Pieces(f.s.length)-1
	return nil
}

// within refuses a source as soon as it is too large for the format.
func (f *feeder) within(padded int64) error {
	if StreamLength(padded) > MaxLength {
		return fmt.Errorf("%w: more plaintext than a stream of %d bytes holds", ErrLength, int64(MaxLength))
	}
	return nil
}

// read fills dst from the source as far as it goes.
func (f *feeder) read(dst []byte) (int, error) {
	n := copy(dst, f.peek[:f.have])
	f.have = 0
	if f.eof {
		return n, nil
	}
	// io.ReadFull would not tell the end from a source that was cut off, which
	// may say io.ErrUnexpectedEOF.
	for idle := 0; n < len(dst); {
		m, err := f.r.Read(dst[n:])
		n += m
		switch {
		case err == io.EOF:
			f.eof = true
			return n, nil
		case err != nil:
			return 0, failure("read source", err)
		case m > 0:
			idle = 0
		default:
			if idle++; idle == maxIdle {
				return 0, fmt.Errorf("seal: read source: %w", io.ErrNoProgress)
			}
		}
	}
	return n, nil
}

// lookAhead learns whether the source ends after a full piece.
func (f *feeder) lookAhead() error {
	n, err := f.read(f.peek[:])
	f.have = n
	return err
}
