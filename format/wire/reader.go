package wire

import (
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// Reader takes an encoding apart, value by value, as strictly as Unmarshal and
// some five times as fast: for objects of which a million are read at a time.
// The first fault stays and is told by End; until then reads return zero
// values. What it returns as bytes are views of the input.
type Reader struct {
	b     []byte
	depth int
	exact bool
	err   error
}

// NewReader reads b, of at most max bytes. exact refuses unknown keys whatever
// their number.
func NewReader(b []byte, max int, exact bool) *Reader {
	r := &Reader{b: b, exact: exact}
	if len(b) > max {
		r.b = nil
		r.Fail("%d bytes, at most %d allowed", len(b), max)
	}
	return r
}

// Fail notes a fault, unless there was one before.
func (r *Reader) Fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: "+format, append([]any{ErrEncoding}, args...)...)
		r.b = nil
	}
}

// Note notes the fault that a check of what was read found, if it found one.
func (r *Reader) Note(err error) {
	if r.err == nil && err != nil {
		r.err = err
		r.b = nil
	}
}

// OK tells whether all was well so far.
func (r *Reader) OK() bool { return r.err == nil }

// End tells what was wrong, bytes left over included.
func (r *Reader) End() error {
	if r.err == nil && len(r.b) > 0 {
		r.Fail("bytes left over")
	}
	return r.err
}

// Major types for AppendHead.
const (
	Array = byte(majorArray)
	Map   = byte(majorMap)
)

// AppendHead appends the head of an array or a map of n entries, for whoever
// puts a long one together piece by piece.
func AppendHead(b []byte, major byte, n uint64) []byte {
	first := major << 5
	switch {
	case n < 24:
		return append(b, first|byte(n))
	case n < 1<<8:
		return append(b, first|24, byte(n))
	case n < 1<<16:
		return append(b, first|25, byte(n>>8), byte(n))
	}
	return append(b, first|26, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

// Rest are the bytes that were not read yet.
func (r *Reader) Rest() []byte { return r.b }

// head reads a head; after a fault it is that of no value that is wanted.
func (r *Reader) head() (major byte, arg uint64) {
	if len(r.b) > 0 && r.b[0]&31 < 24 { // most are one byte
		first := r.b[0]
		r.b = r.b[1:]
		return first >> 5, uint64(first & 31)
	}
	if r.err != nil {
		return majorTag, 0
	}
	h, rest, err := readHead(r.b)
	if err != nil {
		r.Fail("%w", err)
		return majorTag, 0
	}
	r.b = rest
	return h.major, h.arg
}

func (r *Reader) expect(want byte) uint64 {
	major, arg := r.head()
	if major != want {
		r.Fail("%w", errKind)
		return 0
	}
	return arg
}

// Uint reads an integer from 0 to 2^53-1.
func (r *Reader) Uint() int64 {
	n := r.expect(majorUint)
	if n > MaxInt {
		r.Fail("integer beyond 2^53-1")
		return 0
	}
	return int64(n)
}

// Int reads an integer whose absolute value is below 2^53.
func (r *Reader) Int() int64 {
	major, arg := r.head()
	if major > majorNegative {
		r.Fail("%w", errKind)
		return 0
	}
	if err := checkInteger(head{major: major, arg: arg}); err != nil {
		r.Fail("%w", err)
		return 0
	}
	if major == majorNegative {
		return -1 - int64(arg)
	}
	return int64(arg)
}

func (r *Reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.Fail("%w", errCut)
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

// Bytes reads a byte string; the result is a view.
func (r *Reader) Bytes() []byte { return r.take(r.expect(majorBytes)) }

// Fixed reads a byte string of exactly len(dst) bytes.
func (r *Reader) Fixed(dst []byte) {
	b := r.Bytes()
	if len(b) != len(dst) {
		r.Fail("%w", errKind)
		return
	}
	copy(dst, b)
}

// Text reads a text that is not empty.
func (r *Reader) Text() string { return string(r.TextBytes()) }

// TextBytes is Text as a view.
func (r *Reader) TextBytes() []byte {
	b := r.take(r.expect(majorText))
	if len(b) == 0 || !utf8.Valid(b) {
		r.Fail("text is empty or not UTF-8")
		return nil
	}
	return b
}

// True reads the value true: false is never written.
func (r *Reader) True() bool {
	if r.expect(majorSimple) != simpleTrue {
		r.Fail("%w", errKind)
	}
	return r.err == nil
}

func (r *Reader) enter(n, most uint64) int {
	if n > most || n > uint64(len(r.b)) {
		r.Fail("more entries than there are bytes, or than allowed")
		return 0
	}
	if r.depth++; r.depth > maxDepth {
		r.Fail("nested too deeply")
		return 0
	}
	return int(n)
}

// Array begins an array of 1 to most entries and returns how many; Leave ends it.
func (r *Reader) Array(most int) int {
	n := r.enter(r.expect(majorArray), uint64(most))
	if n == 0 {
		r.Fail("an empty array")
	}
	return n
}

// Row begins an array of exactly n entries; Leave ends it.
func (r *Reader) Row(n int) {
	if r.Array(n) != n {
		r.Fail("%w", errKind)
	}
}

// Leave ends an array.
func (r *Reader) Leave() { r.depth-- }

// Pairs are the keys of a map, in their order.
type Pairs struct {
	// Key is the present one; its value is to be read before the next.
	Key  int64
	r    *Reader
	left int
	seen uint64 // bit k: key k was there; from 63 on they share a bit
}

// Map begins a map with named keys.
func (r *Reader) Map() Pairs {
	return Pairs{Key: -1, r: r, left: r.enter(r.expect(majorMap), maxEntries)}
}

// Next goes to the next key; false is the end of the map, or a fault.
func (p *Pairs) Next() bool {
	if p.r.err != nil {
		return false
	}
	if p.left == 0 {
		p.r.depth--
		return false
	}
	p.left--
	major, key := p.r.head()
	if major != majorUint || key > MaxInt {
		p.r.Fail("a key that is negative or no integer")
		return false
	}
	if int64(key) <= p.Key {
		p.r.Fail("keys not sorted, or one twice")
		return false
	}
	p.Key = int64(key)
	p.seen |= 1 << min(key, 63)
	return p.r.err == nil
}

// Unknown reads over the value of a key that has no name, if it may.
func (p *Pairs) Unknown() {
	r := p.r
	if r.err != nil {
		return
	}
	if p.Key < FirstFreeKey || r.exact {
		r.Fail("unknown key %d", p.Key)
		return
	}
	rest, err := checkValue(r.b, maxDepth-r.depth)
	if err != nil {
		r.Fail("%w", err)
		return
	}
	r.b = rest
}

// Need checks, at the end of a map, that these keys were there: bit k of want is key k.
func (p *Pairs) Need(want uint64) {
	if missing := want &^ p.seen; missing != 0 && p.r.err == nil {
		p.r.Fail("key %d is missing", bits.TrailingZeros64(missing))
	}
}

// Has tells whether a key below 63 was there.
func (p *Pairs) Has(key int) bool { return p.seen&(1<<key) != 0 }
