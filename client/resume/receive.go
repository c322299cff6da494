package resume

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"holdfast/client/durable"
	"holdfast/client/home"
)

// Receipt of files is remembered more loosely than sending: what is lost of it
// is fetched again, and every byte that is taken over is checked.
type receiveRecord struct {
	Session string `json:"session,omitempty"`
	// Path was written below the target; the stamp tells whether it is still that.
	Path    string `json:"path,omitempty"`
	Size    int64  `json:"size,omitempty"`
	ModTime int64  `json:"mtime,omitempty"`
	Inode   uint64 `json:"ino,omitempty"`
}

// Arrived is a file that was received whole.
type Arrived struct {
	Size, ModTime int64
	Inode         uint64
}

// Receive is what a receive must know to go on: its session, so that one download
// is counted once, and which files are there. Not safe for concurrent use.
type Receive struct {
	path    string
	file    *os.File
	Session string
	Arrived map[string]Arrived
}

// OpenReceive takes the state at path for this process (home.ErrBusy if another
// has it). Lines that cannot be read are left out.
func OpenReceive(path string) (*Receive, error) {
	file, err := home.OpenLocked(path)
	if err != nil {
		return nil, err
	}
	r := &Receive{path: path, file: file, Arrived: map[string]Arrived{}}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var rec receiveRecord
		if json.Unmarshal(lines.Bytes(), &rec) != nil {
			continue
		}
		if rec.Session != "" {
			r.Session = rec.Session
		}
		if rec.Path != "" {
			r.Arrived[rec.Path] = Arrived{rec.Size, rec.ModTime, rec.Inode}
		}
	}
	_, seeked := file.Seek(0, io.SeekEnd)
	if err := errors.Join(lines.Err(), seeked); err != nil {
		return nil, errors.Join(fmt.Errorf("read the state of the transfer: %w", err), file.Close())
	}
	return r, nil
}

// SetSession remembers the session durably: losing it would cost a download.
func (r *Receive) SetSession(session string) error {
	r.Session = session
	if err := r.add(receiveRecord{Session: session}); err != nil {
		return err
	}
	if err := r.file.Sync(); err != nil {
		return fmt.Errorf("%w: %w", ErrWrite, err)
	}
	return durable.Sync(filepath.Dir(r.path))
}

// Add remembers a file.
func (r *Receive) Add(path string, a Arrived) error {
	r.Arrived[path] = a
	return r.add(receiveRecord{Path: path, Size: a.Size, ModTime: a.ModTime, Inode: a.Inode})
}

func (r *Receive) add(rec receiveRecord) error {
	line, err := json.Marshal(rec)
	if err == nil {
		_, err = r.file.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWrite, err)
	}
	return nil
}

// Close lets go of the state, which stays for the next try.
func (r *Receive) Close() error { return r.file.Close() }

// Erase removes the state, durably, and lets go of it.
func (r *Receive) Erase() error {
	if err := errors.Join(home.Remove(r.path), r.file.Close()); err != nil {
		return fmt.Errorf("erase the state of the transfer: %w", err)
	}
	return nil
}
