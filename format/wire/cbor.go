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
		MaxArrayElements:  maxEntries,
		MaxMapPairs:       maxEntries,
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
// from FirstFreeKey on. Inputs above max bytes are refused before decoding, and
// arrays of more entries than the tag `most` of their field allows before room
// is made for them.
func Unmarshal(b []byte, max int, v any) error {
	if len(b) > max {
		return fmt.Errorf("%w: %d bytes, at most %d allowed", ErrEncoding, len(b), max)
	}
	if err := check(b); err != nil {
		return err
	}
	if _, err := fits(b, field{kind: reflect.TypeOf(v), most: maxEntries}); err != nil {
		return fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	if err := decMode.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %v", ErrEncoding, err)
	}
	again := Marshal(v)
	if bytes.Equal(again, b) {
		return nil
	}
	if _, _, same := sameKnown(b, again); !same {
		return fmt.Errorf("%w: a key unknown or missing, or a value of the wrong kind", ErrEncoding)
	}
	return nil
}
