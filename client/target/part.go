package target

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"time"

	"holdfast/format/id"
)

// Part is a file that is not whole yet. It has a hidden name beside its final
// one, and is held by this process alone.
type Part struct {
	folder *Folder
	local  string // final
	name   string // for now
	file   *os.File
	past   *uncached
}

// Final is what a file gets with its name.
type Final struct {
	ModTime    time.Time // zero: none
	Executable bool
	// Force replaces what has the name.
	Force bool
}

// Part opens what an earlier try left of a revision, or begins it. The folder of
// the file must be there.
func (f *Folder) Part(local string, revision id.Revision) (*Part, error) {
	name := path.Join(parent(local), partPrefix+revision.String())
	for {
		file, err := f.root.OpenFile(native(name), os.O_RDWR|os.O_CREATE|noWait, 0o666)
		if err != nil {
			return nil, &Error{local, full(bare(err))}
		}
		p := &Part{folder: f, local: local, name: name, file: file}
		err = exclusive(file)
		if err == nil {
			var same bool
			if same, err = p.stands(); same && err == nil {
				p.past = f.past(name, file)
				return p, nil
			}
		}
		if err := errors.Join(err, file.Close()); err != nil {
			return nil, &Error{local, bare(err)}
		}
	}
}

// stands tells whether the open file is still the one of that name, which its
// last holder may have finished meanwhile.
func (p *Part) stands() (bool, error) {
	mine, err := p.file.Stat()
	if err != nil {
		return false, err
	}
	there, err := p.folder.root.Lstat(native(p.name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !there.Mode().IsRegular() { // a link within the folder was followed
		return false, ErrTrap
	}
	return os.SameFile(mine, there), nil
}

// Size is how many bytes there are.
func (p *Part) Size() (int64, error) {
	info, err := p.file.Stat()
	if err != nil {
		return 0, p.fail(err)
	}
	return info.Size(), nil
}

// ReadAt implements io.ReaderAt.
func (p *Part) ReadAt(b []byte, off int64) (int, error) { return p.file.ReadAt(b, off) }

// WriteAt implements io.WriterAt. What lies in memory as in the file, as that of a
// Run does, is written past the page cache but for its ends.
func (p *Part) WriteAt(b []byte, off int64) (int, error) {
	from, to, err := p.past.writeAt(b, off)
	n := 0
	if err == nil && from > 0 {
		n, err = p.file.WriteAt(b[:from], off)
	}
	if err == nil {
		n = to
		if to < len(b) {
			n, err = p.file.WriteAt(b[to:], off+int64(to))
			n += to
		}
	}
	return n, p.fail(err)
}

// Truncate cuts the file, or makes it longer.
func (p *Part) Truncate(size int64) error { return p.fail(p.file.Truncate(size)) }

func (p *Part) fail(err error) error {
	if err == nil {
		return nil
	}
	return &Error{p.local, full(bare(err))}
}

// Keep closes the file for a later try.
func (p *Part) Keep() error { return p.fail(p.close()) }

func (p *Part) close() error { return errors.Join(p.past.close(), p.file.Close()) }

// Discard removes the file.
func (p *Part) Discard() error {
	return p.fail(errors.Join(p.folder.root.Remove(native(p.name)), p.close()))
}

// Finish gives the file its name: in one step, and over nothing unless forced.
// The content is durable then, the name once its folder was synced.
func (p *Part) Finish(f Final) error {
	if err := p.dress(f); err != nil {
		return p.fail(err)
	}
	if err := p.rename(f.Force); err != nil {
		return p.fail(err)
	}
	return p.fail(p.close())
}

// dress gives the file mode and time before anyone sees it.
func (p *Part) dress(f Final) error {
	if f.Executable {
		info, err := p.file.Stat()
		if err != nil {
			return err
		}
		readable := info.Mode().Perm() & 0o444
		if err := p.file.Chmod(info.Mode().Perm() | readable>>2); err != nil {
			return err
		}
	}
	if !f.ModTime.IsZero() {
		if err := p.folder.root.Chtimes(native(p.name), time.Time{}, f.ModTime); err != nil {
			return err
		}
	}
	return p.file.Sync()
}

// rename gives the part its final name. It tells the folder, so that nothing that
// one receive wrote is replaced by another file of it: where names are folded,
// two of its files may come to one name.
func (p *Part) rename(force bool) error {
	mine, err := p.file.Stat()
	if err != nil {
		return err
	}
	p.folder.mu.Lock()
	defer p.folder.mu.Unlock()
	if !force {
		err = p.move()
	} else if err = p.folder.replaceable(p.local); err == nil {
		err = p.folder.root.Rename(native(p.name), native(p.local))
	}
	if err == nil {
		p.folder.own(mine)
	}
	return err
}

// move renames in one step where nothing has the name.
func (p *Part) move() error {
	root, from, to := p.folder.root, native(p.name), native(p.local)
	err := p.folder.noReplace(parent(p.local), path.Base(from), path.Base(to))
	if errors.Is(err, errors.ErrUnsupported) {
		if err = root.Link(from, to); err == nil {
			return root.Remove(from)
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist):
		return ErrExists
	case errors.Is(err, fs.ErrNotExist):
		return err
	}
	return p.claim()
}

// noReplace renames within a folder, in one step, unless something has the name:
// fs.ErrExist then, and errors.ErrUnsupported where this cannot be done.
func (f *Folder) noReplace(local, from, to string) error {
	dir, err := f.root.Open(native(local))
	if err != nil {
		return err
	}
	return errors.Join(renameAt(dir, from, to), dir.Close())
}

// claim renames where the system knows no better way: an empty file of our own,
// taken in one step, may be replaced. It does not stay if the renaming fails.
func (p *Part) claim() error {
	root, from, to := p.folder.root, native(p.name), native(p.local)
	empty, err := root.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return ErrExists
	}
	if err != nil {
		return err
	}
	mine, err := empty.Stat()
	err = errors.Join(err, empty.Close())
	if err == nil {
		if err = root.Rename(from, to); err == nil {
			return nil
		}
	}
	if there, stat := root.Lstat(to); mine != nil && stat == nil && os.SameFile(mine, there) {
		err = errors.Join(err, root.Remove(to))
	}
	return err
}
