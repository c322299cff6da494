package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"holdfast/format/id"
)

// Each calls f for every blob that lies in an upload's directory, in no order,
// with its size in bytes and the time at which it was written by this machine's
// clock. What a backup brought back without its times is as old as the restore.
func (d *Disk) Each(upload id.Upload, f func(name id.Name, size int64, at time.Time)) error {
	dir := d.uploadDir(upload)
	err := eachFile(dir, func(text string) error {
		name, ok := parseName(text)
		if !ok {
			return nil
		}
		info, err := os.Lstat(filepath.Join(dir, text))
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted meanwhile
		}
		if err == nil {
			f(name, info.Size(), info.ModTime())
		}
		return err
	})
	if err != nil {
		return d.fault("look at an upload", err)
	}
	return nil
}
