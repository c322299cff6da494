package descriptor

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"holdfast/format/internal/golden"
	"holdfast/format/wire"
)

// readWhole decodes b with Read alone.
func readWhole(b []byte, exact bool) (Descriptor, error) {
	r := wire.NewReader(b, MaxDescriptor, exact)
	d := Read(r)
	if err := r.End(); err != nil {
		return Descriptor{}, err
	}
	return *d, nil
}

// sameAsDecode holds Read against Decode, which was there before it.
func sameAsDecode(t interface {
	Helper()
	Fatalf(string, ...any)
}, b []byte) {
	t.Helper()
	want, wantErr := Decode(b)
	have, haveErr := readWhole(b, false)
	if (wantErr == nil) != (haveErr == nil) || !reflect.DeepEqual(want, have) {
		t.Fatalf("%x\nDecode: %v\nRead:   %v", b, wantErr, haveErr)
	}
	if haveErr != nil && !errors.Is(haveErr, wire.ErrEncoding) {
		t.Fatalf("not an encoding error: %v", haveErr)
	}
	exact, err := readWhole(b, true)
	if wantErr == nil && (err == nil) != bytes.Equal(wire.Marshal(want), b) {
		t.Fatalf("exactly: %v", err)
	}
	if err == nil && !reflect.DeepEqual(exact, want) {
		t.Fatalf("exactly it is another")
	}
}

func TestReadTakesWhatDecodeTakes(t *testing.T) {
	for _, c := range golden.Read[vector](t, "descriptor.json") {
		t.Run(c.CaseName(), func(t *testing.T) { sameAsDecode(t, c.Bytes.Bytes) })
	}
}

// TestReadMutations changes a byte, or cuts: Read and Decode agree on all of it.
func TestReadMutations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := wire.Marshal(drawDescriptor(t, drawName(t)))
		sameAsDecode(t, b)
		at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		b[at] ^= rapid.Byte().Draw(t, "bits")
		sameAsDecode(t, b)
		sameAsDecode(t, b[:at])
	})
}

func FuzzRead(f *testing.F) {
	for _, c := range golden.Read[vector](f, "descriptor.json") {
		f.Add(c.Bytes.Bytes)
	}
	f.Fuzz(func(t *testing.T, b []byte) { sameAsDecode(t, b) })
}
