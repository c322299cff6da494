package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"holdfast/format/blob"
	"holdfast/node/durable"
)

// Begin implements Store.
func (d *Disk) Begin(key Key, size, budget int64) (Writer, error) {
	if err := checkSize(size); err != nil {
		return nil, err
	}
	u := d.use(key.Upload)
	file, err := d.admit(u, key, size, budget)
	if err != nil {
		d.done(u)
		return nil, err
	}
	return &diskWriter{disk: d, upload: u, key: key, size: size, path: file.Name(),
		hash: hashers.Get().(*blob.Hasher), tail: newTail(file, size), file: file}, nil
}

// admit checks everything that Begin promises to check, counts the writer in and
// makes its file. All this is one step for those who close the upload and take
// its directory away.
func (d *Disk) admit(u *upload, key Key, size, budget int64) (*os.File, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := d.load(u); err != nil {
		return nil, err
	}
	if u.closed {
		return nil, ErrClosed
	}
	if _, ok, err := d.shown(u, key.Name); err != nil {
		return nil, err
	} else if ok {
		return nil, ErrExists
	}
	if err := u.expect(key.Name, size, budget); err != nil {
		return nil, err
	}
	if err := d.reserve(size); err != nil {
		u.unexpect(key.Name)
		return nil, err
	}
	file, err := d.create(u, key)
	if err != nil {
		d.leave(u, key, size)
		return nil, err
	}
	return file, nil
}

// create makes the file of a writer, with u.mu held.
func (d *Disk) create(u *upload, key Key) (*os.File, error) {
	if err := d.makeDir(u); err != nil {
		return nil, err
	}
	path := fmt.Sprintf("%s.%s-%d%s", d.blobFile(key), d.boot, d.temp.Add(1), durable.Suffix)
	file, err := d.opt.create(path)
	if err != nil {
		return nil, d.fault("begin blob", err)
	}
	return file, nil
}

func createFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

// makeDir makes the upload's directory, whose name publish makes durable.
func (d *Disk) makeDir(u *upload) error {
	if u.made {
		return nil
	}
	if err := makeShard(d.shardDir(u.id)); err != nil {
		return d.fault("make directory", err)
	}
	failures := d.syncFailures()
	if err := os.Mkdir(d.uploadDir(u.id), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return d.fault("make directory", err)
	}
	u.made, u.synced, u.madeAt = true, false, failures
	return nil
}

// dismiss undoes admit once a writer has ended, however it did.
func (d *Disk) dismiss(u *upload, key Key, size int64) {
	u.mu.Lock()
	d.leave(u, key, size)
	u.mu.Unlock()
	d.done(u)
}

// leave counts a writer out, with u.mu held. The last one to leave an upload
// without blobs takes the directory along.
func (d *Disk) leave(u *upload, key Key, size int64) {
	u.unexpect(key.Name)
	if u.made && u.held.Blobs == 0 && len(u.arriving) == 0 {
		if os.Remove(d.uploadDir(u.id)) == nil { // else something is left in it
			u.made, u.synced = false, false
		}
	}
	d.unreserve(size)
}

// hashers are reused: one is several KiB.
var hashers = sync.Pool{New: func() any { h := blob.NewHasher(); return &h }}

// diskWriter is a blob on its way into the store.
type diskWriter struct {
	disk   *Disk
	upload *upload
	key    Key
	size   int64
	path   string // of the temporary file
	hash   *blob.Hasher
	tail   *tail
	file   *os.File // the tail's
	have   int64
	begun  int64 // bytes of which writing to the disk was begun
	failed error
	moved  bool // to its place
	ended  bool
}

func (w *diskWriter) Write(p []byte) (int, error) {
	if w.failed != nil {
		return 0, w.failed
	}
	if w.ended || int64(len(p)) > w.size-w.have {
		w.failed = ErrSize
		return 0, w.failed
	}
	n, err := w.tail.file.Write(p)
	w.hash.Write(p[:n]) // the only pass over the bytes that hashes them
	w.have += int64(n)
	w.tail.grow(w.have)
	if err == nil {
		err = w.begin()
	}
	if err != nil {
		w.failed = w.disk.fault("write blob", err)
	}
	return n, w.failed
}

// Of a blob of earlyFrom bytes or more, writing to the disk is begun each time that
// earlyStep bytes have come, while the rest is still on its way: its sync then has
// little left to wait for (docs/bottlenecks.md, D1). Smaller ones gain nothing.
const (
	earlyFrom = 2 << 20
	earlyStep = 512 << 10
)

func (w *diskWriter) begin() error {
	n := w.have - w.begun
	if w.size < earlyFrom || n < earlyStep {
		return nil
	}
	from := w.begun
	w.begun = w.have
	return w.disk.opt.begin(w.file, from, n)
}

func (w *diskWriter) Follow() io.ReadCloser { return w.tail.follow() }

// Commit is the order of steps that a receipt rests on:
//
//  1. all bytes are in the temporary file, and their hash is the name
//  2. the file is synced
//  3. it is renamed to its place, which is free
//  4. its directory is synced, and if the directory is new, its parents
//
// and only then does it return nil.
func (w *diskWriter) Commit() error {
	if w.ended {
		return ErrAborted
	}
	err := w.failed
	if err == nil {
		err = w.check()
	}
	if err == nil {
		// A failed sync poisons the file: what the kernel could not write it may
		// have dropped, and a second sync may lie. The file goes.
		if syncErr := w.tail.file.Sync(); syncErr != nil {
			err = w.disk.fault("sync blob", syncErr)
		}
	}
	if err == nil {
		err = w.publish()
	}
	w.end(err)
	return err
}

func (w *diskWriter) check() error {
	if w.have != w.size {
		return fmt.Errorf("%w: %d bytes came instead of %d", ErrSize, w.have, w.size)
	}
	if w.hash.Name() != w.key.Name {
		return ErrMismatch
	}
	return nil
}

// publish renames the synced file into its place and makes the name durable. If
// another writer of the same blob was first, it waits for that one's result.
func (w *diskWriter) publish() error {
	d, u := w.disk, w.upload
	u.mu.Lock()
	if u.closed {
		u.mu.Unlock()
		return ErrClosed
	}
	if other := u.fresh[w.key.Name]; other != nil {
		u.mu.Unlock()
		<-other.done
		return other.err
	}
	failures := d.syncFailures()
	if !u.synced {
		failures = u.madeAt
	}
	done, err := w.rename()
	if done || err != nil {
		u.mu.Unlock()
		return err
	}
	mine := &freshBlob{size: w.size, done: make(chan struct{})}
	u.fresh[w.key.Name] = mine
	u.held = u.held.Add(Usage{1, w.size})
	u.arriving[w.key.Name].size = 0
	synced := u.synced
	u.mu.Unlock()

	err = d.dirs.sync(d.uploadDir(u.id))
	if err == nil && !synced {
		err = d.syncShard(d.shardDir(u.id))
	}
	if err != nil {
		err = d.fault("sync directory", err)
	} else {
		// A failed sync by somebody else consumed the kernel's error, which may have
		// been about this name, too.
		err = d.sound(failures)
	}

	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.fresh, w.key.Name)
	if err != nil {
		w.poison()
	} else {
		u.synced = true
		d.account(u.id, Usage{1, w.size})
	}
	mine.err = err
	close(mine.done)
	return err
}

// rename puts the file into its place; done tells that the blob is there
// already, durably. It is called with the upload's lock held.
func (w *diskWriter) rename() (done bool, err error) {
	d, u := w.disk, w.upload
	if _, there, err := d.shown(u, w.key.Name); there || err != nil {
		return there, err
	}
	target := d.blobFile(w.key)
	if u.poisoned[w.key.Name] {
		if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, d.fault("remove poisoned blob", err)
		}
		delete(u.poisoned, w.key.Name)
	}
	// Only this process renames here, under the upload's lock, and the place was
	// found free above: nothing is overwritten.
	if err := os.Rename(w.path, target); err != nil {
		return false, d.fault("rename blob", err)
	}
	w.moved = true
	return false, nil
}

// poison takes back a blob whose name could not be made durable, with the
// upload's lock held.
func (w *diskWriter) poison() {
	w.upload.held = w.upload.held.Sub(Usage{1, w.size})
	if err := os.Remove(w.disk.blobFile(w.key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.upload.poisoned[w.key.Name] = true
	}
}

func (w *diskWriter) Abort(cause error) {
	if w.ended {
		return
	}
	if cause == nil {
		cause = ErrAborted
	}
	w.end(cause)
}

// end releases everything. Without an error the followers read on.
func (w *diskWriter) end(err error) {
	w.ended = true
	if !w.moved {
		os.Remove(w.path) // what cannot be removed now goes after the next start
	}
	w.tail.end(err)
	w.hash.Reset()
	hashers.Put(w.hash)
	w.disk.dismiss(w.upload, w.key, w.size)
}
