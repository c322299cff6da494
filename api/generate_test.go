package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated files")

// TestGeneratedFresh holds the committed files to what the table says now.
func TestGeneratedFresh(t *testing.T) {
	docs, err := ReadDocs(".")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]byte{
		"../docs/openapi.json":        OpenAPI(docs),
		"../web/src/api/types.gen.ts": TypeScript(docs),
	} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			if *update {
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, want, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			have, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(have, want) {
				t.Errorf("%s is stale; run: go run ./dev gen", path)
			}
		})
	}
}

func TestGeneratorsAreDeterministic(t *testing.T) {
	docs, err := ReadDocs(".")
	if err != nil {
		t.Fatal(err)
	}
	openapi, ts := OpenAPI(docs), TypeScript(docs)
	for range 5 {
		if !bytes.Equal(openapi, OpenAPI(docs)) || !bytes.Equal(ts, TypeScript(docs)) {
			t.Fatal("two runs differ")
		}
	}
}

func TestTableHoldsTogether(t *testing.T) {
	ids, patterns := map[string]bool{}, map[string]bool{}
	mux := http.NewServeMux()
	for _, d := range All() {
		t.Run(d.ID, func(t *testing.T) {
			if ids[d.ID] || patterns[d.Pattern()] {
				t.Error("defined twice")
			}
			ids[d.ID], patterns[d.Pattern()] = true, true
			mux.HandleFunc(d.Pattern(), func(http.ResponseWriter, *http.Request) {}) // panics on a bad or clashing pattern
			if d.Timeout <= 0 || d.Summary == "" {
				t.Error("wants a time-out and a summary")
			}
			if (d.MaxBody > 0) != (d.RequestType != "") {
				t.Errorf("body limit %d with request type %q", d.MaxBody, d.RequestType)
			}
			if d.Party == Server && !strings.HasPrefix(d.Path, "/api/v1/") {
				t.Error("a server's path is under /api/v1/")
			}
			for _, code := range d.AllCodes() {
				if statuses[code].status == 0 {
					t.Errorf("code %s has no status", code)
				}
			}
		})
	}
}

func TestOpenAPIReferencesResolve(t *testing.T) {
	docs, err := ReadDocs(".")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		OpenAPI    string
		Paths      map[string]map[string]struct{ OperationID string }
		Components struct{ Schemas map[string]any }
	}
	raw := OpenAPI(docs)
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	operations := 0
	for _, item := range doc.Paths {
		operations += len(item)
	}
	if doc.OpenAPI != "3.1.0" || operations != len(All()) {
		t.Errorf("version %q, %d operations of %d", doc.OpenAPI, operations, len(All()))
	}
	for part := range strings.SplitSeq(string(raw), `"#/components/schemas/`) {
		name, _, _ := strings.Cut(part, `"`)
		if strings.Contains(name, "\n") {
			continue // the text before the first reference
		}
		if doc.Components.Schemas[name] == nil {
			t.Errorf("reference to %q, which is not there", name)
		}
	}
	if doc.Components.Schemas["PlacedRevision"] == nil {
		t.Error("types inside types are missing")
	}
}

func TestCodesAreSortedAndKnown(t *testing.T) {
	all := Codes()
	if !slices.IsSorted(all) || len(all) != len(statuses) {
		t.Fatal("codes are not all there in order")
	}
}

func TestDocsReachTheTypes(t *testing.T) {
	docs, err := ReadDocs(".")
	if err != nil {
		t.Fatal(err)
	}
	if docs["Page.Receipts"] == "" || docs["UploadGrant.Expires"] == "" {
		t.Error("field comments were not read")
	}
}
