package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"runtime"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// slowCheck is check by way of a library: decode to a tree, look at every value,
// encode again.
func slowCheck(b []byte) bool {
	var tree any
	if err := decMode.Unmarshal(b, &tree); err != nil {
		return false
	}
	return allowed(tree) && bytes.Equal(Marshal(tree), b)
}

func allowed(v any) bool {
	switch v := v.(type) {
	case int64:
		return v >= -MaxInt && v <= MaxInt
	case []byte, string, bool:
		return true
	case []any:
		for _, e := range v {
			if !allowed(e) {
				return false
			}
		}
		return true
	case map[int64]any:
		for k, e := range v {
			if !allowed(k) || !allowed(e) {
				return false
			}
		}
		return true
	}
	return false
}

// FuzzCheck: two ways to tell the deterministic encoding agree.
func FuzzCheck(f *testing.F) {
	for _, g := range goodCBOR() {
		b, _ := hex.DecodeString(g.hex)
		f.Add(b)
	}
	for _, c := range badCBOR() {
		b, _ := hex.DecodeString(c[1])
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := check(b); (err == nil) != slowCheck(b) {
			t.Fatalf("%x: %v", b, err)
		}
	})
}

// Threats row 28: what a stranger put under keys that are ignored costs no
// memory, and what is announced but not there costs none either.
func TestHostileSizes(t *testing.T) {
	least, err := hex.DecodeString(sampleHex(nil))
	if err != nil {
		t.Fatal(err)
	}
	entry := func(value []byte) []byte {
		return append(append([]byte{0xa4}, least[1:]...), append([]byte{0x18, 64}, value...)...)
	}
	zeros := append([]byte{0x9a, 0, 0x10, 0, 0}, make([]byte, 1<<20)...)
	full := entry(zeros)
	over := entry(append([]byte{0x9a, 0, 0x10, 0, 1}, make([]byte, 1<<20+1)...))
	announced := entry([]byte{0x9a, 0, 0x0f, 0xff, 0xff})
	pairs := entry([]byte{0xb9, 0x20, 0})
	for i := range 0x2000 {
		pairs = append(pairs, shortest(i)...)
		pairs = append(pairs, 0)
	}
	for name, c := range map[string]struct {
		b  []byte
		ok bool
	}{"2^20 values": {full, true}, "2^20 values and one": {over, false}, "announced alone": {announced, false}, "8192 pairs": {pairs, true}} {
		t.Run(name, func(t *testing.T) {
			var v shape
			if err := Unmarshal(c.b, 2<<20, &v); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrEncoding) {
				t.Fatal(err)
			}
		})
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var v shape
	if err := Unmarshal(full, 2<<20, &v); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<17 {
		t.Errorf("1 MiB of ignored values cost %d bytes", got)
	}
}

func shortest(n int) []byte {
	b, err := cbor.Marshal(n)
	if err != nil {
		panic(err)
	}
	return b
}
