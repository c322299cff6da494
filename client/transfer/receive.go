package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"holdfast/api"
	"holdfast/client/resume"
	"holdfast/format/descriptor"
	"holdfast/format/link"
)

// ErrNotOne: a link to several files cannot be written to one stream.
var ErrNotOne = errors.New("the link has several files; receive them into a folder with -o FOLDER")

// ReceiveOptions says where a link's files go.
type ReceiveOptions struct {
	Password string
	// Target is the file or folder to write; "" is the current folder, or, for
	// several things, a new folder in it. Stdout, if set, gets the content of a link
	// to one file instead.
	Target string
	Stdout io.Writer
	// Force replaces files that are there.
	Force bool
	Report
	// Opened is told once what the link holds, before the download is counted, unless
	// it opens a folder; may be nil. Its error ends the receive.
	Opened func(*Share) error
}

// Received is what a receive wrote.
type Received struct {
	Share *Share
	// Paths are the places of Share.Entries; empty with Stdout.
	Paths []string
	// Folder is where they were written; empty with Stdout.
	Folder string
	// Renamed are entries that are called otherwise here than by their sender.
	Renamed []descriptor.Renaming
	// Kept are the bytes that an earlier try had received.
	Kept int64
}

// Receive opens a link and writes what is in it. Repeated after an interruption it
// goes on, within the same counted download, with the same target. Where files are
// damaged (ErrIntegrity) all others are written.
func (c *Client) Receive(ctx context.Context, l link.Link, o ReceiveOptions) (*Received, error) {
	state, err := c.receiveState(l, o)
	if err != nil {
		return nil, err
	}
	got, err := c.receive(ctx, l, o, state)
	if err != nil {
		return nil, errors.Join(err, idle(state, err))
	}
	return got, state.Erase()
}

// idle lets go of a state, and erases one from which nothing can go on.
func idle(state *resume.Receive, why error) error {
	over := slices.ContainsFunc([]error{api.LinkExpired, api.LinkUsedUp, api.LinkRevoked, api.NotFound}, func(code error) bool { return errors.Is(why, code) })
	if state.Session == "" || over {
		return state.Erase()
	}
	return state.Close()
}

// receiveState is found again by link and target.
func (c *Client) receiveState(l link.Link, o ReceiveOptions) (*resume.Receive, error) {
	dir, err := c.home.Sub(resumeFolder)
	if err != nil {
		return nil, err
	}
	forget(dir, c.now())
	target := "-"
	if o.Stdout == nil {
		if target, err = filepath.Abs(o.Target); err != nil {
			return nil, fmt.Errorf("target: %w", err)
		}
	}
	sum := sha256.Sum256([]byte(c.server + "\x00" + l.Handle.String() + "\x00" + target))
	return resume.OpenReceive(filepath.Join(dir, "receive-"+hex.EncodeToString(sum[:16])))
}

func (c *Client) receive(ctx context.Context, l link.Link, o ReceiveOptions, state *resume.Receive) (*Received, error) {
	s, err := c.Open(ctx, l, OpenOptions{Password: o.Password, Session: state.Session, Report: o.Report})
	if err != nil {
		return nil, err
	}
	first := state.Session == ""
	if s.Folder() { // what is in it only a session shows
		if err := s.withSession(ctx, state, func() error { return s.Tree(ctx) }); err != nil {
			return nil, err
		}
	}
	if o.Opened != nil {
		if err := o.Opened(s); err != nil {
			return nil, err
		}
	}
	if o.Stdout != nil {
		return s.toStream(ctx, o.Stdout, state)
	}
	return s.toDisk(ctx, o, state, first)
}

// started remembers the download and starts it, in this order: one whose start
// was counted and then forgotten would be counted twice.
func (s *Share) started(ctx context.Context, state *resume.Receive) error {
	if token := s.Session(); token != state.Session {
		if err := state.SetSession(token); err != nil {
			return err
		}
	}
	return s.Start(ctx)
}

// withSession calls f, and once more if the session ended meanwhile.
func (s *Share) withSession(ctx context.Context, state *resume.Receive, f func() error) error {
	if err := s.started(ctx, state); err != nil {
		return err
	}
	err := f()
	if !errors.Is(err, api.SessionInvalid) {
		return err
	}
	s.over()
	if err := s.started(ctx, state); err != nil {
		return err
	}
	return f()
}

func (s *Share) toStream(ctx context.Context, w io.Writer, state *resume.Receive) (*Received, error) {
	if len(s.Entries) != 1 || s.Entries[0].Kind != descriptor.File {
		return nil, ErrNotOne
	}
	err := s.withSession(ctx, state, func() error { return s.Stream(ctx, 0, w) })
	if err != nil {
		return nil, err
	}
	return &Received{Share: s}, nil
}

// Stream writes the content of an entry, which must be a file, to w in order.
// Every byte was verified, but that the stream is whole and the one meant shows
// only at its end: when the error is not nil, what was written must not be used.
func (s *Share) Stream(ctx context.Context, entry int, w io.Writer) error {
	return s.stream(ctx, s.Entries[entry], w)
}

func (d *download) stream(ctx context.Context, of descriptor.Descriptor, w io.Writer) error {
	if of.Kind != descriptor.File {
		return fmt.Errorf("%s: %w", descriptor.Display(of.Path), ErrNotOne)
	}
	revs, err := d.revisions(ctx, []descriptor.Content{*of.Content})
	if err != nil {
		return err
	}
	err = d.pour(ctx, revs[of.Content.Revision], &written{w, d.report})
	if err != nil {
		return fmt.Errorf("%s: %w", descriptor.Display(of.Path), err)
	}
	return nil
}

// written reports what passes.
type written struct {
	io.Writer
	report Report
}

func (w *written) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.report.progress(Written, int64(n))
	return n, err
}

// where splits a target into the folder to write to and, for one file, its name.
func (s *Share) where(target string) (dir, name string) {
	if s.Bundle {
		if target == "" {
			return s.folder(), ""
		}
		return target, ""
	}
	if target == "" {
		return ".", ""
	}
	if info, err := os.Stat(target); err == nil && info.IsDir() || strings.HasSuffix(target, string(filepath.Separator)) {
		return target, ""
	}
	return filepath.Dir(target), filepath.Base(target)
}
