package store

import (
	"io"
	"sync"
)

// readWriterAt is the open file behind a tail.
type readWriterAt interface {
	io.Writer
	io.ReaderAt
	io.Closer
	Sync() error
}

// tail lets readers follow a file that is being written. The file is closed
// when the writer has ended and the last reader is closed.
type tail struct {
	file readWriterAt
	size int64 // announced

	mu    sync.Mutex // guards what follows
	moved *sync.Cond
	have  int64
	err   error
	users int // the writer and the followers
}

func newTail(file readWriterAt, size int64) *tail {
	t := &tail{file: file, size: size, users: 1}
	t.moved = sync.NewCond(&t.mu)
	return t
}

func (t *tail) grow(have int64) {
	t.mu.Lock()
	t.have = have
	t.mu.Unlock()
	t.moved.Broadcast()
}

// end is called once, by the writer.
func (t *tail) end(err error) {
	t.mu.Lock()
	t.err = err
	t.mu.Unlock()
	t.moved.Broadcast()
	t.leave()
}

func (t *tail) leave() {
	t.mu.Lock()
	t.users--
	last := t.users == 0
	t.mu.Unlock()
	if last {
		t.file.Close() // nothing is left to be written or synced
	}
}

func (t *tail) follow() io.ReadCloser {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.users++
	return &follower{tail: t}
}

// follower reads a tail from its beginning. Close may be called while a Read
// waits, and ends it.
type follower struct {
	tail   *tail
	at     int64 // only Read touches it
	closed bool  // guarded by tail.mu
}

func (f *follower) Read(p []byte) (int, error) {
	t := f.tail
	t.mu.Lock()
	for f.at == t.have && t.err == nil && !f.closed && t.have < t.size {
		t.moved.Wait()
	}
	have, err, closed := t.have, t.err, f.closed
	if closed {
		t.mu.Unlock()
		return 0, io.ErrClosedPipe
	}
	t.users++ // keeps the file open for the read below
	t.mu.Unlock()
	defer t.leave()
	if err != nil {
		return 0, err
	}
	if f.at == t.size {
		return 0, io.EOF
	}
	n, err := t.file.ReadAt(p[:min(int64(len(p)), have-f.at)], f.at)
	f.at += int64(n)
	return n, err
}

func (f *follower) Close() error {
	f.tail.mu.Lock()
	was := f.closed
	f.closed = true
	f.tail.mu.Unlock()
	f.tail.moved.Broadcast()
	if !was {
		f.tail.leave()
	}
	return nil
}
