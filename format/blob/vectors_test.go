package blob

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"holdfast/format/id"
	"holdfast/format/internal/golden"
)

type blobVector struct {
	golden.Name
	Data         *golden.Source `json:"data,omitempty"`
	Name32       golden.Hex     `json:"name32,omitempty"`
	Names        []golden.Hex   `json:"names,omitempty"`
	Root         golden.Hex     `json:"root,omitempty"`
	StreamLength int64          `json:"streamLength,omitempty"`
	Cuts         []int64        `json:"cuts,omitempty"`
	Fail         string         `json:"fail,omitempty"`
}

func blobVectors() []blobVector {
	var out []blobVector
	for _, n := range []int64{1, 63, 64, 65, 1023, 1024, 1025, 2048, 2049, 16384, 16385, 100000, 262144} {
		name := Name(golden.Pattern(n))
		out = append(out, blobVector{Name: golden.Name{Name: fmt.Sprintf("%d bytes", n)}, Data: golden.OfPattern(n), Name32: name[:]})
	}
	name := Name(golden.Pattern(1025))
	out = append(out,
		blobVector{Name: golden.Name{Name: "a byte missing"}, Data: golden.OfPattern(1024), Name32: name[:], Fail: "name"},
		blobVector{Name: golden.Name{Name: "a bit flipped"}, Data: golden.Edited("1025 bytes", golden.Flip(1024, 1)), Name32: name[:], Fail: "name"})
	for n := range 3 {
		v := blobVector{Name: golden.Name{Name: fmt.Sprintf("root of %d", n+1)}}
		var names []id.Name
		for i := range n + 1 {
			piece := Name(golden.Pattern(int64(i + 1)))
			names, v.Names = append(names, piece), append(v.Names, piece[:])
		}
		root := Root(names)
		v.Root = root[:]
		out = append(out, v)
	}
	for _, n := range []int64{1080, 1048577, 8388608, 8388609, 16777216, 26214400} {
		v := blobVector{Name: golden.Name{Name: fmt.Sprintf("stream of %d", n)}, StreamLength: n}
		for i := range Pieces(n) {
			_, size := Piece(n, i)
			v.Cuts = append(v.Cuts, size)
		}
		out = append(out, v)
	}
	return out
}

func TestBlobVectors(t *testing.T) {
	cases := golden.Sync(t, "blobs.json", "Names, roots and cutting of blobs (docs/format.md §4, §5)", blobVectors())
	data := func(name string) (*golden.Source, error) {
		for _, c := range cases {
			if c.CaseName() == name {
				return c.Data, nil
			}
		}
		return nil, fmt.Errorf("no case %q", name)
	}
	for _, c := range cases {
		t.Run(c.CaseName(), func(t *testing.T) {
			switch {
			case c.Data != nil:
				b, err := c.Data.Load(data)
				if err != nil {
					t.Fatal(err)
				}
				if err := Check(b, id.Name(c.Name32)); (c.Fail == "") != (err == nil) || err != nil && !errors.Is(err, ErrName) {
					t.Fatal(err)
				}
			case c.Names != nil:
				var names []id.Name
				for _, n := range c.Names {
					names = append(names, id.Name(n))
				}
				if got := Root(names); !bytes.Equal(got[:], c.Root) {
					t.Fatalf("%x", got)
				}
			default:
				c.checkCuts(t)
			}
		})
	}
}

func (v blobVector) checkCuts(t *testing.T) {
	var at int64
	for i, want := range v.Cuts {
		off, n := Piece(v.StreamLength, i)
		if off != at || n != want {
			t.Errorf("piece %d is %d bytes at %d", i, n, off)
		}
		at += n
	}
	if at != v.StreamLength || Pieces(v.StreamLength) != len(v.Cuts) {
		t.Errorf("%d pieces, %d bytes", Pieces(v.StreamLength), at)
	}
}

type sliceVector struct {
	golden.Name
	Blob   *golden.Source `json:"blob,omitempty"`
	Size   int64          `json:"size"`
	Name32 golden.Hex     `json:"name32"`
	Offset int64          `json:"offset"`
	Length int64          `json:"length"`
	Slice  *golden.Source `json:"slice"`
	Fail   string         `json:"fail,omitempty"`
}

func (v sliceVector) proof() Proof {
	return Proof{id.Name(v.Name32), v.Size, v.Offset, v.Length}
}

func makeSlice(t testing.TB, b []byte, offset, length int64) (id.Name, []byte) {
	t.Helper()
	tree, name, err := NewOutboard(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := WriteSlice(&out, bytes.NewReader(b), tree, offset, length); err != nil {
		t.Fatal(err)
	}
	return name, out.Bytes()
}

func goodSlice(t *testing.T, name string, size, offset, length int64) sliceVector {
	blobName, slice := makeSlice(t, golden.Pattern(size), offset, length)
	v := sliceVector{Name: golden.Name{Name: name}, Blob: golden.OfPattern(size), Size: size, Name32: blobName[:], Offset: offset, Length: length}
	if len(slice) <= 2048 {
		v.Slice = golden.OfBytes(slice)
	} else {
		v.Slice = golden.OfFile(golden.Beside(t, fmt.Sprintf("slices-%d-%d-%d.bin", size, offset, length), slice))
	}
	return v
}

func (v sliceVector) failing(name string, change func(*sliceVector), edits ...golden.Edit) sliceVector {
	out := v
	out.Blob, out.Fail = nil, "slice"
	out.Slice = golden.Edited(v.CaseName(), edits...)
	out.Name = golden.Name{Name: name}
	if change != nil {
		change(&out)
	}
	return out
}

func sliceVectors(t *testing.T) []sliceVector {
	tail := goodSlice(t, "second of two groups, one byte", 16385, 16384, 1)
	mid := goodSlice(t, "inside one group of seven", 100000, 20000, 5000)
	big := goodSlice(t, "one byte of 8 MiB", 8388608, 5000000, 1)
	end := SliceSize(100000, 20000, 5000)
	set := func(offset, length int64) func(*sliceVector) {
		return func(v *sliceVector) { v.Offset, v.Length = offset, length }
	}
	cut := func(n int64) golden.Edit { return golden.Take([2]int64{0, n}) }
	return []sliceVector{
		goodSlice(t, "one byte, all of it", 1, 0, 1),
		goodSlice(t, "one group, a part", 1000, 10, 20),
		goodSlice(t, "first of two groups", 16385, 0, 1),
		tail, mid,
		goodSlice(t, "all of seven groups", 100000, 0, 100000),
		goodSlice(t, "last byte of seven groups", 100000, 99999, 1),
		goodSlice(t, "across two groups", 100000, 32767, 2),
		big,
		goodSlice(t, "across the middle of 8 MiB", 8388608, 4194303, 2),
		mid.failing("empty", func(v *sliceVector) { v.Slice = golden.OfBytes(nil) }),
		mid.failing("size word alone", nil, cut(8)),
		mid.failing("size word cut", nil, cut(7)),
		mid.failing("cut within a parent", nil, cut(100)),
		mid.failing("last byte missing", nil, cut(end-1)),
		mid.failing("one byte left over", nil, golden.Edit{Append: golden.Hex{0}}),
		mid.failing("all of it twice", nil, golden.Take([2]int64{0, end}, [2]int64{0, end})),
		mid.failing("size word one too large", nil, golden.Flip(0, 1)),
		mid.failing("size word beyond 2^63", nil, golden.Flip(7, 0x80)),
		mid.failing("size word and known size of a lower tree", func(v *sliceVector) { v.Size = 50000 }, golden.Edit{Xor: golden.Hex{0xf0, 0x45, 0x01}}),
		mid.failing("known size another, same groups", func(v *sliceVector) { v.Size = 99999 }),
		mid.failing("chaining value on the path", nil, golden.Flip(8, 1)),
		mid.failing("chaining value beside the path", nil, golden.Flip(71, 0x80)),
		mid.failing("last parent", nil, golden.Flip(8+3*64-1, 1)),
		mid.failing("children swapped", nil, golden.Take([2]int64{0, 8}, [2]int64{40, 72}, [2]int64{8, 40}, [2]int64{72, end})),
		mid.failing("first byte of the group, outside the range", nil, golden.Flip(8+3*64, 1)),
		mid.failing("byte of the range", nil, golden.Flip(end-9000, 1)),
		mid.failing("last byte of the group, outside the range", nil, golden.Flip(end-1, 0x40)),
		mid.failing("another blob's name", func(v *sliceVector) { v.Name32 = tail.Name32 }),
		mid.failing("range in another group", set(0, 5000)),
		mid.failing("range reaches into the next group", set(20000, 13000)),
		mid.failing("range of the last group", set(99999, 1)),
		tail.failing("slice of the other group", set(0, 1)),
		mid.failing("length 0", set(20000, 0)),
		mid.failing("range ends beyond the blob", set(20000, 80001)),
		mid.failing("range begins at the end of the blob", set(100000, 1)),
		mid.failing("range far beyond the blob", set(1<<53-1, 1)),
		big.failing("proof of another byte of 8 MiB", set(0, 1)),
	}
}

func TestSliceVectors(t *testing.T) {
	cases := golden.Sync(t, "slices.json", "Range proofs (docs/format.md §5)", sliceVectors(t))
	slice := func(name string) (*golden.Source, error) {
		for _, c := range cases {
			if c.CaseName() == name {
				return c.Slice, nil
			}
		}
		return nil, fmt.Errorf("no case %q", name)
	}
	for _, c := range cases {
		t.Run(c.CaseName(), func(t *testing.T) {
			b, err := c.Slice.Load(slice)
			if err != nil {
				t.Fatal(err)
			}
			got, err := OpenSlice(b, c.proof())
			var streamed bytes.Buffer
			streamErr := VerifySlice(&streamed, bytes.NewReader(b), c.proof())
			if c.Fail != "" {
				if !errors.Is(err, ErrSlice) || got != nil || !errors.Is(streamErr, ErrSlice) {
					t.Fatalf("%d bytes, %v; streamed %v", len(got), err, streamErr)
				}
				return
			}
			whole, loadErr := c.Blob.Load(nil)
			if loadErr != nil {
				t.Fatal(loadErr)
			}
			want := whole[c.Offset : c.Offset+c.Length]
			if err != nil || streamErr != nil || !bytes.Equal(got, want) || !bytes.Equal(streamed.Bytes(), want) {
				t.Fatalf("%d bytes, %v; streamed %v", len(got), err, streamErr)
			}
			name, again := makeSlice(t, whole, c.Offset, c.Length)
			if !bytes.Equal(again, b) || !bytes.Equal(name[:], c.Name32) || SliceSize(c.Size, c.Offset, c.Length) != int64(len(b)) {
				t.Fatal("making it gives another slice")
			}
		})
	}
}
