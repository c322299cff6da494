//go:build !unix

package source

import (
	"io/fs"
	"os"
)

const openFlags = 0

func readable(path string, _ bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

func fillStamp(*Stamp, fs.FileInfo) {}
