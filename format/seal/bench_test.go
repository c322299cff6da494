package seal

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"runtime"
	"sync"
	"testing"

	"holdfast/format/blob"
)

// What the figures of row A6 stand on: sealing alone against raw AES-GCM and
// tink-go over the same bytes, and what naming the pieces adds.

const benchSize = 256 << 20

func benchData(b *testing.B) *bytes.Reader {
	b.Helper()
	data := make([]byte, benchSize)
	rand.Read(data)
	b.SetBytes(benchSize)
	b.ReportAllocs()
	return bytes.NewReader(data)
}

// parallel calls f for every segment on all cores.
func parallel(n int64, f func(worker int, i int64)) {
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := int64(w); i < n; i += int64(workers) {
				f(w, i)
			}
		})
	}
	wg.Wait()
}

// BenchmarkRawGCM is the bound: AES-256-GCM over segments, on all cores.
func BenchmarkRawGCM(b *testing.B) {
	data := make([]byte, benchSize)
	rand.Read(data)
	gcm := newGCM(make([]byte, 32))
	b.SetBytes(benchSize)
	for b.Loop() {
		parallel(benchSize/SegmentSize, func(_ int, i int64) {
			s := data[i*SegmentSize : (i+1)*SegmentSize]
			gcm.Seal(s[:0], make([]byte, nonceSize), s[:plainRest], nil)
		})
	}
}

// BenchmarkSealSegments seals in place without hashing, on all cores.
func BenchmarkSealSegments(b *testing.B) {
	data := make([]byte, benchSize)
	rand.Read(data)
	s := NewSealer(testKeys(1))
	b.SetBytes(benchSize)
	for b.Loop() {
		parallel(benchSize/SegmentSize, func(_ int, i int64) {
			segment := data[i*SegmentSize : (i+1)*SegmentSize]
			s.SealSegment(segment[:0], segment[:plainRest], uint32(i+1), false)
		})
	}
}

func drain(b *testing.B, s *Stream) {
	b.Helper()
	defer s.Close()
	for {
		p, err := s.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			b.Fatal(err)
		}
		p.Release()
	}
}

func BenchmarkStream(b *testing.B) {
	src, stock := benchData(b), NewBuffers(4)
	for b.Loop() {
		if _, err := src.Seek(0, io.SeekStart); err != nil {
			b.Fatal(err)
		}
		k, p := testKeys(1)
		drain(b, NewStream(b.Context(), k, p, src, Options{Buffers: stock}))
	}
}

func BenchmarkStreamAt(b *testing.B) {
	src, stock := benchData(b), NewBuffers(4)
	for b.Loop() {
		k, p := testKeys(1)
		drain(b, NewStreamAt(b.Context(), k, p, src, benchSize, Options{Buffers: stock}))
	}
}

func BenchmarkTink(b *testing.B) {
	src := benchData(b)
	k, _ := testKeys(1)
	s, aad := tink(b, k)
	for b.Loop() {
		if _, err := src.Seek(0, io.SeekStart); err != nil {
			b.Fatal(err)
		}
		w, err := s.NewEncryptingWriter(io.Discard, aad)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := src.WriteTo(w); err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReader opens what stands in memory, of which each round needs a copy.
func BenchmarkReader(b *testing.B) {
	src := benchData(b)
	k, p := testKeys(1)
	plaintext := make([]byte, benchSize)
	if _, err := io.ReadFull(src, plaintext); err != nil {
		b.Fatal(err)
	}
	stream, want, err := Seal(nil, k, p, plaintext)
	if err != nil {
		b.Fatal(err)
	}
	stock := NewBuffers(4)
	for b.Loop() {
		r, err := NewReader(context.Background(), k, want, &copies{stream, stock, 0}, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}

// copies is a download from memory.
type copies struct {
	stream []byte
	stock  *Buffers
	next   int
}

func (c *copies) Next() (*Piece, error) {
	if c.next == blob.Pieces(int64(len(c.stream))) {
		return nil, io.EOF
	}
	buf, free, err := c.stock.Get(context.Background())
	if err != nil {
		return nil, err
	}
	at, n := blob.Piece(int64(len(c.stream)), c.next)
	p := &Piece{Index: c.next, Bytes: buf[:copy(buf, c.stream[at:at+n])], Free: free}
	c.next++
	return p, nil
}
