package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Begin lets the kernel begin to write n bytes of a file from an offset on, without
// waiting for them: nothing is durable by it, and what fails later fails the next
// sync of the file (sync_file_range(2), errseq). Where the file system cannot do this,
// nothing happens.
func Begin(f *os.File, from, n int64) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.SyncFileRange(int(fd), from, n, unix.SYNC_FILE_RANGE_WRITE) }); err != nil {
		return err
	}
	if errors.Is(failed, unix.ENOSYS) || errors.Is(failed, unix.EOPNOTSUPP) || errors.Is(failed, unix.EINVAL) || errors.Is(failed, unix.ESPIPE) {
		return nil
	}
	if failed != nil {
		return os.NewSyscallError("sync_file_range", failed)
	}
	return nil
}
