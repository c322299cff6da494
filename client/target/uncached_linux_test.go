package target

import (
	"os"
	"path/filepath"
	"testing"

	"holdfast/format/id"

	"golang.org/x/sys/unix"
)

// TestAnotherFileIsNotWritten: what took the name of a part between two opens is
// somebody else's.
func TestAnotherFileIsNotWritten(t *testing.T) {
	f, dir := open(t)
	p := begin(t, f, "file", "text", id.New[id.Revision]())
	if err := os.Rename(filepath.Join(dir, p.name), filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, p.name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if past := f.past(p.name, p.file); past != nil {
		t.Error("another file would be written")
	}
	if err := p.Discard(); err != nil {
		t.Error(err)
	}
}

// TestPastTheCache: a part is written past the cache where the file system takes
// such writes, and only there.
func TestPastTheCache(t *testing.T) {
	f, dir := open(t)
	p := begin(t, f, "file", "", id.New[id.Revision]())
	defer p.Discard()
	direct, err := os.OpenFile(filepath.Join(dir, p.name), os.O_WRONLY|unix.O_DIRECT, 0)
	if known := err == nil; known != (p.past != nil) {
		t.Fatalf("the file system knows writes past the cache: %t; they are used: %t", known, p.past != nil)
	}
	if err != nil {
		return // a file system without them has nothing more to show
	}
	direct.Close()
	r := p.Run(0)
	copy(r.Next()[:2*block], "text")
	r.to += 2 * block
	from, to, err := p.past.writeAt(r.mem[:r.to], 0)
	if from != 0 || to != 2*block || err != nil {
		t.Fatalf("from %d to %d: %v", from, to, err)
	}
	if err := r.End(); err != nil {
		t.Fatal(err)
	}
}
