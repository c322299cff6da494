// Package wire encodes everything that Holdfast seals or signs: deterministic
// CBOR (RFC 8949 §4.2.1) in a narrow subset, and the one signed envelope
// (docs/format.md §7, §8). It knows no ids and no keys' purposes.
package wire

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"

	"github.com/fxamacker/cbor/v2"
)

// ErrEncoding is returned for bytes that are not the one deterministic encoding
// of a value of the wanted shape.
var ErrEncoding = errors.New("encoding: not strict deterministic CBOR of the expected shape")

// FirstFreeKey is the lowest integer map key that a decoder ignores when it
// does not know it; unknown keys below it are refused.
const FirstFreeKey = 64

// MaxInt is the greatest absolute value of an integer: 2^53-1.
const MaxInt = 1<<53 - 1

const maxDepth = 16

var (
	encMode = must(cbor.EncOptions{
		Sort:            cbor.SortCoreDeterministic,
		ShortestFloat:   cbor.ShortestFloat16,
		IndefLength:     cbor.IndefLengthForbidden,
		TagsMd:          cbor.TagsForbidden,
		NilContainers:   cbor.NilContainerAsEmpty, // so that null never equals its own re-encoding
		BinaryMarshaler: cbor.BinaryMarshalerNone,
	}.EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		MaxNestedLevels:   maxDepth,
		MaxArrayElements:  1 << 20,
		MaxMapPairs:       1 << 12,
		UTF8:              cbor.UTF8RejectInvalid,
		IntDec:            cbor.IntDecConvertSignedOrFail,
		DefaultMapType:    reflect.TypeFor[map[int64]any](),
		BinaryUnmarshaler: cbor.BinaryUnmarshalerNone,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic("wire: " + err.Error())
	}
	return v
}

// Marshal returns the deterministic encoding of v, a struct with `keyasint`
// tags. Optional fields carry omitempty.
func Marshal(v any) []byte {
	b, err := encMode.Marshal(v)
	if err != nil {
		panic("wire: " + err.Error()) // the types are ours; no value of theirs fails
	}
	return b
}

// Unmarshal decodes b into v, a pointer to a struct with `keyasint` tags. It
// refuses whatever Marshal would not have written, except for unknown map keys
// from FirstFreeKey on. Inputs above max bytes are refused before decoding.
func Unmarshal(b []byte, max int, v any) error {
	if len(b) > max {
		return fmt.Errorf("%w: %d bytes, at most %d allowed", ErrEncoding, len(b), max)
	}
	if err := decMode.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %v", ErrEncoding, err)
	}
	again := Marshal(v)
	if bytes.Equal(again, b) {
		return checkIntegers(b)
	}
	return unmarshalNewer(b, again)
}

// unmarshalNewer accepts b if it is canonical and, without the unknown keys
// from FirstFreeKey on, is known, the encoding of what was decoded.
func unmarshalNewer(b, known []byte) error {
	var tree any
	if err := decMode.Unmarshal(b, &tree); err != nil {
		return fmt.Errorf("%w: %v", ErrEncoding, err)
	}
	if !allowed(tree) || !bytes.Equal(Marshal(tree), b) {
		return fmt.Errorf("%w: not canonical", ErrEncoding)
	}
	if !bytes.Equal(Marshal(prune(tree)), known) {
		return fmt.Errorf("%w: unknown key, or a value of the wrong kind", ErrEncoding)
	}
	return nil
}

// checkIntegers refuses integers that JavaScript cannot carry. b is known to be
// well-formed and canonical, so that only 8-byte arguments of integers matter.
func checkIntegers(b []byte) error {
	for i := 0; i < len(b); {
		major, low := b[i]>>5, b[i]&31
		i++
		var arg uint64 = uint64(low)
		if low >= 24 {
			arg = 0
			for range 1 << (low - 24) {
				arg = arg<<8 | uint64(b[i])
				i++
			}
		}
		switch {
		case major <= 1 && arg > MaxInt-uint64(major):
			return fmt.Errorf("%w: integer beyond 2^53-1", ErrEncoding)
		case major == 2 || major == 3:
			i += int(arg)
		}
	}
	return nil
}

// allowed refuses values outside the subset: floats, null, large integers.
func allowed(v any) bool {
	switch v := v.(type) {
	case int64:
		return v >= -MaxInt && v <= MaxInt
	case []byte, string, bool:
		return true
	case []any:
		for _, e := range v {
			if !allowed(e) {
				return false
			}
		}
		return true
	case map[int64]any:
		for k, e := range v {
			if !allowed(k) || !allowed(e) {
				return false
			}
		}
		return true
	}
	return false
}

func prune(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = prune(v[i])
		}
	case map[int64]any:
		for k, e := range v {
			if k >= FirstFreeKey {
				delete(v, k)
				continue
			}
			v[k] = prune(e)
		}
	}
	return v
}
