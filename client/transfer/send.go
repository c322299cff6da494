package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"holdfast/api"
	"holdfast/client/fleet"
	"holdfast/client/home"
	"holdfast/client/source"
	"holdfast/format/descriptor"
	"holdfast/format/link"
)

// Errors of Send.
var (
	// ErrLimit: more than the server allows. Nothing was sent.
	ErrLimit = errors.New("more than this server allows")
	// ErrUnsettled: a file was different each time it was read.
	ErrUnsettled = errors.New("keeps changing; nothing was published. Send it once it rests")
)

const (
	// inFlight is how many blobs are on their way at once.
	inFlight = 4
	// sealers is how many blobs are made or on their way; each takes 8 MiB.
	sealers = inFlight + 2
	// maxRounds bounds how often a send starts over because files changed.
	maxRounds = 5
	day       = 24 * time.Hour
)

// SendOptions says what to send, and how the link is to be.
type SendOptions struct {
	// Paths are files and folders. Stdin, if set, is sent instead, as one file of
	// unknown length; it cannot be resumed.
	Paths []string
	Stdin io.Reader
	// Name is the file's name (several files: the bundle's title) instead of its own.
	Name string
	// Expires is how long the link shall live; 0 is the server's default.
	Expires time.Duration
	// Downloads limits them; 0 is no limit.
	Downloads int64
	Password  string
	Report
	// Planned is told once what is sent, before the first byte leaves; may be nil.
	Planned func(Plan)
}

// Plan is what a send is about to do.
type Plan struct {
	Name           string
	Files, Folders int64
	// Bytes as they are, Stored as they will be at each node; -1 if unknown.
	Bytes, Stored int64
	Skipped       []source.Skipped
	Limits        api.Limits
	Days          int
	// Resumed tells that an earlier try is taken up, Kept how many stored bytes of
	// it are used.
	Resumed bool
	Kept    int64
}

// Result is a send that is done.
type Result struct {
	home.Send
	Link link.Link
	URL  string
	// Nodes hold the copies, by checked receipts.
	Nodes []fleet.Node
	erase func() error
}

// Forget erases what was kept to resume, keys included. Call it once the link
// has been handed over: until then, the same send again returns the same link.
func (r *Result) Forget() error { return r.erase() }

// Send seals, stores and publishes. Repeating a send that was interrupted goes on
// where it was, except with Stdin.
func (c *Client) Send(ctx context.Context, o SendOptions) (*Result, error) {
	tree, err := o.walk(ctx)
	if err != nil {
		return nil, err
	}
	info, err := c.Info(ctx)
	if err != nil {
		return nil, err
	}
	if o.Expires == 0 {
		o.Expires = time.Duration(info.Limits.DefaultDays) * day
	}
	s := newSend(c, o, tree, info)
	if err := s.outline(); err != nil {
		return nil, err
	}
	if o.Stdin != nil {
		return s.stream(ctx)
	}
	return s.resumable(ctx)
}

func (o SendOptions) walk(ctx context.Context) (source.Tree, error) {
	if o.Name != "" {
		if err := descriptor.CheckName(o.Name); err != nil {
			return source.Tree{}, fmt.Errorf("name: %w", err)
		}
	}
	if o.Stdin != nil {
		return source.Tree{}, nil
	}
	return source.Walk(ctx, o.Paths)
}

// send is one send under way.
type send struct {
	storing
	o      SendOptions
	info   api.ServiceInfo
	keys   link.Keys
	link   link.Link
	manage link.Secret
}

func newSend(c *Client, o SendOptions, tree source.Tree, info api.ServiceInfo) *send {
	return &send{
		storing: storing{c: c, report: o.Report, planned: o.Planned, tree: tree, title: o.Name},
		o:       o, info: info,
	}
}

// name is what people will see.
func (s *send) name() string {
	switch single := s.tree.Single(); {
	case s.o.Name != "":
		return s.o.Name
	case s.o.Stdin != nil:
		return "stdin"
	case single != nil:
		return single.Path
	case s.oneTop():
		return s.tree.Entries[0].Path
	default:
		return fmt.Sprintf("%d files", s.plan.Files)
	}
}

// oneTop tells whether all of a bundle is in one folder.
func (s *send) oneTop() bool {
	top := s.tree.Entries[0]
	if !top.Folder {
		return false
	}
	for _, e := range s.tree.Entries[1:] {
		if len(e.Path) <= len(top.Path) || e.Path[:len(top.Path)+1] != top.Path+"/" {
			return false
		}
	}
	return true
}

// outline fills the plan and holds it against the server's limits.
func (s *send) outline() error {
	s.count()
	p := &s.plan
	p.Limits = s.info.Limits
	if s.o.Stdin != nil {
		p.Files, p.Bytes = 1, -1
	}
	p.Name = s.name()
	p.Days = int((s.o.Expires + day - 1) / day)
	l := s.info.Limits
	switch {
	case p.Days > l.MaxDays:
		return fmt.Errorf("%w: links live %d days at most", ErrLimit, l.MaxDays)
	case s.o.Downloads > l.MaxDownloads:
		return fmt.Errorf("%w: %d downloads at most", ErrLimit, l.MaxDownloads)
	case s.o.Expires <= 0 || s.o.Downloads < 0:
		return fmt.Errorf("%w: nothing expires before it was sent", ErrLimit)
	}
	return nil
}

// fits holds the sealed size against the limits, before anything is reserved.
func (s *send) fits(stored int64) error {
	l := s.info.Limits
	switch {
	case stored > l.MaxUploadBytes:
		return fmt.Errorf("%w: this takes %d bytes sealed, it stores %d at most in one send", ErrLimit, stored, l.MaxUploadBytes)
	case !s.info.Accepting:
		return api.NewProblem(api.NoPlacement, "The server has no two independent storage nodes at the moment. Try again later.")
	}
	return nil
}
