package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// floors is the order of packages: one may import lower floors only, or what
// mayImport names. A longer prefix wins.
var floors = map[string]int{
	"format/id": 0, "format/pad": 0, "format/kdf": 0, "format/wire": 0, "format/work": 0, "format/internal": 0,
	"format/seal": 1, "format/blob": 1,
	"format/descriptor": 2, "format/link": 2, "format/ticket": 2, "format/password": 2, "format/keys": 2, "format/journal": 2, "format/opaque": 2, "format/invite": 2,
	"api":    3,
	"certs":  3,
	"client": 4, "node": 4, "server": 4,
	"cluster": 5,
	"cmd":     6, "faults": 6, "threats": 6, "dev": 6,
	"web": 0, // the built pages, embedded
}

// separate are the programs' halves, which talk by the protocol and never by imports.
var separate = []string{"client", "node", "server"}

// sealedOff may import none of the second column: domains know no storage and no HTTP.
var sealedOff = map[string][]string{
	"server/internal/upload":    {"net/http", "holdfast/server/internal/store", "holdfast/server/internal/httpapi", "database/sql"},
	"server/internal/share":     {"net/http", "holdfast/server/internal/store", "holdfast/server/internal/httpapi", "database/sql"},
	"server/internal/account":   {"net/http", "holdfast/server/internal/store", "holdfast/server/internal/httpapi", "database/sql"},
	"server/internal/message":   {"net/http", "holdfast/server/internal/store", "holdfast/server/internal/httpapi", "database/sql"},
	"server/internal/drive":     {"net/http", "holdfast/server/internal/store", "holdfast/server/internal/httpapi", "database/sql"},
	"server/internal/fleet":     {"net/http", "holdfast/server/internal/store", "holdfast/server/internal/httpapi", "database/sql"},
	"server/internal/placement": {"net/http", "holdfast/server/internal/store", "holdfast/server/internal/httpapi", "database/sql"},
	"format":                    {"net/http", "database/sql", "os/exec"},
}

type listed struct {
	ImportPath, Doc string
	Imports         []string
	GoFiles         []string
}

func listPackages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Doc,Imports,GoFiles", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// floorOf finds the floor by the longest prefix.
func floorOf(path string) (prefix string, floor int, ok bool) {
	path = strings.TrimPrefix(path, "holdfast/")
	for p, f := range floors {
		if (path == p || strings.HasPrefix(path, p+"/")) && len(p) > len(prefix) {
			prefix, floor, ok = p, f, true
		}
	}
	return prefix, floor, ok
}

func TestFloors(t *testing.T) {
	for _, p := range listPackages(t) {
		mine, floor, ok := floorOf(p.ImportPath)
		if !ok {
			t.Errorf("%s stands on no floor; give it one", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			if !strings.HasPrefix(imported, "holdfast/") {
				continue
			}
			theirs, below, _ := floorOf(imported)
			if below > floor || below == floor && mine != theirs && floor >= 3 {
				t.Errorf("%s (floor %d) imports %s (floor %d)", p.ImportPath, floor, imported, below)
			}
		}
	}
}

func TestHalvesDoNotImportEachOther(t *testing.T) {
	for _, p := range listPackages(t) {
		mine, _, _ := floorOf(p.ImportPath)
		for _, imported := range p.Imports {
			theirs, _, _ := floorOf(imported)
			for _, half := range separate {
				if strings.HasPrefix(imported, "holdfast/") && theirs == half && mine != half && slices.Contains(separate, mine) {
					t.Errorf("%s imports %s", p.ImportPath, imported)
				}
			}
		}
	}
}

func TestDomainsKnowNoStorage(t *testing.T) {
	for _, p := range listPackages(t) {
		path := strings.TrimPrefix(p.ImportPath, "holdfast/")
		for prefix, forbidden := range sealedOff {
			if path != prefix && !strings.HasPrefix(path, prefix+"/") {
				continue
			}
			for _, imported := range p.Imports {
				if slices.Contains(forbidden, imported) {
					t.Errorf("%s imports %s", p.ImportPath, imported)
				}
			}
		}
	}
}

func TestEveryPackageHasADocComment(t *testing.T) {
	for _, p := range listPackages(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no doc comment", p.ImportPath)
		}
	}
}
