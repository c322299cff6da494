package target

import (
	"os"

	"golang.org/x/sys/unix"
)

// errNotAligned is what a file system answers that wants larger blocks, or none
// past the cache.
const errNotAligned = unix.EINVAL

// past opens a part once more, past the page cache. It returns nil where the file
// system knows no such thing, or something else has the name now.
func (f *Folder) past(name string, same *os.File) *uncached {
	file, err := f.root.OpenFile(native(name), os.O_WRONLY|unix.O_DIRECT|noWait, 0)
	if err != nil {
		return nil // the cache serves as well
	}
	mine, err := same.Stat()
	if there, e := file.Stat(); err == nil && e == nil && os.SameFile(mine, there) {
		return &uncached{file}
	}
	file.Close()
	return nil
}
