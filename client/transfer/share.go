package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"holdfast/api"
	"holdfast/client/fleet"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/link"
)

// ErrIntegrity wraps every failure that means: what came is not what was shared.
var ErrIntegrity = errors.New("what came is not what was shared; it was not kept")

func integrity(err error) error { return fmt.Errorf("%w: %w", ErrIntegrity, err) }

// Share is an opened link: what is in it, as the sender sealed it.
type Share struct {
	// Entries are the files and folders; of a link to one file, that file.
	Entries []descriptor.Descriptor
	// Bundle tells whether the link lists files, Title is the list's, if it has one.
	Bundle bool
	Title  string
	// Expires in Unix seconds, 0 for never; Left are the downloads, nil where they are not limited.
	Expires int64
	Left    *int64
	// Nodes hold the copies, as far as the server says.
	Nodes []fleet.Node

	*download
	link     link.Link
	keys     link.Keys
	folderOf *link.Folder // of a link to a folder

	mu      sync.Mutex // guards what follows
	session string     // its token, drawn here; empty until one is needed
	begun   bool       // the server knows it
}

// OpenOptions of Open.
type OpenOptions struct {
	Password string
	// Session of a download that was started before, which may look even when no
	// downloads are left.
	Session string
	Report
}

// Open looks at a link. This is free; what follows counts as one download. The
// error is link.ErrPasswordNeeded where one is missing, and api.WrongKey where it
// is the wrong one.
func (c *Client) Open(ctx context.Context, l link.Link, o OpenOptions) (*Share, error) {
	keys, err := l.Keys(o.Password)
	if err != nil {
		return nil, err
	}
	look, err := retry(ctx, c, firstPatience, func(ctx context.Context) (api.LinkLook, error) {
		return api.LookLink.Call(ctx, c.caller(), handleArgs(l.Handle), api.LinkAuth{Auth: id.Bytes32(keys.Auth), Session: o.Session})
	})
	if err != nil {
		return nil, err
	}
	s := &Share{
		Expires: look.Expires, Left: look.DownloadsLeft, link: l, keys: keys, session: o.Session,
	}
	s.download = newDownload(c, o.Report, linked{s})
	if s.Nodes, err = fleet.CheckAll(look.Copies, c.local); err != nil {
		return nil, err
	}
	raw, err := id.Encoding.DecodeString(look.Record)
	if err != nil {
		return nil, integrity(fmt.Errorf("the link's record: %w", err))
	}
	record, err := link.OpenRecord(keys.Record, l.Handle, raw)
	if err != nil {
		return nil, integrity(err)
	}
	if record.Kind == link.OfFolder {
		s.folderOf, s.Title, s.Bundle = record.Folder, record.Folder.Name, true
		return s, nil
	}
	if record.Kind == link.OneFile {
		s.Entries = []descriptor.Descriptor{*record.File}
		return s, nil
	}
	return s, s.list(ctx, record, look.Listing)
}

func handleArgs(handle id.Handle) api.Args {
	return api.Args{Path: map[string]string{"handle": handle.String()}}
}

// list fetches and opens a bundle's listing.
func (s *Share) list(ctx context.Context, record link.Record, page *api.RevisionsPage) error {
	if page == nil || len(page.Revisions) != 1 {
		return fmt.Errorf("%w (the listing is missing)", ErrAnswer)
	}
	content := *record.Bundle
	if content.Size > descriptor.MaxBundle {
		return integrity(fmt.Errorf("a listing of %d bytes", content.Size))
	}
	where, err := s.places(page.Places)
	if err != nil {
		return err
	}
	rev, err := s.revision(page.Revisions[0], content, where)
	if err != nil {
		return err
	}
	rev.from = byKey{linked{s}}
	var text bytes.Buffer
	text.Grow(int(content.Size))
	if err := s.pour(ctx, rev, &text); err != nil {
		return fmt.Errorf("the list of files: %w", err)
	}
	b, err := descriptor.DecodeBundle(text.Bytes())
	if err != nil {
		return integrity(err)
	}
	if err := record.Matches(b); err != nil {
		return integrity(err)
	}
	s.Entries, s.Title, s.Bundle = b.Entries, b.Title, true
	return nil
}

// Start starts the download, which counts it, unless that was done before with
// the same Session: within 24 hours that goes on with it. When the answer is lost
// it may have counted, so that it is asked again with the same token.
func (s *Share) Start(ctx context.Context) error {
	token := s.Session()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun {
		return nil
	}
	answer, err := retry(ctx, s.c, s.c.patience(), func(ctx context.Context) (api.LinkSession, error) {
		return api.StartSession.Call(ctx, s.c.caller(), handleArgs(s.link.Handle), api.LinkAuth{Auth: id.Bytes32(s.keys.Auth), Session: token})
	})
	if err != nil {
		return err
	}
	s.begun, s.Left = true, answer.DownloadsLeft
	return nil
}

// over notes that the server does not know the session any more.
func (s *Share) over() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = false
}

// Session is the token of the download's session. Whoever wants to resume keeps
// it before Start is called.
func (s *Share) Session() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session == "" {
		s.session = id.Bytes32(id.New32()).String()
	}
	return s.session
}

// Totals are the files in the share and their bytes.
func (s *Share) Totals() (files, size int64) {
	for _, d := range s.Entries {
		if d.Kind == descriptor.File {
			files++
			size += d.Content.Size
		}
	}
	return files, size
}

// linked is a link whose download was started: an origin.
type linked struct{ s *Share }

func (l linked) revisions(ctx context.Context, want []id.Revision) (api.RevisionsPage, error) {
	req := api.RevisionsRequest{Session: l.s.Session(), Revisions: want}
	return api.GetRevisions.Call(ctx, l.s.c.caller(), handleArgs(l.s.link.Handle), req)
}

func (l linked) extents(ctx context.Context, r id.Revision, from, count int) (api.ExtentsPage, error) {
	req := api.ExtentsRequest{Session: l.s.Session(), Revision: r, From: from, Count: count}
	return api.GetExtents.Call(ctx, l.s.c.caller(), handleArgs(l.s.link.Handle), req)
}

func (linked) apart(_ []descriptor.Descriptor, todo []int) [][]int { return [][]int{todo} }

// byKey is a link of which only the listing can be had: by its key, without a session.
type byKey struct{ linked }

func (b byKey) extents(ctx context.Context, r id.Revision, from, count int) (api.ExtentsPage, error) {
	req := api.ExtentsRequest{Auth: id.Bytes32(b.s.keys.Auth), Revision: r, From: from, Count: count}
	return api.GetExtents.Call(ctx, b.s.c.caller(), handleArgs(b.s.link.Handle), req)
}
