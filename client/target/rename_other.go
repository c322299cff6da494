//go:build !linux && !darwin

package target

import (
	"errors"
	"os"
)

// renameAt has no counterpart here.
func renameAt(*os.File, string, string) error { return errors.ErrUnsupported }
