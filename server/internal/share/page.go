package share

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/format/id"
)

const (
	// PageExtents is how many extents one answer carries at most.
	PageExtents = 2048
	// maxAsked is how many revisions one request may name.
	maxAsked = 1 << 14
)

// Placed is a revision with the extents that an answer carries.
type Placed struct {
	Revision
	Extents []Ref
}

// Ref is an extent of a blob in the same answer.
type Ref struct {
	Blob           int // index into Page.Blobs
	Offset, Length int64
}

// Page is one answer: revisions, where their bytes are, and the right to read them.
type Page struct {
	Nodes     []Node
	Blobs     []PlacedBlob
	Tickets   []Ticket
	Revisions []Placed
	// Next is not empty where more revisions follow.
	Next string
}

// Revisions answers with the named revisions, or with all of the link's from
// the cursor on. A page ends before a revision whose extents do not fit; one
// that does not fit into a page of its own comes with the first of its extents.
func (s *Service) Revisions(ctx context.Context, handle id.Handle, session string, ids []id.Revision, cursor string) (*Page, error) {
	from, err := parseCursor(cursor, len(ids))
	if err != nil {
		return nil, fmt.Errorf("get revisions: %w", err)
	}
	desk, err := s.desk(ctx)
	if err != nil {
		return nil, fmt.Errorf("get revisions: %w", err)
	}
	var page *Page
	err = s.withSession(ctx, handle, session, func(_ Link, r Reader) error {
		if len(ids) > 0 {
			page, err = desk.named(ctx, r, ids, int(from))
		} else {
			page, err = desk.all(ctx, r, from)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("get revisions: %w", err)
	}
	return page, nil
}

func (s *Service) desk(ctx context.Context) (*Desk, error) {
	return OpenDesk(ctx, s.fleet, s.key, s.now)
}

// Desk gives out revisions of a Source, with their places and tickets. It knows the
// fleet as it was when it was opened.
type Desk struct {
	members []Node
	key     ed25519.PrivateKey // of tickets
	now     func() time.Time
}

// OpenDesk asks who is in the fleet, which is not done while a store is being read; key
// signs read tickets.
func OpenDesk(ctx context.Context, fleet Fleet, key ed25519.PrivateKey, now func() time.Time) (*Desk, error) {
	members, err := fleet.Members(ctx)
	if err != nil {
		return nil, err
	}
	return &Desk{members: members, key: key, now: now}, nil
}

// Named gives the named revisions of src from a cursor on, as Service.Revisions does.
func (d *Desk) Named(ctx context.Context, src Source, ids []id.Revision, cursor string) (*Page, error) {
	from, err := parseCursor(cursor, len(ids))
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("%w: no revision is named", ErrRequest)
	}
	return d.named(ctx, src, ids, int(from))
}

func (d *Desk) named(ctx context.Context, src Source, ids []id.Revision, from int) (*Page, error) {
	c := newCollector(src, PageExtents)
	next, err := collectNamed(ctx, c, ids, from)
	if err != nil {
		return nil, err
	}
	return d.finish(ctx, c, next)
}

func (d *Desk) all(ctx context.Context, r Reader, after int64) (*Page, error) {
	c := newCollector(r, PageExtents)
	next, err := collectAll(ctx, c, r, after)
	if err != nil {
		return nil, err
	}
	return d.finish(ctx, c, next)
}

// A cursor is a number: of the next named revision, or of the last position
// that was given out. Callers do not look into it.
func parseCursor(text string, named int) (int64, error) {
	if named > maxAsked {
		return 0, fmt.Errorf("%w: %d revisions asked for at once, at most %d", ErrRequest, named, maxAsked)
	}
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || named > 0 && n >= int64(named) || strings.HasPrefix(text, "+") {
		return 0, fmt.Errorf("%w: the cursor is none that was given out here", ErrRequest)
	}
	return n, nil
}

func collectNamed(ctx context.Context, c *collector, ids []id.Revision, from int) (next string, err error) {
	for i, revision := range ids[from:] {
		rev, err := c.source.RevisionByID(ctx, revision)
		if err != nil {
			return "", err
		}
		if !c.fits(rev) {
			return strconv.Itoa(from + i), nil
		}
		if err := c.add(ctx, rev); err != nil {
			return "", err
		}
	}
	return "", nil
}

func collectAll(ctx context.Context, c *collector, r Reader, after int64) (next string, err error) {
	// One more than fits: each has at least one extent.
	revisions, err := r.Revisions(ctx, after, PageExtents+1)
	if err != nil {
		return "", err
	}
	for _, rev := range revisions {
		if !c.fits(rev) {
			return strconv.FormatInt(after, 10), nil
		}
		if err := c.add(ctx, rev); err != nil {
			return "", err
		}
		after = rev.Position
	}
	return "", nil
}

// ExtentsPage is an answer to Extents.
type ExtentsPage struct {
	Page
	Extents []Ref
	Count   int
}

// Extents answers with count extents of one revision from number from on, and
// with fresh tickets for them. The listing of a bundle may be had with the auth
// value alone, as when looking.
func (s *Service) Extents(ctx context.Context, handle id.Handle, key Key, revision id.Revision, from, count int) (*ExtentsPage, error) {
	if key == (Key{}) {
		return nil, fmt.Errorf("get extents: %w: neither session nor auth value", ErrRequest)
	}
	desk, err := s.desk(ctx)
	if err != nil {
		return nil, fmt.Errorf("get extents: %w", err)
	}
	var page *ExtentsPage
	read := func(_ Link, r Reader) error {
		page, err = desk.Extents(ctx, r, revision, from, count)
		return err
	}
	if key.Session != "" {
		err = s.withSession(ctx, handle, key.Session, read)
	} else {
		err = s.withAuth(ctx, handle, key.Auth, func(l Link, r Reader) error {
			if err := s.lookable(ctx, l, r, key); err != nil {
				return err
			}
			if l.Listing.IsZero() || l.Listing != revision {
				return ErrSession
			}
			return read(l, r)
		})
	}
	if err != nil {
		return nil, fmt.Errorf("get extents: %w", err)
	}
	return page, nil
}

// Extents gives count extents of one revision of src from number from on.
func (d *Desk) Extents(ctx context.Context, src Source, revision id.Revision, from, count int) (*ExtentsPage, error) {
	if from < 0 || count < 1 {
		return nil, fmt.Errorf("%w: %d extents from %d on", ErrRequest, count, from)
	}
	rev, err := src.RevisionByID(ctx, revision)
	if err != nil {
		return nil, err
	}
	c := newCollector(src, min(count, PageExtents))
	if err := c.addFrom(ctx, rev, from); err != nil {
		return nil, err
	}
	p, err := d.finish(ctx, c, "")
	if err != nil {
		return nil, err
	}
	return &ExtentsPage{Page: *p, Extents: p.Revisions[0].Extents, Count: rev.Count}, nil
}

// collector gathers revisions and extents up to a number of extents.
type collector struct {
	source    Source
	room      int
	revisions []Revision
	extents   [][]Extent // of each revision
}

func newCollector(src Source, room int) *collector { return &collector{source: src, room: room} }

// fits tells whether all extents of r go into the page, or it is the first.
func (c *collector) fits(r Revision) bool { return len(c.revisions) == 0 || r.Count <= c.room }

func (c *collector) add(ctx context.Context, r Revision) error { return c.addFrom(ctx, r, 0) }

func (c *collector) addFrom(ctx context.Context, r Revision, from int) error {
	extents, err := c.source.Extents(ctx, r, from, c.room)
	if err != nil {
		return err
	}
	c.room -= len(extents)
	c.revisions = append(c.revisions, r)
	c.extents = append(c.extents, extents)
	return nil
}

// finish places what was collected and signs the tickets.
func (d *Desk) finish(ctx context.Context, c *collector, next string) (*Page, error) {
	p := newPlacer(d.members)
	for _, e := range slices.Concat(c.extents...) {
		if err := p.blob(ctx, c.source, e.Blob); err != nil {
			return nil, err
		}
		p.want(e)
	}
	expires := d.now().Add(ticketLife).Unix()
	tickets, err := p.tickets(d.key, expires)
	if err != nil {
		return nil, err
	}
	page := &Page{Nodes: p.nodes, Blobs: p.placed, Tickets: tickets, Revisions: []Placed{}, Next: next}
	for i, rev := range c.revisions {
		refs := make([]Ref, len(c.extents[i]))
		for n, e := range c.extents[i] {
			refs[n] = Ref{Blob: p.find(e), Offset: e.Offset, Length: e.Length}
		}
		page.Revisions = append(page.Revisions, Placed{Revision: rev, Extents: refs})
	}
	return page, nil
}
