package httpapi

import (
	"context"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/server/internal/share"
)

func (s *server) lookLink(ctx context.Context, r api.Request, req api.LinkAuth) (api.LinkLook, error) {
	handle, err := pathID[id.Handle](r, "handle", api.NotFound)
	if err != nil {
		return api.LinkLook{}, err
	}
	view, err := s.Links.Look(ctx, handle, share.Key{Auth: req.Auth, Session: req.Session})
	if err != nil {
		return api.LinkLook{}, problem(err)
	}
	look := api.LinkLook{
		Record: id.Encoding.EncodeToString(view.Record), Expires: view.Expires, DownloadsLeft: left(view.Link), Copies: shareNodes(view.Copies),
	}
	if view.Listing != nil {
		page := revisionsPage(view.Listing)
		look.Listing = &page
	}
	return look, nil
}

func (s *server) startSession(ctx context.Context, r api.Request, req api.LinkAuth) (api.LinkSession, error) {
	handle, err := pathID[id.Handle](r, "handle", api.NotFound)
	if err != nil {
		return api.LinkSession{}, err
	}
	started, err := s.Links.Start(ctx, handle, share.Key{Auth: req.Auth, Session: req.Session})
	if err != nil {
		return api.LinkSession{}, problem(err)
	}
	return api.LinkSession{Expires: started.Ends, DownloadsLeft: left(started.Link)}, nil
}

func (s *server) getRevisions(ctx context.Context, r api.Request, req api.RevisionsRequest) (api.RevisionsPage, error) {
	handle, err := pathID[id.Handle](r, "handle", api.NotFound)
	if err != nil {
		return api.RevisionsPage{}, err
	}
	page, err := s.Links.Revisions(ctx, handle, req.Session, req.Revisions, req.Cursor)
	if err != nil {
		return api.RevisionsPage{}, problem(err)
	}
	return revisionsPage(page), nil
}

func (s *server) getExtents(ctx context.Context, r api.Request, req api.ExtentsRequest) (api.ExtentsPage, error) {
	handle, err := pathID[id.Handle](r, "handle", api.NotFound)
	if err != nil {
		return api.ExtentsPage{}, err
	}
	page, err := s.Links.Extents(ctx, handle, share.Key{Auth: req.Auth, Session: req.Session}, req.Revision, req.From, req.Count)
	if err != nil {
		return api.ExtentsPage{}, problem(err)
	}
	return api.ExtentsPage{Places: places(&page.Page), Extents: refs(page.Extents), ExtentCount: page.Count}, nil
}

func (s *server) linkStatus(ctx context.Context, r api.Request, _ api.Empty) (api.LinkState, error) {
	handle, err := pathID[id.Handle](r, "handle", api.NotFound)
	if err != nil {
		return api.LinkState{}, err
	}
	st, err := s.Links.Status(ctx, handle, r.Secret)
	if err != nil {
		return api.LinkState{}, problem(err)
	}
	return api.LinkState{
		State: st.State.String(), Expires: st.Expires, Downloads: st.Downloads, Limit: st.Limit, Bytes: st.Bytes, Copies: shareNodes(st.Copies),
	}, nil
}

func (s *server) revokeLink(ctx context.Context, r api.Request, _ api.Empty) (api.Empty, error) {
	handle, err := pathID[id.Handle](r, "handle", api.NotFound)
	if err != nil {
		return api.Empty{}, err
	}
	return api.Empty{}, problem(s.Links.Revoke(ctx, handle, r.Secret))
}

func left(l share.Link) *int64 {
	n, limited := l.Left()
	if !limited {
		return nil
	}
	return &n
}

func shareNodes(nodes []share.Node) []api.Node {
	out := []api.Node{}
	for _, n := range nodes {
		out = append(out, api.Node{ID: n.ID, URL: n.URL, Declaration: n.Declaration})
	}
	return out
}

func revisionsPage(p *share.Page) api.RevisionsPage {
	out := api.RevisionsPage{Places: places(p), Revisions: []api.PlacedRevision{}, Next: p.Next}
	for _, r := range p.Revisions {
		out.Revisions = append(out.Revisions, api.PlacedRevision{
			RevisionHead: api.RevisionHead{
				ID: r.ID, ReleaseKey: r.ReleaseKey, Commitment: r.Commitment, Root: r.Root, Salt: r.Salt,
				Prefix: id.Encoding.EncodeToString(r.Prefix[:]), Length: r.Length,
			},
			Extents: refs(r.Extents), ExtentCount: r.Count,
		})
	}
	return out
}

func places(p *share.Page) api.Places {
	out := api.Places{Nodes: shareNodes(p.Nodes), Blobs: []api.PlacedBlob{}, Tickets: []api.PlaceTicket{}}
	for _, b := range p.Blobs {
		out.Blobs = append(out.Blobs, api.PlacedBlob{Upload: b.Upload, Name: b.Name, Size: b.Size, Nodes: b.Nodes, Ticket: b.Ticket})
	}
	for _, t := range p.Tickets {
		out.Tickets = append(out.Tickets, api.PlaceTicket{Ticket: t.Text, Expires: t.Expires})
	}
	return out
}

func refs(extents []share.Ref) []api.Extent {
	out := make([]api.Extent, len(extents))
	for i, e := range extents {
		out[i] = api.Extent{int64(e.Blob), e.Offset, e.Length}
	}
	return out
}
