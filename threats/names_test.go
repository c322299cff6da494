package threats

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/link"
)

// hostileNames are allowed by the format, and written or shown only with care.
var hostileNames = []string{
	"\x1b[31mred", "\x1b]0;title\x07", "\x1b[2J\x1b[H", "bell\x07", "back\x08\x08\x08\x08space", "carriage\rreturn", "line\nfeed", "tab\there",
	"\u009b31m", "\u0085next line", "delete\x7f", "form\x0cfeed", "photo\u202egpj.exe", "\u2066isolate\u2069", "\u2067\u2068x", "\u200fmark", "\u061cletter",
	"line\u2028separator", "paragraph\u2029separator", "zero\u200bwidth", "\ufeffmark", "soft\u00adhyphen", "tag\U000e0061",
	`..\..\windows\system32\evil.dll`, `C:\boot.ini`, `\\server\share`, "C:", "file.txt:stream", "CON", "nul.txt", "COM1", "LPT\u00b9.doc", "AUX",
	"...", ". ", " ", "dot.", "space ", "PROGRA~1", ".bashrc", ".ssh", "-rf", "--force", "~", "$(touch evil)", "`touch evil`", ";rm -rf .", "%2e%2e%2f", "a|b>c<d?e*f\"g",
	"Case.txt", "case.txt", "CASE.TXT", "e\u0301", "\u00e9", "K", "\u212a", "ss", "\u00df", "fi", "\ufb01",
	strings.Repeat("n", 255), strings.Repeat("é", 127), "<script>alert(1)</script>.html", "<img src=x onerror=alert(1)>.svg", "javascript:alert(1)",
	".holdfast-part-AAAAAAAAAAAAAAAAAAAAAA",
}

// TestThreat20HostileNames: a bundle of hostile names, received by the command
// line: all files arrive, below the target, under names that no terminal minds.
func TestThreat20HostileNames(t *testing.T) {
	h := newSender(t)
	var entries []descriptor.Descriptor
	folderNames := []string{"folder\u202e", "\x1bfolder"}
	for i, name := range hostileNames {
		path := name
		if i%5 == 4 {
			path = folderNames[i%2] + "/" + name
		}
		entries = append(entries, h.add([]byte("content of "+fmt.Sprint(i)), path))
	}
	b, err := descriptor.NewBundle("title\x1b[31m\u202e", entries)
	if err != nil {
		t.Fatal(err)
	}
	url := h.publishBundle(b.Entries, b.Title)
	around := t.TempDir()
	target := filepath.Join(around, "deep", "target")
	r := run(t, t.TempDir(), "receive", url, "-o", target)
	if r.code != 0 {
		t.Fatalf("exit %d: %s", r.code, r.stderr)
	}
	seen := map[string]bool{}
	for _, path := range files(t, around) {
		if !strings.HasPrefix(path, target+"/") {
			t.Errorf("written outside: %q", path)
		}
		calm(t, "file name", path)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		seen[string(raw)] = true
	}
	if len(seen) != len(hostileNames) {
		t.Errorf("%d different files arrived, %d were sent", len(seen), len(hostileNames))
	}
	again := run(t, t.TempDir(), "receive", url, "-o", target)
	if again.code == 0 || !strings.Contains(again.stderr, "exists already") {
		t.Errorf("received over what is there: exit %d\n%s", again.code, again.stderr)
	}
	for what, r := range map[string]ran{
		"receive": r, "receive again": again,
		"where": run(t, t.TempDir(), "where", url), "stdout": run(t, t.TempDir(), "receive", url, "-o", "-"),
		"json": run(t, t.TempDir(), "receive", "--json", url, "-o", filepath.Join(around, "again")),
	} {
		calm(t, what+" on stderr", r.stderr)
		if what != "json" { // JSON escapes what JSON must, and is not for terminals
			calm(t, what+" on stdout", r.stdout)
		}
	}
}

// calm wants a text without what steers terminals or turns text.
func calm(t *testing.T, what, text string) {
	t.Helper()
	for _, r := range text {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029') {
			t.Errorf("%s holds %U: %q", what, r, text)
			return
		}
	}
}

// TestThreat20NoOverwrite: nothing that stands at the target is replaced or
// followed out of it, whatever the names.
func TestThreat20NoOverwrite(t *testing.T) {
	h := newSender(t)
	b, err := descriptor.NewBundle("", []descriptor.Descriptor{h.add([]byte("evil"), "kept"), h.add([]byte("evil"), "way/out")})
	if err != nil {
		t.Fatal(err)
	}
	url := h.publishBundle(b.Entries, "")
	for what, prepare := range map[string]func(t *testing.T, target, outside string){
		"file": func(t *testing.T, target, outside string) {
			writeFile(t, filepath.Join(target, "kept"), []byte("mine"))
		},
		"symbolic link": func(t *testing.T, target, outside string) {
			symlink(t, filepath.Join(outside, "new"), filepath.Join(target, "kept"))
		},
		"link to a file": func(t *testing.T, target, outside string) {
			symlink(t, filepath.Join(outside, "mine"), filepath.Join(target, "kept"))
		},
		"folder as link out": func(t *testing.T, target, outside string) { symlink(t, outside, filepath.Join(target, "way")) },
		"folder":             func(t *testing.T, target, outside string) { writeFile(t, filepath.Join(target, "kept", "x"), nil) },
	} {
		for _, force := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, force %t", what, force), func(t *testing.T) {
				target, outside := t.TempDir(), t.TempDir()
				mine := writeFile(t, filepath.Join(outside, "mine"), []byte("mine"))
				prepare(t, target, outside)
				args := []string{"receive", url, "-o", target}
				if force {
					args = append(args, "--force")
				}
				r := run(t, t.TempDir(), args...)
				if !force && r.code == 0 {
					t.Errorf("exit 0: %s", r.stderr)
				}
				if all := files(t, outside); len(all) != 1 {
					t.Errorf("written outside: %v", all)
				}
				if raw, err := os.ReadFile(mine); err != nil || string(raw) != "mine" {
					t.Errorf("a file outside was changed: %q %v", raw, err)
				}
			})
		}
	}
}

func symlink(t *testing.T, to, from string) {
	t.Helper()
	if err := os.Symlink(to, from); err != nil {
		t.Fatal(err)
	}
}

// TestThreat20ForbiddenNames: lists and records that the format forbids, sealed
// rightly by a hostile sender: refused whole, nothing is written anywhere.
func TestThreat20ForbiddenNames(t *testing.T) {
	long := strings.Repeat("n", 256)
	for what, paths := range map[string][]string{
		"parent": {"../evil"}, "parent inside": {"a/../../evil"}, "only parent": {".."}, "this folder": {"./evil"}, "absolute": {"/tmp/evil"},
		"slash at the end": {"evil/"}, "double slash": {"a//evil"}, "empty": {""}, "NUL": {"evil\x00.txt"}, "long name": {long}, "long path": {strings.Repeat("a/", 2100) + "evil"},
		"one path twice": {"evil", "evil"}, "file as folder": {"evil", "evil/inner"}, "not sorted": {"b", "a"}, "not UTF-8": {"evil\xff"},
	} {
		t.Run(what, func(t *testing.T) {
			h := newSender(t)
			var entries []descriptor.Descriptor
			for _, path := range paths {
				entries = append(entries, h.add([]byte("evil"), path))
			}
			url := h.publishBundle(entries, "")
			refusedByProgram(t, url)
		})
	}
	for what, d := range map[string]func(d *descriptor.Descriptor){
		"one file in a folder": func(d *descriptor.Descriptor) { d.Path = "a/evil" },
		"one file above":       func(d *descriptor.Descriptor) { d.Path = "../evil" },
		"one file absolute":    func(d *descriptor.Descriptor) { d.Path = "/evil" },
		"one file nowhere":     func(d *descriptor.Descriptor) { d.Path = ".." },
		"device":               func(d *descriptor.Descriptor) { d.Kind = 7 },
		"media type":           func(d *descriptor.Descriptor) { d.MediaType = "text/html\r\nX: y" },
	} {
		t.Run(what, func(t *testing.T) {
			h := newSender(t)
			one := h.add([]byte("evil"), "evil")
			d(&one)
			h.store()
			h.mustCommit(h.request(h.record(map[uint64]any{1: link.OneFile, 2: one}), id.Revision{}))
			refusedByProgram(t, h.link.URL(service.front.url))
		})
	}
}

func refusedByProgram(t *testing.T, url string) {
	t.Helper()
	around := t.TempDir()
	r := run(t, t.TempDir(), "receive", url, "-o", filepath.Join(around, "a", "target"))
	if r.code != 6 {
		t.Errorf("exit %d: %s", r.code, r.stderr)
	}
	if all := files(t, around); len(all) > 0 {
		t.Errorf("written: %v", all)
	}
	calm(t, "stderr", r.stderr)
	if bytes.Contains([]byte(r.stderr), []byte("\x00")) {
		t.Error("a zero byte on the terminal")
	}
}
