package transfer

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"holdfast/client/resume"
	"holdfast/client/source"
	"holdfast/format/blob"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/seal"
)

// file is a revision in the making: of an entry, or the listing.
type file struct {
	resume.File
	entry  *source.Entry // nil for the listing and for a stream
	length int64         // of the stream

	sealer *seal.Sealer
	left   atomic.Int32 // pieces that are still to be made
	pieces []id.Name    // of a large stream
	root   [32]byte     // of a small one

	mu     sync.Mutex // guards handle
	handle *os.File
	text   []byte // of the listing, set before its first piece is made
}

// newFile fails with ErrLimit for a file that could not be committed.
func newFile(drawn resume.File, entry *source.Entry, size int64) (*file, error) {
	length, err := seal.PaddedStreamLength(size)
	if err != nil {
		return nil, err
	}
	f := &file{File: drawn, entry: entry, length: length, sealer: seal.NewSealer(drawn.Keys(), drawn.Params())}
	f.Size = size
	if f.large() {
		if err := describable(blob.Pieces(length)); err != nil {
			return nil, err
		}
		f.pieces = make([]id.Name, blob.Pieces(length))
	}
	return f, nil
}

// large tells whether the stream has blobs of its own (docs/format.md §5).
func (f *file) large() bool { return f.length > blob.PackMax }

// open gives the source for reading at random; all pieces share one handle.
func (f *file) open() (io.ReaderAt, error) {
	if f.entry == nil {
		return byteSource(f.text), nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.handle == nil {
		handle, err := f.entry.Open()
		if err != nil {
			return nil, err
		}
		f.handle = handle
	}
	return f.handle, nil
}

// done is called for each piece that was made; the last one looks whether the
// file is still what it was.
func (f *file) done() error {
	if f.left.Add(-1) > 0 || f.entry == nil {
		return nil
	}
	return f.close(true)
}

// close lets go of the handle.
func (f *file) close(check bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.handle == nil {
		return nil
	}
	var err error
	if check {
		err = f.entry.Unchanged(f.handle)
	}
	if closed := f.handle.Close(); err == nil && closed != nil {
		err = &source.Error{Local: f.entry.Local, Err: closed}
	}
	f.handle = nil
	return err
}

// content is what a descriptor says of the file, once all its pieces are known.
func (f *file) content() descriptor.Content {
	root := f.root
	if f.large() {
		root = blob.Root(f.pieces)
	}
	return descriptor.Content{
		File: f.ID, Revision: f.Revision, Key: descriptor.Key(f.K),
		Commitment: f.sealer.Commitment(), Root: root, Size: f.Size,
	}
}

// describe is the entry's descriptor under that path.
func (f *file) describe(path string) descriptor.Descriptor {
	content := f.content()
	d := descriptor.Descriptor{Path: path, Kind: descriptor.File, Content: &content, MediaType: mediaType(path)}
	if f.entry != nil {
		setTime(&d, f.entry.ModTime)
		d.Executable = f.entry.Executable
	}
	return d
}

// byteSource reads from memory, as io.ReaderAt wants it.
type byteSource []byte

func (b byteSource) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// counted reports what is read through it.
type counted struct {
	io.ReaderAt
	progress func(n int64)
}

func (c counted) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.progress(int64(n))
	return n, err
}

// readWhole reads a small source of known size into buf.
func readWhole(src io.ReaderAt, size int64, buf []byte) ([]byte, error) {
	n, err := src.ReadAt(buf[:size+1], 0)
	switch {
	case err != nil && err != io.EOF: // though all was read: whether there is more cannot be known
		return nil, fmt.Errorf("read: %w", err)
	case int64(n) != size:
		return nil, seal.ErrSource
	}
	return buf[:size], nil
}
