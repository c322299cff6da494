package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/internal/golden"
)

// sealed is a stream of four pieces with what belongs to it.
type sealed struct {
	k         Keys
	p         Params
	want      Content
	plaintext []byte
	stream    []byte
	names     []id.Name
}

func fourPieces(t *testing.T) sealed {
	t.Helper()
	k, p := testKeys(50)
	plaintext := golden.Pattern(26<<20 + 3)
	stream, want, err := Seal(nil, k, p, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	s := sealed{k, p, want, plaintext, stream, nil}
	for i := range blob.Pieces(int64(len(stream))) {
		at, n := blob.Piece(int64(len(stream)), i)
		s.names = append(s.names, blob.Name(stream[at:at+n]))
	}
	if len(s.names) != 4 {
		t.Fatalf("%d pieces", len(s.names))
	}
	return s
}

// counted is a Source that counts the pieces not given back, and may fail.
type counted struct {
	src   *cutSource
	out   atomic.Int64  // pieces given out and not released
	fail  map[int]error // instead of that piece
	n     int
	extra bool // adds a piece behind the last
	name  func(i int) id.Name
}

func newCounted(stream []byte) *counted {
	return &counted{src: pieces(stream)}
}

func (c *counted) Next() (*Piece, error) {
	i := c.n
	c.n++
	if err := c.fail[i]; err != nil {
		return nil, err
	}
	p, err := c.src.Next()
	if err == io.EOF && c.extra {
		c.extra = false
		p, err = &Piece{Bytes: make([]byte, 1000)}, nil
	}
	if err != nil {
		return nil, err
	}
	c.out.Add(1)
	p.Free = func() { c.out.Add(-1) }
	if c.name != nil {
		p.Name = c.name(i)
	}
	return p, nil
}

// settled closes a Reader and demands that it released every piece.
func (c *counted) settled(t *testing.T, r *Reader) {
	t.Helper()
	r.Close()
	<-r.line.drained
	if n := c.out.Load(); n != 0 {
		t.Errorf("%d pieces not released", n)
	}
}

func TestReaderWays(t *testing.T) {
	s := fourPieces(t)
	for name, read := range map[string]func(r *Reader) ([]byte, error){
		"ReadAll":     func(r *Reader) ([]byte, error) { return io.ReadAll(r) },
		"large steps": func(r *Reader) ([]byte, error) { return io.ReadAll(struct{ io.Reader }{r}) },
		"half reads":  func(r *Reader) ([]byte, error) { return io.ReadAll(iotest.HalfReader(r)) },
		"WriteTo":     func(r *Reader) ([]byte, error) { var b bytes.Buffer; _, err := r.WriteTo(&b); return b.Bytes(), err },
		"Read, then WriteTo": func(r *Reader) ([]byte, error) {
			head := make([]byte, 12345)
			if _, err := io.ReadFull(r, head); err != nil {
				return nil, err
			}
			b := bytes.NewBuffer(head)
			_, err := r.WriteTo(b)
			return b.Bytes(), err
		},
	} {
		t.Run(name, func(t *testing.T) {
			src := newCounted(s.stream)
			r, err := NewReader(t.Context(), s.k, s.want, src, Options{Workers: 3})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			got, err := read(r)
			if err != nil || !bytes.Equal(got, s.plaintext) {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Error("Read after the end:", n, err)
			}
			src.settled(t, r)
		})
	}
}

// Names that the source has checked are not computed again, and make the root.
func TestReaderTakesNames(t *testing.T) {
	s := fourPieces(t)
	read := func(name func(int) id.Name) error {
		src := newCounted(s.stream)
		src.name = name
		r, err := NewReader(t.Context(), s.k, s.want, src, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		_, err = io.Copy(io.Discard, r)
		return err
	}
	if err := read(func(i int) id.Name { return s.names[i] }); err != nil {
		t.Error(err)
	}
	if err := read(func(i int) id.Name { return s.names[i/2] }); !errors.Is(err, ErrRoot) {
		t.Error("names of other pieces:", err)
	}
}

func TestReaderResumes(t *testing.T) {
	s := fourPieces(t)
	for first := range 5 {
		from := min(first*blob.MaxSize, len(s.stream))
		o := Options{Before: s.names[:first], Params: s.p}
		src := pieces(s.stream[from:])
		src.next = first
		r, err := NewReader(t.Context(), s.k, s.want, src, o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		start := min(int(PieceStart(first)), len(s.plaintext))
		if err != nil || !bytes.Equal(got, s.plaintext[start:]) {
			t.Fatalf("from piece %d: %d bytes, %v", first, len(got), err)
		}
		r.Close()
	}
	wrong := func(want error, o Options) {
		t.Helper()
		r, err := NewReader(t.Context(), s.k, s.want, &cutSource{s.stream[blob.MaxSize:], 1}, o)
		if err == nil {
			defer r.Close()
			_, err = io.Copy(io.Discard, r)
		}
		if !errors.Is(err, want) {
			t.Errorf("%v, wanted %v", err, want)
		}
	}
	wrong(ErrRoot, Options{Before: []id.Name{s.names[1]}, Params: s.p})
	wrong(ErrCommitment, Options{Before: s.names[:1]})
	wrong(ErrLength, Options{Before: make([]id.Name, 5), Params: s.p})
}

// Threats row 11: what is known only at the end is an error at the end, never io.EOF.
func TestReaderFailsAtTheEnd(t *testing.T) {
	s := fourPieces(t)
	root, longer := s.want, s.want
	root.Root[0] ^= 1
	longer.TrueSize--
	for name, c := range map[string]struct {
		want Content
		err  error
	}{"root": {root, ErrRoot}, "padding": {longer, ErrPadding}} {
		t.Run(name, func(t *testing.T) {
			for _, read := range []func(io.Reader) (int64, error){
				func(r io.Reader) (int64, error) { return r.(*Reader).WriteTo(io.Discard) },
				func(r io.Reader) (int64, error) { b, err := io.ReadAll(r); return int64(len(b)), err },
			} {
				r, err := NewReader(t.Context(), s.k, c.want, pieces(s.stream), Options{})
				if err != nil {
					t.Fatal(err)
				}
				n, err := read(r)
				if !errors.Is(err, c.err) || n != c.want.TrueSize {
					t.Errorf("%d bytes, %v", n, err)
				}
				if _, again := r.Read(make([]byte, 1)); again != err {
					t.Error("the error does not stay:", again)
				}
				r.Close()
			}
		})
	}
}

func TestReaderGoesOn(t *testing.T) {
	s := fourPieces(t)
	src := newCounted(s.stream)
	src.extra = true
	r, err := NewReader(t.Context(), s.k, s.want, src, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.WriteTo(io.Discard); !errors.Is(err, ErrLength) || n != s.want.TrueSize {
		t.Errorf("%d bytes, %v", n, err)
	}
	src.settled(t, r)
}

func TestReaderSourceFails(t *testing.T) {
	s := fourPieces(t)
	for i := range 5 {
		for _, cause := range []error{errDisk, fmt.Errorf("body: %w", io.EOF), io.ErrUnexpectedEOF} {
			src := newCounted(s.stream)
			src.fail = map[int]error{i: cause}
			r, err := NewReader(t.Context(), s.k, s.want, src, Options{})
			if err != nil {
				t.Fatal(err)
			}
			n, err := r.WriteTo(io.Discard)
			if err == nil || errors.Is(err, io.EOF) || cause == errDisk && !errors.Is(err, errDisk) {
				t.Errorf("piece %d fails with %v: %d bytes, %v", i, cause, n, err)
			}
			src.settled(t, r)
		}
	}
}

func TestReaderWriteFails(t *testing.T) {
	s := fourPieces(t)
	r, err := NewReader(t.Context(), s.k, s.want, pieces(s.stream), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := r.WriteTo(&limited{9 << 20}); !errors.Is(err, errDisk) || n > 9<<20 {
		t.Error(n, err)
	}
	short, err := NewReader(t.Context(), s.k, s.want, pieces(s.stream), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer short.Close()
	if _, err := short.WriteTo(shortWriter{}); err != io.ErrShortWrite {
		t.Error(err)
	}
}

type limited struct{ left int }

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.left {
		return 0, errDisk
	}
	l.left -= len(p)
	return len(p), nil
}

type shortWriter struct{}

func (shortWriter) Write(p []byte) (int, error) { return len(p) / 2, nil }

// Close at any moment releases every piece.
func TestReaderStopsEarly(t *testing.T) {
	s := fourPieces(t)
	for _, n := range []int64{0, 1, 9 << 20, 20 << 20} {
		src := newCounted(s.stream)
		r, err := NewReader(t.Context(), s.k, s.want, src, Options{Workers: 2})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, r, n); err != nil {
			t.Fatal(err)
		}
		r.Close()
		r.Close()
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, ErrClosed) {
			t.Error("Read after Close:", err)
		}
		src.settled(t, r)
	}
}

func TestReaderRefusesImpossibleSize(t *testing.T) {
	for _, n := range []int64{-1, largest + 1} {
		if _, err := NewReader(t.Context(), Keys{}, Content{TrueSize: n}, pieces(nil), Options{}); !errors.Is(err, ErrLength) {
			t.Errorf("%d: %v", n, err)
		}
	}
}

func TestOpenRange(t *testing.T) {
	s := fourPieces(t)
	o, err := NewOpener(s.k, s.p, s.want.Commitment)
	if err != nil {
		t.Fatal(err)
	}
	length := int64(len(s.stream))
	src := bytes.NewReader(s.stream)
	for _, r := range [][2]int64{{0, 1}, {0, plainFirst}, {plainFirst - 1, 2}, {PieceStart(1) - 5, 10}, {PieceStart(3), 1 << 20}, {int64(len(s.plaintext)) - 1, 1}, {5, 9 << 20}} {
		var out bytes.Buffer
		if err := o.OpenRange(&out, src, length, r[0], r[1]); err != nil || !bytes.Equal(out.Bytes(), s.plaintext[r[0]:r[0]+r[1]]) {
			t.Errorf("%v: %d bytes, %v", r, out.Len(), err)
		}
	}
	if err := o.OpenRange(io.Discard, src, length, length, 1); !errors.Is(err, ErrLength) {
		t.Error("behind the end:", err)
	}
	if err := o.OpenRange(&limited{5}, src, length, 0, 10); !errors.Is(err, errDisk) {
		t.Error("write fails:", err)
	}
	if err := o.OpenRange(io.Discard, badReaderAt{}, length, 0, 10); !errors.Is(err, errDisk) {
		t.Error("read fails:", err)
	}
}
