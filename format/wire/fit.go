package wire

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
)

var errKind = errors.New("a value of another kind than wanted")

// field is a key of a struct that is written as a map, or a place of one that is
// written as an array.
type field struct {
	key      uint64
	kind     reflect.Type
	required bool
	most     uint64 // of an array's entries; the tag `most` sets it
}

// layout is how a struct is written; fields that have keys are in their order.
type layout struct {
	row    bool // as an array
	fields []field
}

var layouts sync.Map // of reflect.Type to *layout

func layoutOf(t reflect.Type) *layout {
	if known, ok := layouts.Load(t); ok {
		return known.(*layout)
	}
	l := &layout{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("cbor"), ",")
		if f.Name == "_" {
			l.row = l.row || options == "toarray"
			continue
		}
		if !f.IsExported() { // not written
			continue
		}
		in := field{kind: f.Type, required: !strings.HasSuffix(options, "omitempty"), most: maxEntries}
		if most := f.Tag.Get("most"); most != "" {
			in.most = must(strconv.ParseUint(most, 10, 64))
		}
		if !l.row {
			in.key = must(strconv.ParseUint(name, 10, 64))
		}
		l.fields = append(l.fields, in)
	}
	if !l.row {
		slices.SortFunc(l.fields, func(a, b field) int { return cmp.Compare(a.key, b.key) })
	}
	layouts.Store(t, l)
	return l
}

// fits checks that the value at the front of b, which check passed, is of the
// kind that decoding into f wants, at every depth, with every key that must be
// there; it returns what follows. It allocates nothing.
//
// The decoder makes room for as many entries as an array announces before it
// looks at the first, and goes on behind a value of another kind: one byte could
// cost as much as the largest struct takes. What fits has bytes for each value.
func fits(b []byte, f field) ([]byte, error) {
	h, rest := mustHead(b)
	switch f.kind.Kind() {
	case reflect.Pointer:
		f.kind = f.kind.Elem()
		return fits(b, f)
	case reflect.Struct:
		return fitsStruct(rest, h, layoutOf(f.kind))
	case reflect.Slice, reflect.Array:
		return fitsList(rest, h, f)
	}
	if !fitsScalar(h.major, f.kind.Kind()) {
		return nil, errKind
	}
	return skip(b), nil
}

func fitsScalar(major byte, kind reflect.Kind) bool {
	switch kind {
	case reflect.String:
		return major == majorText
	case reflect.Bool:
		return major == majorSimple
	case reflect.Int64:
		return major == majorUint || major == majorNegative
	case reflect.Uint64:
		return major == majorUint
	}
	panic("wire: no value of the format is a " + kind.String())
}

// fitsList is fits for a byte string or an array; b follows its head.
func fitsList(b []byte, h head, f field) (rest []byte, err error) {
	entry := f.kind.Elem()
	if entry.Kind() == reflect.Uint8 {
		if h.major != majorBytes || f.kind.Kind() == reflect.Array && h.arg != uint64(f.kind.Len()) {
			return nil, errKind
		}
		return b[h.arg:], nil
	}
	if h.major != majorArray {
		return nil, errKind
	}
	if h.arg > f.most {
		return nil, fmt.Errorf("%d entries, at most %d allowed", h.arg, f.most)
	}
	for range h.arg {
		if b, err = fits(b, field{kind: entry, most: maxEntries}); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// fitsStruct is fits for a struct; b follows the head.
func fitsStruct(b []byte, h head, l *layout) (rest []byte, err error) {
	switch {
	case !l.row && h.major == majorMap:
		return fitsMap(b, h.arg, l.fields)
	case !l.row || h.major != majorArray || h.arg != uint64(len(l.fields)):
		return nil, errKind
	}
	for _, f := range l.fields {
		if b, err = fits(b, f); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// fitsMap walks the n pairs at the front of b and the fields side by side: both
// are sorted by key.
func fitsMap(b []byte, n uint64, fields []field) (rest []byte, err error) {
	for range n {
		key, value := mustHead(b)
		for len(fields) > 0 && (key.major == majorNegative || fields[0].key < key.arg) {
			if fields[0].required {
				return nil, missing(fields[0])
			}
			fields = fields[1:]
		}
		switch {
		case len(fields) > 0 && fields[0].key == key.arg: // and the key is not negative
			if b, err = fits(value, fields[0]); err != nil {
				return nil, fmt.Errorf("key %d: %w", key.arg, err)
			}
			fields = fields[1:]
		case key.major == majorUint && key.arg >= FirstFreeKey:
			b = skip(value)
		default:
			return nil, errors.New("an unknown key")
		}
	}
	for _, f := range fields {
		if f.required {
			return nil, missing(f)
		}
	}
	return b, nil
}

func missing(f field) error { return fmt.Errorf("key %d is missing", f.key) }
