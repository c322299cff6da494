package threats

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestThreat03NoRSA: neither the program, nor anything that is linked into it beside the
// standard library, can call RSA: nothing imports it. (The standard library has it for
// the signatures of certificates.)
func TestThreat03NoRSA(t *testing.T) {
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", `{{if not .Standard}}{{.ImportPath}}{{range .Imports}} {{.}}{{end}}{{end}}`, "../cmd/holdfast")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("list the program's packages: %v", err)
	}
	packages := 0
	for line := range strings.Lines(string(out)) {
		names := strings.Fields(line)
		if len(names) == 0 {
			continue
		}
		packages++
		if slices.Contains(names[1:], "crypto/rsa") {
			t.Errorf("%s imports crypto/rsa", names[0])
		}
	}
	if packages < 50 {
		t.Fatalf("only %d packages: %s", packages, out)
	}
}

// rsaInBrowsers are WebCrypto's names of RSA, to encrypt or to sign with.
var rsaInBrowsers = regexp.MustCompile(`RSA-OAEP|RSAES|RSA-PSS|RSASSA`)

// TestThreat03NoRSAInTheBrowser: the web app names no algorithm of RSA.
func TestThreat03NoRSAInTheBrowser(t *testing.T) {
	read := 0
	err := filepath.WalkDir("../web/src", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if ext := filepath.Ext(path); ext != ".ts" && ext != ".svelte" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		read++
		if found := rsaInBrowsers.Find(text); found != nil {
			t.Errorf("%s names %s", path, found)
		}
		return nil
	})
	if err != nil || read < 100 {
		t.Fatalf("%d files read: %v", read, err)
	}
}
