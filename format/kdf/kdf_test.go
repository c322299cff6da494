package kdf

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The test cases of RFC 5869, appendix A, with SHA-256.
func TestRFC5869(t *testing.T) {
	for _, c := range []struct{ name, ikm, salt, info, okm string }{
		{"A.1", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
			"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
		{"A.3, no salt, no info", "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
			"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := unhex(t, c.okm)
			if got := Derive(unhex(t, c.ikm), unhex(t, c.salt), unhex(t, c.info), len(want)); !bytes.Equal(got, want) {
				t.Fatalf("%x", got)
			}
		})
	}
}

func TestInfo(t *testing.T) {
	if got := Info("label", []byte{1, 2}, []byte{3}); !bytes.Equal(got, []byte("label\x00\x01\x02\x03")) {
		t.Fatalf("%q", got)
	}
	if got := Info("label"); !bytes.Equal(got, []byte("label\x00")) {
		t.Fatalf("%q", got)
	}
}

// Key32 is spelled out: extract with a salt of 32 zero bytes, then one block of
// expand.
func TestKey32(t *testing.T) {
	mac := func(key []byte, parts ...[]byte) []byte {
		m := hmac.New(sha256.New, key)
		for _, p := range parts {
			m.Write(p)
		}
		return m.Sum(nil)
	}
	ikm, handle := []byte("a secret"), []byte("0123456789abcdef")
	prk := mac(make([]byte, 32), ikm)
	want := mac(prk, []byte(LinkAuth), []byte{0}, handle, []byte{1})
	if got := Key32(ikm, LinkAuth, handle); !bytes.Equal(got[:], want) {
		t.Fatalf("%x, want %x", got, want)
	}
}

// Labels must differ, and none may be another with a suffix that a zero byte
// could begin.
func TestLabels(t *testing.T) {
	labels := []string{ContentKey, Content, Commit, LinkFinal, LinkAuth, LinkRecord}
	seen := map[[32]byte]string{}
	for _, l := range labels {
		key := Key32([]byte("ikm"), l)
		if seen[key] != "" {
			t.Errorf("%s and %s give the same key", l, seen[key])
		}
		seen[key] = l
		if bytes.IndexByte([]byte(l), 0) >= 0 || !bytes.HasPrefix([]byte(l), []byte("holdfast/v1/")) {
			t.Errorf("label %q", l)
		}
	}
}

func TestTooLong(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("more than 255 blocks were derived")
		}
	}()
	Derive(nil, nil, nil, 255*32+1)
}
