package link

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"holdfast/format/id"
	"holdfast/format/internal/golden"
	"holdfast/format/password"
)

var one = Link{Handle: handleFrom(16), Secret: secretFrom(100)}

func TestParse(t *testing.T) {
	const handle = "EBESExQVFhcYGRobHB0eHw"
	key := "#" + one.Fragment()
	good := []struct{ name, text, base string }{
		{"https", "https://files.example/s/" + handle + key, "https://files.example"},
		{"port", "https://files.example:8443/s/" + handle + key, "https://files.example:8443"},
		{"host in capitals", "HTTPS://Files.Example/s/" + handle + key, "https://files.example"},
		{"space around", " \t\nhttps://files.example/s/" + handle + key + "\r\n", "https://files.example"},
		{"slash at the end", "https://files.example/s/" + handle + "/" + key, "https://files.example"},
		{"query of a messenger", "https://files.example/s/" + handle + "?utm_source=x" + key, "https://files.example"},
		{"as long as is looked at", "https://files.example/s/" + handle + "?" + strings.Repeat("q", maxURL-len("https://files.example/s/?#")-22-51) + key, "https://files.example"},
		{"loopback name", "http://localhost:8080/s/" + handle + key, "http://localhost:8080"},
		{"loopback name in capitals", "http://LocalHost/s/" + handle + key, "http://localhost"},
		{"loopback address", "http://127.0.0.1:8080/s/" + handle + key, "http://127.0.0.1:8080"},
		{"other loopback address", "http://127.9.9.9/s/" + handle + key, "http://127.9.9.9"},
		{"loopback of version 6", "http://[::1]:8080/s/" + handle + key, "http://[::1]:8080"},
	}
	for _, c := range good {
		t.Run(c.name, func(t *testing.T) {
			l, base, err := Parse(c.text)
			if err != nil || l != one || base != c.base {
				t.Fatalf("%v, %s, %v", l, base, err)
			}
		})
	}
	bad := []struct {
		name, text string
		want       error
	}{
		{"nothing", "", ErrURL},
		{"fragment alone", key, ErrURL},
		{"words", "hello", ErrURL},
		{"no scheme", "files.example/s/" + handle + key, ErrURL},
		{"http to another machine", "http://files.example/s/" + handle + key, ErrURL},
		{"http to a name that begins like loopback", "http://localhost.example/s/" + handle + key, ErrURL},
		{"http to an address that ends like loopback", "http://10.127.0.1/s/" + handle + key, ErrURL},
		{"http with loopback as user", "http://127.0.0.1@files.example/s/" + handle + key, ErrURL},
		{"user", "https://u@files.example/s/" + handle + key, ErrURL},
		{"other scheme", "ftp://files.example/s/" + handle + key, ErrURL},
		{"script", "javascript:alert(1)//s/" + handle + key, ErrURL},
		{"no host", "https:///s/" + handle + key, ErrURL},
		{"port without host", "https://:8080/s/" + handle + key, ErrURL},
		{"other path", "https://files.example/x/" + handle + key, ErrURL},
		{"deeper path", "https://files.example/a/s/" + handle + key, ErrURL},
		{"escaped path", "https://files.example/%73/" + handle + key, ErrURL},
		{"control character", "https://files.example/s/\x01" + handle + key, ErrURL},
		{"longer than is looked at", "https://files.example/s/" + handle + "?" + strings.Repeat("q", maxURL-len("https://files.example/s/?#")-22-50) + key, ErrURL},
		{"cut in the handle", "https://files.example/s/EBESExQV", ErrCut},
		{"no handle", "https://files.example/s/" + key, ErrCut},
		{"handle with a slash inside", "https://files.example/s/" + handle + "/x" + key, ErrCut},
		{"escape in the handle", "https://files.example/s/" + handle[:19] + "%48" + key, ErrCut},
		{"cut in the key", "https://files.example/s/" + handle + key[:30], ErrCut},
		{"second #", "https://files.example/s/" + handle + key + "#", ErrCut},
		{"escape in the key", "https://files.example/s/" + handle + key[:49] + "%41", ErrCut},
		{"no key", "https://files.example/s/" + handle, ErrNoKey},
		{"no key after #", "https://files.example/s/" + handle + "#", ErrNoKey},
		{"newer version", "https://files.example/s/" + handle + "#" + fragment(one.Handle, 2, 0, one.Secret[:]), ErrUnknown},
		{"key of another link", "https://files.example/s/EBESExQVFhcYGRobHB0eIA" + key, ErrChecksum},
	}
	for _, c := range bad {
		t.Run(c.name, func(t *testing.T) {
			l, base, err := Parse(c.text)
			if !errors.Is(err, c.want) || l.Secret != (Secret{}) {
				t.Fatalf("%v, %s, %v; want %v", l, base, err, c.want)
			}
			if strings.Contains(err.Error(), key[1:20]) {
				t.Fatalf("the error quotes the key: %v", err)
			}
		})
	}
}

// TestUnknownNamesWhatIsUnknown also shows that no byte of the secret is named.
func TestUnknownNamesWhatIsUnknown(t *testing.T) {
	for _, c := range []struct {
		version, flags byte
		want           string
	}{{7, 0, "version 7"}, {1, 6, "flags 0x06"}} {
		if _, err := ParseFragment(one.Handle, fragment(one.Handle, c.version, c.flags, one.Secret[:])); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// TestKeyFromElsewhere takes a link whose key came another way.
func TestKeyFromElsewhere(t *testing.T) {
	l, base, err := Parse(one.Address("https://files.example"))
	if !errors.Is(err, ErrNoKey) || base != "https://files.example" || l.Handle != one.Handle {
		t.Fatalf("%v, %s, %v", l, base, err)
	}
	whole, err := ParseFragment(l.Handle, one.Fragment())
	if err != nil || whole != one {
		t.Fatalf("%v, %v", whole, err)
	}
}

func TestURL(t *testing.T) {
	if a, b := one.URL("https://files.example"), one.URL("https://files.example/"); a != b || len(one.Fragment()) != fragmentChars {
		t.Fatalf("%d characters, %s", len(one.Fragment()), b[:30])
	}
	a, b, s, u := New(0), New(0), NewSecret(), NewSecret()
	if a == b || a.Secret == (Secret{}) || a.Handle.IsZero() || s == u {
		t.Fatal("fresh links are not fresh")
	}
	if New(0).NeedsPassword() || !New(NeedsPassword).NeedsPassword() {
		t.Fatal("the password flag is lost")
	}
}

func TestEveryLinkIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Link{
			Handle: id.Handle(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "handle")),
			Secret: Secret(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "secret")),
			Flags:  rapid.SampledFrom([]Flags{0, NeedsPassword}).Draw(t, "flags"),
		}
		again, base, err := Parse(l.URL("https://files.example"))
		if err != nil || again != l || base != "https://files.example" {
			t.Fatalf("%v, %s, %v", again, base, err)
		}
	})
}

// TestEverySlipIsFound changes, drops or adds one character of a link's key.
func TestEverySlipIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := one.Fragment()
		at := rapid.IntRange(0, len(text)-1).Draw(t, "at")
		c := string(base64url[rapid.IntRange(0, 63).Draw(t, "character")])
		for what, slip := range map[string]string{"changed": text[:at] + c + text[at+1:], "dropped": text[:at] + text[at+1:], "added": text[:at] + c + text[at:]} {
			l, err := ParseFragment(one.Handle, slip)
			if slip == text {
				continue
			}
			if err == nil || !errors.Is(err, ErrCut) && !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrChecksum) {
				t.Fatalf("character %d %s: %v, %v", at, what, l, err)
			}
		}
	})
}

func TestKeysRefuse(t *testing.T) {
	locked := one
	locked.Flags = NeedsPassword
	cases := []struct {
		name, pass string
		l          Link
		want       error
	}{
		{"no password where one is needed", "", locked, ErrPasswordNeeded},
		{"password where none is needed", "x", one, ErrPasswordUnused},
		{"password that cannot be", "a\x00", locked, password.ErrCharacter},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if keys, err := c.l.Keys(c.pass); !errors.Is(err, c.want) || keys != (Keys{}) {
				t.Fatalf("%v, want %v", err, c.want)
			}
		})
	}
}

func TestKeysDiffer(t *testing.T) {
	first, err := one.Keys("")
	if err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]Link{"other handle": {Handle: handleFrom(17), Secret: one.Secret}, "other secret": {Handle: one.Handle, Secret: secretFrom(101)}} {
		other, err := l.Keys("")
		if err != nil || other.Final == first.Final || other.Auth == first.Auth || other.Record == first.Record {
			t.Errorf("%s: same keys, %v", name, err)
		}
	}
	if first.Final == first.Auth || first.Auth == first.Record || first.Final == first.Record || first.Final == one.Secret {
		t.Error("one link's keys are not distinct")
	}
}

func TestHashes(t *testing.T) {
	auth := AuthHash(one.Secret)
	if !SameHash(auth, AuthHash(one.Secret)) || SameHash(auth, AuthHash(secretFrom(101))) {
		t.Error("auth hashes compare wrongly")
	}
	manage := ManageHash(one.Handle, one.Secret)
	for name, other := range map[string][32]byte{"handle": ManageHash(handleFrom(17), one.Secret), "secret": ManageHash(one.Handle, secretFrom(101)), "purpose": auth} {
		if SameHash(manage, other) {
			t.Errorf("another %s has the same hash", name)
		}
	}
}

func TestSecretText(t *testing.T) {
	s, err := ParseSecret(one.Secret.Reveal())
	if err != nil || s != one.Secret {
		t.Fatalf("read back: %v", err)
	}
	for _, text := range []string{"", "x", one.Secret.Reveal()[:42], one.Secret.Reveal() + "A", one.Secret.Reveal()[:42] + "\n", one.Secret.Reveal()[:42] + "="} {
		if s, err := ParseSecret(text); err == nil || s != (Secret{}) || len(text) > 1 && strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	secret := Secret(bytes.Repeat([]byte{0xab}, 32))
	l := Link{Handle: one.Handle, Secret: secret}
	keys := Keys{secret, secret, secret}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "l", l, "k", keys, "s", secret)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "l", l, "k", keys, "s", secret)
	shown := log.String() + secret.String() + secret.GoString()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U"} {
		shown += fmt.Sprintf(verb, l) + fmt.Sprintf(verb, &l) + fmt.Sprintf(verb, keys) + fmt.Sprintf(verb, secret) + fmt.Sprintf(verb, &secret)
	}
	for _, trace := range []string{"abab", "ABAB", "171 171", "171, 171", "0xab", "253 253", "10101011", "q6ur", "U+00AB"} {
		if strings.Contains(shown, trace) {
			t.Errorf("the secret shows as %q", trace)
		}
	}
	for _, v := range []any{l, keys, secret} {
		if b, err := json.Marshal(v); err == nil {
			t.Errorf("written as JSON: %s", b)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range golden.Read[vector](f, "link.json") {
		f.Add("https://files.example/s/" + id.Handle(c.Handle).String() + "#" + c.Fragment)
		f.Add(c.URL)
	}
	f.Add("http://[::1%25lo]:1/s/EBESExQVFhcYGRobHB0eHw#")
	f.Fuzz(func(t *testing.T, text string) {
		l, base, err := Parse(text)
		if err != nil {
			known := false
			for _, e := range []error{ErrCut, ErrUnknown, ErrChecksum, ErrNoKey, ErrURL} {
				known = known || errors.Is(err, e)
			}
			if !known || l.Secret != (Secret{}) {
				t.Fatalf("%v, %v", l, err)
			}
			return
		}
		if again, sameBase, err := Parse(l.URL(base)); err != nil || again != l || sameBase != base {
			t.Fatalf("%s becomes %s, %v", text, sameBase, err)
		}
	})
}
