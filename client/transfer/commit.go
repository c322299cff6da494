package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"holdfast/api"
	"holdfast/client/fleet"
	"holdfast/client/home"
	"holdfast/client/source"
	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/link"
)

// pending is a commit that was sent, or was about to be: sent again it gets the
// same answer.
type pending struct {
	Request api.CommitRequest `json:"request"`
}

// commit publishes what is stored. The request is durable before it is sent, so
// that whatever happens to its answer, the next try asks for the same.
func (s *send) commit(ctx context.Context, path string) (*Result, error) {
	spec, err := s.spec()
	if err != nil {
		return nil, err
	}
	last, page, nodes, err := s.closing(ctx)
	if err != nil {
		return nil, err
	}
	req := api.CommitRequest{Pages: last, Page: page, Link: spec}
	if path != "" {
		raw, err := json.Marshal(pending{req})
		if err != nil {
			return nil, fmt.Errorf("commit: %w", err)
		}
		if err := home.WriteFile(path, raw); err != nil {
			return nil, err
		}
	}
	answer, err := s.publish(ctx, req)
	if err != nil {
		return nil, errors.Join(err, s.undo(ctx, path, err))
	}
	return s.result(req, answer, nodes)
}

// undo clears away a commit that was refused for good, so that the next try
// begins anew. One that was not answered stays.
func (s *send) undo(ctx context.Context, path string, err error) error {
	var p *api.Problem
	if _, again := waits(err, 0); again || !errors.As(err, &p) || path == "" {
		return nil
	}
	return errors.Join(s.abandon(ctx, s.state.Head.Upload), home.Remove(path))
}

func (s *storing) stage(ctx context.Context, number int, p api.Page) error {
	args := s.args(s.state.Head.Upload)
	args.Path["page"] = strconv.Itoa(number)
	_, err := retry(ctx, s.c, s.c.patience(), func(ctx context.Context) (api.Empty, error) {
		return api.StagePage.Call(ctx, s.c.caller(), args, p)
	})
	return err
}

func (s *send) publish(ctx context.Context, req api.CommitRequest) (api.CommitResponse, error) {
	return retry(ctx, s.c, s.c.patience(), func(ctx context.Context) (api.CommitResponse, error) {
		return api.CommitUpload.Call(ctx, s.c.caller(), s.args(s.state.Head.Upload), req)
	})
}

// spec is the link with its sealed record.
func (s *send) spec() (api.LinkSpec, error) {
	var record link.Record
	var listing id.Revision
	if s.listing == nil {
		record = link.ForFile(s.files[0].describe(s.name()))
	} else {
		b, err := s.bundle()
		if err != nil {
			return api.LinkSpec{}, err
		}
		if record, err = link.ForBundle(s.listing.content(), b); err != nil {
			return api.LinkSpec{}, err
		}
		listing = s.listing.Revision
	}
	sealed, err := link.SealRecord(s.keys.Record, s.link.Handle, record)
	if err != nil {
		return api.LinkSpec{}, err
	}
	return api.LinkSpec{
		Handle: s.link.Handle, AuthHash: link.AuthHash(s.keys.Auth), ManageHash: link.ManageHash(s.link.Handle, s.manage),
		Record: id.Encoding.EncodeToString(sealed), Listing: listing,
		Expires: s.c.now().Add(s.o.Expires).Unix(), Downloads: s.o.Downloads,
	}, nil
}

// pages cuts what is to be committed into pages that the server takes.
func (s *storing) pages(names []id.Name, receipts []string) []api.Page {
	var b book
	for i, u := range s.units {
		b.room(90) // a name of 43 characters, a number and their keys
		b.page().Blobs = append(b.page().Blobs, api.BlobEntry{Name: names[i], Size: u.size})
	}
	for _, text := range receipts {
		b.room(len(text) + 4)
		b.page().Receipts = append(b.page().Receipts, text)
	}
	for _, r := range s.revisions() {
		b.room(described(len(r.Extents))) // describable was asked before anything was sent
		b.page().Revisions = append(b.page().Revisions, r)
	}
	return b.pages
}

// described is how many bytes of a page a file takes that lies in so many blobs.
func described(blobs int) int { return 420 + 30*blobs }

// describable fails with ErrLimit for a file that lies in more blobs than a page,
// which holds all that is said of it, can tell of.
func describable(blobs int) error {
	if described(blobs) <= pageRoom {
		return nil
	}
	most := int64((pageRoom-described(0))/(described(1)-described(0))) * blob.MaxSize
	return fmt.Errorf("%w: one file has up to %d bytes; send it in parts", ErrLimit, most)
}

// pageRoom leaves room for the link, whose record has up to 64 KiB.
const pageRoom = api.MaxPage - 256<<10

// book is a sequence of pages.
type book struct {
	pages []api.Page
	used  int
}

func (b *book) page() *api.Page { return &b.pages[len(b.pages)-1] }

// room turns the page when n bytes do not fit any more.
func (b *book) room(n int) {
	if len(b.pages) == 0 || b.used+n > pageRoom {
		b.pages = append(b.pages, api.Page{})
		b.used = 0
	}
	b.used += n
}

// revisions are all revisions with their extents, in the order of their first blobs.
func (s *storing) revisions() []api.RevisionEntry {
	index := map[*file]int{}
	var out []api.RevisionEntry
	for number, u := range s.units {
		for _, p := range u.parts {
			i, known := index[p.file]
			if !known {
				i = len(out)
				index[p.file] = i
				out = append(out, p.file.head())
			}
			out[i].Extents = append(out[i].Extents, api.Extent{int64(number), p.offset, p.length})
		}
	}
	return out
}

func (f *file) head() api.RevisionEntry {
	content := f.content()
	return api.RevisionEntry{RevisionHead: api.RevisionHead{
		ID: f.Revision, ReleaseKey: f.R, Commitment: content.Commitment, Root: content.Root,
		Salt: f.Salt, Prefix: id.Encoding.EncodeToString(f.Prefix[:]), Length: f.length,
	}}
}

// result remembers the send and says what came of it.
func (s *send) result(req api.CommitRequest, answer api.CommitResponse, nodes []fleet.Node) (*Result, error) {
	r := &Result{
		Link: s.link, URL: s.link.URL(s.c.server), Nodes: nodes, erase: func() error { return nil },
		Send: home.Send{
			Server: s.c.server, Handle: s.link.Handle, Manage: s.manage.Reveal(), Name: s.plan.Name,
			Files: s.plan.Files, Bytes: s.plan.Bytes, Created: s.c.now().Unix(), Expires: answer.Expires, Limit: req.Link.Downloads,
		},
	}
	for _, n := range nodes {
		r.Places = append(r.Places, n.Label())
	}
	return r, s.c.home.SaveSend(r.Send)
}

// settle finishes a commit whose answer an earlier try did not get. It returns
// nil without an error where there is none, or where it is for other content or
// another password: then what it may have published is taken back, unless an
// earlier try remembered it as sent: somebody may have that link.
func (s *send) settle(ctx context.Context, path string) (*Result, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("state of the transfer: %w", err)
	}
	var p pending
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, fmt.Errorf("state of the transfer: %s: %w", path, err)
	}
	h := s.state.Head
	if err := s.recorded(); err != nil {
		return nil, err
	}
	if s.unchanged() && !s.listingChanged(s.state) && link.SameHash(link.AuthHash(s.keys.Auth), p.Request.Link.AuthHash) {
		answer, err := s.publish(ctx, p.Request)
		if err == nil {
			return s.settled(p.Request, answer)
		}
		var problem *api.Problem
		if _, again := waits(err, 0); again || !errors.As(err, &problem) {
			return nil, err
		}
	}
	_, err = s.c.home.FindSend(h.Handle)
	if errors.Is(err, home.ErrUnknownSend) {
		err = s.takeBack(ctx)
	}
	if err != nil {
		return nil, err
	}
	s.state = nil
	return nil, nil
}

// takeBack gives up an upload of which a commit was asked for, and revokes what
// it may have published, in this order: what was given up publishes nothing any more.
func (s *send) takeBack(ctx context.Context) error {
	if err := s.abandon(ctx, s.state.Head.Upload); err != nil {
		return err
	}
	if err := s.c.Revoke(ctx, s.link.Handle, s.manage); err != nil && !errors.Is(err, api.NotFound) {
		return err
	}
	return nil
}

func (s *send) settled(req api.CommitRequest, answer api.CommitResponse) (*Result, error) {
	nodes, err := fleet.CheckAll(answer.Copies, s.c.local)
	if err != nil {
		return nil, err
	}
	s.plan.Resumed, s.plan.Kept = true, s.plan.Bytes
	s.announce()
	return s.result(req, answer, nodes)
}

// unchanged tells whether everything is as it was when the log was begun.
func (s *storing) unchanged() bool {
	stamps := map[string]source.Stamp{}
	for _, f := range s.state.Files {
		if f.Number != listingNumber {
			stamps[f.Local] = f.Stamp
		}
	}
	for _, e := range s.entries() {
		stamp, known := stamps[e.Local]
		if !known || stamp != e.Stamp {
			return false
		}
		delete(stamps, e.Local)
	}
	return len(stamps) == 0
}
