//go:build linux

package main

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

const renameNoReplace = 1 // RENAME_NOREPLACE of renameat2(2)

// node shows one entry of the disk to the kernel.
type node struct {
	fs.Inode
	disk  *disk
	entry *entry
}

var (
	_ fs.NodeLookuper   = (*node)(nil)
	_ fs.NodeGetattrer  = (*node)(nil)
	_ fs.NodeSetattrer  = (*node)(nil)
	_ fs.NodeCreater    = (*node)(nil)
	_ fs.NodeMkdirer    = (*node)(nil)
	_ fs.NodeUnlinker   = (*node)(nil)
	_ fs.NodeRmdirer    = (*node)(nil)
	_ fs.NodeRenamer    = (*node)(nil)
	_ fs.NodeLinker     = (*node)(nil)
	_ fs.NodeOpener     = (*node)(nil)
	_ fs.NodeReader     = (*node)(nil)
	_ fs.NodeWriter     = (*node)(nil)
	_ fs.NodeFsyncer    = (*node)(nil)
	_ fs.NodeReaddirer  = (*node)(nil)
	_ fs.NodeAllocater  = (*node)(nil)
	_ fs.NodeStatfser   = (*node)(nil)
	_ fs.NodeGetxattrer = (*node)(nil)
)

func (n *node) attr(e *entry, out *fuse.Attr) {
	out.Ino, out.Mode, out.Nlink = e.ino, e.mode|syscall.S_IFREG, 1
	if e.children != nil {
		out.Mode = e.mode | syscall.S_IFDIR
	}
	out.Size = uint64(len(e.data))
	out.Blocks, out.Blksize = (out.Size+511)/512, 4096
	out.SetTimes(&e.mtime, &e.mtime, &e.mtime)
}

func (n *node) child(ctx context.Context, e *entry, out *fuse.EntryOut) *fs.Inode {
	n.attr(e, &out.Attr)
	stable := fs.StableAttr{Mode: out.Attr.Mode & syscall.S_IFMT, Ino: e.ino}
	return n.NewInode(ctx, &node{disk: n.disk, entry: e}, stable)
}

func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	_, e := n.disk.find(n.entry, name)
	if e == nil {
		return nil, syscall.ENOENT
	}
	return n.child(ctx, e, out), 0
}

func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	n.attr(n.entry, &out.Attr)
	return 0
}

func (n *node) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if mode, ok := in.GetMode(); ok {
		n.entry.mode = mode & 0o777
	}
	if size, ok := in.GetSize(); ok && !n.disk.resize(n.entry, int64(size)) {
		return syscall.ENOSPC
	}
	if mtime, ok := in.GetMTime(); ok {
		n.entry.mtime = mtime
	}
	n.attr(n.entry, &out.Attr)
	return 0
}

func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	_, e := n.disk.find(n.entry, name)
	if e != nil && flags&syscall.O_EXCL != 0 {
		return nil, nil, 0, syscall.EEXIST
	}
	if e == nil {
		e = n.disk.newFile(mode)
		n.entry.children[name] = e
	}
	return n.child(ctx, e, out), nil, 0, 0
}

func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if _, e := n.disk.find(n.entry, name); e != nil {
		return nil, syscall.EEXIST
	}
	e := n.disk.newFolder(mode)
	n.entry.children[name] = e
	return n.child(ctx, e, out), 0
}

func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	name, e := n.disk.find(n.entry, name)
	if e == nil {
		return syscall.ENOENT
	}
	n.disk.used -= int64(len(e.data))
	delete(n.entry.children, name)
	return 0
}

func (n *node) Rmdir(_ context.Context, name string) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	name, e := n.disk.find(n.entry, name)
	if e == nil {
		return syscall.ENOENT
	}
	if len(e.children) > 0 {
		return syscall.ENOTEMPTY
	}
	delete(n.entry.children, name)
	return 0
}

func (n *node) Rename(_ context.Context, name string, newParent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	to := newParent.EmbeddedInode().Operations().(*node).entry
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if flags&^uint32(renameNoReplace) != 0 {
		return syscall.EINVAL
	}
	stands, there := n.disk.find(to, newName)
	if there != nil && flags&renameNoReplace != 0 {
		return syscall.EEXIST
	}
	name, e := n.disk.find(n.entry, name)
	if e == nil {
		return syscall.ENOENT
	}
	delete(n.entry.children, name)
	delete(to.children, stands)
	to.children[newName] = e
	return 0
}

func (n *node) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	e := target.EmbeddedInode().Operations().(*node).entry
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if n.disk.plain {
		return nil, syscall.EPERM
	}
	if n.entry.children[name] != nil {
		return nil, syscall.EEXIST
	}
	n.entry.children[name] = e
	n.attr(e, &out.Attr)
	return target.EmbeddedInode(), 0
}

func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if flags&syscall.O_TRUNC != 0 {
		n.disk.resize(n.entry, 0)
	}
	return nil, 0, 0
}

func (n *node) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if n.disk.unreadable {
		return nil, syscall.EIO
	}
	if off >= int64(len(n.entry.data)) {
		return fuse.ReadResultData(nil), 0
	}
	return fuse.ReadResultData(dest[:copy(dest, n.entry.data[off:])]), 0
}

func (n *node) Write(_ context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if !n.disk.write(n.entry, data, off) {
		return 0, syscall.ENOSPC
	}
	return uint32(len(data)), 0
}

func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if !n.disk.sync(n.entry) {
		return syscall.EIO
	}
	return 0
}

func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	var list []fuse.DirEntry
	for name, e := range n.entry.children {
		mode := uint32(syscall.S_IFREG)
		if e.children != nil {
			mode = syscall.S_IFDIR
		}
		list = append(list, fuse.DirEntry{Name: name, Ino: e.ino, Mode: mode})
	}
	return fs.NewListDirStream(list), 0
}

func (n *node) Allocate(_ context.Context, _ fs.FileHandle, off, size uint64, mode uint32) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	const keepSize = 1 // FALLOC_FL_KEEP_SIZE
	if end := int64(off + size); mode&keepSize == 0 && end > int64(len(n.entry.data)) && !n.disk.resize(n.entry, end) {
		return syscall.ENOSPC
	}
	return 0
}

func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	const block = 4096
	out.Bsize, out.Frsize, out.NameLen = block, block, 255
	out.Blocks = uint64(n.disk.capacity / block)
	out.Bfree = uint64((n.disk.capacity - n.disk.used) / block)
	out.Bavail, out.Files, out.Ffree = out.Bfree, 1<<20, 1<<20
	return 0
}

// Getxattr answers that there are none, so that the kernel stops asking.
func (n *node) Getxattr(context.Context, string, []byte) (uint32, syscall.Errno) {
	return 0, syscall.ENODATA
}
