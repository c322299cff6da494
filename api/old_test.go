package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestOldClientsServed: what a released version calls is still there, with the
// fields that it sends and reads. A breaking change needs a new protocol version.
func TestOldClientsServed(t *testing.T) {
	kept, err := filepath.Glob("testdata/old/*.json")
	if err != nil || len(kept) == 0 {
		t.Fatal("no version's API is kept", err)
	}
	now := readAPI(t, "../docs/openapi.json")
	for _, path := range kept {
		for _, broken := range breaks(readAPI(t, path), now) {
			t.Errorf("%s: %s", strings.TrimSuffix(filepath.Base(path), ".json"), broken)
		}
	}
}

func TestBreaksAreSeen(t *testing.T) {
	for name, change := range map[string]func(object){
		"paths./api/v1/info gone":        func(d object) { delete(d["paths"].(object), "/api/v1/info") },
		"get of paths./api/v1/info gone": func(d object) { delete(at(d, "paths", "/api/v1/info"), "get") },
		"UploadGrant.ticket gone":        func(d object) { delete(at(d, "components", "schemas", "UploadGrant", "properties"), "ticket") },
		"UploadGrant.budget is": func(d object) {
			at(d, "components", "schemas", "UploadGrant", "properties", "budget")["type"] = "string"
		},
		"UploadGrant.budget may be missing":    func(d object) { without(d, "UploadGrant", "budget") },
		"OpenUploadRequest.color must be sent": func(d object) { with(d, "OpenUploadRequest", "color") },
		"LinkSpec.color must be sent":          func(d object) { with(d, "LinkSpec", "color") }, // within a request
		"":                                     func(d object) { with(d, "UploadGrant", "color") },
	} {
		old, now := readAPI(t, "../docs/openapi.json"), readAPI(t, "../docs/openapi.json")
		change(now)
		found := strings.Join(breaks(old, now), "; ")
		if name == "" && found != "" || !strings.Contains(found, name) {
			t.Errorf("%q: found %q", name, found)
		}
	}
}

func with(d object, schema, field string) {
	s := at(d, "components", "schemas", schema)
	at(s, "properties")[field] = object{"type": "string"}
	s["required"] = append(s["required"].([]any), field)
}

func without(d object, schema, field string) {
	s := at(d, "components", "schemas", schema)
	s["required"] = slices.DeleteFunc(s["required"].([]any), func(v any) bool { return v == field })
}

func readAPI(t *testing.T, path string) object {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var d object
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// at descends; nil where there is nothing.
func at(d object, names ...string) object {
	for _, name := range names {
		d, _ = d[name].(object)
	}
	return d
}

// breaks names what a client of the old description would miss in the new one.
func breaks(old, now object) (all []string) {
	for _, path := range slices.Sorted(maps.Keys(at(old, "paths"))) {
		if at(now, "paths", path) == nil {
			all = append(all, "paths."+path+" gone")
			continue
		}
		for method := range at(old, "paths", path) {
			if at(now, "paths", path, method) == nil {
				all = append(all, fmt.Sprintf("%s of paths.%s gone", method, path))
			}
		}
	}
	sent := requestSchemas(now)
	for _, name := range slices.Sorted(maps.Keys(at(old, "components", "schemas"))) {
		all = append(all, schemaBreaks(name, at(old, "components", "schemas", name), at(now, "components", "schemas", name), sent[name])...)
	}
	return all
}

func schemaBreaks(name string, old, now object, sent bool) (all []string) {
	for field, was := range at(old, "properties") {
		is, ok := at(now, "properties")[field]
		if !ok {
			all = append(all, name+"."+field+" gone")
		} else if !reflect.DeepEqual(kind(was), kind(is)) {
			all = append(all, fmt.Sprintf("%s.%s is %v and was %v", name, field, kind(is), kind(was)))
		}
	}
	before, after := required(old), required(now)
	for _, field := range after {
		if sent && !slices.Contains(before, field) {
			all = append(all, name+"."+field+" must be sent")
		}
	}
	for _, field := range before {
		if !sent && !slices.Contains(after, field) {
			all = append(all, name+"."+field+" may be missing")
		}
	}
	return all
}

func required(schema object) (fields []string) {
	list, _ := schema["required"].([]any)
	for _, field := range list {
		fields = append(fields, fmt.Sprint(field))
	}
	return fields
}

// kind is a field's type without what people read.
func kind(field any) any {
	f, _ := field.(object)
	return []any{f["type"], f["$ref"], f["items"]}
}

// requestSchemas are those that stand in requests, also within others.
func requestSchemas(d object) map[string]bool {
	found := map[string]bool{}
	for _, methods := range at(d, "paths") {
		for _, operation := range methods.(object) {
			if o, ok := operation.(object); ok {
				gatherRefs(d, o["requestBody"], found)
			}
		}
	}
	return found
}

func gatherRefs(d object, v any, found map[string]bool) {
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			gatherRefs(d, one, found)
		}
	case object:
		if ref, ok := v["$ref"].(string); ok {
			name := ref[strings.LastIndex(ref, "/")+1:]
			if !found[name] {
				found[name] = true
				gatherRefs(d, at(d, "components", "schemas", name), found)
			}
		}
		for _, one := range v {
			gatherRefs(d, one, found)
		}
	}
}
