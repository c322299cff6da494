package target

import (
	"errors"
	"os"
	"sync"
	"unsafe"
)

const (
	// block is what a write past the page cache must be a multiple of, in the file
	// and in memory: as much as any disk asks for (open(2), O_DIRECT).
	block = 4 << 10
	// runSize is how much is written at once: smaller writes past the cache take
	// longer, larger ones leave a processor's second cache (docs/bottlenecks.md).
	runSize = 1 << 20
	// RunStep is the most that may be put into a Run at once.
	RunStep = 256 << 10
)

// runs are reused. Their memory begins at a multiple of block.
var runs = sync.Pool{New: func() any {
	mem := make([]byte, block+runSize+RunStep+block)
	skip := -uintptr(unsafe.Pointer(&mem[0])) & (block - 1)
	return &Run{mem: mem[skip:]}
}}

// Run writes bytes that lie one after another in a Part. It writes past the page
// cache where the system can: what is received is synced before it gets its name, so
// that a copy in the cache would be made only for the disk to read.
type Run struct {
	part     *Part
	mem      []byte
	off      int64 // in the file, of mem[0]: a multiple of block
	from, to int   // what is in mem and not in the file
}

// Run begins at an offset. The run must be ended.
func (p *Part) Run(off int64) *Run {
	r := runs.Get().(*Run)
	within := int(off & (block - 1))
	r.part, r.off, r.from, r.to = p, off-int64(within), within, within
	return r
}

// Next is memory for the next bytes: empty, with room for RunStep.
func (r *Run) Next() []byte { return r.mem[r.to : r.to : r.to+RunStep] }

// Add takes the n bytes that were put into Next's memory.
func (r *Run) Add(n int) error {
	if r.to += n; r.to < runSize {
		return nil
	}
	whole := r.to &^ (block - 1)
	if err := r.write(whole); err != nil {
		return err
	}
	r.to = copy(r.mem, r.mem[whole:r.to])
	r.off, r.from = r.off+int64(whole), 0
	return nil
}

func (r *Run) write(to int) error {
	_, err := r.part.WriteAt(r.mem[r.from:to], r.off+int64(r.from))
	return err
}

// End writes what is left, and is to be called once.
func (r *Run) End() error {
	err := r.write(r.to)
	r.part = nil
	runs.Put(r)
	return err
}

// uncached is a second handle of a part, past the page cache. A nil one is no
// handle: then everything goes through the cache.
type uncached struct{ file *os.File }

// writeAt writes the blocks of b that are whole in the file, if memory and file
// agree in where a block begins, and returns which part of b they are: none, where
// the file system turns out to want none.
func (u *uncached) writeAt(b []byte, off int64) (from, to int, err error) {
	from = int(-off & (block - 1))
	if u == nil || len(b) < from+block || (uintptr(unsafe.Pointer(&b[from]))&(block-1)) != 0 {
		return 0, 0, nil
	}
	to = from + (len(b)-from)&^(block-1)
	if _, err := u.file.WriteAt(b[from:to], off+int64(from)); err != nil {
		if errors.Is(err, errNotAligned) {
			return 0, 0, nil
		}
		return 0, 0, err
	}
	return from, to, nil
}

func (u *uncached) close() error {
	if u == nil {
		return nil
	}
	return u.file.Close()
}
