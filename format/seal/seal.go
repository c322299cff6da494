// Package seal encrypts and decrypts content streams and small records
// (docs/format.md §3, §4, §6). It promises that no plaintext leaves it before
// its tag verified under the key that the commitment names, and that streams
// are bit for bit Tink's AES256-GCM-HKDF with 256 KiB segments. It sees keys and
// plaintext, and knows nothing of where bytes come from or go to.
//
// A key meets a nonce once: whoever holds Keys and Params seals one plaintext
// under them, ever. Sealing the same plaintext again, to resume, gives the same
// bytes and is harmless; a source that changed needs new Keys and new Params.
package seal

import (
	"errors"
	"fmt"
	"io"
)

// Errors by which openings fail. Each text begins with the name that
// docs/format.md gives it.
var (
	ErrVersion    = errors.New("version: not a format that this program knows; update it")
	ErrLength     = errors.New("length: the stream is not as long as it must be")
	ErrCommitment = errors.New("commitment: sealed under another key, or for another file")
	ErrSegment    = errors.New("segment: damaged, or not at its place")
	ErrRoot       = errors.New("root: the stream is not the one that was shared")
	ErrPadding    = errors.New("padding: bytes behind the end are not zero")
	ErrRecord     = errors.New("record: damaged, cut short or too large")
)

// ErrSource: what is being sealed changed while it was read; start over with
// fresh Keys and Params.
var ErrSource = errors.New("source: changed while it was read; send it again")

// ErrClosed is returned after Close.
var ErrClosed = errors.New("seal: closed")

// SegmentError is the ErrSegment of one segment.
type SegmentError struct{ Index int64 }

func (e *SegmentError) Error() string { return fmt.Sprintf("%v (segment %d)", ErrSegment, e.Index) }

// Unwrap makes errors.Is(err, ErrSegment) true.
func (e *SegmentError) Unwrap() error { return ErrSegment }

// failure wraps an error of a caller's reader. One that is or wraps io.EOF loses
// its identity, so that nobody takes a broken source for the end of a stream.
func failure(op string, err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("seal: %s: %v", op, err)
	}
	return fmt.Errorf("seal: %s: %w", op, err)
}
