package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/format/link"
)

func TestSizesForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 8 << 20: "8.0 MiB", 5 << 30: "5.0 GiB", 3 << 40: "3.0 TiB", 2000 << 50: "2000.0 PiB"} {
		if have := size(n); have != want {
			t.Errorf("%d: %s", n, have)
		}
	}
	if plural(1, "file") != "1 file" || plural(0, "day") != "0 days" || plural(2, "day") != "2 days" {
		t.Error("plural")
	}
}

func TestLifetimes(t *testing.T) {
	for text, want := range map[string]time.Duration{"7d": 7 * 24 * time.Hour, "12h": 12 * time.Hour, "90m": 90 * time.Minute, "1h30m": 90 * time.Minute} {
		var l lifetime
		if err := l.UnmarshalText([]byte(text)); err != nil || time.Duration(l) != want {
			t.Errorf("%s: %s, %v", text, time.Duration(l), err)
		}
	}
	for _, text := range []string{"", "d", "0d", "-1d", "7", "1.5d", "30s", "-2h", "99999999d", "soon"} {
		var l lifetime
		if err := l.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: %s", text, time.Duration(l))
		}
	}
}

func TestPasswordFiles(t *testing.T) {
	for content, want := range map[string]string{"pass\n": "pass", "pass": "pass", "pass\n\n": "pass\n", " pa ss \n": " pa ss ", "pass\r\n": "pass", "two\nlines\n": "two\nlines"} {
		path := filepath.Join(t.TempDir(), "pw")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if have, err := passwordFrom(path); err != nil || have != want {
			t.Errorf("%q: %q, %v", content, have, err)
		}
	}
	for _, content := range []string{"", "\n", "\r\n"} {
		path := filepath.Join(t.TempDir(), "pw")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := passwordFrom(path); !errors.Is(err, link.ErrPasswordNeeded) {
			t.Errorf("%q: %v", content, err)
		}
	}
	if _, err := passwordFrom(t.TempDir() + "/none"); err == nil {
		t.Error("no file, no error")
	}
}

func TestFirstLine(t *testing.T) {
	for text, want := range map[string]string{"a\nb\n": "a", "a": "a", "a\r\nb": "a", "": "", "\nb": ""} {
		if have, err := firstLine(strings.NewReader(text)); err != nil || have != want {
			t.Errorf("%q: %q, %v", text, have, err)
		}
	}
	long := strings.Repeat("x", 3*maxLine)
	if have, err := firstLine(strings.NewReader(long)); err != nil || len(have) != maxLine {
		t.Errorf("%d characters, %v", len(have), err)
	}
}

func TestCommandLinesCanBeTyped(t *testing.T) {
	have := commandLine([]string{"/bin/holdfast", "node", "--operator", "Demo operator DE", "it's", "", "--listen", "127.0.0.1:8"})
	if want := `/bin/holdfast node --operator 'Demo operator DE' 'it'\''s' '' --listen 127.0.0.1:8`; have != want {
		t.Errorf("have %s\nwant %s", have, want)
	}
}

func TestDevRefusesWhatCannotWork(t *testing.T) {
	for name, c := range map[string]struct {
		nodes []string
		fails bool
	}{
		"three":    {[]string{"DE", "NZ", "IS"}, false},
		"twice":    {[]string{"DE", "NZ", "DE"}, true},
		"no law":   {[]string{"DE", "XX"}, true},
		"an empty": {[]string{""}, true},
	} {
		if err := (&devCmd{Nodes: c.nodes}).Validate(); (err != nil) != c.fails {
			t.Errorf("%s: %v", name, err)
		}
	}
}
