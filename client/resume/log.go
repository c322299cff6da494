package resume

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"holdfast/client/durable"
	"holdfast/client/home"
)

// ErrWrite: the log cannot be kept, so that nothing more may be sent.
var ErrWrite = errors.New("the state of this transfer cannot be written; nothing more is sent without it")

// Log is a log held by this process. Safe for concurrent use.
type Log struct {
	path string
	file *os.File

	mu      sync.Mutex // guards all below
	flushed *sync.Cond
	written int64 // records written
	synced  int64 // of them, those that are durable
	syncing bool
	err     error
}

// Open takes the log at path for this process (home.ErrBusy if another has it)
// and reads it. The state is nil if there is none to go on from: a new log, one
// of another version, or a damaged one, whose keys are then never used again.
func Open(path string) (*Log, *State, error) {
	file, err := home.OpenLocked(path)
	if err != nil {
		return nil, nil, err
	}
	l := &Log{path: path, file: file}
	l.flushed = sync.NewCond(&l.mu)
	state, whole, err := read(file)
	if err == nil {
		// A crash may have torn the last line. What was read may stand in the page
		// cache only, and blobs are sent on the strength of it: it is made durable.
		err = errors.Join(file.Truncate(whole), seek(file, whole), file.Sync())
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("read the state of the transfer: %w", err), file.Close())
	}
	return l, state, nil
}

func seek(f *os.File, to int64) error {
	_, err := f.Seek(to, io.SeekStart)
	return err
}

// read returns the state and the length of the whole lines that make it.
func read(r io.Reader) (*State, int64, error) {
	lines := bufio.NewReaderSize(r, 1<<16)
	var s *State
	var whole int64
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return s, whole, nil
		}
		if err != nil {
			return nil, 0, err
		}
		var rec Record
		if json.Unmarshal(line, &rec) != nil || !rec.says() || (rec.Head != nil) != (s == nil) {
			return nil, 0, nil
		}
		whole += int64(len(line))
		if s != nil {
			s.Apply(rec)
			continue
		}
		if rec.Head.Version != Version {
			return nil, 0, nil
		}
		s = NewState(*rec.Head)
	}
}

// Start begins the log anew, durably: the file's name too.
func (l *Log) Start(head Head, files []File) error {
	head.Version = Version
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	err := enc.Encode(Record{Head: &head})
	if len(files) > 0 {
		err = errors.Join(err, enc.Encode(Record{Files: files}))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		err = errors.Join(l.file.Truncate(0), seek(l.file, 0))
	}
	if err == nil {
		_, err = l.file.Write(buf.Bytes())
	}
	if err == nil {
		err = errors.Join(l.file.Sync(), durable.Sync(filepath.Dir(l.path)))
	}
	return l.fail(err)
}

// Note adds records without waiting for the disk.
func (l *Log) Note(records ...Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.write(records)
}

// Write adds records and returns once they are durable. Concurrent calls share
// one fsync.
func (l *Log) Write(records ...Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.write(records); err != nil {
		return err
	}
	for mine := l.written; l.synced < mine && l.err == nil; {
		if l.syncing {
			l.flushed.Wait()
			continue
		}
		l.sync()
	}
	return l.err
}

// sync makes what is written so far durable, with the lock let go meanwhile.
func (l *Log) sync() {
	l.syncing = true
	upTo := l.written
	l.mu.Unlock()
	err := l.file.Sync()
	l.mu.Lock()
	l.syncing = false
	if l.fail(err) == nil {
		l.synced = upTo
	}
	l.flushed.Broadcast()
}

func (l *Log) write(records []Record) error {
	if l.err != nil {
		return l.err
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	for _, r := range records {
		if err := enc.Encode(r); err != nil {
			return l.fail(err)
		}
	}
	_, err := l.file.Write(buf.Bytes())
	l.written += int64(len(records))
	return l.fail(err)
}

// fail keeps the first error: after a failed fsync nothing can be known of the file.
func (l *Log) fail(err error) error {
	if l.err == nil && err != nil {
		l.err = fmt.Errorf("%w: %w", ErrWrite, err)
	}
	return l.err
}

// Close lets go of the log, which stays for the next try.
func (l *Log) Close() error { return l.file.Close() }

// Erase removes the log with its keys, durably, and lets go of it.
func (l *Log) Erase() error {
	err := errors.Join(l.file.Truncate(0), home.Remove(l.path))
	if err := errors.Join(err, l.file.Close()); err != nil {
		return fmt.Errorf("erase the state of the transfer: %w", err)
	}
	return nil
}
