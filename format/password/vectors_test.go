package password

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"holdfast/format/id"
	"holdfast/format/internal/golden"
)

type vector struct {
	golden.Name
	Password string     `json:"password"`
	Prepared *string    `json:"prepared,omitempty"`
	Bytes    golden.Hex `json:"bytes,omitempty"`
	Handle   golden.Hex `json:"handle,omitempty"`
	Key      golden.Hex `json:"key,omitempty"`
	Fail     string     `json:"fail,omitempty"`
}

func good(name, text, prepared string) vector {
	return vector{Name: golden.Name{Name: name}, Password: text, Prepared: &prepared, Bytes: golden.Hex(prepared)}
}

func bad(name, text string) vector {
	return vector{Name: golden.Name{Name: name}, Password: text, Fail: "password"}
}

func keyed(t *testing.T, v vector, first byte) vector {
	handle := id.Handle(bytes.Repeat([]byte{first}, id.Size))
	key, err := LinkKey(v.Password, handle)
	if err != nil {
		t.Fatal(err)
	}
	v.Handle, v.Key = handle[:], key[:]
	return v
}

// long is 1,024 bytes in 512 characters.
var long = strings.Repeat("\u00e9", MaxBytes/2)

func allowed(t *testing.T) []vector {
	return []vector{
		keyed(t, good("ASCII", "correct horse battery staple", "correct horse battery staple"), 1),
		keyed(t, good("the same under another handle", "correct horse battery staple", "correct horse battery staple"), 2),
		keyed(t, good("one space", " ", " "), 1),
		good("case is kept", "PassWord", "PassWord"),
		good("spaces at the ends and in a row are kept", "  a  b ", "  a  b "),
		good("signs", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
		good("no-break space", "a\u00a0b", "a b"),
		good("ogham space mark", "a\u1680b", "a b"),
		good("en quad to hair space", "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a", strings.Repeat(" ", 11)),
		good("narrow no-break space", "a\u202fb", "a b"),
		good("medium mathematical space", "a\u205fb", "a b"),
		good("ideographic space", "a\u3000b", "a b"),
		keyed(t, good("decomposed letters are composed", "Ju\u0308rgen Ga\u0301bor", "J\u00fcrgen G\u00e1bor"), 1),
		keyed(t, good("composed letters stay", "J\u00fcrgen G\u00e1bor", "J\u00fcrgen G\u00e1bor"), 1),
		good("marks are put in order", "a\u0301\u0323", "\u1ea1\u0301"),
		good("angstrom sign is a letter", "\u212b", "\u00c5"),
		good("kelvin sign is a letter", "\u212a", "K"),
		good("Greek question mark is a semicolon", "a\u037e", "a;"),
		good("full-width letters stay", "\uff30\uff41\uff53\uff53\uff11", "\uff30\uff41\uff53\uff53\uff11"),
		good("half-width katakana stay", "\uff76\uff9e", "\uff76\uff9e"),
		good("ligature and superscript stay", "\ufb01\u00b2", "\ufb01\u00b2"),
		good("sharp s and long s stay", "stra\u00dfe \u017f", "stra\u00dfe \u017f"),
		good("Cyrillic", "\u043f\u0430\u0440\u043e\u043b\u044c", "\u043f\u0430\u0440\u043e\u043b\u044c"),
		good("Greek final sigma", "\u03a3\u03c3\u03c2", "\u03a3\u03c3\u03c2"),
		good("Hebrew and Arabic", "\u05e1\u05d9\u05e1\u05de\u05d4 \u0643\u0644\u0645\u0629", "\u05e1\u05d9\u05e1\u05de\u05d4 \u0643\u0644\u0645\u0629"),
		good("Chinese, Japanese, Korean", "\u5bc6\u7801 \u3072\u3089\u304c\u306a \ube44\ubc00", "\u5bc6\u7801 \u3072\u3089\u304c\u306a \ube44\ubc00"),
		good("decomposed Hangul is composed", "\u1100\u1161\u11a8", "\uac01"),
		good("compatibility ideograph becomes the unified one", "\uf900", "\u8c48"),
		keyed(t, good("emoji of one code point", "\U0001f600\U0001f511", "\U0001f600\U0001f511"), 1),
		good("emoji with skin tone", "\U0001f44d\U0001f3fd", "\U0001f44d\U0001f3fd"),
		good("flag of two letters", "\U0001f1f3\U0001f1ff", "\U0001f1f3\U0001f1ff"),
		good("replacement character", "\ufffd", "\ufffd"),
		good("middle dot between l", "paral\u00b7lel", "paral\u00b7lel"),
		good("joiner after a virama", "\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d\u0937"),
		good("non-joiner after a virama", "\u0915\u094d\u200c\u0937", "\u0915\u094d\u200c\u0937"),
		good("non-joiner between joining letters", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
		good("Greek numeral sign before Greek", "\u0375\u03b1", "\u0375\u03b1"),
		good("Hebrew geresh after Hebrew", "\u05d0\u05f3", "\u05d0\u05f3"),
		good("katakana middle dot beside katakana", "\u30a2\u30fb\u30a4", "\u30a2\u30fb\u30a4"),
		good("Arabic-Indic digits of one kind", "\u0661\u0662", "\u0661\u0662"),
		good("30 accents on one letter", "x"+strings.Repeat("\u0301", 30), "x"+strings.Repeat("\u0301", 30)),
		good("30 accents on one letter, one composed", "\u00e1"+strings.Repeat("\u0301", 29), "\u00e1"+strings.Repeat("\u0301", 29)),
		good("1024 bytes", strings.Repeat("p", MaxBytes), strings.Repeat("p", MaxBytes)),
		good("1024 bytes, not ASCII", long, long),
		good("1024 bytes once prepared", strings.Repeat("e\u0301", MaxBytes/2), long),
	}
}

func refused() []vector {
	return []vector{
		bad("empty", ""),
		bad("1025 bytes", strings.Repeat("p", MaxBytes+1)),
		bad("1025 bytes, not ASCII", long+"p"),
		bad("NUL", "a\x00b"),
		bad("tab", "a\tb"),
		bad("line feed at the end", "password\n"),
		bad("carriage return", "a\rb"),
		bad("escape", "\x1b[0m"),
		bad("DEL", "a\x7f"),
		bad("C1 control", "a\u0085"),
		bad("soft hyphen", "a\u00adb"),
		bad("zero width space", "a\u200bb"),
		bad("byte order mark", "\ufeffabc"),
		bad("right-to-left override", "a\u202eb"),
		bad("line separator", "a\u2028b"),
		bad("word joiner", "a\u2060b"),
		bad("variation selector", "\u2764\ufe0f"),
		bad("joiner without virama", "\U0001f468\u200d\U0001f469"),
		bad("joiner first", "\u200da"),
		bad("non-joiner between letters that do not join", "a\u200cb"),
		bad("middle dot elsewhere", "a\u00b7b"),
		bad("middle dot at the end", "l\u00b7"),
		bad("Greek numeral sign before Latin", "\u0375a"),
		bad("Hebrew geresh first", "\u05f3\u05d0"),
		bad("katakana middle dot alone", "a\u30fbb"),
		bad("Arabic-Indic digits of two kinds", "\u0661\u06f2"),
		bad("old Hangul letter", "\u1100"),
		bad("Hangul filler", "\u3164"),
		bad("31 accents on one letter", "x"+strings.Repeat("\u0301", 31)),
		bad("31 accents on one letter, one composed", "\u00e1"+strings.Repeat("\u0301", 30)),
		bad("31 accents of several kinds", strings.Repeat("\u0323\u0301", 15)+"\u0302"),
		bad("private use", "\ue000"),
		bad("noncharacter", "\ufdd0"),
		bad("unassigned", "\u0378"),
		bad("tag character", "a\U000e0061"),
	}
}

func TestVectors(t *testing.T) {
	cases := golden.Sync(t, "password.json", "preparing and stretching link passwords (docs/format.md, section 11; fields in docs/vectors.md)", append(allowed(t), refused()...))
	for _, c := range cases {
		t.Run(c.CaseName(), func(t *testing.T) {
			prepared, err := Prepare(c.Password)
			if c.Fail != "" {
				if c.Fail != "password" || !errors.Is(err, ErrEmpty) && !errors.Is(err, ErrLong) && !errors.Is(err, ErrCharacter) {
					t.Fatalf("want %s, have %q, %v", c.Fail, prepared, err)
				}
				return
			}
			if err != nil || prepared != *c.Prepared || !bytes.Equal([]byte(prepared), c.Bytes) {
				t.Fatalf("have %q, %v; want %q", prepared, err, *c.Prepared)
			}
			if c.Key == nil {
				return
			}
			key, err := LinkKey(c.Password, id.Handle(c.Handle))
			if err != nil || !bytes.Equal(key[:], c.Key) {
				t.Fatalf("key %x, %v", key, err)
			}
		})
	}
}
