//go:build !unix

package target

import "os"

const noWait = 0

// exclusive relies on the lock of the transfer's state.
func exclusive(*os.File) error { return nil }

func noSpace(error) bool { return false }

func free(string) (int64, bool) { return 0, false }
