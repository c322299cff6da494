//go:build linux

package main

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// A disk is the model of what a strict file system owes after a power cut:
// a file's bytes are durable when the file was fsynced, a name (created, linked,
// renamed, removed) when its directory was. Everything else may be gone, and
// here it always is. mu guards all entries of the disk.
type disk struct {
	mu   sync.Mutex
	root *entry
	next uint64 // inode numbers

	// plain makes it a disk as cameras and sticks have it: names that differ in case
	// are one, and there are no hard links.
	plain bool
	// failing makes every fsync report EIO, and lose what it should have kept.
	failing bool
	// unreadable makes every read report EIO.
	unreadable bool
	// capacity in bytes; writes beyond it report ENOSPC.
	capacity, used int64
}

// entry is a file or folder: its present state beside the durable one.
type entry struct {
	ino   uint64
	mode  uint32
	mtime time.Time

	data, durableData []byte
	dirty             bool

	children, durableChildren map[string]*entry // nil for files
}

func newDisk(capacity int64) *disk {
	d := &disk{capacity: capacity}
	d.root = d.newFolder(0o755)
	return d
}

func (d *disk) newFolder(mode uint32) *entry {
	e := d.newFile(mode)
	e.children, e.durableChildren = map[string]*entry{}, map[string]*entry{}
	return e
}

func (d *disk) newFile(mode uint32) *entry {
	d.next++
	return &entry{ino: d.next, mode: mode & 0o777, mtime: time.Now()}
}

// find is the name under which a folder has an entry, and the entry; nil if it has none.
func (d *disk) find(folder *entry, name string) (string, *entry) {
	if e := folder.children[name]; e != nil || !d.plain {
		return name, e
	}
	for other, e := range folder.children {
		if strings.EqualFold(name, other) {
			return other, e
		}
	}
	return name, nil
}

// resize sets the present length of a file; false means the disk is full.
func (d *disk) resize(e *entry, size int64) bool {
	grow := size - int64(len(e.data))
	if grow > 0 && d.used+grow > d.capacity {
		return false
	}
	d.used += grow
	if grow > 0 {
		e.data = append(e.data, make([]byte, grow)...)
	} else {
		e.data = e.data[:size]
	}
	e.dirty, e.mtime = true, time.Now()
	return true
}

func (d *disk) write(e *entry, p []byte, off int64) bool {
	if end := off + int64(len(p)); end > int64(len(e.data)) && !d.resize(e, end) {
		return false
	}
	copy(e.data[off:], p)
	e.dirty, e.mtime = true, time.Now()
	return true
}

// sync makes an entry durable, or reports that the disk failed. As on Linux, a
// failed fsync drops the pages: asking again would report success for lost bytes.
func (d *disk) sync(e *entry) bool {
	if d.failing {
		e.dirty = false
		return false
	}
	if e.children != nil {
		e.durableChildren = maps.Clone(e.children)
		return true
	}
	if e.dirty {
		e.durableData, e.dirty = slices.Clone(e.data), false
	}
	return true
}

// cut drops everything that is not durable.
func (d *disk) cut() {
	d.used = 0
	d.failing = false
	d.revert(d.root, map[*entry]bool{})
}

func (d *disk) revert(e *entry, seen map[*entry]bool) {
	if seen[e] {
		return
	}
	seen[e] = true
	if e.children == nil {
		e.data, e.dirty = slices.Clone(e.durableData), false
		d.used += int64(len(e.data))
		return
	}
	e.children = maps.Clone(e.durableChildren)
	for _, child := range e.children {
		d.revert(child, seen)
	}
}
