// Package golden reads and writes the golden vectors in format/testdata/vectors
// (docs/vectors.md) for the tests of the packages that they pin down. It is
// imported by tests only and knows nothing of what the cases mean.
package golden

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/fxamacker/cbor/v2"
)

var update = flag.Bool("update", false, "write the golden vectors anew instead of comparing with them")

// Dir is where the vectors lie, seen from the directory of a package in format/.
const Dir = "../testdata/vectors"

// Case is what every case of every file has.
type Case interface{ CaseName() string }

// Name is embedded in cases.
type Name struct {
	Name string `json:"name"`
}

// CaseName implements Case.
func (n Name) CaseName() string { return n.Name }

type file[C Case] struct {
	About string `json:"about"`
	Cases []C    `json:"cases"`
}

// Sync holds the cases that the test makes against the file on disk, byte for
// byte, so that neither changes unseen, and returns the cases read from disk.
// With -update it writes the file first.
func Sync[C Case](t *testing.T, name, about string, cases []C) []C {
	t.Helper()
	want := encode(t, file[C]{About: about, Cases: cases})
	path := filepath.Join(Dir, name)
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("%s is not what this test makes: the format changed, or the file is stale (go test -update)", path)
	}
	return read[C](t, path, have)
}

// Sort puts cases in the order of their names, for those that come out of a map.
func Sort[C Case](cases []C) {
	slices.SortFunc(cases, func(a, b C) int { return strings.Compare(a.CaseName(), b.CaseName()) })
}

// Read returns the cases on disk, for instance to seed a fuzz target.
func Read[C Case](t testing.TB, name string) []C {
	t.Helper()
	path := filepath.Join(Dir, name)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return read[C](t, path, raw)
}

func read[C Case](t testing.TB, path string, raw []byte) []C {
	t.Helper()
	var f file[C]
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	seen := map[string]bool{}
	for _, c := range f.Cases {
		if seen[c.CaseName()] {
			t.Fatalf("%s: two cases are named %q", path, c.CaseName())
		}
		seen[c.CaseName()] = true
	}
	return f.Cases
}

// encode writes JSON in ASCII, because editors and version control may change
// how a text outside it is composed.
func encode(t *testing.T, v any) []byte {
	t.Helper()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, r := range buf.String() {
		if r < 0x7f {
			out.WriteRune(r)
			continue
		}
		for _, u := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&out, `\u%04x`, u)
		}
	}
	return out.Bytes()
}

// Hex is a byte string as lower-case hexadecimal.
type Hex []byte

// MarshalText implements encoding.TextMarshaler.
func (h Hex) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hex) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*h = b
	return err
}

// Data is a byte string that stands in the JSON as hexadecimal, or, if File is
// set, is the whole of a file beside it.
type Data struct {
	Bytes []byte
	File  string
}

// Inline is data written into the JSON.
func Inline(b []byte) Data { return Data{Bytes: b} }

// Beside is data in a file of its own. It writes the file under -update and
// otherwise compares it.
func Beside(t *testing.T, name string, b []byte) Data {
	t.Helper()
	path := filepath.Join(Dir, name)
	if *update {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(have, b) {
		t.Errorf("%s is not what this test makes (go test -update): %v", path, err)
	}
	return Data{Bytes: b, File: name}
}

type dataFile struct {
	File string `json:"file"`
}

// MarshalJSON implements json.Marshaler.
func (d Data) MarshalJSON() ([]byte, error) {
	if d.File != "" {
		return json.Marshal(dataFile{d.File})
	}
	return json.Marshal(Hex(d.Bytes))
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *Data) UnmarshalJSON(raw []byte) error {
	var text Hex
	if json.Unmarshal(raw, &text) == nil {
		*d = Data{Bytes: text}
		return nil
	}
	var f dataFile
	if err := json.Unmarshal(raw, &f); err != nil || f.File == "" || f.File != filepath.Base(f.File) {
		return fmt.Errorf("golden: not data: %s", raw)
	}
	b, err := os.ReadFile(filepath.Join(Dir, f.File))
	*d = Data{Bytes: b, File: f.File}
	return err
}

// Object is a CBOR map as JSON: keys in decimal, byte strings in hexadecimal.
type Object = map[string]any

// Value turns an encoded map into what the field `value` holds.
func Value(t *testing.T, b []byte) Object {
	t.Helper()
	var m map[int64]any
	if err := cbor.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return object(t, m)
}

func object(t *testing.T, m map[int64]any) Object {
	out := Object{}
	for k, v := range m {
		out[strconv.FormatInt(k, 10)] = value(t, v)
	}
	return out
}

func value(t *testing.T, v any) any {
	t.Helper()
	switch v := v.(type) {
	case []byte:
		return hex.EncodeToString(v)
	case string, bool:
		return v
	case uint64:
		return float64(v) // below 2^53: exact, and what the JSON decoder gives
	case int64:
		return float64(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = value(t, v[i])
		}
		return out
	case map[any]any:
		m := map[int64]any{}
		for k, e := range v {
			switch k := k.(type) {
			case uint64:
				if k > math.MaxInt64 {
					t.Fatalf("golden: key %d", k)
				}
				m[int64(k)] = e
			case int64:
				m[k] = e
			default:
				t.Fatalf("golden: key of type %T", k)
			}
		}
		return object(t, m)
	}
	t.Fatalf("golden: value of type %T", v)
	return nil
}
