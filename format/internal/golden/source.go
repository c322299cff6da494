package golden

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Pattern is the n bytes that vectors call {"pattern": n}.
func Pattern(n int64) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8*13 + 5)
	}
	return b
}

// Source is a byte string of any size in one of the forms that docs/vectors.md
// calls data: hexadecimal (Literal), a pattern, a file beside the JSON, or
// another case's bytes after edits.
type Source struct {
	Literal []byte
	Pattern *int64
	File    string
	Of      string
	Edits   []Edit
}

// Edit is one change to a copy of another case's bytes; exactly one of Xor,
// Take, Append and From is set.
type Edit struct {
	Xor    Hex        `json:"xor,omitempty"`
	Take   [][2]int64 `json:"take,omitempty"`
	Append Hex        `json:"append,omitempty"`
	From   string     `json:"from,omitempty"`
	Range  *[2]int64  `json:"range,omitempty"`
	At     int64      `json:"at,omitempty"`
}

// Flip flips bits of the byte at offset at.
func Flip(at int64, bits byte) Edit { return Edit{Xor: Hex{bits}, At: at} }

// Take keeps these ranges, joined.
func Take(ranges ...[2]int64) Edit { return Edit{Take: ranges} }

// OfPattern is a source of n patterned bytes.
func OfPattern(n int64) *Source { return &Source{Pattern: &n} }

// OfBytes is a source that stands in the JSON.
func OfBytes(b []byte) *Source { return &Source{Literal: b} }

// OfFile is a source in a file, which Beside writes or compares.
func OfFile(d Data) *Source { return &Source{File: d.File} }

// Edited is a source made from another case.
func Edited(of string, edits ...Edit) *Source { return &Source{Of: of, Edits: edits} }

type sourceJSON struct {
	Pattern *int64 `json:"pattern,omitempty"`
	File    string `json:"file,omitempty"`
	Of      string `json:"of,omitempty"`
	Edits   []Edit `json:"edits,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (s Source) MarshalJSON() ([]byte, error) {
	if s.Pattern == nil && s.File == "" && s.Of == "" {
		return json.Marshal(Hex(s.Literal))
	}
	return json.Marshal(sourceJSON{s.Pattern, s.File, s.Of, s.Edits})
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Source) UnmarshalJSON(raw []byte) error {
	var text Hex
	if json.Unmarshal(raw, &text) == nil {
		*s = Source{Literal: text}
		return nil
	}
	var j sourceJSON
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&j); err != nil {
		return fmt.Errorf("golden: not data: %w", err)
	}
	*s = Source{Pattern: j.Pattern, File: j.File, Of: j.Of, Edits: j.Edits}
	if j.File != filepath.Base("./"+j.File) && j.File != "" {
		return fmt.Errorf("golden: file %q is not beside the vectors", j.File)
	}
	return nil
}

// Load returns the bytes. other finds the same field of another case.
func (s Source) Load(other func(name string) (*Source, error)) ([]byte, error) {
	switch {
	case s.Pattern != nil:
		return Pattern(*s.Pattern), nil
	case s.File != "":
		return os.ReadFile(filepath.Join(Dir, s.File))
	case s.Of == "":
		return s.Literal, nil
	}
	b, err := plain(s.Of, other)
	if err != nil {
		return nil, err
	}
	b = bytes.Clone(b)
	for _, e := range s.Edits {
		if b, err = e.apply(b, other); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// plain loads the bytes of a case that is not itself edited.
func plain(name string, other func(string) (*Source, error)) ([]byte, error) {
	s, err := other(name)
	if err != nil {
		return nil, err
	}
	if s == nil || s.Of != "" {
		return nil, fmt.Errorf("golden: case %q has no such field of its own", name)
	}
	return s.Load(other)
}

func (e Edit) apply(b []byte, other func(string) (*Source, error)) ([]byte, error) {
	switch {
	case e.Xor != nil:
		if e.At < 0 || e.At+int64(len(e.Xor)) > int64(len(b)) {
			return nil, errors.New("golden: xor beyond the end")
		}
		for i, x := range e.Xor {
			b[e.At+int64(i)] ^= x
		}
		return b, nil
	case e.Append != nil:
		return append(b, e.Append...), nil
	case e.Take != nil:
		var out []byte
		for _, r := range e.Take {
			if r[0] < 0 || r[1] < r[0] || r[1] > int64(len(b)) {
				return nil, errors.New("golden: take beyond the end")
			}
			out = append(out, b[r[0]:r[1]]...)
		}
		return out, nil
	case e.From != "" && e.Range != nil:
		from, err := plain(e.From, other)
		if err != nil {
			return nil, err
		}
		r := *e.Range
		if r[0] < 0 || r[1] < r[0] || r[1] > int64(len(from)) || e.At+r[1]-r[0] > int64(len(b)) {
			return nil, errors.New("golden: range beyond the end")
		}
		copy(b[e.At:], from[r[0]:r[1]])
		return b, nil
	}
	return nil, errors.New("golden: an edit that does nothing")
}
