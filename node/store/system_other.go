//go:build !unix

package store

import (
	"errors"
	"os"
)

// errSystem: a node's promises rest on flock, statfs and syncing directories.
var errSystem = errors.New("a node's store needs Linux or another Unix")

func lockFile(string) (*os.File, error)      { return nil, errSystem }
func freeSpace(string) (int64, int64, error) { return 0, 0, errSystem }
func isNoSpace(error) bool                   { return false }
func isBusy(error) bool                      { return false }
