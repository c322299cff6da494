// Package target writes received files below one folder. It promises that
// nothing is written outside of that folder, whatever names and links are in it;
// that a file appears under its name whole or not at all; and that what stands
// there is replaced only by who asks for it. It knows no network and no keys.
package target

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"holdfast/client/durable"
	"holdfast/format/descriptor"
)

// Errors of this package.
var (
	// ErrExists: something has the name already.
	ErrExists = errors.New("exists already; nothing was overwritten. Choose another place with -o, or overwrite with --force")
	// ErrFolder: a folder stands where a file should be, or the other way round.
	ErrFolder = errors.New("is a folder here and a file there; move it away or choose another place with -o")
	// ErrBusy: another process receives the same file to the same place.
	ErrBusy = errors.New("another process receives this to the same place; wait for it, or stop it")
	// ErrTrap: something planted stands where a part should be.
	ErrTrap = errors.New("a link stands where its hidden part should be; remove the link, and ask who made it")
	// ErrTwice: a file of the same receive has the name.
	ErrTwice = errors.New("is the same name as another file of the link, on a disk that does not tell them apart; nothing was overwritten. Receive it to another disk")
	// ErrFull: there is no room on the disk.
	ErrFull = errors.New("the disk is full here. What has come so far is kept: make room and repeat the command, and only the rest is fetched")
)

// Error is an error about one file below the folder.
type Error struct {
	Path string
	Err  error
}

// Error names the file as it may be shown.
func (e *Error) Error() string { return fmt.Sprintf("%s: %v", descriptor.Display(e.Path), e.Err) }

// Unwrap gives the reason.
func (e *Error) Unwrap() error { return e.Err }

// partPrefix begins the names of files that are not whole yet.
const partPrefix = ".holdfast-part-"

// Folder is a folder to write to. All paths are relative to it, their
// components separated by slashes.
type Folder struct {
	root *os.Root
	dir  string

	mu   sync.Mutex // guards mine
	mine map[identity]bool
}

// Open opens the folder and makes it, durably, if need be.
func Open(dir string) (*Folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("target folder: %w", err)
	}
	if err := durable.Mkdir(dir, 0o777); err != nil {
		return nil, fmt.Errorf("target folder: %w", full(err))
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("target folder: %w", err)
	}
	return &Folder{root: root, dir: dir, mine: map[identity]bool{}}, nil
}

// Close lets go of the folder.
func (f *Folder) Close() error { return f.root.Close() }

// Path is where something stands, for people.
func (f *Folder) Path(local string) string { return filepath.Join(f.dir, filepath.FromSlash(local)) }

// Free is how many bytes can be written; false if the system does not say.
func (f *Folder) Free() (int64, bool) { return free(f.dir) }

// Stat looks at what has the name; nil if nothing has.
func (f *Folder) Stat(local string) (fs.FileInfo, error) {
	info, err := f.root.Lstat(native(local))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &Error{local, bare(err)}
	}
	return info, nil
}

// Vacant fails if a file may not be written under the name.
func (f *Folder) Vacant(local string, force bool) error {
	info, err := f.Stat(local)
	switch {
	case err != nil || info == nil:
		return err
	case info.IsDir():
		return &Error{local, ErrFolder}
	case !force:
		return &Error{local, ErrExists}
	}
	return nil
}

// Own tells that an earlier try wrote the file: nothing of this receive may
// replace it.
func (f *Folder) Own(info fs.FileInfo) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.own(info)
}

func (f *Folder) own(info fs.FileInfo) {
	if id, known := identify(info); known {
		f.mine[id] = true
	}
}

// replaceable fails with ErrTwice if this receive wrote what has the name.
func (f *Folder) replaceable(local string) error {
	info, err := f.root.Lstat(native(local))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if id, known := identify(info); known && f.mine[id] {
		return ErrTwice
	}
	return nil
}

// Folds tells whether the folder takes names that differ in case for one. It
// writes a file to find out, and removes it.
func (f *Folder) Folds() (folds bool, err error) {
	name := partPrefix + "probe-" + strings.ToLower(rand.Text())
	probe, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return false, fmt.Errorf("target folder: %w", full(bare(err)))
	}
	_, err = f.root.Lstat(strings.ToUpper(name))
	if folds = err == nil; errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err := errors.Join(err, probe.Close(), f.root.Remove(name)); err != nil {
		return false, fmt.Errorf("target folder: %w", full(bare(err)))
	}
	return folds, nil
}

// Mkdir makes a folder with its parents; one that is there is good as well.
func (f *Folder) Mkdir(local string) error {
	err := f.root.MkdirAll(native(local), 0o777)
	if err == nil {
		return nil
	}
	if info, stat := f.root.Stat(native(local)); stat == nil && !info.IsDir() {
		return &Error{local, ErrFolder}
	}
	return &Error{local, full(bare(err))}
}

// SetTime gives a folder its time, once everything in it is written.
func (f *Folder) SetTime(local string, t time.Time) error {
	if err := f.root.Chtimes(native(local), time.Time{}, t); err != nil {
		return &Error{local, bare(err)}
	}
	return nil
}

// Sync makes the names in a folder durable.
func (f *Folder) Sync(local string) error {
	dir, err := f.root.Open(native(local))
	if err != nil {
		return &Error{local, bare(err)}
	}
	err = durable.SyncFolder(dir)
	if err := errors.Join(err, dir.Close()); err != nil {
		return &Error{local, full(bare(err))}
	}
	return nil
}

// parent is the folder of a path.
func parent(local string) string { return path.Dir(local) }

func native(local string) string { return filepath.FromSlash(local) }

// bare drops the path from the system's errors: Error names it.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	var l *os.LinkError
	if errors.As(err, &l) {
		return l.Err
	}
	return err
}

// full tells a full disk apart.
func full(err error) error {
	if noSpace(err) {
		return fmt.Errorf("%w (%w)", ErrFull, bare(err))
	}
	return err
}
