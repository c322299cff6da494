package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"holdfast/api"
	"holdfast/format/descriptor"
	"holdfast/format/link"
)

func TestHarmlessText(t *testing.T) {
	key := link.New(0).Fragment()
	withPassword := link.New(link.NeedsPassword).Fragment()
	for text, want := range map[string]string{
		"plain\nwords, ümlaut":              "plain\nwords, ümlaut",
		"\x1b[2Jgone":                       `\u{1B}[2Jgone`,
		"over\rwritten":                     `over\u{0D}written`,
		"\u009b31m":                         `\u{9B}31m`,
		"a\u202ee\u2028f":                   `a\u{202E}e\u{2028}f`,
		"\xff":                              `\x{FF}`,
		descriptor.Display("\x1b, \\u{1B}"): descriptor.Display("\x1b, \\u{1B}"), // not twice
		`C:\folder\u{x`:                     `C:\folder\u{x`,
		"unexpected argument https://h/s/a#" + key:    "unexpected argument https://h/s/a#…",
		`"https://h/s/a#` + withPassword + `" is not`: `"https://h/s/a#…" is not`,
		"unexpected argument " + key:                  "unexpected argument …",
		"unexpected argument " + withPassword + ", 1": "unexpected argument …, 1",
		"part https://h/s/a#" + key[:30] + " cut":     "part https://h/s/a#… cut",
		"issue #12 of AQA and #heading":               "issue #12 of AQA and #heading",
	} {
		if have := harmless(text); have != want {
			t.Errorf("%q\nhave %q\nwant %q", text, have, want)
		}
	}
}

// ran is how a run of the program ended.
type ran struct {
	code           int
	stdout, stderr string
}

// program runs the built program in a folder and with a home of its own.
func program(t *testing.T, args ...string) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "holdfast"), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.TempDir(), &stdout, &stderr
	cmd.Env = append(os.Environ(), "HOLDFAST_HOME="+t.TempDir())
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return ran{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// TestKeysAreNotQuoted: a link at the wrong place of a command line is quoted by
// whoever does not understand it, without its key.
func TestKeysAreNotQuoted(t *testing.T) {
	l := link.New(0)
	url := l.URL("http://127.0.0.1:9")
	for name, args := range map[string][]string{
		"as a verb":             {url},
		"one too many":          {"where", "-", url},
		"where a file belongs":  {"receive", "--link-file=" + url},
		"where a time belongs":  {"send", "--expires=" + url, "x"},
		"as a file":             {"send", url},
		"as a flag":             {"receive", "--" + url},
		"key apart":             {"receive", "-", l.Fragment()},
		"where a secret's file": {"unsend", "--manage-file=" + url, url},
		"as a server":           {"send", "--server", url, "x"},
	} {
		r := program(t, args...)
		if r.code == 0 || r.stderr == "" {
			t.Errorf("%s: exit %d", name, r.code)
		}
		if strings.Contains(r.stdout+r.stderr, l.Fragment()[8:]) {
			t.Errorf("%s: the key is in %q", name, r.stderr)
		}
	}
}

// TestTerminalsAreNotSteered: threat 20. What a hostile server answers is shown
// as what it is, on one line.
func TestTerminalsAreNotSteered(t *testing.T) {
	const evil = "\x1b]0;owned\a\u009b2J\rfine\nholdfast: all is well \u202e"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", api.TypeProblem)
		w.WriteHeader(http.StatusTeapot)
		p := api.Problem{Title: evil, Detail: evil, Code: evil, Status: http.StatusTeapot}
		if err := json.NewEncoder(w).Encode(p); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	r := program(t, "receive", link.New(0).URL(server.URL))
	if r.code != exitFailed || !strings.Contains(r.stderr, "owned") {
		t.Fatalf("exit %d: %q", r.code, r.stderr)
	}
	for _, c := range r.stderr {
		if c != '\n' && !unicode.IsPrint(c) {
			t.Errorf("%U in %q", c, r.stderr)
		}
	}
	if strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("more than a line: %q", r.stderr)
	}
}
