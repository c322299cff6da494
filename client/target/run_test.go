package target

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"holdfast/format/id"

	"pgregory.net/rapid"
)

// TestRunsWriteWhatWasPut writes a file in runs of any sizes that end anywhere, in
// any order, as the pieces of a stream are.
func TestRunsWriteWhatWasPut(t *testing.T) {
	f, _ := open(t)
	files := 0
	rapid.Check(t, func(r *rapid.T) {
		files++
		name := fmt.Sprint("file ", files)
		p, err := f.Part(name, id.New[id.Revision]())
		if err != nil {
			r.Fatal(err)
		}
		cuts := rapid.SliceOfN(rapid.IntRange(1, 3<<20), 1, 4).Draw(r, "sizes of runs")
		step := rapid.IntRange(RunStep/2, RunStep).Draw(r, "step")
		var starts []int
		size := 0
		for _, n := range cuts {
			starts = append(starts, size)
			size += n
		}
		want := make([]byte, size)
		rand.NewChaCha8([32]byte{byte(size)}).Read(want)
		for _, i := range rapid.Permutation(starts).Draw(r, "order") {
			end := size
			for _, s := range starts {
				if s > i {
					end = s
					break
				}
			}
			if err := put(p, want[i:end], i, step); err != nil {
				r.Fatal(err)
			}
		}
		if err := p.Finish(Final{}); err != nil {
			r.Fatal(err)
		}
		if got, err := os.ReadFile(f.Path(name)); err != nil || !bytes.Equal(got, want) {
			r.Fatalf("%d bytes came as %d others (%v)", len(want), len(got), err)
		}
	})
}

func put(p *Part, text []byte, off, step int) error {
	run := p.Run(int64(off))
	for len(text) > 0 {
		n := min(step, len(text))
		copy(run.Next()[:n], text)
		if err := run.Add(n); err != nil {
			return errors.Join(err, run.End())
		}
		text = text[n:]
	}
	return run.End()
}

// TestWhatDoesNotLieInBlocksIsWritten: memory that does not lie as the file does, and
// a file system that wants none of it past the cache.
func TestWhatDoesNotLieInBlocksIsWritten(t *testing.T) {
	f, dir := open(t)
	mem := make([]byte, 8*block)
	mem = mem[-uintptr(unsafe.Pointer(&mem[0]))&(block-1):]
	rand.NewChaCha8([32]byte{}).Read(mem)
	other, err := os.Open(filepath.Join(dir, ".")) // a folder takes no writes: EBADF
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for name, b := range map[string][]byte{"askew": mem[1 : 6*block], "short": mem[:block-1], "none": nil, "whole": mem[:4*block]} {
		t.Run(name, func(t *testing.T) {
			p := begin(t, f, "file", "", id.New[id.Revision]())
			if n, err := p.WriteAt(b, block); n != len(b) || err != nil {
				t.Fatalf("%d of %d: %v", n, len(b), err)
			}
			got := make([]byte, len(b))
			if _, err := p.ReadAt(got, block); err != nil || !bytes.Equal(got, b) {
				t.Fatalf("other bytes came back (%v)", err)
			}
			if err := p.Discard(); err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Run("no handle past the cache that takes it", func(t *testing.T) {
		p := begin(t, f, "file", "", id.New[id.Revision]())
		if p.past != nil {
			p.past.close()
		}
		p.past = &uncached{other}
		if _, err := p.WriteAt(mem[:block], 0); err == nil {
			t.Error("a write that failed was taken")
		}
		p.past = nil
		if err := p.Discard(); err != nil {
			t.Error(err)
		}
	})
}
