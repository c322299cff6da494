package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/internal/golden"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collect takes all pieces of a stream, checks how they are numbered and named,
// and returns the stream.
func collect(t testing.TB, s *Stream) []byte {
	t.Helper()
	var out []byte
	for i := 0; ; i++ {
		p, err := s.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if p.Index != i || p.Name != blob.Name(p.Bytes) {
			t.Fatalf("piece %d is numbered %d and named %s", i, p.Index, p.Name)
		}
		out = append(out, p.Bytes...)
		p.Release()
	}
	res := s.Result()
	if res.Length != int64(len(out)) || res.Root != blob.Root(res.Names) || !ValidStreamLength(res.Length) {
		t.Fatalf("%d bytes, result %+v", len(out), res)
	}
	return out
}

// The three ways to seal give the same, at every boundary that there is.
func TestStreamSizes(t *testing.T) {
	k, p := testKeys(30)
	first, second := int(PieceStart(1)), int(PieceStart(2))
	for _, n := range []int{
		0, 1, 1023, 1024, 1025, plainFirst - 1, plainFirst, plainFirst + 1,
		plainFirst + plainRest - 1, plainFirst + plainRest, plainFirst + plainRest + 1,
		first - 1, first, first + 1, 8<<20 - 1<<17, 8<<20 - 1<<17 + 1, 8 << 20, 8<<20 + 1, second - 1, second, second + 1, 20 << 20,
	} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			plaintext := golden.Pattern(int64(n))
			want, content, err := Seal(nil, k, p, plaintext)
			if err != nil {
				t.Fatal(err)
			}
			s := NewStream(t.Context(), k, p, iotest.DataErrReader(bytes.NewReader(plaintext)), Options{})
			defer s.Close()
			if got := collect(t, s); !bytes.Equal(got, want) || s.Result().Content != content {
				t.Fatalf("NewStream gives %d bytes, %+v", len(got), s.Result().Content)
			}
			at := NewStreamAt(t.Context(), k, p, bytes.NewReader(plaintext), int64(n), Options{Workers: 3})
			defer at.Close()
			if got := collect(t, at); !bytes.Equal(got, want) || at.Result().Content != content {
				t.Fatalf("NewStreamAt gives %d bytes, %+v", len(got), at.Result().Content)
			}
			if out, err := Open(nil, k, content, want); err != nil || !bytes.Equal(out, plaintext) {
				t.Fatal("Open:", err)
			}
			if out, err := readParallel(k, content, want); err != nil || !bytes.Equal(out, plaintext) {
				t.Fatal("Reader:", err)
			}
		})
	}
}

func TestStreamProperties(t *testing.T) {
	text := golden.Pattern(17 << 20)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 1<<rapid.IntRange(4, 24).Draw(t, "bits")).Draw(t, "size")
		k, p := testKeys(rapid.Byte().Draw(t, "keys"))
		want, content, err := Seal(nil, k, p, text[:n])
		if err != nil {
			t.Fatal(err)
		}
		s := NewStream(context.Background(), k, p, bytes.NewReader(text[:n]), Options{Workers: rapid.IntRange(1, 4).Draw(t, "workers"), Buffers: NewBuffers(rapid.IntRange(1, 4).Draw(t, "buffers"))})
		defer s.Close()
		r, err := NewReader(context.Background(), k, content, s, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var out bytes.Buffer
		if _, err := r.WriteTo(&out); err != nil || !bytes.Equal(out.Bytes(), text[:n]) {
			t.Fatalf("%d bytes, %v", out.Len(), err)
		}
		if s.Result().Content != content || s.Result().Length != int64(len(want)) {
			t.Fatal("results differ")
		}
	})
}

// Padding is zero even in buffers that held something else before.
func TestDirtyBuffers(t *testing.T) {
	k, p := testKeys(41)
	stock := NewBuffers(1)
	buf, free, err := stock.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range buf {
		buf[i] = 0xff
	}
	free()
	for _, n := range []int64{0, 1000, 300001, 8380000} {
		want, _, err := Seal(bytes.Repeat([]byte{0xff}, 9<<20)[:0], k, p, golden.Pattern(n))
		if err != nil {
			t.Fatal(err)
		}
		s := NewStream(t.Context(), k, p, bytes.NewReader(golden.Pattern(n)), Options{Buffers: stock})
		defer s.Close()
		if !bytes.Equal(collect(t, s), want) {
			t.Errorf("NewStream, %d bytes: padding differs", n)
		}
		at := NewStreamAt(t.Context(), k, p, bytes.NewReader(golden.Pattern(n)), n, Options{Buffers: stock})
		defer at.Close()
		if !bytes.Equal(collect(t, at), want) {
			t.Errorf("NewStreamAt, %d bytes: padding differs", n)
		}
		content := at.Result().Content
		if _, err := Open(nil, k, content, want); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// A retry seals the same bytes again, from any piece on and any piece alone.
func TestResume(t *testing.T) {
	k, p := testKeys(31)
	plaintext := golden.Pattern(26 << 20)
	whole, content, err := Seal(nil, k, p, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	src := bytes.NewReader(plaintext)
	var names []id.Name
	buf := make([]byte, blob.MaxSize)
	for i := range blob.Pieces(int64(len(whole))) {
		at, n := blob.Piece(int64(len(whole)), i)
		b, name, err := NewSealer(k, p).SealPiece(buf, src, int64(len(plaintext)), i)
		if err != nil || !bytes.Equal(b, whole[at:at+n]) || name != blob.Name(b) {
			t.Fatalf("piece %d: %d bytes, %v", i, len(b), err)
		}
		names = append(names, name)
	}
	for first := range len(names) + 1 {
		s := NewStreamAt(t.Context(), k, p, src, int64(len(plaintext)), Options{Before: names[:first]})
		defer s.Close()
		for i := first; i < len(names); i++ {
			piece, err := s.Next()
			if err != nil || piece.Index != i || piece.Name != names[i] || piece.Last != (i == len(names)-1) {
				t.Fatalf("from %d: piece %+v, %v", first, piece, err)
			}
			piece.Release()
		}
		if _, err := s.Next(); err != io.EOF || s.Result().Content != content {
			t.Fatalf("from %d: %v, %+v", first, err, s.Result().Content)
		}
	}
	if _, _, err := NewSealer(k, p).SealPiece(buf, src, int64(len(plaintext)), len(names)); !errors.Is(err, ErrLength) {
		t.Error("a piece behind the end:", err)
	}
	s := NewStreamAt(t.Context(), k, p, src, 5, Options{Before: names})
	defer s.Close()
	if _, err := s.Next(); !errors.Is(err, ErrSource) {
		t.Error("a source with fewer pieces:", err)
	}
}

// Threats row 12: a source that changed gives other names, or ErrSource.
func TestChangedSource(t *testing.T) {
	k, p := testKeys(32)
	plaintext := golden.Pattern(9 << 20)
	last := func(src io.ReaderAt, size int64) error {
		s := NewStreamAt(t.Context(), k, p, src, size, Options{})
		defer s.Close()
		for {
			piece, err := s.Next()
			if err != nil {
				return err
			}
			piece.Release()
		}
	}
	if err := last(bytes.NewReader(plaintext[:9<<20-1]), 9<<20); !errors.Is(err, ErrSource) {
		t.Error("shorter than it was:", err)
	}
	if err := last(bytes.NewReader(append(plaintext, 0)), 9<<20); !errors.Is(err, ErrSource) {
		t.Error("longer than it was:", err)
	}
	if err := last(bytes.NewReader(nil), 1<<20); !errors.Is(err, ErrSource) {
		t.Error("emptied:", err)
	}
	buf := make([]byte, blob.MaxSize)
	_, before, err := NewSealer(k, p).SealPiece(buf, bytes.NewReader(plaintext), 9<<20, 0)
	if err != nil {
		t.Fatal(err)
	}
	edited := bytes.Clone(plaintext)
	edited[4000000] ^= 1
	_, after, err := NewSealer(k, p).SealPiece(buf, bytes.NewReader(edited), 9<<20, 0)
	if err != nil || before == after {
		t.Fatal("an edited source has the same name", err)
	}
}

var errDisk = errors.New("input/output error")

type badReaderAt struct{ good int64 }

func (b badReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.good {
		return 0, errDisk
	}
	return len(p), nil
}

func TestSourceErrors(t *testing.T) {
	k, p := testKeys(33)
	next := func(s *Stream) error {
		defer s.Close()
		for {
			piece, err := s.Next()
			if err != nil {
				_, again := s.Next()
				if again != err {
					t.Error("the error does not stay:", again)
				}
				return err
			}
			piece.Release()
		}
	}
	for name, r := range map[string]io.Reader{
		"at once":       iotest.ErrReader(errDisk),
		"inside":        io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(errDisk)),
		"after a piece": io.MultiReader(bytes.NewReader(make([]byte, PieceStart(1))), iotest.ErrReader(errDisk)),
	} {
		if err := next(NewStream(t.Context(), k, p, r, Options{})); !errors.Is(err, errDisk) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A connection that was cut is not the end of the source.
	for _, cut := range []error{io.ErrUnexpectedEOF, fmt.Errorf("body: %w", io.EOF)} {
		err := next(NewStream(t.Context(), k, p, io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(cut)), Options{}))
		if err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%v becomes %v", cut, err)
		}
	}
	if err := next(NewStream(t.Context(), k, p, stuck{}, Options{})); !errors.Is(err, io.ErrNoProgress) {
		t.Error("a reader without progress:", err)
	}
	for _, good := range []int64{0, 300000, 9 << 20} {
		if err := next(NewStreamAt(t.Context(), k, p, badReaderAt{good}, 10<<20, Options{})); !errors.Is(err, errDisk) {
			t.Errorf("ReadAt fails from %d: %v", good, err)
		}
	}
	if err := next(NewStreamAt(t.Context(), k, p, badReaderAt{}, -1, Options{})); !errors.Is(err, ErrLength) {
		t.Error("negative size:", err)
	}
	if err := next(NewStreamAt(t.Context(), k, p, badReaderAt{}, largest+1, Options{})); !errors.Is(err, ErrLength) {
		t.Error("too large:", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// Memory is bounded by the buffers, and all of them come back.
func TestBuffersBoundMemory(t *testing.T) {
	k, p := testKeys(34)
	stock := NewBuffers(2)
	s := NewStream(t.Context(), k, p, bytes.NewReader(make([]byte, 40<<20)), Options{Workers: 4, Buffers: stock})
	defer s.Close()
	a, err := s.Next()
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Next()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := stock.Get(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal("a third buffer:", err)
	}
	a.Release()
	a.Release() // does nothing
	b.Release()
	for {
		piece, err := s.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		piece.Release()
	}
	if len(stock.slots) != 2 {
		t.Fatalf("%d buffers of 2 came back", len(stock.slots))
	}
}

// Close and cancellation at any moment give all buffers back and stop all
// goroutines (TestMain checks for leaks).
func TestStopEarly(t *testing.T) {
	k, p := testKeys(35)
	for taken := range 4 {
		stock := NewBuffers(3)
		s := NewStream(t.Context(), k, p, bytes.NewReader(make([]byte, 60<<20)), Options{Buffers: stock})
		for range taken {
			piece, err := s.Next()
			if err != nil {
				t.Fatal(err)
			}
			piece.Release()
		}
		s.Close()
		s.Close()
		if _, err := s.Next(); !errors.Is(err, ErrClosed) {
			t.Error("Next after Close:", err)
		}
		if <-s.line.drained; len(stock.slots) != 3 {
			t.Errorf("%d buffers of 3 came back", len(stock.slots))
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	s := NewStream(ctx, k, p, bytes.NewReader(make([]byte, 60<<20)), Options{})
	defer s.Close()
	cancel(errDisk)
	for {
		piece, err := s.Next()
		if err != nil {
			if !errors.Is(err, errDisk) {
				t.Error("Next after cancel:", err)
			}
			return
		}
		piece.Release()
	}
}

// A source that blocks does not block Close.
func TestCloseDoesNotWaitForSource(t *testing.T) {
	k, p := testKeys(36)
	r, w := io.Pipe()
	s := NewStream(t.Context(), k, p, r, Options{})
	s.Close()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestResultBeforeEndPanics(t *testing.T) {
	k, p := testKeys(37)
	s := NewStream(t.Context(), k, p, strings.NewReader("x"), Options{})
	defer s.Close()
	defer func() {
		if recover() == nil {
			t.Error("a result before the end")
		}
	}()
	s.Result()
}

func TestStreamWithBeforePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a source of unknown size resumes")
		}
	}()
	NewStream(t.Context(), Keys{}, Params{}, strings.NewReader(""), Options{Before: make([]id.Name, 1)})
}

func TestSealSegmentRefusesWrongSizes(t *testing.T) {
	s := NewSealer(testKeys(38))
	for name, c := range map[string]struct {
		n     int
		index uint32
		last  bool
	}{
		"short in the middle": {plainRest - 1, 1, false}, "too long": {plainRest + 1, 1, true},
		"first too long": {plainFirst + 1, 0, false}, "empty last": {0, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("sealed")
				}
			}()
			s.SealSegment(nil, make([]byte, c.n), c.index, c.last)
		})
	}
}

// A segment shorter than it must be is refused even if whoever holds the keys
// sealed it so: a stream has one length for one plaintext.
func TestOpenSegmentRefusesWrongSizes(t *testing.T) {
	k, p := testKeys(38)
	s := NewSealer(k, p)
	o, err := NewOpener(k, p, s.Commitment())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		n     int
		index uint32
		last  bool
	}{
		"short in the middle": {plainRest - 1, 1, false}, "short first": {plainFirst - 1, 0, false}, "too long": {plainRest + 1, 1, true},
		"first too long": {plainFirst + 1, 0, true}, "empty last": {0, 1, true},
	} {
		if out, err := o.OpenSegment(nil, s.seal(nil, make([]byte, c.n), c.index, c.last), c.index, c.last); !errors.Is(err, ErrSegment) || out != nil {
			t.Errorf("%s: %d bytes, %v", name, len(out), err)
		}
	}
	for _, b := range [][]byte{nil, make([]byte, TagSize-1)} {
		if _, err := o.OpenSegment(nil, b, 0, true); !errors.Is(err, ErrSegment) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
}

func TestSegmentsDoNotAllocate(t *testing.T) {
	k, p := testKeys(39)
	s := NewSealer(k, p)
	o, err := NewOpener(k, p, s.Commitment())
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, SegmentSize)
	if n := testing.AllocsPerRun(50, func() {
		sealed := s.SealSegment(buf[:0], buf[:plainRest], 5, false)
		if _, err := o.OpenSegment(buf[:0], sealed, 5, false); err != nil {
			t.Fatal(err)
		}
	}); n >= 1 {
		t.Errorf("%v allocations for a segment", n)
	}
}

// Sealing a file of 64 MiB needs the buffers and little else.
func TestStreamAllocations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(path, make([]byte, 64<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	k, p := testKeys(40)
	stock := NewBuffers(3)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s := NewStreamAt(t.Context(), k, p, f, 64<<20, Options{Buffers: stock})
	defer s.Close()
	for {
		piece, err := s.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		piece.Release()
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 3*blob.MaxSize+1<<20 {
		t.Errorf("%d bytes allocated", got)
	}
}
