package target

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func renameAt(dir *os.File, from, to string) error {
	err := unix.RenameatxNp(int(dir.Fd()), from, int(dir.Fd()), to, unix.RENAME_EXCL)
	if errors.Is(err, unix.EINVAL) {
		return errors.ErrUnsupported
	}
	return err
}
