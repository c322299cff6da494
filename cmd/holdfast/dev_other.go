//go:build !linux

package main

import "syscall"

// childAttributes has nothing to add where the kernel cannot end orphans.
func childAttributes() *syscall.SysProcAttr { return nil }
