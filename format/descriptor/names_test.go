package descriptor

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestDisplay(t *testing.T) {
	cases := []struct{ name, in, want string }{
		{"plain", "report (final).pdf", "report (final).pdf"},
		{"other scripts", "Überraschung 日本語 שלום", "Überraschung 日本語 שלום"},
		{"line feed", "a\nb", `a\u{0A}b`},
		{"escape sequence", "\x1b[31mred", `\u{1B}[31mred`},
		{"NUL and DEL", "\x00\x7f", `\u{00}\u{7F}`},
		{"C1 control", "\u009b31m", `\u{9B}31m`},
		{"right-to-left override", "photo\u202egpj.exe", `photo\u{202E}gpj.exe`},
		{"isolates", "\u2066a\u2069", `\u{2066}a\u{2069}`},
		{"Arabic letter mark", "a\u061cb", `a\u{61C}b`},
		{"zero width space", "a\u200bb", `a\u{200B}b`},
		{"byte order mark", "\ufeffa", `\u{FEFF}a`},
		{"soft hyphen", "pay\u00adpal", `pay\u{AD}pal`},
		{"tag character", "a\U000e0061", `a\u{E0061}`},
		{"line separator", "a\u2028b\u2029", `a\u{2028}b\u{2029}`},
		{"joiners stay", "👩\u200d🚀 می\u200cخواهم", "👩\u200d🚀 می\u200cخواهم"},
		{"not UTF-8", "a\xff\xfe", `a\x{FF}\x{FE}`},
		{"replacement character stays", "\ufffd", "\ufffd"},
		{"backslashes stay", `C:\users\x`, `C:\users\x`},
		{"what reads as an escape", `\u{202E}`, `\u{5C}u{202E}`},
		{"what reads as a byte", `\x{FF}`, `\u{5C}x{FF}`},
		{"empty", "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if have := Display(c.in); have != c.want {
				t.Fatalf("have %q, want %q", have, c.want)
			}
		})
	}
}

// undisplay reverses Display, which shows that it shows different names differently.
func undisplay(t interface{ Fatal(...any) }, s string) string {
	var b strings.Builder
	for s != "" {
		var code rune
		if strings.HasPrefix(s, `\u{`) || strings.HasPrefix(s, `\x{`) {
			digits, rest, ok := strings.Cut(s[3:], "}")
			if _, err := fmt.Sscanf(digits, "%X", &code); !ok || err != nil {
				t.Fatal("bad escape", s)
			}
			if s[1] == 'x' {
				b.WriteByte(byte(code))
			} else {
				b.WriteRune(code)
			}
			s = rest
			continue
		}
		_, size := utf8.DecodeRuneInString(s)
		b.WriteString(s[:size])
		s = s[size:]
	}
	return b.String()
}

// hostile draws names with what names should not have.
func hostile() *rapid.Generator[string] {
	part := rapid.OneOf(
		rapid.StringN(0, 6, -1),
		rapid.SampledFrom([]string{
			"..", ".", " ", "\\", ":", "\x00", "\n", "\x7f", "\u202e", "\u2066", "\u2028", "\u200b", "\u00e9", "e\u0301", "E", "e",
			"con", "NUL", "COM1", "lpt\u00b9", "aux.h", "~1", "ABCDEF~1", "\xff", "\\u{41}", "\u00df", "ss", "\u212a", "k", "a", "A", "?",
			strings.Repeat("x", 250), strings.Repeat("é", 126), ".txt", "." + strings.Repeat("y", 20), "(2)", " (2)",
		}),
	)
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(part, 0, 4).Draw(t, "parts"), "")
	})
}

func TestDisplayIsInjective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := hostile().Draw(t, "name")
		shown := Display(name)
		if back := undisplay(t, shown); back != name {
			t.Fatalf("%q is shown as %q, which reads as %q", name, shown, back)
		}
		checkShown(t, shown)
	})
}

func checkShown(t interface{ Fatalf(string, ...any) }, shown string) {
	if !utf8.ValidString(shown) {
		t.Fatalf("not UTF-8: %q", shown)
	}
	for _, r := range shown {
		if hidden(r) {
			t.Fatalf("%q shows %U as it is", shown, r)
		}
	}
}

func TestLocalPath(t *testing.T) {
	long := strings.Repeat("n", 300)
	cases := []struct{ name, in, unix, windows string }{
		{"plain", "a/b c.txt", "a/b c.txt", "a/b c.txt"},
		{"parent", "../../etc/passwd", "__/__/etc/passwd", "__/__/etc/passwd"},
		{"parent inside", "a/../../b", "a/__/__/b", "a/__/__/b"},
		{"this folder", "./a/.", "_/a/_", "_/a/_"},
		{"absolute", "/etc/passwd", "etc/passwd", "etc/passwd"},
		{"several slashes", "//server//share", "server/share", "server/share"},
		{"slash at the end", "a/", "a", "a"},
		{"nothing", "", "_", "_"},
		{"slashes only", "///", "_", "_"},
		{"NUL", "a\x00b", "a_b", "a_b"},
		{"backslashes", `..\..\windows\system32`, `..\..\windows\system32`, ".._.._windows_system32"},
		{"network path", `\\server\share`, `\\server\share`, "__server_share"},
		{"drive", `C:\boot.ini`, `C:\boot.ini`, "C__boot.ini"},
		{"drive alone", "C:", "C:", "C_"},
		{"stream", "file.txt:hidden", "file.txt:hidden", "file.txt_hidden"},
		{"wildcards and quotes", `a<b>c"d|e?f*g`, `a<b>c"d|e?f*g`, "a_b_c_d_e_f_g"},
		{"control characters", "a\r\nb\x1b", "a__b_", "a__b_"},
		{"C1 control", "a\u0085b", "a_b", "a_b"},
		{"bidi", "a\u202eb\u2066c\u200fd", "a_b_c_d", "a_b_c_d"},
		{"line separators", "a\u2028b\u2029c", "a_b_c", "a_b_c"},
		{"joiners stay", "👩\u200d🚀", "👩\u200d🚀", "👩\u200d🚀"},
		{"replacement character stays", "a\ufffd", "a\ufffd", "a\ufffd"},
		{"not UTF-8", "a\xff\xfeb", "a_b", "a_b"},
		{"dots at the end", "a.", "a.", "a_"},
		{"dots and spaces at the end", "a. . ", "a. . ", "a____"},
		{"three dots", "...", "...", "___"},
		{"space", " ", " ", "_"},
		{"space first", " a", " a", " a"},
		{"hidden file", ".profile", ".profile", ".profile"},
		{"device", "CON", "CON", "_CON"},
		{"device in lower case", "nul", "nul", "_nul"},
		{"device with extension", "Aux.tar.gz", "Aux.tar.gz", "_Aux.tar.gz"},
		{"device with space before the dot", "prn .txt", "prn .txt", "_prn .txt"},
		{"device with a dot at the end", "con.", "con.", "_con_"},
		{"port", "com1.log", "com1.log", "_com1.log"},
		{"port 0", "LPT0", "LPT0", "_LPT0"},
		{"port with a superscript", "COM\u00b2", "COM\u00b2", "_COM\u00b2"},
		{"console", "conin$", "conin$", "_conin$"},
		{"port of two digits is none", "COM10", "COM10", "COM10"},
		{"port without number is none", "COM", "COM", "COM"},
		{"port with a letter is none", "LPTX", "LPTX", "LPTX"},
		{"printer of a company", "COMLPT1", "COMLPT1", "COMLPT1"},
		{"last ports", "COM9/lpt9", "COM9/lpt9", "_COM9/_lpt9"},
		{"longer word", "console", "console", "console"},
		{"device as a folder", "nul/a", "nul/a", "_nul/a"},
		{"short name", "PROGRA~1", "PROGRA~1", "PROGRA_1"},
		{"short name with extension", "longfi~12.txt", "longfi~12.txt", "longfi_12.txt"},
		{"shortest short name", "a~1.b", "a~1.b", "a_1.b"},
		{"tilde elsewhere", "a~1b", "a~1b", "a~1b"},
		{"too long", long, long[:255], long[:255]},
		{"too long with extension", long + ".jpeg", long[:250] + ".jpeg", long[:250] + ".jpeg"},
		{"too long, extension of 16 bytes", long + "." + long[:15], long[:239] + "." + long[:15], long[:239] + "." + long[:15]},
		{"too long, extension of 17 bytes", long + "." + long[:16], long[:255], long[:255]},
		{"too long, extension too", "a." + long, ("a." + long)[:255], ("a." + long)[:255]},
		{"too long, cut between characters", strings.Repeat("é", 200), strings.Repeat("é", 127), strings.Repeat("é", 127)},
		{"too long, cut before a dot", strings.Repeat("n", 254) + "." + long, strings.Repeat("n", 254) + ".", strings.Repeat("n", 254) + "_"},
		{"device too long", "con." + long, ("con." + long)[:255], "_" + ("con." + long)[:254]},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for goos, want := range map[string]string{"linux": c.unix, "darwin": c.unix, "windows": c.windows} {
				have := LocalPath(c.in, goos)
				if have != want {
					t.Errorf("%s: have %q, want %q", goos, have, want)
				}
				checkLocal(t, have, goos)
			}
		})
	}
}

// checkLocal states, on its own, what a local path must never be.
func checkLocal(t interface{ Fatalf(string, ...any) }, local, goos string) {
	const base = "/srv/target"
	if !filepath.IsLocal(local) || !strings.HasPrefix(filepath.Join(base, local), base+"/") {
		t.Fatalf("%q leaves the folder", local)
	}
	if !utf8.ValidString(local) || strings.ContainsAny(local, "\x00\r\n\x1b\x7f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\u2028\u2029") {
		t.Fatalf("%q has a character that it must not have", local)
	}
	for name := range strings.SplitSeq(local, "/") {
		if name == "" || name == "." || name == ".." || len(name) > 255 {
			t.Fatalf("%q has component %q", local, name)
		}
		if goos != "windows" {
			continue
		}
		if strings.ContainsAny(name, `<>:"\|?*`) || strings.HasSuffix(name, ".") || strings.HasSuffix(name, " ") {
			t.Fatalf("%q has component %q", local, name)
		}
		stem := strings.ToLower(strings.Trim(strings.Split(name, ".")[0], " "))
		for _, device := range []string{"con", "prn", "aux", "nul", "com1", "com9", "lpt1", "com¹", "lpt³", "conin$", "conout$"} {
			if stem == device {
				t.Fatalf("%q is a device", name)
			}
		}
	}
}

var systems = []string{"linux", "darwin", "windows"}

func TestLocalPathNeverEscapes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		path := strings.Join(rapid.SliceOfN(hostile(), 0, 5).Draw(t, "names"), "/")
		for _, goos := range systems {
			local := LocalPath(path, goos)
			checkLocal(t, local, goos)
			if again := LocalPath(local, goos); again != local {
				t.Fatalf("%q comes to %q, and that to %q", path, local, again)
			}
		}
	})
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"a/b", "../x", "C:\\con", "nul .txt", "\u202ea", "\xff", "a~1", strings.Repeat("é", 200) + ".txt"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		shown := Display(path)
		checkShown(t, shown)
		if undisplay(t, shown) != path {
			t.Fatalf("%q is shown as %q", path, shown)
		}
		for _, goos := range systems {
			checkLocal(t, LocalPath(path, goos), goos)
		}
	})
}
