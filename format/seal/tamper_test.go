package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/internal/golden"
)

// readParallel opens a stream with a Reader and returns what it released.
func readParallel(k Keys, want Content, stream []byte) ([]byte, error) {
	r, err := NewReader(context.Background(), k, want, pieces(stream), Options{})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out bytes.Buffer
	_, err = r.WriteTo(&out)
	return out.Bytes(), err
}

// refused demands that a stream is refused by every way of reading the whole,
// with the same kind of error, and that nothing false comes out before it.
func refused(t *testing.T, k Keys, want Content, stream, plaintext []byte, err error) {
	t.Helper()
	if out, got := Open(nil, k, want, stream); !errors.Is(got, err) || len(out) != 0 {
		t.Errorf("Open gives %d bytes and %v, wanted %v", len(out), got, err)
	}
	out, got := readParallel(k, want, stream)
	if !errors.Is(got, err) {
		t.Errorf("Reader gives %v, wanted %v", got, err)
	}
	if !bytes.HasPrefix(plaintext, out) {
		t.Errorf("Reader released %d bytes that are not the file's", len(out))
	}
}

// Threats row 8: unauthenticated encryption.
func TestEveryHeaderByte(t *testing.T) {
	k, p := testKeys(5)
	plaintext := golden.Pattern(300000)
	stream, want, err := Seal(nil, k, p, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	for i := range HeaderSize {
		bad := bytes.Clone(stream)
		bad[i] ^= 1 << (i % 8)
		expect := ErrCommitment
		switch {
		case i == 0:
			expect = ErrVersion
		case i > saltSize:
			expect = ErrSegment // the prefix is bound by the nonce alone
		}
		refused(t, k, want, bad, plaintext, expect)
	}
}

// Threats row 8: random bits in every segment, whole reads and range reads.
func TestRandomBitsInEverySegment(t *testing.T) {
	k, p := testKeys(6)
	plaintext := golden.Pattern(1200000)
	stream, want, err := Seal(nil, k, p, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	o, err := NewOpener(k, p, want.Commitment)
	if err != nil {
		t.Fatal(err)
	}
	length := int64(len(stream))
	random := rand.New(rand.NewPCG(1, 2))
	for i := range SegmentCount(length - HeaderSize) {
		from, to := segmentRange(length, i)
		if from >= length {
			break
		}
		for range 3 {
			bad := bytes.Clone(stream)
			at := from + random.Int64N(to-from)
			bad[at] ^= 1 << random.IntN(8)
			refused(t, k, want, bad, plaintext, ErrSegment)
			var s *SegmentError
			err := o.OpenRange(io.Discard, bytes.NewReader(bad), length, segmentStart(i), 1)
			if !errors.As(err, &s) || s.Index != i {
				t.Errorf("byte %d: range read gives %v", at, err)
			}
		}
	}
}

// Threats row 9: reorder, truncate, duplicate, drop, append segments.
func TestRearrangedSegments(t *testing.T) {
	k, p := testKeys(8)
	plaintext := golden.Pattern(1 << 20)
	stream, want, err := Seal(nil, k, p, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	length := int64(len(stream))
	n := (length + SegmentSize - 1) / SegmentSize
	segment := func(i int64) []byte { from, to := segmentRange(length, i); return stream[from:to] }
	join := func(order ...int64) []byte {
		out := bytes.Clone(stream[:HeaderSize])
		for _, i := range order {
			out = append(out, segment(i)...)
		}
		return out
	}
	for a := int64(1); a < n-1; a++ {
		for b := a + 1; b < n-1; b++ {
			order := []int64{0, 1, 2, 3, 4}[:n]
			order[a], order[b] = b, a
			refused(t, k, want, join(order...), plaintext, ErrSegment)
		}
		order := []int64{0, 1, 2, 3, 4}[:n]
		order[a] = a%3 + 1 // duplicated over its neighbour
		refused(t, k, want, join(order...), plaintext, ErrSegment)
	}
	refused(t, k, want, join(0, 1, 2, 3), plaintext, ErrLength)
	refused(t, k, want, join(0, 1, 2, 3, 4, 4), plaintext, ErrLength)
	refused(t, k, want, join(0, 1, 1, 2, 3, 4), plaintext, ErrLength)
	refused(t, k, want, join(1, 2, 3, 4), plaintext, ErrLength)
	refused(t, k, want, stream[:length-1], plaintext, ErrLength)
	refused(t, k, want, append(bytes.Clone(stream), 0), plaintext, ErrLength)
}

// Threats row 9 for range reads: a segment of the stream at another place, and
// a wrong idea of which is the last.
func TestRearrangedRanges(t *testing.T) {
	k, p := testKeys(8)
	stream, want, err := Seal(nil, k, p, golden.Pattern(1<<20))
	if err != nil {
		t.Fatal(err)
	}
	o, err := NewOpener(k, p, want.Commitment)
	if err != nil {
		t.Fatal(err)
	}
	length := int64(len(stream))
	read := func(streamLength, offset, n int64, from []byte) error {
		sp, err := Cover(streamLength, offset, n)
		if err != nil {
			t.Fatal(err)
		}
		return o.OpenSpan(io.Discard, bytes.NewReader(from), sp, streamLength)
	}
	second := stream[SegmentSize : 2*SegmentSize]
	if err := read(length, plainFirst, 5, second); err != nil {
		t.Fatal("the right segment:", err)
	}
	if err := read(length, plainFirst+plainRest, 5, second); !errors.Is(err, ErrSegment) {
		t.Error("segment 1 as segment 2:", err)
	}
	if err := read(2*SegmentSize, plainFirst, 5, second); !errors.Is(err, ErrSegment) {
		t.Error("a shorter stream, in which segment 1 is the last:", err)
	}
	if err := read(length, plainFirst, 5, second[:1000]); !errors.Is(err, ErrLength) {
		t.Error("a short read:", err)
	}
	lastFrom, _ := segmentRange(length, 4)
	lastSegment := append(bytes.Clone(stream[lastFrom:]), make([]byte, SegmentSize)...)
	if err := read(length+SegmentSize, segmentStart(4), 5, lastSegment); !errors.Is(err, ErrSegment) {
		t.Error("a longer stream, in which segment 4 is not the last:", err)
	}
}

// Threats row 10: splice across files, revisions, users.
func TestSplice(t *testing.T) {
	k, p := testKeys(9)
	plaintext := golden.Pattern(1 << 20)
	stream, want, err := Seal(nil, k, p, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	change := map[string]func(*Keys, *Params){
		"another file":     func(k *Keys, _ *Params) { k.File[3] ^= 1 },
		"another revision": func(k *Keys, _ *Params) { k.Revision[3] ^= 1 },
		"another K":        func(k *Keys, _ *Params) { k.K[3] ^= 1 },
		"another R":        func(k *Keys, _ *Params) { k.R[3] ^= 1 },
		"another salt":     func(_ *Keys, p *Params) { p.Salt[3] ^= 1 },
	}
	for name, f := range change {
		t.Run(name, func(t *testing.T) {
			k2, p2 := k, p
			f(&k2, &p2)
			foreign, _, err := Seal(nil, k2, p2, plaintext)
			if err != nil {
				t.Fatal(err)
			}
			whole := ErrSegment // the reader's key and salt are right, so C is; the segments are not theirs
			if p2 != p {
				whole = ErrCommitment
			}
			refused(t, k, want, foreign, plaintext, whole)
			for i := range int64(5) {
				from, to := segmentRange(int64(len(stream)), i)
				bad := bytes.Clone(stream)
				copy(bad[from:to], foreign[from:to])
				refused(t, k, want, bad, plaintext, ErrSegment)
			}
		})
	}
}

// Threats row 12: one ciphertext under two keys. The stream opens under both
// where only AES-GCM is asked; the commitment refuses the second key first.
func TestTwoKeysForOneStream(t *testing.T) {
	cases := twoKeyVectors(t)
	first, second := cases[0], cases[1]
	stream := first.Stream.Literal
	for _, v := range []contentVector{first, second} {
		if _, err := Open(nil, v.keys(), v.want(), stream); err != nil {
			t.Fatal("the attack does not work:", err)
		}
	}
	refused(t, second.keys(), first.want(), stream, nil, ErrCommitment)
	refused(t, first.keys(), second.want(), stream, nil, ErrCommitment)
}

// Threats row 10 above 8 MiB: blobs swapped, dropped, of another file.
func TestRearrangedPieces(t *testing.T) {
	k, p := testKeys(10)
	plaintext := golden.Pattern(24<<20 + 5)
	stream, want, err := Seal(nil, k, p, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	const s = blob.MaxSize
	a, b, c, rest := stream[:s], stream[s:2*s], stream[2*s:3*s], stream[3*s:]
	for name, v := range map[string]struct {
		bad []byte
		err error
	}{
		"swapped":        {bytes.Join([][]byte{a, c, b, rest}, nil), ErrSegment},
		"twice":          {bytes.Join([][]byte{a, b, b, rest}, nil), ErrSegment},
		"dropped":        {bytes.Join([][]byte{a, b, rest}, nil), ErrLength},
		"last dropped":   {bytes.Join([][]byte{a, b, c}, nil), ErrLength},
		"added":          {bytes.Join([][]byte{a, b, c, c, rest}, nil), ErrLength},
		"first last":     {bytes.Join([][]byte{b, c, a, rest}, nil), nil},
		"rest cut short": {stream[:len(stream)-TagSize], ErrLength},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := readParallel(k, want, v.bad)
			if err == nil || v.err != nil && !errors.Is(err, v.err) {
				t.Error(err)
			}
			if !bytes.HasPrefix(plaintext, out) {
				t.Errorf("%d bytes released that are not the file's", len(out))
			}
			if out, err := Open(nil, k, want, v.bad); err == nil || len(out) > 0 {
				t.Error("Open:", len(out), err)
			}
		})
	}
}

func TestNothingStaysBehind(t *testing.T) {
	k, p := testKeys(11)
	stream, want, err := Seal(nil, k, p, golden.Pattern(600000))
	if err != nil {
		t.Fatal(err)
	}
	stream[len(stream)-1] ^= 1
	room := make([]byte, 3, 700000)
	if out, err := Open(room, k, want, stream); !errors.Is(err, ErrSegment) || len(out) != 3 {
		t.Fatal(len(out), err)
	}
	if !allZero(room[:cap(room)]) {
		t.Fatal("plaintext of a refused stream is left in the buffer")
	}
}

func TestErrorTexts(t *testing.T) {
	for name, err := range byName {
		if want := name + ":"; len(err.Error()) < len(want) || err.Error()[:len(want)] != want {
			t.Errorf("%v does not begin with %q", err, want)
		}
	}
	err := error(&SegmentError{7})
	if !errors.Is(err, ErrSegment) || fmt.Sprint(err)[:8] != "segment:" {
		t.Error(err)
	}
}

// FuzzOpen: whatever opens is the one stream.
func FuzzOpen(f *testing.F) {
	k, p := testKeys(12)
	stream, want, err := Seal(nil, k, p, golden.Pattern(1000))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(stream)
	f.Add(stream[:HeaderSize])
	f.Add(append(bytes.Clone(stream), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := Open(nil, k, want, b)
		released, parallelErr := readParallel(k, want, bytes.Clone(b))
		if (err == nil) != bytes.Equal(b, stream) || (err == nil) != (parallelErr == nil) {
			t.Fatalf("%v, %v", err, parallelErr)
		}
		if err != nil && len(out)+len(released) > 0 {
			t.Fatal("plaintext with an error")
		}
	})
}

// FuzzParseHeader: what parses is written the same again.
func FuzzParseHeader(f *testing.F) {
	f.Add(NewParams().appendHeader(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseHeader(b)
		if err == nil && !bytes.HasPrefix(b, p.appendHeader(nil)) {
			t.Fatalf("%x becomes %x", b, p.appendHeader(nil))
		}
		if err != nil && p != (Params{}) {
			t.Fatal("a value with an error")
		}
	})
}

func TestFreshKeys(t *testing.T) {
	file := id.New[id.File]()
	a, b := NewKeys(file), NewKeys(file)
	if a.File != file || a.Revision == b.Revision || a.K == b.K || a.R == b.R || a.K == a.R {
		t.Fatal("keys repeat")
	}
	if p, q := NewParams(), NewParams(); p.Salt == q.Salt || p.Prefix == q.Prefix {
		t.Fatal("params repeat")
	}
}
