package blob

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/format/internal/golden"

	"pgregory.net/rapid"
)

// TestNamesAgainstB3sum compares with another implementation, the program
// b3sum, at sizes around chunks, groups and the greatest blob.
func TestNamesAgainstB3sum(t *testing.T) {
	program, err := exec.LookPath("b3sum")
	if err != nil {
		t.Fatal("this test needs the Debian package b3sum (apt-get install b3sum): ", err)
	}
	dir := t.TempDir()
	var paths []string
	want := map[string]string{}
	for _, n := range []int64{0, 1, 64, 1023, 1024, 1025, 3072, 8192, 8193, ProofGroup, ProofGroup + 1, 131072, 1<<20 - 1, MaxSize - 1, MaxSize} {
		b := golden.Pattern(n)
		path := filepath.Join(dir, hex.EncodeToString([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}))
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		name := Name(b)
		paths, want[path] = append(paths, path), hex.EncodeToString(name[:])
	}
	out, err := exec.CommandContext(t.Context(), program, paths...).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(paths) {
		t.Fatalf("%d lines for %d files", len(lines), len(paths))
	}
	for _, line := range lines {
		hash, path, _ := strings.Cut(line, "  ")
		if want[path] != hash {
			t.Errorf("%s: b3sum says %s, Name says %s", filepath.Base(path), hash, want[path])
		}
	}
}

func TestHasher(t *testing.T) {
	b := golden.Pattern(100000)
	h := NewHasher()
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{bytes.NewReader(b)}, make([]byte, 777)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // asking ends nothing
		if h.Name() != Name(b) {
			t.Fatal("streaming gives another name")
		}
	}
	h.Reset()
	if h.Name() != Name(nil) {
		t.Fatal("Reset leaves something behind")
	}
}

func TestExtents(t *testing.T) {
	for name, c := range map[string]struct {
		e  Extent
		ok bool
	}{
		"whole blob":         {Extent{Length: MaxSize}, true},
		"last byte":          {Extent{Offset: MaxSize - 1, Length: 1}, true},
		"empty":              {Extent{}, false},
		"negative offset":    {Extent{Offset: -1, Length: 2}, false},
		"negative length":    {Extent{Length: -1}, false},
		"beyond":             {Extent{Offset: 1, Length: MaxSize}, false},
		"overflow":           {Extent{Offset: 1, Length: 1<<63 - 1}, false},
		"offset far beyond":  {Extent{Offset: 1<<63 - 1, Length: 1}, false},
		"one byte at a time": {Extent{Offset: 5, Length: 1}, true},
	} {
		if err := c.e.Check(); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrExtent) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n, err := Total([]Extent{{Length: MaxSize}, {Offset: 3, Length: 4}}); n != MaxSize+4 || err != nil {
		t.Error(n, err)
	}
	for name, list := range map[string][]Extent{
		"none": nil, "one bad": {{Length: 1}, {}}, "too many": make([]Extent, MaxExtents+1),
	} {
		if _, err := Total(list); !errors.Is(err, ErrExtent) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPiecesProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, MaxStream).Draw(t, "stream")
		count := Pieces(n)
		off, size := Piece(n, count-1)
		if count > MaxExtents || size < 1 || size > MaxSize || off+size != n {
			t.Fatalf("%d pieces, last %d at %d", count, size, off)
		}
		i := rapid.IntRange(0, count-1).Draw(t, "piece")
		if off, size := Piece(n, i); off != int64(i)*MaxSize || i < count-1 && size != MaxSize {
			t.Fatalf("piece %d: %d at %d", i, size, off)
		}
	})
}
