package keys

import (
	"errors"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

func TestContactsRoundTrip(t *testing.T) {
	i := fixed(1, 1).Identity()
	code := i.Contact().Code()
	if len(code) != 64+15 {
		t.Fatalf("%s has %d characters", code, len(code))
	}
	for name, text := range map[string]string{
		"as written": code, "lower case": strings.ToLower(code), "in one": strings.ReplaceAll(code, "-", ""),
		"on lines": "  " + strings.ReplaceAll(code, "-", " \r\n\t") + " ", "letters for digits": strings.NewReplacer("0", "o", "1", "l").Replace(code),
		"an address": i.Contact().Address("https://example.org/"), "an address in a sentence's place": "\n http://[::1]:8080/at/c# " + strings.ToLower(code) + "\n",
		"and others": strings.NewReplacer("0", "O", "1", "I").Replace(code),
	} {
		if c, err := ParseContact(text); err != nil || c != i.Contact() || c.Check(i) != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestContactsAreRefused(t *testing.T) {
	code := fixed(1, 1).Identity().Contact().Code()
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"nothing":         {"", ErrContactCut},
		"cut":             {code[:70], ErrContactCut},
		"too long":        {code + "-0000", ErrContactCut},
		"no letter of it": {strings.Replace(code, code[:1], "U", 1), ErrContactCut},
		"a long s":        {code[:len(code)-1] + "ſ", ErrContactCut},
		"endless":         {strings.Repeat(" ", 2000) + code, ErrContactCut},
		"later version":   {"0" + "8" + code[2:], ErrContactUnknown},
		"another path":    {"https://example.org/s#" + code, ErrContactCut},
		"no address":      {"example.org/c#" + code, ErrContactCut},
		"with a query":    {"https://example.org/c?a#" + code, ErrContactCut},
		"two of them":     {"https://example.org/c#" + code + "#" + code, ErrContactCut},
		"without a code":  {"https://example.org/c#", ErrContactCut},
		"space in it":     {"https://example.org /c#" + code, ErrContactCut},
		"mistyped":        {"https://example.org/c#" + code[:77] + "00", ErrContactChecksum},
	} {
		if _, err := ParseContact(c.text); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestThreat05TypoInContact: no letter or digit of a code may be another one.
func TestThreat05TypoInContact(t *testing.T) {
	code := strings.ReplaceAll(fixed(1, 1).Identity().Contact().Code(), "-", "")
	for at := range code {
		for _, r := range "0123456789ABCDEFGHJKMNPQRSTVWXYZ" {
			if byte(r) == code[at] {
				continue
			}
			if _, err := ParseContact(code[:at] + string(r) + code[at+1:]); err == nil {
				t.Fatalf("%c for %c at %d is taken", r, code[at], at)
			}
		}
	}
}

// TestThreat05SwappedIdentity: a server that hands out another key for an account, or
// the key of another account, is found out by the code.
func TestThreat05SwappedIdentity(t *testing.T) {
	mine := fixed(1, 1)
	contact := mine.Identity().Contact()
	forged := mine
	forged.Key[0] ^= 1
	for name, r := range map[string]Root{"another key": forged, "another epoch": fixed(1, 2), "another account": fixed(2, 1)} {
		if err := contact.Check(r.Identity()); err != ErrContact {
			t.Errorf("%s: %v", name, err)
		}
	}
	renamed := mine.Identity()
	renamed.Account[0] ^= 1
	if err := contact.Check(renamed); err != ErrContact {
		t.Errorf("another handle: %v", err)
	}
}

func FuzzParseContact(f *testing.F) {
	f.Add(fixed(1, 1).Identity().Contact().Code())
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseContact(text)
		if err != nil {
			return
		}
		if again, err := ParseContact(c.Code()); err != nil || again != c {
			t.Error(text)
		}
	})
}

func TestSafetyNumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := fixed(rapid.Byte().Draw(t, "a"), 1).Identity()
		b := fixed(rapid.Byte().Draw(t, "b"), 2).Identity()
		n := SafetyNumber(a, b)
		if len(n) != 60 || strings.ContainsFunc(n, func(r rune) bool { return !unicode.IsDigit(r) }) || n != SafetyNumber(b, a) {
			t.Fatal(n)
		}
		forged := fixed(3, 9).Identity()
		if SafetyNumber(a, forged) == n {
			t.Fatal("another identity has the same number")
		}
	})
}
