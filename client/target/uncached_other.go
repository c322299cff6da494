//go:build !linux

package target

import (
	"errors"
	"os"
)

var errNotAligned = errors.ErrUnsupported

// past: only Linux is served past the page cache.
func (f *Folder) past(string, *os.File) *uncached { return nil }
