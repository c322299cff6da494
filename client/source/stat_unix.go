//go:build unix

package source

import (
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

// openFlags keep a link or a pipe that took the file's place from being followed or waited for.
const openFlags = unix.O_NOFOLLOW | unix.O_NONBLOCK

// readable asks the system before the first byte is sent.
func readable(path string, folder bool) error {
	var mode uint32 = unix.R_OK
	if folder {
		mode |= unix.X_OK
	}
	if err := unix.Faccessat(unix.AT_FDCWD, path, mode, unix.AT_EACCESS); err != nil {
		return &fs.PathError{Op: "access", Path: path, Err: err}
	}
	return nil
}

func fillStamp(s *Stamp, info fs.FileInfo) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.Device, s.Inode, s.ChangeTime = uint64(st.Dev), uint64(st.Ino), changeTime(st)
	}
}
