package wire

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxEntries bounds arrays and maps, so that a decoder which makes room for as
// many values as are announced does not make too much.
const maxEntries = 1 << 20

const (
	majorUint = iota
	majorNegative
	majorBytes
	majorText
	majorArray
	majorMap
	majorTag
	majorSimple
)

const (
	simpleFalse = 20
	simpleTrue  = 21
)

var errCut = errors.New("ends too early")

// head is the first part of a value: its type, its argument, and the bytes
// that hold them.
type head struct {
	major byte
	arg   uint64
	raw   []byte
}

// readHead reads a head in its shortest form and returns what follows it.
func readHead(b []byte) (head, []byte, error) {
	if len(b) == 0 {
		return head{}, nil, errCut
	}
	low := b[0] & 31
	h := head{major: b[0] >> 5, arg: uint64(low), raw: b[:1]}
	if low < 24 {
		return h, b[1:], nil
	}
	if low > 27 {
		return head{}, nil, errors.New("indefinite or reserved length")
	}
	n := 1 << (low - 24)
	if len(b) < 1+n {
		return head{}, nil, errCut
	}
	h.arg, h.raw = 0, b[:1+n]
	for _, v := range b[1 : 1+n] {
		h.arg = h.arg<<8 | uint64(v)
	}
	least := uint64(24) // the smallest argument that needs n bytes
	if n > 1 {
		least = 1 << (4 * n)
	}
	if h.arg < least {
		return head{}, nil, errors.New("longer form than needed")
	}
	return h, b[1+n:], nil
}

// checkValue checks that b begins with one value in the deterministic encoding
// and within the subset of docs/format.md §7, and returns what follows it. It
// allocates nothing: what it refuses has cost no memory.
func checkValue(b []byte, depth int) ([]byte, error) {
	h, rest, err := readHead(b)
	if err != nil {
		return nil, err
	}
	switch h.major {
	case majorUint, majorNegative:
		return rest, checkInteger(h)
	case majorBytes, majorText:
		if h.arg > uint64(len(rest)) {
			return nil, errCut
		}
		if h.major == majorText && !utf8.Valid(rest[:h.arg]) {
			return nil, errors.New("text is not UTF-8")
		}
		return rest[h.arg:], nil
	case majorArray, majorMap:
		if depth == 0 {
			return nil, errors.New("nested too deeply")
		}
		if h.arg > maxEntries || h.arg > uint64(len(rest)) {
			return nil, errors.New("more entries than there are bytes, or than allowed")
		}
		if h.major == majorMap {
			return checkPairs(rest, h.arg, depth-1)
		}
		for range h.arg {
			if rest, err = checkValue(rest, depth-1); err != nil {
				return nil, err
			}
		}
		return rest, nil
	}
	if h.major == majorSimple && (h.arg == simpleFalse || h.arg == simpleTrue) {
		return rest, nil
	}
	return nil, errors.New("tag, float, null or another simple value")
}

// checkInteger refuses integers that JavaScript cannot carry exactly.
func checkInteger(h head) error {
	if h.arg > MaxInt-uint64(h.major) { // major 1 stands for -1-arg
		return errors.New("integer beyond 2^53-1")
	}
	return nil
}

// checkPairs checks n pairs of a map: integer keys, each after the one before.
func checkPairs(b []byte, n uint64, depth int) ([]byte, error) {
	var before []byte
	for range n {
		key, rest, err := readHead(b)
		if err != nil {
			return nil, err
		}
		if key.major > majorNegative {
			return nil, errors.New("key is not an integer")
		}
		if err := checkInteger(key); err != nil {
			return nil, err
		}
		if bytes.Compare(before, key.raw) >= 0 {
			return nil, errors.New("keys not sorted, or one twice")
		}
		before = key.raw
		if b, err = checkValue(rest, depth); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// check checks that b is one value and nothing else.
func check(b []byte) error {
	rest, err := checkValue(b, maxDepth)
	if err == nil && len(rest) > 0 {
		err = errors.New("bytes left over")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	return nil
}

// sameKnown tells whether the value at the front of b is that of known once map
// keys from FirstFreeKey on are left out of it, and returns what follows each.
// Both were checked.
func sameKnown(b, known []byte) (restB, restKnown []byte, same bool) {
	hb, restB := mustHead(b)
	if hb.major == majorMap {
		return sameMap(restB, known, hb.arg)
	}
	if !bytes.HasPrefix(known, hb.raw) {
		return nil, nil, false
	}
	restKnown = known[len(hb.raw):]
	switch hb.major {
	case majorBytes, majorText:
		if !bytes.HasPrefix(restKnown, restB[:hb.arg]) {
			return nil, nil, false
		}
		return restB[hb.arg:], restKnown[hb.arg:], true
	case majorArray:
		for range hb.arg {
			if restB, restKnown, same = sameKnown(restB, restKnown); !same {
				return nil, nil, false
			}
		}
	}
	return restB, restKnown, true
}

// sameMap compares n pairs at the front of b with the map at the front of known.
func sameMap(b, known []byte, n uint64) (restB, restKnown []byte, same bool) {
	hk, known := mustHead(known)
	if hk.major != majorMap {
		return nil, nil, false
	}
	left := hk.arg
	for range n {
		key, rest := mustHead(b)
		if key.major == majorUint && key.arg >= FirstFreeKey {
			b = skip(rest)
			continue
		}
		if left == 0 || !bytes.HasPrefix(known, key.raw) {
			return nil, nil, false
		}
		left--
		if b, known, same = sameKnown(rest, known[len(key.raw):]); !same {
			return nil, nil, false
		}
	}
	return b, known, left == 0
}

// mustHead reads a head of a value that was checked.
func mustHead(b []byte) (head, []byte) {
	h, rest, err := readHead(b)
	if err != nil {
		panic("wire: unchecked value: " + err.Error())
	}
	return h, rest
}

// skip returns what follows the checked value at the front of b.
func skip(b []byte) []byte {
	h, rest := mustHead(b)
	switch h.major {
	case majorBytes, majorText:
		return rest[h.arg:]
	case majorArray:
		for range h.arg {
			rest = skip(rest)
		}
	case majorMap:
		for range h.arg {
			_, rest = mustHead(rest)
			rest = skip(rest)
		}
	}
	return rest
}
