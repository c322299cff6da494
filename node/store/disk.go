package store

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"holdfast/format/id"
	"holdfast/node/durable"
)

// Options of a Disk.
type Options struct {
	// Capacity is the most room that live blobs, trash and quarantine may take, in
	// bytes.
	Capacity int64
	// Reserve is what is left free on the file system whatever the capacity says.
	// Negative stands for the smaller of 256 MiB and a fiftieth of the file system.
	Reserve int64
	// Now is the clock; nil stands for time.Now.
	Now func() time.Time

	// Only tests set these: durable.SyncDir, createFile of this package, and
	// durable.Begin.
	syncDir func(dir string) error
	create  func(path string) (*os.File, error)
	begin   func(f *os.File, from, n int64) error
}

// Disk is a Store of plain files:
//
//	blobs/<2>/<upload>/<name> live blobs, in hexadecimal so that names sort like
//	                          bytes; <2> is the first byte of the upload id
//	blobs/<2>/<upload>/*.new  being written; what a crash leaves is removed when
//	                          the upload is next used or counted
//	closed/<2>/<upload>       an empty file, as old as the closing: this upload
//	                          takes nothing again
//	trash/<day>/<upload>.<blobs>.<bytes>/
//	quarantine/<upload>.<name> bytes that are not what their name says, as old as
//	                          the quarantine
//	usage                     totals, so that a clean start counts nothing
//
// One directory an upload makes listing, adding up and deleting an upload cheap,
// and nothing has to be read at the start, however many blobs there are. What is
// known of an upload is read when it is first written to, and kept while in use.
// Files are written in the directory in which they will stay: on ext4 a rename
// between directories makes the syncs that follow several times as slow.
type Disk struct {
	root string
	opt  Options
	lock *os.File
	dirs dirQueues
	boot string       // tells this process's temporary files from leftovers
	temp atomic.Int64 // numbers them

	// days is held by whoever makes or removes directories of days in the trash, or
	// fills them, or the quarantine: none goes away under another's hands. It is
	// taken after an upload's lock and before mu.
	days sync.Mutex

	// mu guards the fields below. It is taken last: never while holding it is an
	// upload's lock acquired.
	mu       sync.Mutex
	uploads  map[id.Upload]*upload
	shards   map[string]bool // directories of shards whose own names are durable
	held     Usage
	trash    Usage
	damaged  Usage // in quarantine
	arriving Usage
	broken   bool      // I/O error, until SelfTest passes
	failures int       // syncs of directories that failed, ever
	noRoom   time.Time // the system said "no space"; believed for a while
	counting *recount  // nil once held and trash are exact

	stop    chan struct{} // closed by Close
	stopped sync.WaitGroup
}

const (
	dirBlobs      = "blobs"
	dirClosed     = "closed"
	dirTrash      = "trash"
	dirQuarantine = "quarantine"
	fileLock      = "lock"
	fileUsage     = "usage"

	// keepUploads is how many uploads are remembered while nobody writes to them.
	keepUploads = 4096
	// noRoomFor is how long "no space left" is believed where the file system
	// does not show it by itself (quotas).
	noRoomFor = 5 * time.Second
	// room is what must be left for the store to call itself writable: one
	// greatest blob and something for directories.
	room = 9 << 20
)

// OpenDisk opens or makes a store in a directory of its own and locks it against
// other processes. It fails with ErrLocked if another process has it.
func OpenDisk(root string, opt Options) (*Disk, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.syncDir == nil {
		opt.syncDir = durable.SyncDir
	}
	if opt.create == nil {
		opt.create = createFile
	}
	if opt.begin == nil {
		opt.begin = durable.Begin
	}
	if err := durable.MkdirAll(root); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	lock, err := lockFile(filepath.Join(root, fileLock))
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	d := &Disk{root: root, boot: rand.Text(), opt: opt, lock: lock, uploads: map[id.Upload]*upload{}, shards: map[string]bool{}, stop: make(chan struct{})}
	d.dirs.step = d.syncDir
	if err := d.prepare(); err != nil {
		lock.Close()
		return nil, fmt.Errorf("open store: %w", err)
	}
	return d, nil
}

func (d *Disk) prepare() error {
	for _, dir := range []string{dirBlobs, dirClosed, dirTrash, dirQuarantine} {
		if err := durable.MkdirAll(d.path(dir)); err != nil {
			return err
		}
	}
	// A start that was cut short may have made them without making them durable.
	if err := durable.SyncDir(d.root); err != nil {
		return err
	}
	if d.opt.Reserve < 0 {
		_, total, err := freeSpace(d.root)
		if err != nil {
			return err
		}
		d.opt.Reserve = min(256<<20, total/50)
	}
	var err error
	if d.trash, err = d.trashUsage(); err != nil {
		return err
	}
	if d.damaged, err = d.quarantined(); err != nil {
		return err
	}
	return d.startCounting()
}

// makeShard makes a directory below blobs, closed or trash. Its name need not be
// durable yet: syncShard sees to that.
func makeShard(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// syncShard makes the names in a shard durable and, once in a process, its own:
// whoever made the directory may have been killed before that.
func (d *Disk) syncShard(dir string) error {
	if err := d.dirs.sync(dir); err != nil {
		return err
	}
	d.mu.Lock()
	known := d.shards[dir]
	d.mu.Unlock()
	if known {
		return nil
	}
	if err := d.dirs.sync(filepath.Dir(dir)); err != nil {
		return err
	}
	d.mu.Lock()
	d.shards[dir] = true
	d.mu.Unlock()
	return nil
}

func (d *Disk) path(parts ...string) string {
	return filepath.Join(append([]string{d.root}, parts...)...)
}

func shard(upload id.Upload) string         { return hex.EncodeToString(upload[:1]) }
func (d *Disk) shardDir(u id.Upload) string { return d.path(dirBlobs, shard(u)) }
func (d *Disk) uploadDir(u id.Upload) string {
	return d.path(dirBlobs, shard(u), hex.EncodeToString(u[:]))
}
func (d *Disk) closedFile(u id.Upload) string {
	return d.path(dirClosed, shard(u), hex.EncodeToString(u[:]))
}
func (d *Disk) blobFile(k Key) string {
	return d.path(dirBlobs, shard(k.Upload), hex.EncodeToString(k.Upload[:]), hex.EncodeToString(k.Name[:]))
}

func parseName(text string) (n id.Name, ok bool) {
	if len(text) != 2*len(n) {
		return n, false
	}
	_, err := hex.Decode(n[:], []byte(text))
	return n, err == nil && hex.EncodeToString(n[:]) == text
}

func parseUpload(text string) (u id.Upload, ok bool) {
	if len(text) != 2*len(u) {
		return u, false
	}
	_, err := hex.Decode(u[:], []byte(text))
	return u, err == nil && hex.EncodeToString(u[:]) == text
}

// Close implements Store. It waits for the count to stop, writes the totals, and
// releases the lock. Writers should have ended before.
func (d *Disk) Close() error {
	close(d.stop)
	d.stopped.Wait()
	d.mu.Lock()
	last := totals{Held: d.held, Exact: d.counting == nil && !d.broken}
	d.mu.Unlock()
	err := d.saveTotals(last)
	if lockErr := d.lock.Close(); err == nil {
		err = lockErr
	}
	return err
}
