// Package descriptor says what a reader needs to know of one entry: its path,
// what opens its content, and what a file system shows of it; and it lists
// several of them as a bundle (docs/format.md §9, §10).
//
// It promises that whatever Decode and DecodeBundle return obeys every rule of
// those sections, and that Encode writes nothing else. Names in a descriptor
// are hostile all the same: show them with Display, write them below a target
// folder only under the names that LocalPath and Planner give. The package
// knows no network, no disk and no keys beyond those that it carries.
package descriptor

import (
	"fmt"
	"time"

	"holdfast/format/id"
	"holdfast/format/wire"
)

// Limits of docs/format.md §9.
const (
	// MaxDescriptor is the greatest size of one encoded descriptor. 1,026
	// contents with times and the longest path and media type come to 165 KB,
	// the rest is room for keys of newer versions.
	MaxDescriptor = 256 << 10
	// MaxPath and MaxName bound a path and each of its components, in bytes.
	MaxPath = 4096
	MaxName = 255
	// MaxMediaType bounds a media type, in bytes.
	MaxMediaType = 128
	// MaxVersions bounds the older versions of one file.
	MaxVersions = 1024
)

// Kind tells a file from a folder.
type Kind int64

// The kinds of entry; every other number is refused.
const (
	File   Kind = 1
	Folder Kind = 2
)

// Content is what opens one revision: which one, under which key, and the
// values that its stream must come out with. The release key is not in it: the
// server keeps that.
type Content struct {
	File       id.File     `cbor:"1,keyasint"`
	Revision   id.Revision `cbor:"2,keyasint"`
	Key        Key         `cbor:"3,keyasint"` // K
	Commitment [32]byte    `cbor:"4,keyasint"` // C
	Root       [32]byte    `cbor:"5,keyasint"`
	Size       int64       `cbor:"6,keyasint"` // true size in bytes, before padding
}

// Version is an older revision of a file.
type Version struct {
	Content  Content `cbor:"1,keyasint"`
	ModTime  *int64  `cbor:"2,keyasint,omitempty"`
	ModNanos int64   `cbor:"3,keyasint,omitempty"`
}

// Descriptor describes one entry. Optional fields that are absent hold their
// zero value; ModTime is a pointer because second 0 is a time like any other.
type Descriptor struct {
	Path       string    `cbor:"1,keyasint"`
	Kind       Kind      `cbor:"2,keyasint"`
	Content    *Content  `cbor:"3,keyasint,omitempty"`
	MediaType  string    `cbor:"4,keyasint,omitempty"`
	ModTime    *int64    `cbor:"5,keyasint,omitempty"` // seconds since 1970-01-01 UTC
	ModNanos   int64     `cbor:"6,keyasint,omitempty"`
	Executable bool      `cbor:"7,keyasint,omitempty"`
	Versions   []Version `cbor:"8,keyasint,omitempty"`
	Thumbnail  *Content  `cbor:"9,keyasint,omitempty"`
}

// Encode checks d and returns its encoding.
func (d Descriptor) Encode() ([]byte, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	return wire.Marshal(d), nil
}

// Decode returns the descriptor that b encodes, checked.
func Decode(b []byte) (Descriptor, error) {
	var d Descriptor
	if err := wire.Unmarshal(b, MaxDescriptor, &d); err != nil {
		return Descriptor{}, fmt.Errorf("descriptor: %w", err)
	}
	if err := d.Check(); err != nil {
		return Descriptor{}, err
	}
	return d, nil
}

// SetTime sets the modification time.
func (d *Descriptor) SetTime(t time.Time) { d.ModTime, d.ModNanos = split(t) }

// Time is the modification time, if the descriptor has one.
func (d Descriptor) Time() (time.Time, bool) { return join(d.ModTime, d.ModNanos) }

// SetTime sets the version's modification time.
func (v *Version) SetTime(t time.Time) { v.ModTime, v.ModNanos = split(t) }

// Time is the version's modification time, if it has one.
func (v Version) Time() (time.Time, bool) { return join(v.ModTime, v.ModNanos) }

func split(t time.Time) (*int64, int64) {
	seconds := t.Unix()
	return &seconds, int64(t.Nanosecond())
}

func join(seconds *int64, nanos int64) (time.Time, bool) {
	if seconds == nil {
		return time.Time{}, false
	}
	return time.Unix(*seconds, nanos).UTC(), true
}
