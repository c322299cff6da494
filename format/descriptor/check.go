package descriptor

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"holdfast/format/wire"
)

// Errors of this package. All of them are wire.ErrEncoding too: a value outside
// its range is as little the wanted object as bytes that do not decode.
const (
	// ErrDescriptor: a field is missing, out of place or out of range.
	ErrDescriptor = invalid("descriptor: not allowed")
	// ErrPath: a path breaks the rules of docs/format.md §9.
	ErrPath = invalid("descriptor: path not allowed")
	// ErrBundle: the list as a whole breaks the rules of docs/format.md §10.
	ErrBundle = invalid("descriptor: bundle not allowed")
)

type invalid string

// Error is the message.
func (e invalid) Error() string { return string(e) }

// Unwrap makes every such error a wire.ErrEncoding.
func (invalid) Unwrap() error { return wire.ErrEncoding }

const maxNanos = 999_999_999

// Check tells whether d obeys docs/format.md §9. It knows no other object, so
// that a true size can only be held against its own range: whoever has the
// stream's length compares it with seal.PaddedStreamLength.
func (d Descriptor) Check() error {
	if err := CheckPath(d.Path); err != nil {
		return err
	}
	switch d.Kind {
	case File:
		if d.Content == nil {
			return fmt.Errorf("%w: a file without content", ErrDescriptor)
		}
	case Folder:
		if d.Content != nil || d.MediaType != "" || d.Executable || d.Versions != nil || d.Thumbnail != nil {
			return fmt.Errorf("%w: a folder with what only files have", ErrDescriptor)
		}
	default:
		return fmt.Errorf("%w: kind %d", ErrDescriptor, d.Kind)
	}
	if err := checkMediaType(d.MediaType); err != nil {
		return err
	}
	if err := checkTime(d.ModTime, d.ModNanos); err != nil {
		return err
	}
	return d.checkContents()
}

func (d Descriptor) checkContents() error {
	for _, c := range []*Content{d.Content, d.Thumbnail} {
		if c == nil {
			continue
		}
		if err := c.Check(); err != nil {
			return err
		}
	}
	if len(d.Versions) > MaxVersions || d.Versions != nil && len(d.Versions) == 0 {
		return fmt.Errorf("%w: %d versions, 1 to %d allowed", ErrDescriptor, len(d.Versions), MaxVersions)
	}
	for _, v := range d.Versions {
		if err := v.Content.Check(); err != nil {
			return err
		}
		if err := checkTime(v.ModTime, v.ModNanos); err != nil {
			return err
		}
	}
	return nil
}

// Check tells whether c's size is in range.
func (c Content) Check() error {
	if c.Size < 0 || c.Size > wire.MaxInt {
		return fmt.Errorf("%w: true size %d", ErrDescriptor, c.Size)
	}
	return nil
}

func checkMediaType(text string) error {
	if len(text) > MaxMediaType {
		return fmt.Errorf("%w: media type of %d bytes, at most %d allowed", ErrDescriptor, len(text), MaxMediaType)
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return fmt.Errorf("%w: media type is not printable ASCII", ErrDescriptor)
		}
	}
	return nil
}

func checkTime(seconds *int64, nanos int64) error {
	if nanos < 0 || nanos > maxNanos || seconds == nil && nanos != 0 {
		return fmt.Errorf("%w: %d nanoseconds", ErrDescriptor, nanos)
	}
	if seconds != nil && (*seconds > wire.MaxInt || *seconds < -wire.MaxInt) {
		return fmt.Errorf("%w: time %d", ErrDescriptor, *seconds)
	}
	return nil
}

// CheckPath tells whether path obeys the structural rules: components of 1 to
// MaxName bytes between slashes, none of them "." or "..", no NUL, at most
// MaxPath bytes of UTF-8 in all. Everything else is allowed, and hostile.
func CheckPath(path string) error {
	if len(path) > MaxPath {
		return fmt.Errorf("%w: %d bytes, at most %d allowed", ErrPath, len(path), MaxPath)
	}
	for name := range strings.SplitSeq(path, "/") {
		if err := CheckName(name); err != nil {
			return err
		}
	}
	return nil
}

// CheckName tells whether name may be a component of a path: a path of one
// component is a name.
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: empty, or an empty component", ErrPath)
	case name == "." || name == "..":
		return fmt.Errorf("%w: component %q", ErrPath, name)
	case len(name) > MaxName:
		return fmt.Errorf("%w: component of %d bytes, at most %d allowed", ErrPath, len(name), MaxName)
	case strings.Contains(name, "/"):
		return fmt.Errorf("%w: slash in a single component", ErrPath)
	case strings.Contains(name, "\x00"):
		return fmt.Errorf("%w: NUL", ErrPath)
	case !utf8.ValidString(name):
		return fmt.Errorf("%w: not UTF-8", ErrPath)
	}
	return nil
}
