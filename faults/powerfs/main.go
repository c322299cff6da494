//go:build linux

// Command powerfs mounts a disk in memory that forgets, when it is told to cut
// the power, everything that was not fsynced: bytes of files without fsync, and
// names whose directory was not. A kill -9 cannot show such faults, since the
// kernel keeps what a process has written.
//
//	powerfs MOUNTPOINT [CAPACITY-IN-BYTES]
//
// It prints "ready" when mounted and then takes commands, a line each, on
// standard input, answering "ok" or "error …": cut (drop what is not durable;
// all files must be closed), fail (every fsync from now on reports EIO),
// unreadable (every read does), heal, capacity N, plain (names that differ in
// case are one, and there are no hard links, as on FAT). It unmounts when its
// standard input ends.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

const defaultCapacity = 1 << 30

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 1 {
		return errors.New("usage: powerfs MOUNTPOINT [CAPACITY]")
	}
	capacity := int64(defaultCapacity)
	if len(args) > 1 {
		n, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil {
			return err
		}
		capacity = n
	}
	d := newDisk(capacity)
	server, err := mount(args[0], d)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		server, err = d.command(args[0], server, strings.Fields(lines.Text()))
		if err != nil {
			fmt.Println("error", err)
			continue
		}
		fmt.Println("ok")
	}
	return errors.Join(lines.Err(), server.Unmount())
}

func mount(dir string, d *disk) (*fuse.Server, error) {
	return fs.Mount(dir, &node{disk: d, entry: d.root}, &fs.Options{
		MountOptions:   fuse.MountOptions{FsName: "powerfs", Name: "powerfs", DirectMountStrict: true, MaxWrite: 1 << 20},
		RootStableAttr: &fs.StableAttr{Ino: d.root.ino},
	})
}

// command runs one command; a cut mounts anew, since the kernel remembers names and pages.
func (d *disk) command(dir string, server *fuse.Server, words []string) (*fuse.Server, error) {
	switch {
	case len(words) == 1 && words[0] == "cut":
		if err := server.Unmount(); err != nil {
			return server, fmt.Errorf("unmount: %w", err)
		}
		d.mu.Lock()
		d.cut()
		d.mu.Unlock()
		return mount(dir, d)
	case len(words) == 1 && (words[0] == "fail" || words[0] == "unreadable" || words[0] == "heal"):
		d.mu.Lock()
		d.failing, d.unreadable = words[0] == "fail", words[0] == "unreadable"
		d.mu.Unlock()
		return server, nil
	case len(words) == 1 && words[0] == "plain":
		d.mu.Lock()
		d.plain = true
		d.mu.Unlock()
		return server, nil
	case len(words) == 2 && words[0] == "capacity":
		n, err := strconv.ParseInt(words[1], 10, 64)
		d.mu.Lock()
		d.capacity = n
		d.mu.Unlock()
		return server, err
	}
	return server, errors.New("commands: cut, fail, unreadable, heal, plain, capacity N")
}
