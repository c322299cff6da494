package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// licenceTexts are the checksums of the texts as their authors publish them.
var licenceTexts = map[string]string{
	"AGPL-3.0-only": "0d96a4ff68ad6d4b6f1f30f713b18d5184912ba8dd389f86aa7710db079abcb0",
	"Apache-2.0":    "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
}

// annotation is one table of REUSE.toml.
type annotation struct {
	paths   []string
	licence string
}

// covers tells whether a path of the tree, with slashes, is one that a names:
// by itself or by a folder followed by /**.
func (a annotation) covers(path string) bool {
	for _, p := range a.paths {
		folder, all := strings.CutSuffix(p, "**")
		if path == p || all && strings.HasPrefix(path, folder) {
			return true
		}
	}
	return false
}

// readReuse reads the few forms of TOML that REUSE.toml is written in.
func readReuse(t *testing.T) []annotation {
	t.Helper()
	raw, err := os.ReadFile("../REUSE.toml")
	if err != nil {
		t.Fatal(err)
	}
	var all []annotation
	for line := range strings.Lines(string(raw)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " = ")
		switch {
		case key == "[[annotations]]":
			all = append(all, annotation{})
		case key == "" || strings.HasPrefix(key, "#"), key == "version", key == "SPDX-FileCopyrightText":
		case key == "path" && len(all) > 0:
			err = json.Unmarshal([]byte(value), &all[len(all)-1].paths)
		case key == "SPDX-License-Identifier" && len(all) > 0:
			err = json.Unmarshal([]byte(value), &all[len(all)-1].licence)
		default:
			t.Fatalf("REUSE.toml: unknown line %q", line)
		}
		if err != nil {
			t.Fatalf("REUSE.toml: %s: %v", line, err)
		}
	}
	return all
}

func licenceOf(table []annotation, path string) string {
	var licence string
	for _, a := range table {
		if a.covers(path) {
			licence = a.licence
		}
	}
	return licence
}

func TestLicenceTextsAreExact(t *testing.T) {
	files, err := filepath.Glob("../LICENSES/*")
	if err != nil || len(files) != len(licenceTexts) {
		t.Errorf("LICENSES holds %v (%v)", files, err)
	}
	for name, want := range licenceTexts {
		raw, err := os.ReadFile("../LICENSES/" + name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s is not the published text", name)
		}
	}
}

func TestEveryFileHasALicence(t *testing.T) {
	table := readReuse(t)
	used := make([]bool, len(table))
	for _, path := range trackedFiles(t) {
		if _, known := licenceTexts[licenceOf(table, path)]; !known {
			t.Errorf("%s is under %q", path, licenceOf(table, path))
		}
		for i, a := range table {
			used[i] = used[i] || a.covers(path)
		}
	}
	for i, u := range used {
		if !u {
			t.Errorf("no file is in %v", table[i].paths)
		}
	}
	for path, want := range map[string]string{"format/id/id.go": "Apache-2.0", "api/server.go": "Apache-2.0", "client/transfer/save.go": "Apache-2.0",
		"server/server.go": "AGPL-3.0-only", "web/src/engine/send.ts": "AGPL-3.0-only", "node/upload/upload.go": "AGPL-3.0-only", "cmd/holdfast/main.go": "AGPL-3.0-only"} {
		if have := licenceOf(table, path); have != want {
			t.Errorf("%s is under %s", path, have)
		}
	}
}

// TestTheSDKStandsAlone: who builds on Apache-2.0 packages does not get others with them.
func TestTheSDKStandsAlone(t *testing.T) {
	table := readReuse(t)
	of := func(importPath string) string {
		return licenceOf(table, strings.TrimPrefix(importPath, "holdfast/")+"/x.go")
	}
	for _, p := range listPackages(t) {
		for _, imported := range p.Imports {
			if of(p.ImportPath) == "Apache-2.0" && strings.HasPrefix(imported, "holdfast/") && of(imported) != "Apache-2.0" {
				t.Errorf("%s, under Apache-2.0, imports %s, under %s", p.ImportPath, imported, of(imported))
			}
		}
	}
}

// trackedFiles are the files that git keeps, as paths from the root; those
// deleted in the work tree are not among them.
func trackedFiles(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	var paths []string
	for path := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if _, err := os.Lstat("../" + path); err == nil {
			paths = append(paths, path)
		}
	}
	return paths
}
