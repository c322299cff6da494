package main

import "syscall"

// childAttributes puts children into a process group of their own, so that the
// terminal's Ctrl-C reaches only the parent, which stops them in order; the
// kernel ends them when the parent was killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
