package blob

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"holdfast/format/internal/golden"

	"lukechampine.com/blake3/bao"
	"pgregory.net/rapid"
)

func TestOutboard(t *testing.T) {
	for _, n := range []int64{1, 1024, ProofGroup - 1, ProofGroup, ProofGroup + 1, 5*ProofGroup + 7, MaxSize - 1, MaxSize} {
		b := golden.Pattern(n)
		tree, name, err := NewOutboard(iotest.HalfReader(bytes.NewReader(b)), n)
		if err != nil || name != Name(b) {
			t.Fatalf("%d bytes: %s, %v", n, name, err)
		}
		if tree.Size() != n || int64(len(tree)) != OutboardSize(n) {
			t.Errorf("%d bytes: outboard of %d for %d", n, len(tree), tree.Size())
		}
		if !bao.VerifyBuf(b, tree, groupLog, name) {
			t.Errorf("%d bytes: tree does not verify", n)
		}
	}
}

func TestOutboardRefuses(t *testing.T) {
	for _, n := range []int64{-1, 0, MaxSize + 1} {
		if _, _, err := NewOutboard(bytes.NewReader(nil), n); !errors.Is(err, ErrExtent) {
			t.Errorf("size %d: %v", n, err)
		}
	}
	if _, _, err := NewOutboard(bytes.NewReader(make([]byte, 99999)), 100000); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("short blob:", err)
	}
	tree, _, err := NewOutboard(bytes.NewReader(make([]byte, 100000)), 100000)
	if err != nil {
		t.Fatal(err)
	}
	wrongSize := bytes.Clone(tree)
	binary.LittleEndian.PutUint64(wrongSize, 1<<63)
	for name, o := range map[string]Outboard{"nothing": nil, "cut": tree[:len(tree)-1], "longer": append(bytes.Clone(tree), 0), "size word": wrongSize} {
		if o.Size() != 0 {
			t.Errorf("%s: size %d", name, o.Size())
		}
		if err := WriteSlice(io.Discard, bytes.NewReader(make([]byte, 100000)), o, 0, 1); err == nil {
			t.Errorf("%s: makes a slice", name)
		}
	}
	if _, err := tree.WriteAt([]byte{1}, int64(len(tree))); err == nil {
		t.Error("writes behind the end")
	}
}

// slowSlice is the encoding as docs/format.md spells it out, over a tree that
// is hashed anew for every parent.
func slowSlice(b []byte, offset, length int) []byte {
	full, _ := bao.EncodeBuf(b, groupLog, false)
	out := append([]byte(nil), full[:8]...)
	at := 8
	var walk func(pos, n int)
	walk = func(pos, n int) {
		meets := pos < offset+length && offset < pos+n
		part := func(size int) {
			if meets {
				out = append(out, full[at:at+size]...)
			}
			at += size
		}
		if n <= ProofGroup {
			part(n)
			return
		}
		left := ProofGroup
		for left*2 < n {
			left *= 2
		}
		part(64)
		walk(pos, left)
		walk(pos+left, n-left)
	}
	walk(0, len(b))
	return out
}

func TestSliceProperties(t *testing.T) {
	blob := golden.Pattern(1 << 20)
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(1, 40*ProofGroup), rapid.Custom(func(t *rapid.T) int {
			return max(1, rapid.IntRange(1, 64).Draw(t, "groups")*ProofGroup+rapid.IntRange(-2, 0).Draw(t, "less"))
		})).Draw(t, "size")
		offset := rapid.IntRange(0, size-1).Draw(t, "offset")
		length := rapid.IntRange(1, size-offset).Draw(t, "length")
		b := blob[:size]
		tree, name, err := NewOutboard(bytes.NewReader(b), int64(size))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := WriteSlice(&out, bytes.NewReader(b), tree, int64(offset), int64(length)); err != nil {
			t.Fatal(err)
		}
		if int64(out.Len()) != SliceSize(int64(size), int64(offset), int64(length)) || !bytes.Equal(out.Bytes(), slowSlice(b, offset, length)) {
			t.Fatalf("a slice of %d bytes", out.Len())
		}
		p := Proof{name, int64(size), int64(offset), int64(length)}
		got, err := OpenSlice(out.Bytes(), p)
		if err != nil || !bytes.Equal(got, b[offset:offset+length]) {
			t.Fatal("verify:", err)
		}
		bad := bytes.Clone(out.Bytes())
		bad[rapid.IntRange(0, len(bad)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, err := OpenSlice(bad, p); !errors.Is(err, ErrSlice) {
			t.Fatal("a flipped bit verifies:", err)
		}
	})
}

// Threats row 9 for range reads: what a node may try with groups.
func TestSliceReleasesNothingUnverified(t *testing.T) {
	b := golden.Pattern(4 * ProofGroup)
	name, slice := makeSlice(t, b, 0, int64(len(b)))
	bad := bytes.Clone(slice)
	bad[len(bad)-1] ^= 1 // in the fourth group
	var out bytes.Buffer
	if err := VerifySlice(&out, bytes.NewReader(bad), Proof{name, int64(len(b)), 0, int64(len(b))}); !errors.Is(err, ErrSlice) {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), b[:3*ProofGroup]) {
		t.Fatalf("%d bytes released", out.Len())
	}
}

var errBroken = errors.New("broken pipe")

type brokenWriter struct{ after int }

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.after -= len(p); w.after < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

// A broken connection or disk is not the node's wrong answer.
func TestSliceTransportErrors(t *testing.T) {
	b := golden.Pattern(3 * ProofGroup)
	name, slice := makeSlice(t, b, 0, int64(len(b)))
	p := Proof{name, int64(len(b)), 0, int64(len(b))}
	broken := func(after int) io.Reader {
		return io.MultiReader(bytes.NewReader(slice[:after]), iotest.ErrReader(errBroken))
	}
	for _, after := range []int{0, 5, 8, 50, 5000, len(slice)} {
		if err := VerifySlice(io.Discard, broken(after), p); !errors.Is(err, errBroken) || errors.Is(err, ErrSlice) {
			t.Errorf("read fails after %d: %v", after, err)
		}
	}
	if err := VerifySlice(&brokenWriter{after: ProofGroup}, bytes.NewReader(slice), p); !errors.Is(err, errBroken) || errors.Is(err, ErrSlice) {
		t.Error("write fails:", err)
	}
	if err := VerifySlice(io.Discard, iotest.OneByteReader(bytes.NewReader(slice)), p); err != nil {
		t.Error("byte by byte:", err)
	}
	tree, _, err := NewOutboard(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteSlice(&brokenWriter{}, bytes.NewReader(b), tree, 0, 1); !errors.Is(err, errBroken) {
		t.Error("WriteSlice:", err)
	}
	if err := WriteSlice(io.Discard, bytes.NewReader(b[:10]), tree, 0, 1); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("blob shorter than its tree:", err)
	}
}

func TestSliceSizeRefuses(t *testing.T) {
	for name, r := range map[string][3]int64{
		"nothing": {100, 0, 0}, "negative": {100, -1, 5}, "beyond": {100, 50, 51}, "overflow": {100, 1, 1<<63 - 1},
		"blob too large": {MaxSize + 1, 0, 1}, "blob empty": {0, 0, 1}, "negative length": {100, 5, -1},
	} {
		if SliceSize(r[0], r[1], r[2]) != 0 || !errors.Is(CheckRange(r[0], r[1], r[2]), ErrSlice) {
			t.Errorf("%s: accepted", name)
		}
		if _, err := OpenSlice(nil, Proof{Size: r[0], Offset: r[1], Length: r[2]}); !errors.Is(err, ErrSlice) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzVerifySlice: whatever verifies is the range of the blob, byte for byte.
func FuzzVerifySlice(f *testing.F) {
	b := golden.Pattern(3*ProofGroup + 100)
	name := Name(b)
	for _, r := range [][2]int64{{0, 1}, {20000, 5000}, {int64(len(b)) - 1, 1}, {0, int64(len(b))}} {
		_, slice := makeSlice(f, b, r[0], r[1])
		f.Add(slice, int64(len(b)), r[0], r[1])
		f.Add(slice[:len(slice)-1], int64(len(b)), r[0], r[1])
	}
	f.Fuzz(func(t *testing.T, slice []byte, size, offset, length int64) {
		p := Proof{name, size, offset, length}
		got, err := OpenSlice(slice, p)
		var out bytes.Buffer
		streamErr := VerifySlice(&out, bytes.NewReader(slice), p)
		if (err == nil) != (streamErr == nil) {
			t.Fatal("the two ways disagree:", err, streamErr)
		}
		if out.Len() > 0 && !bytes.HasPrefix(b[offset:], out.Bytes()) {
			t.Fatal("bytes released that are not the blob's")
		}
		if err == nil && !bytes.Equal(got, b[offset:offset+length]) {
			t.Fatal("verified bytes that are not the blob's")
		}
	})
}

func BenchmarkOutboard(b *testing.B) {
	data := golden.Pattern(MaxSize)
	b.SetBytes(MaxSize)
	for b.Loop() {
		if _, _, err := NewOutboard(bytes.NewReader(data), MaxSize); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifySlice(b *testing.B) {
	name, slice := makeSlice(b, golden.Pattern(MaxSize), 0, 1<<20)
	b.SetBytes(1 << 20)
	for b.Loop() {
		if err := VerifySlice(io.Discard, bytes.NewReader(slice), Proof{name, MaxSize, 0, 1 << 20}); err != nil {
			b.Fatal(err)
		}
	}
}
