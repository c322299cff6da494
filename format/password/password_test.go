package password

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"holdfast/format/id"
	"holdfast/format/internal/golden"
)

func TestPrepareRefuses(t *testing.T) {
	cases := []struct {
		name, in string
		want     error
	}{
		{"empty", "", ErrEmpty},
		{"one byte too long", strings.Repeat("p", MaxBytes+1), ErrLong},
		{"one byte too long once prepared", strings.Repeat("e\u0301", MaxBytes/2) + "p", ErrLong},
		{"much too long", strings.Repeat("p", 10<<20), ErrLong},
		{"not UTF-8", "pass\xffword", ErrCharacter},
		{"surrogate in UTF-8", "\xed\xa0\x80", ErrCharacter},
		{"overlong NUL", "\xc0\x80", ErrCharacter},
		{"line feed", "secret\n", ErrCharacter},
		{"invisible", "sec\u200bret", ErrCharacter},
		{"unassigned", "secret\u0378", ErrCharacter},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			out, err := Prepare(c.in)
			if out != "" || !errors.Is(err, c.want) {
				t.Fatalf("have %q, %v; want %v", out, err, c.want)
			}
			if c.in != "" && strings.Contains(err.Error(), c.in) || strings.Contains(err.Error(), "secret") {
				t.Fatalf("the error quotes the password: %v", err)
			}
			if key, err := LinkKey(c.in, id.Handle{1}); key != [keySize]byte{} || !errors.Is(err, c.want) {
				t.Fatalf("LinkKey: %v", err)
			}
		})
	}
}

// TestLongestShrinking has the texts that preparation shortens most: nothing
// that would fit once prepared may be refused unseen.
func TestLongestShrinking(t *testing.T) {
	for name, unit := range map[string]string{
		"ideographic space": "\u3000", "ogham space": "\u1680", "kelvin sign": "\u212a", "varia": "\u1fef",
		"letter with three marks": "\u03b1\u0314\u0300\u0345", "conjoining letters": "\u1100\u1161\u11a8",
	} {
		t.Run(name, func(t *testing.T) {
			one, err := Prepare(unit)
			if err != nil {
				t.Fatal(err)
			}
			n := MaxBytes / len(one)
			out, err := Prepare(strings.Repeat(unit, n))
			if err != nil || len(out) != n*len(one) {
				t.Fatalf("%d of them, %d bytes: %v", n, n*len(unit), err)
			}
			if _, err := Prepare(strings.Repeat(unit, n+1)); !errors.Is(err, ErrLong) {
				t.Fatalf("%d of them: %v", n+1, err)
			}
		})
	}
}

// checkPrepared states what every prepared password is.
func checkPrepared(t interface{ Fatalf(string, ...any) }, in, out string) {
	if out == "" || len(out) > MaxBytes || !utf8.ValidString(out) || !norm.NFC.IsNormalString(out) {
		t.Fatalf("%q becomes %q", in, out)
	}
	for _, r := range out {
		if unicode.IsControl(r) || r != ' ' && unicode.Is(unicode.Zs, r) || unicode.Is(unicode.Co, r) {
			t.Fatalf("%q becomes %q, with %U", in, out, r)
		}
	}
	if again, err := Prepare(out); err != nil || again != out {
		t.Fatalf("%q becomes %q, and that %q, %v", in, out, again, err)
	}
	if again, err := Prepare(norm.NFD.String(out)); len(norm.NFD.String(out)) <= maxRaw && (err != nil || again != out) {
		t.Fatalf("%q becomes %q, and decomposed %q, %v", in, out, again, err)
	}
}

func TestPrepareIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.String().Draw(t, "password")
		if out, err := Prepare(in); err == nil {
			checkPrepared(t, in, out)
		}
	})
}

func TestASCIIIsUntouched(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.StringMatching(`[ -~]{1,100}`).Draw(t, "password")
		if out, err := Prepare(in); err != nil || out != in {
			t.Fatalf("%q becomes %q, %v", in, out, err)
		}
	})
}

// TestLinkKeyDependsOnBoth uses the real cost, and hence few cases.
func TestLinkKeyDependsOnBoth(t *testing.T) {
	seen := map[[keySize]byte]string{}
	for _, c := range []struct {
		pass   string
		handle id.Handle
	}{{"a", id.Handle{1}}, {"b", id.Handle{1}}, {"a", id.Handle{2}}} {
		key, err := LinkKey(c.pass, c.handle)
		if err != nil {
			t.Fatal(err)
		}
		if other, taken := seen[key]; taken {
			t.Fatalf("%q at %s has the key of %s", c.pass, c.handle, other)
		}
		seen[key] = c.pass
	}
}

func FuzzPrepare(f *testing.F) {
	for _, c := range golden.Read[vector](f, "password.json") {
		f.Add(c.Password)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out, err := Prepare(in)
		if err == nil {
			checkPrepared(t, in, out)
			return
		}
		if !errors.Is(err, ErrEmpty) && !errors.Is(err, ErrLong) && !errors.Is(err, ErrCharacter) {
			t.Fatal(err)
		}
	})
}
