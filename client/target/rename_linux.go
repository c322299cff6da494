package target

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func renameAt(dir *os.File, from, to string) error {
	err := unix.Renameat2(int(dir.Fd()), from, int(dir.Fd()), to, unix.RENAME_NOREPLACE)
	// EINVAL is what file systems answer that know no flags, EPERM what filters of
	// system calls answer to what they do not know.
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
		return errors.ErrUnsupported
	}
	return err
}
