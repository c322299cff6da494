// Package store keeps blobs. It promises that what Commit has accepted is
// there, unchanged, after any crash, until it is deleted; that a closed upload
// takes nothing again, ever; and that an upload never holds more than its
// budget, however many writers race. It knows bytes, names and upload ids: no
// tickets, keys, nodes or HTTP.
package store

import (
	"errors"
	"io"
	"time"

	"holdfast/format/blob"
	"holdfast/format/id"
)

// Errors of a Store and its Writers.
var (
	// ErrUnknown: no such blob is held.
	ErrUnknown = errors.New("store: no such blob")
	// ErrExists: the blob is held already, durably.
	ErrExists = errors.New("store: the blob is held already")
	// ErrClosed: the upload was deleted and takes nothing again.
	ErrClosed = errors.New("store: the upload is closed")
	// ErrBudget: the upload would hold more than its budget.
	ErrBudget = errors.New("store: the upload's budget is spent")
	// ErrSize: not the size of a blob, or not the size that was announced.
	ErrSize = errors.New("store: wrong size")
	// ErrMismatch: the bytes do not hash to the blob's name.
	ErrMismatch = errors.New("store: the bytes do not match the name")
	// ErrFull: no room on the disk or within the capacity. It passes by itself
	// once there is room again.
	ErrFull = errors.New("store: full")
	// ErrIO: the disk failed. What was being written is lost and was never
	// acknowledged; nothing is taken until SelfTest passes.
	ErrIO = errors.New("store: the disk failed")
	// ErrBusy: out of file handles or memory; try again in a moment.
	ErrBusy = errors.New("store: out of file handles or memory")
	// ErrAborted: the writer gave up before all bytes were there.
	ErrAborted = errors.New("store: writing was given up")
)

// Key is a blob's identity.
type Key struct {
	Upload id.Upload
	Name   id.Name
}

// Entry is a blob that is held durably.
type Entry struct {
	Name id.Name
	Size int64
}

// Usage counts blobs and their bytes.
type Usage struct{ Blobs, Bytes int64 }

// Add sums both.
func (u Usage) Add(v Usage) Usage { return Usage{u.Blobs + v.Blobs, u.Bytes + v.Bytes} }

// Sub takes v away.
func (u Usage) Sub(v Usage) Usage { return Usage{u.Blobs - v.Blobs, u.Bytes - v.Bytes} }

// Overhead is what a blob counts for besides its bytes: the rest of a block, names
// in directories and, above all, an inode, of which ext4 has one for 16 KiB.
const Overhead = 16 << 10

// Room is what the blobs take of a disk, in bytes.
func (u Usage) Room() int64 { return u.Bytes + u.Blobs*Overhead }

// exceeds tells whether an upload with that usage has more than its budget gives:
// so many bytes, and so much room that blobs of 1 MiB on average, which clients
// make, take half of what is added, and that small sends have 64 blobs of any size
// (docs/protocol.md, "Upload").
func (u Usage) exceeds(budget int64) bool {
	return u.Bytes > budget || u.Room() > budget+budget/32+64*Overhead
}

// Reason tells why a store takes nothing.
type Reason string

// The reasons.
const (
	Writable Reason = ""
	Full     Reason = "full"
	IOError  Reason = "io-error"
)

// Status is the state of a store at one moment.
type Status struct {
	Held       Usage // live blobs
	Trash      Usage // deleted, not gone yet
	Quarantine Usage // damaged, not gone yet
	// Arriving is what writers under way may still need.
	Arriving int64
	Capacity int64
	// Counted tells that Held and Trash are exact. After a crash they are an
	// estimate until everything was counted again.
	Counted bool
	Reason  Reason
}

// Used is the room that is taken, in bytes: by live blobs, the trash and the
// quarantine.
func (s Status) Used() int64 { return s.Held.Add(s.Trash).Add(s.Quarantine).Room() }

// Store keeps blobs. Every implementation guarantees, for concurrent callers:
//
//   - A blob for which Commit returned nil, or Begin ErrExists, or that Stat or
//     List show, is held: Open finds exactly the committed bytes, also after a
//     crash or power cut at any later moment. Nothing held is ever overwritten.
//     Open alone proves nothing: it may find a blob that is about to be held.
//   - The blobs held for an upload and those arriving never exceed the largest
//     budget with which Begin was called; a name counts once, however many
//     writers bring it at the same time. How much room they may take beside their
//     bytes is bounded by the budget as well.
//   - After CloseUpload returned, no blob of the upload is found, and Begin and
//     Commit refuse the upload with ErrClosed until ForgetClosed.
//   - A failed write or sync leaves nothing behind that is ever trusted.
type Store interface {
	// Begin starts writing a blob of size bytes under the upload's budget.
	// Errors: ErrSize, ErrClosed, ErrExists, ErrBudget, ErrFull, ErrIO, ErrBusy,
	// found in this order.
	Begin(key Key, size, budget int64) (Writer, error)
	// Open opens a blob for reading, or returns ErrUnknown. A blob that is
	// deleted later stays readable through the open Reader.
	Open(key Key) (Reader, error)
	// Stat is the size of a blob that is held, or ErrUnknown.
	Stat(key Key) (int64, error)
	// List returns up to limit blobs of an upload with names after after, in
	// byte order. The zero name starts it.
	List(upload id.Upload, after id.Name, limit int) ([]Entry, error)
	// Usage is what an upload holds.
	Usage(upload id.Upload) (Usage, error)
	// CloseUpload moves all blobs of an upload to the trash, and closes it. Done
	// again it returns the same usage while the blobs are still in the trash.
	CloseUpload(upload id.Upload) (Usage, error)
	// Remove moves the named blobs to the trash; names not held are passed over.
	Remove(upload id.Upload, names []id.Name) (Usage, error)
	// Quarantine takes a blob whose bytes are not what its name says out of
	// reach, for its owner to look at. It is not in the trash, and goes with it.
	Quarantine(key Key) error
	// EmptyTrash destroys what was put there, or into quarantine, before the day of
	// that moment.
	EmptyTrash(before time.Time) (Usage, error)
	// ForgetClosed forgets which uploads were closed before that moment, and tells
	// how many. By then no ticket may be left under which they could be opened again.
	ForgetClosed(before time.Time) (int, error)
	Status() Status
	// SelfTest tries the disk, and ends the state IOError when it passes.
	SelfTest() error
	// Close ends background work and releases the store for another process.
	Close() error
}

// Writer takes the bytes of one blob. It is for one goroutine, except that
// Follow may be called by any until the writer and all its followers have ended.
type Writer interface {
	// Write takes the next bytes. After an error only Abort makes sense.
	Write(p []byte) (int, error)
	// Follow returns a new reader of the blob from its first byte on, which waits
	// for bytes that are still to come. It ends with io.EOF after the announced
	// size and with the error of Abort. It stays usable after Commit.
	Follow() io.ReadCloser
	// Commit checks size and hash and makes the blob durable; only when it
	// returns nil may anybody be told. Whatever it returns, the writer is ended.
	Commit() error
	// Abort gives up and leaves nothing behind. Followers get cause, or
	// ErrAborted for nil. After Commit it does nothing.
	Abort(cause error)
}

// Reader reads a blob. ReadAt may be called concurrently.
type Reader interface {
	io.ReaderAt
	io.Closer
	Size() int64
	// WriteNext copies the next n bytes into w by the shortest way there is.
	WriteNext(w io.Writer, n int64) (int64, error)
}

func checkSize(size int64) error {
	if size < 1 || size > blob.MaxSize {
		return ErrSize
	}
	return nil
}
