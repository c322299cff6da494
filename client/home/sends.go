package home

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"holdfast/format/id"
)

// ErrUnknownSend: this machine does not remember having sent that.
var ErrUnknownSend = errors.New("this machine keeps no management secret for that link; only the one that sent it can revoke it")

// Send is what this machine remembers of a link that it made. The link's key
// is not in it: whoever reads this folder can end the link, not open it.
type Send struct {
	Server  string    `json:"server"`
	Handle  id.Handle `json:"handle"`
	Manage  string    `json:"manage"` // the management secret
	Name    string    `json:"name"`
	Files   int64     `json:"files"`
	Bytes   int64     `json:"bytes"`
	Created int64     `json:"created"` // Unix seconds
	Expires int64     `json:"expires"`
	Limit   int64     `json:"downloads"` // 0 for none
	Places  []string  `json:"places"`    // operators with jurisdictions
}

const (
	sendsName  = "sends"
	sendSuffix = ".json"
)

func (d Dir) sendPath(handle id.Handle) (string, error) {
	dir, err := d.Sub(sendsName)
	return filepath.Join(dir, handle.String()+sendSuffix), err
}

// SaveSend remembers a send durably.
func (d Dir) SaveSend(s Send) error {
	path, err := d.sendPath(s.Handle)
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("remember the send: %w", err)
	}
	return WriteFile(path, append(raw, '\n'))
}

// FindSend is the send with that handle, or ErrUnknownSend.
func (d Dir) FindSend(handle id.Handle) (Send, error) {
	path, err := d.sendPath(handle)
	if err != nil {
		return Send{}, err
	}
	return readSend(path)
}

func readSend(path string) (Send, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Send{}, ErrUnknownSend
	}
	if err != nil {
		return Send{}, fmt.Errorf("read the list of sends: %w", err)
	}
	var s Send
	if err := json.Unmarshal(raw, &s); err != nil {
		return Send{}, fmt.Errorf("read %s: %w", path, err)
	}
	return s, nil
}

// ForgetSend removes what is remembered of a send; forgetting twice is harmless.
func (d Dir) ForgetSend(handle id.Handle) error {
	path, err := d.sendPath(handle)
	if err != nil {
		return err
	}
	return Remove(path)
}

// Sends lists what this machine sent, newest first.
func (d Dir) Sends() ([]Send, error) {
	dir, err := d.Sub(sendsName)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the list of sends: %w", err)
	}
	var all []Send
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), sendSuffix) {
			continue
		}
		s, err := readSend(filepath.Join(dir, entry.Name()))
		if errors.Is(err, ErrUnknownSend) { // forgotten by another process just now
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	slices.SortStableFunc(all, func(a, b Send) int { return int(b.Created - a.Created) })
	return all, nil
}
