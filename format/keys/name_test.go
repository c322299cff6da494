package keys

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"holdfast/format/internal/golden"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

type nameVector struct {
	golden.Name
	Typed    string  `json:"typed"`
	Prepared *string `json:"prepared,omitempty"`
	Fail     string  `json:"fail,omitempty"`
}

// nameVectors hold characters of Unicode 14 alone, the oldest that a reader knows,
// but for those that no reader of version 1 may take.
func nameVectors() []nameVector { return slices.Concat(goodNames(), badNames()) }

func goodNames() []nameVector {
	good := func(name, typed, prepared string) nameVector {
		return nameVector{golden.Name{Name: name}, typed, &prepared, ""}
	}
	return []nameVector{
		good("one letter", "a", "a"),
		good("words", "correct horse battery staple", "correct horse battery staple"),
		good("capitals", "Correct HORSE", "correct horse"),
		good("signs of ASCII", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
		good("digits", "0123456789", "0123456789"),
		good("full-width letters, digits and signs", "Ａｄａ．１", "ada.1"),
		good("half-width katakana", "ﾊﾟｰﾃｨ", "パーティ"),
		good("decomposed letters", "Ju\u0308rgen Ga\u0301bor", "jürgen gábor"),
		good("composed capitals", "JÜRGEN GÁBOR", "jürgen gábor"),
		good("marks are put in order", "a\u0301\u0323", "ạ\u0301"),
		good("capital I with a dot", "\u0130stanbul", "i\u0307stanbul"),
		good("i without a dot is another letter", "\u0131", "\u0131"),
		good("capital sharp s", "STRA\u1e9eE", "straße"),
		good("sharp s is not ss", "straße", "straße"),
		good("Greek in capitals", "ΟΔΥΣΣΕΥΣ", "οδυσσευσ"),
		good("Greek final sigma", "οδυσσευς", "οδυσσευσ"),
		good("Greek with iota below in capitals", "ᾼ", "ᾳ"),
		good("Cyrillic", "ПУШКИН", "пушкин"),
		good("Cherokee", "\u13a0", "\uab70"),
		good("Georgian capitals of Unicode 11", "\u1c90", "\u10d0"),
		good("Deseret, beyond 16 bits", "\U00010400", "\U00010428"),
		good("Hebrew and Latin in one word", "אב1a", "אב1a"),
		good("Arabic", "سلام", "سلام"),
		good("Chinese", "李雷", "李雷"),
		good("decomposed Hangul", "\u1100\u1161\u11a8", "각"),
		good("compatibility ideograph becomes the unified one", "\uf900", "豈"),
		good("kelvin sign is a k", "\u212a", "k"),
		good("angstrom sign is an a with a ring", "\u212b", "å"),
		good("middle dot between l", "PARAL·LEL", "paral·lel"),
		good("joiner after a virama", "\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d\u0937"),
		good("katakana middle dot", "ア・イ", "ア・イ"),
		good("exceptions of RFC 5892", "\u06fd\u06fe\u0f0b\u3007", "\u06fd\u06fe\u0f0b\u3007"),
		good("digits of two kinds in two words", "\u0661 \u06f1", "\u0661 \u06f1"),
		good("64 characters", strings.Repeat("é", 64), strings.Repeat("é", 64)),
		good("64 characters of four bytes", strings.Repeat("\U00010400", 64), strings.Repeat("\U00010428", 64)),
		good("64 characters once it is composed", strings.Repeat("e\u0301", 64), strings.Repeat("é", 64)),
		good("30 marks", "x"+strings.Repeat("\u0323", 30), "x"+strings.Repeat("\u0323", 30)),
	}
}

func badNames() []nameVector {
	bad := func(name, typed string) nameVector {
		return nameVector{golden.Name{Name: name}, typed, nil, "account-name"}
	}
	return []nameVector{
		bad("nothing", ""),
		bad("a space", " "),
		bad("space before", " ada"),
		bad("space behind", "ada "),
		bad("two spaces", "ada  lovelace"),
		bad("tab", "ada\tlovelace"),
		bad("line feed behind", "ada\n"),
		bad("no-break space", "ada\u00a0lovelace"),
		bad("ideographic space", "ada\u3000lovelace"),
		bad("65 characters", strings.Repeat("a", 65)),
		bad("65 characters of several words", strings.Repeat("ab ", 21)+"ab"),
		bad("64 characters that become 65", strings.Repeat("a", 63)+"\u0130"),
		bad("1,025 bytes", strings.Repeat("e\u0301", 341)+"ab"),
		bad("31 marks", "x"+strings.Repeat("\u0323", 31)),
		bad("control character", "a\u0000b"),
		bad("soft hyphen", "a\u00adb"),
		bad("zero width space", "a\u200bb"),
		bad("joiner without a virama", "a\u200db"),
		bad("right-to-left override", "a\u202eb"),
		bad("byte order mark", "\ufeffada"),
		bad("symbol", "☃"),
		bad("emoji", "\U0001f600"),
		bad("currency", "a€"),
		bad("full-width sign that is none of ASCII", "\uffe6"),
		bad("quotation marks", "“ada”"),
		bad("ligature", "ﬁn"),
		bad("superscript", "a²"),
		bad("long s", "ſ"),
		bad("digraph with a capital", "ǅ"),
		bad("Roman numeral", "Ⅷ"),
		bad("old Hangul alone", "\u1100"),
		bad("half-width Hangul", "\uffa1"),
		bad("middle dot between capitals of another letter", "A·L"),
		bad("katakana dot without Japanese", "a・b"),
		bad("digits of two kinds in one word", "\u0661\u06f1"),
		bad("private use", "\ue000"),
		bad("not assigned", "\u0378"),
		bad("capital letter of Unicode 16 whose small one is older", "\ua7cb"),
	}
}

func TestNameVectors(t *testing.T) {
	cases := golden.Sync(t, "accountname.json", "Names of accounts (docs/format.md, section 14; fields in docs/vectors.md)", nameVectors())
	for _, c := range cases {
		got, err := PrepareName(c.Typed)
		if c.Fail != "" {
			if !errors.Is(err, ErrName) || got != "" || failName(err) != c.Fail {
				t.Errorf("%s: %q, %v", c.CaseName(), got, err)
			}
			continue
		}
		if err != nil || got != *c.Prepared {
			t.Errorf("%s: %q, %v", c.CaseName(), got, err)
		}
	}
}

// TestNamesThatAreOne: names that differ by case, width or composition are one, and a
// name once prepared is prepared.
func TestNamesThatAreOne(t *testing.T) {
	pool := []rune("aAbZ09.-é\u0301üßΣςσДдİıａＡ１ｱﾞ李אب\u0661 ")
	rapid.Check(t, func(t *rapid.T) {
		typed := rapid.StringOfN(rapid.SampledFrom(pool), 0, 40, -1).Draw(t, "typed")
		name, err := PrepareName(typed)
		if err != nil {
			if !errors.Is(err, ErrName) {
				t.Fatal(err)
			}
			return
		}
		for _, same := range []string{name, norm.NFD.String(typed), norm.NFC.String(typed), wide(typed)} {
			if got, err := PrepareName(same); err != nil || got != name {
				t.Fatalf("%q is %q, %q is %q (%v)", typed, name, same, got, err)
			}
		}
		if n := utf8.RuneCountInString(name); n < 1 || n > MaxName || !norm.NFC.IsNormalString(name) {
			t.Fatalf("%q", name)
		}
		if strings.ContainsAny(typed, "ıİß") {
			return // Go maps them to the letter i, and to itself
		}
		for _, same := range []string{strings.ToUpper(typed), strings.ToLower(typed)} {
			if got, err := PrepareName(same); err != nil || got != name {
				t.Fatalf("%q is %q, %q is %q (%v)", typed, name, same, got, err)
			}
		}
	})
}

// wide is a text with the letters of ASCII in full width.
func wide(text string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r - 'A' + 'Ａ'
		}
		return r
	}, text)
}

// TestNamesAreNotQuoted: what is refused may be a password in the wrong field.
func TestNamesAreNotQuoted(t *testing.T) {
	for _, typed := range []string{"hunter2\u0007", strings.Repeat("hunter2", 20), strings.Repeat("hunter2", 2000), "hunter2\xff"} {
		if _, err := PrepareName(typed); !errors.Is(err, ErrName) || strings.Contains(err.Error(), "hunter2") {
			t.Error(err)
		}
	}
}

func TestOfferedNamesAreNames(t *testing.T) {
	for range 50 {
		offered := OfferName()
		if name, err := PrepareName(offered); err != nil || name != offered {
			t.Errorf("%q is %q: %v", offered, name, err)
		}
	}
}

func FuzzPrepareName(f *testing.F) {
	for _, c := range nameVectors() {
		f.Add(c.Typed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		name, err := PrepareName(typed)
		if err != nil {
			return
		}
		if again, err := PrepareName(name); err != nil || again != name {
			t.Errorf("%q is %q, which is %q (%v)", typed, name, again, err)
		}
	})
}
