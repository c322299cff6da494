package blob

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"holdfast/format/id"

	"lukechampine.com/blake3/bao"
)

const (
	groupLog   = 4 // 2^4 chunks of 1 KiB make a ProofGroup
	sizeWord   = 8
	parentSize = 64
)

// Outboard is the hash tree of a blob above its groups: the size word, then the
// pairs of chaining values in pre-order. A node may keep it beside the blob or
// make it again; it never leaves the node as such.
type Outboard []byte

// OutboardSize is the length of the outboard of a blob.
func OutboardSize(blobSize int64) int64 {
	groups := (blobSize + ProofGroup - 1) / ProofGroup
	return sizeWord + (groups-1)*parentSize
}

// NewOutboard reads a blob of the given size and returns its outboard and its
// name, made in one pass.
func NewOutboard(r io.Reader, size int64) (Outboard, id.Name, error) {
	if size < 1 || size > MaxSize {
		return nil, id.Name{}, fmt.Errorf("blob: outboard: %w: size %d", ErrExtent, size)
	}
	tree := make(Outboard, OutboardSize(size))
	name, err := bao.Encode(tree, r, size, groupLog, true)
	if err != nil {
		return nil, id.Name{}, fmt.Errorf("blob: outboard: %w", err)
	}
	return tree, name, nil
}

// WriteAt lets the encoder fill the outboard, which it does not in order.
func (o Outboard) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > int64(len(o)) {
		return 0, io.ErrShortWrite
	}
	return copy(o[off:], p), nil
}

// Size is the size of the blob, or 0 if o is not an outboard at all, as after
// damage to where it was kept. Damage to its hashes shows when a slice is checked.
func (o Outboard) Size() int64 {
	if len(o) < sizeWord {
		return 0
	}
	size := binary.LittleEndian.Uint64(o)
	if size < 1 || size > MaxSize || OutboardSize(int64(size)) != int64(len(o)) {
		return 0
	}
	return int64(size)
}

// CheckRange tells whether length ≥ 1 bytes from offset lie within a blob.
func CheckRange(blobSize, offset, length int64) error {
	if blobSize < 1 || blobSize > MaxSize || offset < 0 || length < 1 || offset > blobSize || length > blobSize-offset {
		return fmt.Errorf("%w: %d bytes from offset %d of a blob of %d", ErrSlice, length, offset, blobSize)
	}
	return nil
}

// SliceSize is the length in bytes of the slice that proves a range, 0 for a
// range that CheckRange refuses.
func SliceSize(blobSize, offset, length int64) int64 {
	if CheckRange(blobSize, offset, length) != nil {
		return 0
	}
	var walk func(pos, n int64) int64
	walk = func(pos, n int64) int64 {
		switch {
		case pos >= offset+length || offset >= pos+n:
			return 0
		case n <= ProofGroup:
			return n
		}
		left := int64(1) << (bits.Len64(uint64(n-1)) - 1)
		return parentSize + walk(pos, left) + walk(pos+left, n-left)
	}
	return sizeWord + walk(0, blobSize)
}

// WriteSlice writes the slice that proves length bytes from offset, reading
// only the groups that the range meets from data. It does not check data
// against the tree: whoever verifies the slice does.
func WriteSlice(w io.Writer, data io.ReaderAt, tree Outboard, offset, length int64) error {
	size := tree.Size()
	if size == 0 {
		return errors.New("blob: slice: damaged outboard; make it again from the blob")
	}
	if err := CheckRange(size, offset, length); err != nil {
		return err
	}
	first := offset &^ (ProofGroup - 1)
	groups := io.NewSectionReader(data, first, size-first)
	out := bufio.NewWriterSize(w, 4*ProofGroup)
	if err := bao.ExtractSlice(out, groups, bytes.NewReader(tree), groupLog, uint64(offset), uint64(length)); err != nil {
		return fmt.Errorf("blob: slice: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("blob: slice: %w", err)
	}
	return nil
}

// Proof names a range of a blob that a slice must prove.
type Proof struct {
	Name           id.Name
	Size           int64 // of the blob, known from elsewhere: never believed from the slice
	Offset, Length int64
}

// VerifySlice reads a slice to its end and writes the bytes of the range to w,
// each group once it has been verified. Its error is ErrSlice if the slice is
// at fault, and otherwise that of r or w.
func VerifySlice(w io.Writer, slice io.Reader, p Proof) error {
	if err := CheckRange(p.Size, p.Offset, p.Length); err != nil {
		return err
	}
	in, out := &tracked{r: slice}, &tracked{w: w}
	var word [sizeWord]byte
	if _, err := io.ReadFull(in, word[:]); err != nil {
		return in.blame("short")
	}
	// The decoder takes the size from here on trust, so it is compared first.
	if binary.LittleEndian.Uint64(word[:]) != uint64(p.Size) {
		return fmt.Errorf("%w: size word differs from the blob's size %d", ErrSlice, p.Size)
	}
	ok, err := bao.DecodeSlice(out, io.MultiReader(bytes.NewReader(word[:]), in), groupLog, uint64(p.Offset), uint64(p.Length), p.Name)
	switch {
	case out.err != nil:
		return fmt.Errorf("blob: write verified bytes: %w", out.err)
	case err != nil:
		return in.blame("short")
	case !ok:
		return fmt.Errorf("%w: a hash differs", ErrSlice)
	}
	n, err := io.ReadFull(in, word[:1])
	if n > 0 {
		return fmt.Errorf("%w: bytes left over", ErrSlice)
	}
	if err != io.EOF {
		return in.blame("unreadable")
	}
	return nil
}

// OpenSlice verifies a slice held in memory and returns the bytes of the range.
func OpenSlice(slice []byte, p Proof) ([]byte, error) {
	if err := CheckRange(p.Size, p.Offset, p.Length); err != nil {
		return nil, err
	}
	if want := SliceSize(p.Size, p.Offset, p.Length); int64(len(slice)) != want {
		return nil, fmt.Errorf("%w: %d bytes instead of %d", ErrSlice, len(slice), want)
	}
	out := bytes.NewBuffer(make([]byte, 0, p.Length))
	if err := VerifySlice(out, bytes.NewReader(slice), p); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// tracked remembers the first error of a reader or writer other than the end of
// input, to tell a broken connection from a wrong slice.
type tracked struct {
	r   io.Reader
	w   io.Writer
	err error
}

func (t *tracked) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if err != nil && err != io.EOF && t.err == nil {
		t.err = err
	}
	return n, err
}

func (t *tracked) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	if err != nil && t.err == nil {
		t.err = err
	}
	return n, err
}

func (t *tracked) blame(what string) error {
	if t.err != nil {
		return fmt.Errorf("blob: read slice: %w", t.err)
	}
	return fmt.Errorf("%w: %s", ErrSlice, what)
}
