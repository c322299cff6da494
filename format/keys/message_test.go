package keys

import (
	"bytes"
	"crypto/hpke"
	"errors"
	"slices"
	"strings"
	"testing"

	"holdfast/format/wire"

	"pgregory.net/rapid"
)

const invitation = "invitation"

func TestMessages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := fixed(1, rapid.Uint32Min(1).Draw(t, "epoch")), fixed(2, 1)
		text := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "text")
		got, err := to.Receive(from.Identity(), invitation, from.Send(to.Identity(), invitation, text))
		if err != nil || !bytes.Equal(got, text) {
			t.Fatalf("%x: %v", got, err)
		}
	})
	from, to := fixed(1, 1), fixed(2, 1)
	largest := make([]byte, MaxMessage)
	if got, err := to.Receive(from.Identity(), strings.Repeat("p", 64), from.Send(to.Identity(), strings.Repeat("p", 64), largest)); err != nil || len(got) != MaxMessage {
		t.Errorf("the largest: %v", err)
	}
}

func TestMessagesOfAWrongSizeAreNotMade(t *testing.T) {
	for name, c := range map[string]struct {
		purpose string
		size    int
	}{"no purpose": {"", 1}, "a long purpose": {strings.Repeat("p", 65), 1}, "a long text": {"p", MaxMessage + 1}} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("made")
				}
			}()
			fixed(1, 1).Send(fixed(2, 1).Identity(), c.purpose, make([]byte, c.size))
		})
	}
}

// forge signs any message with any key: what somebody in the middle can make.
func forge(signer Root, m message) []byte {
	return wire.Seal(messageKind, signer.SigningKey(), wire.Marshal(m))
}

// sealed is a valid HPKE text to a person, which anybody can make.
func sealed(t *testing.T, from, to Identity, purpose string) []byte {
	t.Helper()
	b, err := hpke.Seal(to.box, hpke.HKDFSHA256(), hpke.AES256GCM(), messageInfo(from.Fingerprint, to.Fingerprint, purpose), []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestThreat06ForgedSender: HPKE that is right, with a signature that is missing, of
// another key, or over something else (MEGA's framing attack).
func TestThreat06ForgedSender(t *testing.T) {
	from, to, evil := fixed(1, 1), fixed(2, 1), fixed(3, 1)
	a, b, e := from.Identity(), to.Identity(), evil.Identity()
	good := message{invitation, a.Fingerprint, b.Fingerprint, sealed(t, a, b, invitation)}
	genuine := from.Send(b, invitation, []byte("text"))
	unsigned, err := wire.Parse(genuine)
	if err != nil {
		t.Fatal(err)
	}
	unsigned.Signature = make([]byte, 64)
	for name, c := range map[string]struct {
		message []byte
		want    error
	}{
		"signed by another":          {forge(evil, good), wire.ErrEnvelope},
		"without a signature":        {wire.Marshal(unsigned), wire.ErrSignature},
		"of another type":            {wire.Seal("receipt", from.SigningKey(), wire.Marshal(good)), wire.ErrEnvelope},
		"says another sender":        {forge(from, message{invitation, e.Fingerprint, b.Fingerprint, good.Sealed}), ErrSender},
		"to somebody else":           {from.Send(e, invitation, []byte("text")), ErrRecipient},
		"sealed for somebody else":   {forge(from, message{invitation, a.Fingerprint, b.Fingerprint, sealed(t, a, e, invitation)}), ErrMessage},
		"sealed as somebody else's":  {forge(from, message{invitation, a.Fingerprint, b.Fingerprint, sealed(t, e, b, invitation)}), ErrMessage},
		"for another purpose":        {from.Send(b, "grant", []byte("text")), ErrPurpose},
		"sealed for another purpose": {forge(from, message{invitation, a.Fingerprint, b.Fingerprint, sealed(t, a, b, "grant")}), ErrMessage},
		"of an earlier epoch's key":  {fixed(1, 2).Send(b, invitation, []byte("text")), wire.ErrEnvelope},
		"cut to nothing":             {forge(from, message{invitation, a.Fingerprint, b.Fingerprint, good.Sealed[:encSize+gcmTag-1]}), wire.ErrEncoding},
		"larger than allowed":        {forge(from, message{invitation, a.Fingerprint, b.Fingerprint, make([]byte, encSize+gcmTag+MaxMessage+1)}), wire.ErrEncoding},
		"with a purpose without end": {forge(from, message{strings.Repeat("p", 65), a.Fingerprint, b.Fingerprint, good.Sealed}), wire.ErrEncoding},
		"nothing":                    {nil, wire.ErrEncoding},
	} {
		if got, err := to.Receive(a, invitation, c.message); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: %v instead of %v", name, err, c.want)
		}
	}
}

// TestThreat06Replay: a message to one person is nobody else's, and nobody's in
// another epoch.
func TestThreat06Replay(t *testing.T) {
	from, to := fixed(1, 1), fixed(2, 1)
	m := from.Send(to.Identity(), invitation, []byte("text"))
	for name, other := range map[string]Root{"another account": fixed(3, 1), "another epoch": fixed(2, 2), "the sender": from} {
		if _, err := other.Receive(from.Identity(), invitation, m); err != ErrRecipient {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestThreat06EveryByte: no byte of a message may be another one.
func TestThreat06EveryByte(t *testing.T) {
	from, to := fixed(1, 1), fixed(2, 1)
	m := from.Send(to.Identity(), invitation, []byte("text"))
	for i := range m {
		bad := slices.Clone(m)
		bad[i] ^= 1
		if _, err := to.Receive(from.Identity(), invitation, bad); err == nil {
			t.Fatalf("byte %d of %d", i, len(m))
		}
	}
}

// TestThreat06SignatureFirst: what no pinned sender signed never meets the private
// key: a message whose seal is broken as well fails as unsigned.
func TestThreat06SignatureFirst(t *testing.T) {
	from, to, evil := fixed(1, 1), fixed(2, 1), fixed(3, 1)
	a, b := from.Identity(), to.Identity()
	broken := message{invitation, a.Fingerprint, b.Fingerprint, make([]byte, encSize+gcmTag+4)}
	if _, err := to.Receive(a, invitation, forge(evil, broken)); !errors.Is(err, wire.ErrEnvelope) {
		t.Errorf("unsigned and broken: %v", err)
	}
	if _, err := to.Receive(a, invitation, forge(from, broken)); err != ErrMessage {
		t.Errorf("signed and broken: %v", err)
	}
}

func FuzzReceive(f *testing.F) {
	from, to := fixed(1, 1), fixed(2, 1)
	a := from.Identity()
	f.Add(from.Send(to.Identity(), invitation, []byte("text")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if text, err := to.Receive(a, invitation, b); err == nil && len(text) > MaxMessage {
			t.Error(len(text))
		}
	})
}
