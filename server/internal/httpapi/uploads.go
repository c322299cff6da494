package httpapi

import (
	"context"
	"strconv"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/server/internal/share"
	"holdfast/server/internal/upload"
)

func (s *server) getInfo(ctx context.Context, _ api.Request, _ api.Empty) (api.ServiceInfo, error) {
	limits, accepting, err := s.limits(ctx)
	if err != nil {
		return api.ServiceInfo{}, problem(err)
	}
	version, _, err := s.Fleet.Origins(ctx)
	if err != nil {
		return api.ServiceInfo{}, problem(err)
	}
	nodes, err := s.Fleet.Serving(ctx)
	if err != nil {
		return api.ServiceInfo{}, problem(err)
	}
	return api.ServiceInfo{
		Protocol: api.Version, Software: s.Software, Limits: limits, Fleet: version, Nodes: nodes, Accepting: accepting,
	}, nil
}

func (s *server) limits(ctx context.Context) (api.Limits, bool, error) {
	room, err := s.Uploads.Room(ctx)
	if err != nil {
		return api.Limits{}, false, err
	}
	l := s.Uploads.Limits()
	return api.Limits{
		MaxUploadBytes: l.UploadBytes, DefaultDays: l.DefaultDays, MaxDays: l.Days, MaxDownloads: l.Downloads, FreeBytes: room.Bytes,
	}, room.Accepting, nil
}

func (s *server) openUpload(ctx context.Context, _ api.Request, req api.OpenUploadRequest) (api.UploadGrant, error) {
	grant, err := s.Uploads.Open(ctx, req.Bytes, req.Days)
	return s.grant(ctx, grant, err)
}

// owner lets in who has the upload's secret.
func (s *server) owner(ctx context.Context, r api.Request) error {
	upload, err := pathID[id.Upload](r, "upload", api.UploadUnknown)
	if err != nil {
		return err
	}
	return problem(s.Uploads.Admit(ctx, upload, r.Secret))
}

func (s *server) getUpload(ctx context.Context, r api.Request, _ api.Empty) (api.UploadGrant, error) {
	upload, err := pathID[id.Upload](r, "upload", api.UploadUnknown)
	if err != nil {
		return api.UploadGrant{}, err
	}
	grant, err := s.Uploads.Get(ctx, upload, r.Secret)
	return s.grant(ctx, grant, err)
}

func (s *server) extendUpload(ctx context.Context, r api.Request, req api.ExtendUploadRequest) (api.UploadGrant, error) {
	upload, err := pathID[id.Upload](r, "upload", api.UploadUnknown)
	if err != nil {
		return api.UploadGrant{}, err
	}
	grant, err := s.Uploads.Extend(ctx, upload, r.Secret, req.Bytes)
	return s.grant(ctx, grant, err)
}

func (s *server) grant(ctx context.Context, g upload.Grant, err error) (api.UploadGrant, error) {
	if err != nil {
		return api.UploadGrant{}, problem(err)
	}
	limits, _, err := s.limits(ctx)
	if err != nil {
		return api.UploadGrant{}, problem(err)
	}
	limits.MaxUploadBytes = g.Most
	version, _, err := s.Fleet.Origins(ctx)
	if err != nil {
		return api.UploadGrant{}, problem(err)
	}
	return api.UploadGrant{
		Upload: g.Upload, Secret: g.Secret, Ticket: g.Ticket, Nodes: uploadNodes(g.Nodes), Budget: g.Budget,
		Expires: g.Expires, Closes: g.Closes, Limits: limits, Fleet: version,
	}, nil
}

func uploadNodes(nodes []upload.Node) []api.Node {
	out := []api.Node{}
	for _, n := range nodes {
		out = append(out, api.Node{ID: n.ID, URL: n.URL, Declaration: n.Declaration})
	}
	return out
}

func (s *server) stagePage(ctx context.Context, r api.Request, req api.Page) (api.Empty, error) {
	wanted, err := pathID[id.Upload](r, "upload", api.UploadUnknown)
	if err != nil {
		return api.Empty{}, err
	}
	number, err := strconv.Atoi(r.PathValue("page"))
	if err != nil || strconv.Itoa(number) != r.PathValue("page") {
		return api.Empty{}, api.NewProblem(api.BadRequest, "The page in the path has to be a number.")
	}
	page, err := toPage(req)
	if err != nil {
		return api.Empty{}, err
	}
	return api.Empty{}, problem(s.Uploads.Stage(ctx, wanted, r.Secret, number, page))
}

func (s *server) commitUpload(ctx context.Context, r api.Request, req api.CommitRequest) (api.CommitResponse, error) {
	wanted, err := pathID[id.Upload](r, "upload", api.UploadUnknown)
	if err != nil {
		return api.CommitResponse{}, err
	}
	page, err := toPage(req.Page)
	if err != nil {
		return api.CommitResponse{}, err
	}
	record, err := bytesOf("link.record", req.Link.Record)
	if err != nil {
		return api.CommitResponse{}, err
	}
	done, holders, err := s.Uploads.Commit(ctx, wanted, r.Secret, &upload.Commit{
		Pages: req.Pages, Page: *page,
		Link: share.Spec{
			Handle: req.Link.Handle, Auth: req.Link.AuthHash, Manage: req.Link.ManageHash, Record: record,
			Listing: req.Link.Listing, Expires: req.Link.Expires, MaxDownloads: req.Link.Downloads,
		},
	})
	if err != nil {
		return api.CommitResponse{}, problem(err)
	}
	return api.CommitResponse{Expires: done.Expires, Copies: uploadNodes(holders)}, nil
}

func (s *server) abandonUpload(ctx context.Context, r api.Request, _ api.Empty) (api.Empty, error) {
	wanted, err := pathID[id.Upload](r, "upload", api.UploadUnknown)
	if err != nil {
		return api.Empty{}, err
	}
	return api.Empty{}, problem(s.Uploads.Abandon(ctx, wanted, r.Secret))
}

// toPage decodes what JSON leaves as text.
func toPage(req api.Page) (*upload.Page, error) {
	p := &upload.Page{Receipts: req.Receipts}
	for _, b := range req.Blobs {
		p.Blobs = append(p.Blobs, upload.Blob{Name: b.Name, Size: b.Size})
	}
	for _, r := range req.Revisions {
		prefix, err := bytesOf("prefix", r.Prefix)
		if err != nil {
			return nil, err
		}
		rev := upload.Revision{
			ID: r.ID, ReleaseKey: r.ReleaseKey, Commitment: r.Commitment, Root: r.Root, Salt: r.Salt, Length: r.Length,
		}
		if copy(rev.Prefix[:], prefix) != len(rev.Prefix) || len(prefix) != len(rev.Prefix) {
			return nil, api.NewProblem(api.RevisionInvalid, "Revision %s: a nonce prefix has %d bytes.", r.ID, len(rev.Prefix))
		}
		for _, e := range r.Extents {
			rev.Extents = append(rev.Extents, upload.Extent{Blob: e[0], Offset: e[1], Length: e[2]})
		}
		p.Revisions = append(p.Revisions, rev)
	}
	return p, nil
}
