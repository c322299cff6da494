package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/internal/golden"
	"holdfast/format/pad"
)

var byName = map[string]error{
	"version": ErrVersion, "length": ErrLength, "commitment": ErrCommitment, "segment": ErrSegment,
	"root": ErrRoot, "padding": ErrPadding, "record": ErrRecord,
}

type rangeVector struct {
	Offset int64 `json:"offset"`
	Length int64 `json:"length"`
	From   int64 `json:"from"`
	To     int64 `json:"to"`
}

type contentVector struct {
	golden.Name
	FileID       golden.Hex     `json:"fileId"`
	RevisionID   golden.Hex     `json:"revisionId"`
	K            golden.Hex     `json:"k"`
	R            golden.Hex     `json:"r"`
	Salt         golden.Hex     `json:"salt,omitempty"`
	Prefix       golden.Hex     `json:"prefix,omitempty"`
	Plaintext    *golden.Source `json:"plaintext,omitempty"`
	TrueSize     int64          `json:"trueSize"`
	ContentKey   golden.Hex     `json:"contentKey,omitempty"`
	AAD          golden.Hex     `json:"aad,omitempty"`
	SegmentKey   golden.Hex     `json:"segmentKey,omitempty"`
	Commitment   golden.Hex     `json:"commitment"`
	Root         golden.Hex     `json:"root"`
	StreamLength int64          `json:"streamLength,omitempty"`
	Segments     int64          `json:"segments,omitempty"`
	Stream       *golden.Source `json:"stream,omitempty"`
	Pieces       []golden.Hex   `json:"pieces,omitempty"`
	Ranges       []rangeVector  `json:"ranges,omitempty"`
	Fail         string         `json:"fail,omitempty"`
}

func (v contentVector) keys() Keys {
	return Keys{id.File(v.FileID), id.Revision(v.RevisionID), [32]byte(v.K), [32]byte(v.R)}
}

func (v contentVector) params() Params { return Params{[32]byte(v.Salt), [7]byte(v.Prefix)} }

func (v contentVector) want() Content {
	return Content{[32]byte(v.Commitment), [32]byte(v.Root), v.TrueSize}
}

// run is n bytes counting up from first.
func run(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

// testKeys are the Keys and Params of the vectors, a different set for every first.
func testKeys(first byte) (Keys, Params) {
	return Keys{id.File(run(first, 16)), id.Revision(run(first+16, 16)), [32]byte(run(first+32, 32)), [32]byte(run(first+64, 32))},
		Params{[32]byte(run(first+96, 32)), [7]byte(run(first+128, 7))}
}

// goodContent makes a vector of plaintext sealed under k and p. The stream
// stands in the JSON, or in file if that is named, or nowhere if file is "-".
func goodContent(t *testing.T, name string, k Keys, p Params, src *golden.Source, file string) contentVector {
	t.Helper()
	plaintext, err := src.Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, content, err := Seal(nil, k, p, plaintext)
	if err != nil {
		t.Fatal(err)
	}
	d := derive(k, p)
	v := contentVector{
		Name: golden.Name{Name: name}, FileID: k.File[:], RevisionID: k.Revision[:], K: k.K[:], R: k.R[:],
		Salt: p.Salt[:], Prefix: p.Prefix[:], Plaintext: src, TrueSize: int64(len(plaintext)),
		ContentKey: d.contentKey[:], AAD: d.aad, SegmentKey: d.segmentKey, Commitment: content.Commitment[:], Root: content.Root[:],
		StreamLength: int64(len(stream)), Segments: SegmentCount(pad.Length(int64(len(plaintext)))),
	}
	for i := range blob.Pieces(v.StreamLength) {
		at, n := blob.Piece(v.StreamLength, i)
		name := blob.Name(stream[at : at+n])
		v.Pieces = append(v.Pieces, name[:])
	}
	switch file {
	case "":
		v.Stream = golden.OfBytes(stream)
	case "-":
	default:
		v.Stream = golden.OfFile(golden.Beside(t, file, stream))
	}
	return v
}

// ranges adds range reads at offsets, each of the length that follows it.
func (v contentVector) ranges(t *testing.T, pairs ...int64) contentVector {
	for i := 0; i < len(pairs); i += 2 {
		sp, err := Cover(v.StreamLength, pairs[i], pairs[i+1])
		if err != nil {
			t.Fatal(err)
		}
		v.Ranges = append(v.Ranges, rangeVector{pairs[i], pairs[i+1], sp.From, sp.To})
	}
	return v
}

// failing is what a reader holds who expects base and gets stream.
func (v contentVector) failing(fail, name string, stream *golden.Source, change func(*contentVector)) contentVector {
	out := contentVector{
		Name: golden.Name{Name: name}, FileID: v.FileID, RevisionID: v.RevisionID, K: v.K, R: v.R,
		TrueSize: v.TrueSize, Commitment: v.Commitment, Root: v.Root, Stream: stream, Fail: fail,
	}
	if change != nil {
		change(&out)
	}
	return out
}

func flipped(b golden.Hex) golden.Hex {
	out := bytes.Clone(b)
	out[len(out)-1] ^= 0x80
	return out
}

func contentVectors(t *testing.T) []contentVector {
	k, p := testKeys(0)
	other, otherParams := testKeys(7)
	other.File = k.File
	kib := goodContent(t, "1 KiB", k, p, golden.OfPattern(1024), "")
	two := goodContent(t, "two segments", k, p, golden.OfPattern(262144), "content-two.bin").
		ranges(t, 0, 1, 262087, 1, 262087, 2, 262088, 1, 262143, 1, 0, 262144)
	four := goodContent(t, "four segments", k, p, golden.OfPattern(780000), "content-four.bin").
		ranges(t, 0, 262088, 262088, 262128, 262088, 262129, 524215, 2, 779999, 1, 786431, 1)
	twin := goodContent(t, "two segments of another revision", other, otherParams, golden.OfPattern(262144), "content-two-other.bin")
	cases := []contentVector{
		goodContent(t, "empty", k, p, golden.OfBytes(nil), ""),
		goodContent(t, "one byte", k, p, golden.OfBytes([]byte{0}), ""),
		goodContent(t, "1023 bytes", k, p, golden.OfPattern(1023), ""),
		kib,
		goodContent(t, "1025 bytes", k, p, golden.OfPattern(1025), ""),
		goodContent(t, "longest of one segment", k, p, golden.OfPattern(258048), "-"),
		two, four, twin,
		goodContent(t, "padding reaches into a second piece", k, p, golden.OfPattern(8380000), "-"),
	}
	cases = append(cases, twoKeyVectors(t)...)
	cases = append(cases, headFailures(kib)...)
	cases = append(cases, segmentFailures(t, kib, two, four)...)
	return append(cases, wholeFailures(t, kib, four)...)
}

func headFailures(kib contentVector) []contentVector {
	const n = "1 KiB"
	same := golden.Edited(n)
	set := func(f func(*contentVector)) func(*contentVector) { return f }
	return []contentVector{
		kib.failing("version", "header byte", golden.Edited(n, golden.Flip(0, 1)), nil),
		kib.failing("version", "header byte of a short stream", golden.Edited(n, golden.Flip(0, 0x28), golden.Take([2]int64{0, 1})), nil),
		kib.failing("length", "nothing", golden.OfBytes(nil), nil),
		kib.failing("length", "header cut", golden.Edited(n, golden.Take([2]int64{0, 39})), nil),
		kib.failing("length", "header alone", golden.Edited(n, golden.Take([2]int64{0, 40})), nil),
		kib.failing("length", "last byte missing", golden.Edited(n, golden.Take([2]int64{0, 1079})), nil),
		kib.failing("length", "one byte more", golden.Edited(n, golden.Edit{Append: golden.Hex{0}}), nil),
		kib.failing("length", "true size of a longer stream", same, set(func(v *contentVector) { v.TrueSize = 1025 })),
		kib.failing("length", "true size beyond every stream", same, set(func(v *contentVector) { v.TrueSize = 1<<53 - 1 })),
		kib.failing("commitment", "first byte of the salt", golden.Edited(n, golden.Flip(1, 1)), nil),
		kib.failing("commitment", "last byte of the salt", golden.Edited(n, golden.Flip(32, 0x80)), nil),
		kib.failing("commitment", "another K", same, set(func(v *contentVector) { v.K = flipped(v.K) })),
		kib.failing("commitment", "another R", same, set(func(v *contentVector) { v.R = flipped(v.R) })),
		kib.failing("commitment", "another file id", same, set(func(v *contentVector) { v.FileID = flipped(v.FileID) })),
		kib.failing("commitment", "another revision id", same, set(func(v *contentVector) { v.RevisionID = flipped(v.RevisionID) })),
		kib.failing("commitment", "another C", same, set(func(v *contentVector) { v.Commitment = flipped(v.Commitment) })),
		kib.failing("commitment", "stream of another revision", golden.Edited("two segments of another revision"), set(func(v *contentVector) { v.TrueSize = 262144 })),
		kib.failing("segment", "first byte of the prefix", golden.Edited(n, golden.Flip(33, 1)), nil),
		kib.failing("segment", "last byte of the prefix", golden.Edited(n, golden.Flip(39, 1)), nil),
	}
}

func segmentFailures(t *testing.T, kib, two, four contentVector) []contentVector {
	const s = SegmentSize
	end := four.StreamLength
	cut := func(trueSize int64) func(*contentVector) { return func(v *contentVector) { v.TrueSize = trueSize } }
	to := func(padded int64) golden.Edit { return golden.Take([2]int64{0, StreamLength(padded)}) }
	sealer := NewSealer(kib.keys(), kib.params())
	odd := func(index uint32, last bool) *golden.Source {
		return golden.OfBytes(sealer.seal(sealer.AppendHeader(nil), golden.Pattern(1024), index, last))
	}
	text := golden.Pattern(262144)
	early := sealer.seal(sealer.AppendHeader(nil), text[:plainFirst], 0, true)
	early = sealer.seal(early, text[plainFirst:], 1, true)
	return []contentVector{
		kib.failing("segment", "first byte", golden.Edited("1 KiB", golden.Flip(40, 1)), nil),
		kib.failing("segment", "last byte of the only tag", golden.Edited("1 KiB", golden.Flip(1079, 0x80)), nil),
		two.failing("segment", "segment 0, last byte of the tag", golden.Edited("two segments", golden.Flip(s-1, 1)), nil),
		two.failing("segment", "segment 1, first byte", golden.Edited("two segments", golden.Flip(s, 1)), nil),
		four.failing("segment", "segment 2, a bit in the middle", golden.Edited("four segments", golden.Flip(2*s+1000, 0x10)), nil),
		four.failing("segment", "segment 3, the last bit", golden.Edited("four segments", golden.Flip(end-1, 1)), nil),
		four.failing("segment", "segments 1 and 2 swapped", golden.Edited("four segments", golden.Take([2]int64{0, s}, [2]int64{2 * s, 3 * s}, [2]int64{s, 2 * s}, [2]int64{3 * s, end})), nil),
		four.failing("segment", "segment 1 in place of 2", golden.Edited("four segments", golden.Take([2]int64{0, 2 * s}, [2]int64{s, 2 * s}, [2]int64{3 * s, end})), nil),
		four.failing("length", "segment 1 twice", golden.Edited("four segments", golden.Take([2]int64{0, 2 * s}, [2]int64{s, end})), nil),
		four.failing("length", "segment 1 dropped", golden.Edited("four segments", golden.Take([2]int64{0, s}, [2]int64{2 * s, end})), nil),
		four.failing("length", "last segment dropped", golden.Edited("four segments", golden.Take([2]int64{0, 3 * s})), nil),
		four.failing("length", "last segment again", golden.Edited("four segments", golden.Take([2]int64{0, end}, [2]int64{3 * s, end})), nil),
		four.failing("segment", "cut within segment 2, true size to fit", golden.Edited("four segments", to(770048)), cut(770048)),
		four.failing("segment", "cut within segment 1, true size to fit", golden.Edited("four segments", to(516096)), cut(516096)),
		four.failing("segment", "continued with its own bytes, true size to fit", golden.Edited("four segments", golden.Take([2]int64{0, end}, [2]int64{s, s + 16384})), cut(802816)),
		two.failing("segment", "segment 1 of another revision", golden.Edited("two segments", golden.Edit{From: "two segments of another revision", Range: &[2]int64{s, 262216}, At: s}), nil),
		two.failing("segment", "segment 0 of another revision", golden.Edited("two segments", golden.Edit{From: "two segments of another revision", Range: &[2]int64{40, s}, At: 40}), nil),
		kib.failing("segment", "last flag missing", odd(0, false), nil),
		kib.failing("segment", "number 1 instead of 0", odd(1, true), nil),
		two.failing("segment", "last flag on segment 0 of two", golden.OfFile(golden.Beside(t, "content-early.bin", early)), nil),
	}
}

func wholeFailures(t *testing.T, kib, four contentVector) []contentVector {
	stream, _, err := Seal(nil, kib.keys(), kib.params(), bytes.Repeat([]byte{'x'}, 1024))
	if err != nil {
		t.Fatal(err)
	}
	return []contentVector{
		kib.failing("root", "other content sealed under the same keys", golden.OfBytes(stream), nil),
		kib.failing("root", "another root", golden.Edited("1 KiB"), func(v *contentVector) { v.Root = flipped(v.Root) }),
		kib.failing("root", "another root and padding that is not zero", golden.Edited("1 KiB"), func(v *contentVector) { v.Root, v.TrueSize = flipped(v.Root), 1023 }),
		kib.failing("padding", "last byte is not zero", golden.Edited("1 KiB"), func(v *contentVector) { v.TrueSize = 1023 }),
		kib.failing("padding", "all padding is not zero", golden.Edited("1 KiB"), func(v *contentVector) { v.TrueSize = 0 }),
		four.failing("padding", "not zero in segment 2", golden.Edited("four segments"), func(v *contentVector) { v.TrueSize = 779999 }),
	}
}

// twoKeyVectors: one stream, two keys. Each key alone is a good case, because
// AES-GCM does not tell them apart; the commitment does.
func twoKeyVectors(t *testing.T) []contentVector {
	k1, p := testKeys(20)
	k2 := k1
	k2.K = [32]byte(run(200, 32))
	s1, s2 := NewSealer(k1, p), NewSealer(k2, p)
	nonce := s1.nonce(0, true)
	sealed := twoKeys(derive(k1, p).segmentKey, derive(k2, p).segmentKey, nonce[:], golden.Pattern(1024))
	text1, err1 := s1.open(nil, sealed, 0, true)
	text2, err2 := s2.open(nil, sealed, 0, true)
	if err1 != nil || err2 != nil {
		t.Fatal("the attack does not work:", err1, err2)
	}
	a := goodContent(t, "opens under two keys, the first", k1, p, golden.OfBytes(text1), "")
	b := goodContent(t, "opens under two keys, the second", k2, p, golden.OfBytes(text2), "")
	if !bytes.Equal(a.Stream.Literal, b.Stream.Literal) {
		t.Fatal("the streams differ")
	}
	return []contentVector{a, b,
		a.failing("commitment", "second key, commitment of the first", golden.Edited(a.CaseName()), func(v *contentVector) { v.K = b.K }),
		b.failing("commitment", "first key, commitment of the second", golden.Edited(b.CaseName()), func(v *contentVector) { v.K = a.K }),
	}
}

func TestContentVectors(t *testing.T) {
	cases := golden.Sync(t, "content.json", "Content streams (docs/format.md §4)", contentVectors(t))
	stream := func(name string) (*golden.Source, error) {
		for _, c := range cases {
			if c.CaseName() == name {
				return c.Stream, nil
			}
		}
		return nil, fmt.Errorf("no case %q", name)
	}
	seen := map[string]bool{}
	for _, c := range cases {
		seen[c.Fail] = true
		t.Run(c.CaseName(), func(t *testing.T) {
			var b []byte
			if c.Stream != nil {
				var err error
				if b, err = c.Stream.Load(stream); err != nil {
					t.Fatal(err)
				}
			}
			if c.Fail != "" {
				c.checkFailure(t, b)
			} else {
				c.checkGood(t, b)
			}
		})
	}
	for name := range byName {
		if name != "record" && !seen[name] {
			t.Errorf("no case fails with %q", name)
		}
	}
}

func (v contentVector) checkGood(t *testing.T, stream []byte) {
	k, p := v.keys(), v.params()
	d := derive(k, p)
	if !bytes.Equal(d.contentKey[:], v.ContentKey) || !bytes.Equal(d.aad, v.AAD) || !bytes.Equal(d.segmentKey, v.SegmentKey) {
		t.Error("a key differs")
	}
	plaintext, err := v.Plaintext.Load(nil)
	if err != nil || int64(len(plaintext)) != v.TrueSize {
		t.Fatal(err, len(plaintext))
	}
	sealed, content, err := Seal(nil, k, p, plaintext)
	if err != nil || content != v.want() {
		t.Fatalf("sealing gives %+v, %v", content, err)
	}
	if stream != nil && !bytes.Equal(sealed, stream) {
		t.Fatal("sealing gives another stream")
	}
	if n, ok := PlainLength(int64(len(sealed))); !ok || SegmentCount(n) != v.Segments || int64(len(sealed)) != v.StreamLength {
		t.Errorf("%d bytes, %d segments", len(sealed), SegmentCount(n))
	}
	open, err := Open(nil, k, v.want(), sealed)
	if err != nil || !bytes.Equal(open, plaintext) {
		t.Fatal("open:", err)
	}
	v.checkPipelines(t, plaintext, sealed)
	v.checkRanges(t, plaintext, sealed)
}

// checkPipelines: the parallel ways give the same as the simple one.
func (v contentVector) checkPipelines(t *testing.T, plaintext, sealed []byte) {
	s := NewStream(context.Background(), v.keys(), v.params(), bytes.NewReader(plaintext), Options{})
	defer s.Close()
	r, err := NewReader(context.Background(), v.keys(), v.want(), s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, plaintext) {
		t.Fatal("reader:", err)
	}
	res := s.Result()
	if res.Content != v.want() || res.Length != v.StreamLength || len(res.Names) != len(v.Pieces) {
		t.Fatalf("stream gives %+v", res)
	}
	for i, n := range res.Names {
		at, size := blob.Piece(v.StreamLength, i)
		if !bytes.Equal(n[:], v.Pieces[i]) || blob.Name(sealed[at:at+size]) != n {
			t.Errorf("piece %d is named %x", i, n)
		}
	}
}

func (v contentVector) checkRanges(t *testing.T, plaintext, stream []byte) {
	o, err := NewOpener(v.keys(), v.params(), [32]byte(v.Commitment))
	if err != nil {
		t.Fatal(err)
	}
	padded := append(bytes.Clone(plaintext), make([]byte, pad.Length(v.TrueSize)-v.TrueSize)...)
	for _, r := range v.Ranges {
		sp, err := Cover(v.StreamLength, r.Offset, r.Length)
		if err != nil || sp.From != r.From || sp.To != r.To {
			t.Fatalf("%+v: %+v, %v", r, sp, err)
		}
		var out bytes.Buffer
		if err := o.OpenSpan(&out, bytes.NewReader(stream[sp.From:sp.To]), sp, v.StreamLength); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), padded[r.Offset:r.Offset+r.Length]) {
			t.Errorf("range %+v gives other bytes", r)
		}
	}
}

func (v contentVector) checkFailure(t *testing.T, stream []byte) {
	want, ok := byName[v.Fail]
	if !ok {
		t.Fatalf("no error is named %q", v.Fail)
	}
	out, err := Open([]byte("before"), v.keys(), v.want(), stream)
	if !errors.Is(err, want) || string(out) != "before" {
		t.Errorf("Open gives %d bytes and %v", len(out), err)
	}
	r, err := NewReader(context.Background(), v.keys(), v.want(), pieces(stream), Options{Workers: 2})
	if err == nil {
		defer r.Close()
		_, err = io.Copy(io.Discard, r)
	}
	if !errors.Is(err, want) {
		t.Errorf("Reader gives %v", err)
	}
}

// cutSource is a Source over a stream in memory, of which it gives copies.
type cutSource struct {
	stream []byte
	next   int
}

func pieces(stream []byte) *cutSource { return &cutSource{stream: stream} }

func (c *cutSource) Next() (*Piece, error) {
	if len(c.stream) == 0 && c.next > 0 {
		return nil, io.EOF
	}
	n := min(len(c.stream), blob.MaxSize)
	p := &Piece{Index: c.next, Bytes: bytes.Clone(c.stream[:n])}
	c.stream = c.stream[n:]
	c.next++
	return p, nil
}
