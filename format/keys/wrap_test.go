package keys

import (
	"bytes"
	"testing"

	"holdfast/format/seal"

	"pgregory.net/rapid"
)

// ways are the ways to sign in to the account of a root.
func ways(r Root) map[string]Wrapper {
	export := [64]byte(run(7, 64))
	return map[string]Wrapper{
		"password":        ByPassword(r.Account, export),
		"another export":  ByPassword(r.Account, [64]byte(run(8, 64))),
		"phrase":          ByPhrase(r.Account, Phrase(export[:32])),
		"passkey":         ByPasskey(r.Account, [32]byte(export[:32]), []byte("credential")),
		"another passkey": ByPasskey(r.Account, [32]byte(export[:32]), []byte("another")),
	}
}

func TestWrapsOpenOnlyTheirOwnWay(t *testing.T) {
	r := fixed(1, 3)
	for made, w := range ways(r) {
		wrap := w.Wrap(r)
		if len(wrap) != WrapSize {
			t.Fatalf("%s: %d bytes", made, len(wrap))
		}
		for tried, other := range ways(r) {
			got, err := other.Unwrap(r.Epoch, wrap)
			if tried == made && (err != nil || got != r) {
				t.Errorf("%s does not open: %v", made, err)
			}
			if tried != made && (err != ErrWrap || got != Root{}) {
				t.Errorf("%s opens as %s: %v", made, tried, err)
			}
		}
	}
}

// TestThreat01WrapsChanged: whatever a server does to a wrap, it is not opened, and
// how it fails says nothing of where it was changed.
func TestThreat01WrapsChanged(t *testing.T) {
	r := fixed(1, 3)
	for way, w := range ways(r) {
		wrap := w.Wrap(r)
		for i := range wrap {
			for bit := range 8 {
				bad := bytes.Clone(wrap)
				bad[i] ^= 1 << bit
				if got, err := w.Unwrap(r.Epoch, bad); err != ErrWrap || got != (Root{}) {
					t.Fatalf("%s, byte %d, bit %d: %v", way, i, bit, err)
				}
			}
		}
		for _, bad := range [][]byte{nil, wrap[:WrapSize-1], append(bytes.Clone(wrap), 0), make([]byte, WrapSize)} {
			if _, err := w.Unwrap(r.Epoch, bad); err != ErrWrap {
				t.Errorf("%s, %d bytes: %v", way, len(bad), err)
			}
		}
	}
}

// TestThreat01WrapsOfOthers: a wrap of another account, of another epoch, or a record
// of another kind or length under the same key.
func TestThreat01WrapsOfOthers(t *testing.T) {
	r := fixed(1, 3)
	other := fixed(2, 3)
	w := ByPassword(r.Account, [64]byte(run(7, 64)))
	wrap := w.Wrap(r)
	for _, epoch := range []uint32{0, 1, 2, 4, 1 << 31} {
		if _, err := w.Unwrap(epoch, wrap); err != ErrWrap {
			t.Errorf("epoch %d: %v", epoch, err)
		}
	}
	if _, err := ByPassword(other.Account, [64]byte(run(7, 64))).Unwrap(3, wrap); err != ErrWrap {
		t.Errorf("another account: %v", err)
	}
	for name, bad := range map[string][]byte{
		"another type":  seal.SealRecord(w.purpose, "link", w.aad(r), r.Key[:]),
		"a shorter key": seal.SealRecord(w.purpose, wrapKind, w.aad(r), r.Key[:31]),
		"no key":        seal.SealRecord(w.purpose, wrapKind, w.aad(r), nil),
	} {
		if _, err := w.Unwrap(3, bad); err != ErrWrap {
			t.Errorf("%s: %v", name, err)
		}
	}
	zero := Root{Account: r.Account, Key: r.Key}
	if _, err := w.Unwrap(0, seal.SealRecord(w.purpose, wrapKind, w.aad(zero), r.Key[:])); err != ErrWrap {
		t.Errorf("epoch 0: %v", err)
	}
}

func TestWrapOfAnotherAccountIsNotMade(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("made")
		}
	}()
	ByPassword(fixed(2, 1).Account, [64]byte{}).Wrap(fixed(1, 1))
}

func FuzzUnwrap(f *testing.F) {
	r := fixed(1, 3)
	w := ByPhrase(r.Account, Phrase{})
	f.Add(uint32(3), w.Wrap(r))
	f.Fuzz(func(t *testing.T, epoch uint32, wrap []byte) {
		if got, err := w.Unwrap(epoch, wrap); err != ErrWrap && (err != nil || got != r) {
			t.Error(got, err)
		}
	})
}

// TestWrapsAreDrawnAnew: no two wraps share their salt, so that no key meets two nonces.
func TestWrapsAreDrawnAnew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := fixed(rapid.Byte().Draw(t, "first"), 1)
		w := ByPhrase(r.Account, Phrase(r.Key))
		if a, b := w.Wrap(r), w.Wrap(r); bytes.Equal(a[1:33], b[1:33]) {
			t.Fatal("the same salt twice")
		}
	})
}
