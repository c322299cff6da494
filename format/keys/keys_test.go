package keys

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"math"
	"testing"

	"holdfast/format/id"

	"pgregory.net/rapid"
)

// fixed is a root of known bytes.
func fixed(first byte, epoch uint32) Root {
	return Root{Account: id.Account(run(first, 16)), Epoch: epoch, Key: [32]byte(run(first+16, 32))}
}

// run is n bytes that count up from first.
func run(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

// secrets are everything that is derived from a root.
func secrets(r Root) map[string][]byte {
	root, heads, settings := r.RootFolder(), r.Heads(), r.Settings()
	return map[string][]byte{
		"signing": r.SigningKey().Seed(), "box": r.decryptionKey().PublicKey().Bytes(), "settings": settings[:],
		"root id": root.ID[:], "root read": root.Read[:], "root write": root.WriteSeed[:], "root admin": root.AdminSeed[:],
		"heads id": heads.ID[:], "heads read": heads.Read[:], "heads write": heads.WriteSeed[:], "heads admin": heads.AdminSeed[:],
	}
}

func TestEverythingFollowsFromTheRoot(t *testing.T) {
	once, again := secrets(fixed(1, 1)), secrets(fixed(1, 1))
	for name, have := range once {
		if !bytes.Equal(have, again[name]) {
			t.Errorf("%s is another one the second time", name)
		}
	}
}

// TestNothingIsDerivedTwice: no two uses, accounts, epochs or root keys share a secret.
func TestNothingIsDerivedTwice(t *testing.T) {
	account, key := fixed(1, 1), fixed(1, 1)
	account.Account[15] ^= 1
	key.Key[31] ^= 1
	seen := map[string]string{}
	for who, r := range map[string]Root{"one": fixed(1, 1), "another account": account, "another epoch": fixed(1, 2), "another key": key} {
		for name, b := range secrets(r) {
			if before, known := seen[string(b)]; known {
				t.Errorf("%s of %s is %s", name, who, before)
			}
			seen[string(b)] = name + " of " + who
		}
	}
	if len(seen) != 4*len(secrets(fixed(1, 1))) {
		t.Errorf("%d secrets", len(seen))
	}
}

func TestNewRoots(t *testing.T) {
	a, b := NewRoot(), NewRoot()
	next := a.Next()
	if a.Account == b.Account || a.Key == b.Key || a.Epoch != 1 || a.Account.IsZero() {
		t.Error("two new accounts share something, or do not begin at epoch 1")
	}
	if next.Account != a.Account || next.Epoch != 2 || next.Key == a.Key {
		t.Error("a new root is of another account or epoch, or the old key")
	}
	defer func() {
		if recover() == nil {
			t.Error("the last epoch has a next one")
		}
	}()
	Root{Epoch: math.MaxUint32}.Next()
}

// TestIdentity: what an identity says is signed by the key that follows from the root.
func TestIdentity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := fixed(rapid.Byte().Draw(t, "first"), rapid.Uint32Min(1).Draw(t, "epoch"))
		i, err := ParseIdentity(r.Identity().Envelope())
		if err != nil {
			t.Fatal(err)
		}
		if i.Account != r.Account || i.Epoch != r.Epoch || !i.Signing.Equal(r.SigningKey().Public().(ed25519.PublicKey)) {
			t.Fatalf("%x, %d, %x", i.Account, i.Epoch, i.Signing)
		}
		if i.Fingerprint != r.Identity().Fingerprint {
			t.Fatal("the fingerprint is another one the second time")
		}
	})
}

func TestIdentityIsRefused(t *testing.T) {
	good := fixed(1, 1).Identity().Envelope()
	if _, err := ParseIdentity(make([]byte, MaxIdentity+1)); err == nil {
		t.Error("too large")
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x40
		if _, err := ParseIdentity(bad); err == nil {
			t.Fatalf("byte %d of %d may be any", i, len(good))
		}
	}
	for n := range good {
		if _, err := ParseIdentity(good[:n]); err == nil {
			t.Fatalf("%d bytes of %d are enough", n, len(good))
		}
	}
}

func FuzzParseIdentity(f *testing.F) {
	f.Add(fixed(1, 1).Identity().Envelope())
	f.Add([]byte{0xa4})
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := ParseIdentity(b)
		if err == nil && (i.Epoch == 0 || len(i.Signing) != ed25519.PublicKeySize || i.box == nil || !bytes.Equal(i.Envelope(), b)) {
			t.Errorf("%s was taken", hex.EncodeToString(b))
		}
		if err == nil {
			fixed(2, 1).Send(i, invitation, nil) // panics for a key that nobody can seal to
		}
	})
}
