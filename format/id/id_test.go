package id

import (
	"encoding/json"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestNewIsRandom(t *testing.T) {
	seen := map[Upload]bool{}
	for range 1000 {
		v := New[Upload]()
		if seen[v] || v.IsZero() {
			t.Fatal("an id came twice, or is zero")
		}
		seen[v] = true
	}
	if a, b := New32(), New32(); a == b {
		t.Fatal("a secret came twice")
	}
}

func TestIsZero(t *testing.T) {
	if !(Node{}).IsZero() || (Node{15: 1}).IsZero() {
		t.Fatal("IsZero")
	}
}

// Ids stand in JSON, as map keys too, and a wrong one is refused there.
func TestJSON(t *testing.T) {
	type message struct {
		File  File            `json:"file"`
		Names map[Name]Upload `json:"names"`
	}
	in := message{New[File](), map[Name]Upload{Name(New32()): New[Upload]()}}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out message
	if err := json.Unmarshal(b, &out); err != nil || out.File != in.File || len(out.Names) != 1 {
		t.Fatal(err, out)
	}
	for k, v := range in.Names {
		if out.Names[k] != v {
			t.Fatal("names differ")
		}
	}
	for _, bad := range []string{`{"file":"AAAAAAAAAAAAAAAAAAAAAB"}`, `{"names":{"AAAA":"AAAAAAAAAAAAAAAAAAAAAA"}}`} {
		if err := json.Unmarshal([]byte(bad), &out); !errors.Is(err, ErrText) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := File(rapid.SliceOfN(rapid.Byte(), Size, Size).Draw(t, "id"))
		if got, err := Parse[File](v.String()); err != nil || got != v {
			t.Fatal(got, err)
		}
		n := Bytes32(rapid.SliceOfN(rapid.Byte(), Size32, Size32).Draw(t, "name"))
		if got, err := Parse32(n.String()); err != nil || got != n {
			t.Fatal(got, err)
		}
	})
}

// FuzzParse: what parses is its value's one text.
func FuzzParse(f *testing.F) {
	for _, v := range vectors() {
		f.Add(v.Text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if v, err := Parse[Node](text); err == nil && v.String() != text {
			t.Fatalf("%q parses as %s", text, v)
		} else if err != nil && !v.IsZero() {
			t.Fatal("a value with an error")
		}
		if v, err := Parse32(text); err == nil && v.String() != text {
			t.Fatalf("%q parses as %s", text, v)
		}
	})
}
