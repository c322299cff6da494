package main

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"

	"holdfast/cmd/holdfast/internal/manual"
)

var update = flag.Bool("update", false, "write the generated files")

const manualPage = "../../docs/holdfast.1"

// TestManualFresh holds the committed page to what the verbs say now.
func TestManualFresh(t *testing.T) {
	var want bytes.Buffer
	if err := manual.Write(&want, model(t), "encrypted file hosting on servers that anyone can lend"); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(manualPage, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(manualPage)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want.Bytes()) {
		t.Errorf("%s is stale; run: go run ./dev man", manualPage)
	}
}

func TestManualRenders(t *testing.T) {
	path, err := exec.LookPath("groff")
	if err != nil {
		t.Fatalf("%v: go run ./dev test installs it", err)
	}
	cmd := exec.Command(path, "-man", "-Tascii", "-ww", "-P-cbou", manualPage)
	var warnings bytes.Buffer
	cmd.Stderr = &warnings
	out, err := cmd.Output()
	if err != nil || warnings.Len() > 0 {
		t.Fatalf("groff: %v: %s", err, &warnings)
	}
	page := string(out)
	for _, piece := range []string{"holdfast - encrypted file hosting", "holdfast node run [flags]", "-o, --output=OUTPUT", "[<link>]", "HOLDFAST_NODE_DATA", "8      not reachable"} {
		if !strings.Contains(page, piece) {
			t.Errorf("the page lacks %q", piece)
		}
	}
	for _, f := range model(t).Leaves(true) {
		for _, flag := range f.Flags {
			if !strings.Contains(page, "--"+flag.Name) {
				t.Errorf("the page lacks --%s of %s", flag.Name, f.FullPath())
			}
		}
	}
}
