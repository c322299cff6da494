//go:build !unix

package durable

import "os"

// SyncFolder does nothing: folders cannot be synced here.
func SyncFolder(*os.File) error { return nil }
