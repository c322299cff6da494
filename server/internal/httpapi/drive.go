package httpapi

import (
	"context"
	"fmt"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/server/internal/account"
	"holdfast/server/internal/drive"
)

// member lets in who has a session, before a body is read.
func (s *server) member(ctx context.Context, r api.Request) error {
	_, err := s.bearer(ctx, r)
	return err
}

// inFolder finds the bearer and the folder that the path names.
func (s *server) inFolder(ctx context.Context, r api.Request) (account.Bearer, id.Folder, error) {
	b, err := s.bearer(ctx, r)
	if err != nil {
		return b, id.Folder{}, err
	}
	folder, err := pathID[id.Folder](r, "folder", api.NotFound)
	return b, folder, err
}

// all decodes texts of a list.
func (d *raw) all(field string, texts []string) [][]byte {
	out := make([][]byte, len(texts))
	for i, text := range texts {
		out[i] = d.bytes(field, text)
	}
	return out
}

func texts(all [][]byte) []string {
	out := make([]string, len(all))
	for i, b := range all {
		out[i] = text(b)
	}
	return out
}

func hashes[From, To ~[32]byte](all []From) []To {
	out := make([]To, len(all))
	for i, h := range all {
		out[i] = To(h)
	}
	return out
}

func (s *server) openDriveUpload(ctx context.Context, r api.Request, req api.OpenDriveUploadRequest) (api.UploadGrant, error) {
	b, err := s.bearer(ctx, r)
	if err != nil {
		return api.UploadGrant{}, err
	}
	grant, err := s.Uploads.OpenFor(ctx, b.ID, req.Bytes)
	return s.grant(ctx, grant, err)
}

func (s *server) readFolders(ctx context.Context, r api.Request, req api.ReadFoldersRequest) (api.ReadFoldersResponse, error) {
	b, err := s.bearer(ctx, r)
	if err != nil {
		return api.ReadFoldersResponse{}, err
	}
	parts, err := s.Drives.Read(ctx, b.ID, toPoints(req.Folders))
	return folderParts(parts), problem(err)
}

func toPoints(folders []api.FolderPoint) []drive.Point {
	points := make([]drive.Point, len(folders))
	for i, p := range folders {
		points[i] = drive.Point{Folder: p.Folder, After: p.After}
	}
	return points
}

func folderParts(parts []drive.Part) api.ReadFoldersResponse {
	out := api.ReadFoldersResponse{Folders: make([]api.FolderPart, len(parts))}
	for i, p := range parts {
		out.Folders[i] = folderPart(p)
	}
	return out
}

func folderPart(p drive.Part) api.FolderPart {
	if p.Missing {
		return api.FolderPart{Folder: p.Folder, Missing: true}
	}
	return api.FolderPart{
		Folder: p.Folder, Seq: p.Head.Seq, Hash: id.Bytes32(p.Head.Hash), Epoch: p.Epoch, Role: roleName(p.Role),
		Pages: hashes[journal.Hash, id.Bytes32](p.Pages), Entries: texts(p.Entries), More: p.More,
	}
}

func roleName(role journal.Role) string {
	switch role {
	case journal.Reads:
		return "reader"
	case journal.Writes:
		return "writer"
	case journal.Admins:
		return "admin"
	}
	return fmt.Sprintf("role %d", role) // not reached: who has none sees no folder
}

func (s *server) readCheckpoint(ctx context.Context, r api.Request, req api.ReadCheckpointRequest) (api.CheckpointPages, error) {
	b, folder, err := s.inFolder(ctx, r)
	if err != nil {
		return api.CheckpointPages{}, err
	}
	pages, err := s.Drives.Checkpoint(ctx, b.ID, folder, hashes[id.Bytes32, journal.Hash](req.Pages))
	return api.CheckpointPages{Pages: texts(pages)}, problem(err)
}

func (s *server) keepCheckpoint(ctx context.Context, r api.Request, req api.CheckpointPages) (api.Empty, error) {
	b, folder, err := s.inFolder(ctx, r)
	if err != nil {
		return api.Empty{}, err
	}
	var d raw
	pages := d.all("pages", req.Pages)
	if err := d.err(); err != nil {
		return api.Empty{}, err
	}
	return api.Empty{}, problem(s.Drives.KeepCheckpoint(ctx, b.ID, folder, pages))
}

func (s *server) commitDrive(ctx context.Context, r api.Request, req api.CommitDriveRequest) (api.CommitDriveResponse, error) {
	b, err := s.bearer(ctx, r)
	if err != nil {
		return api.CommitDriveResponse{}, err
	}
	c, err := toCommit(req)
	if err != nil {
		return api.CommitDriveResponse{}, err
	}
	holders, err := s.Drives.Commit(ctx, b.ID, c)
	if err != nil {
		return api.CommitDriveResponse{}, problem(err)
	}
	return api.CommitDriveResponse{Copies: uploadNodes(holders)}, nil
}

// toCommit decodes what JSON leaves as text.
func toCommit(req api.CommitDriveRequest) (*drive.Commit, error) {
	var d raw
	c := &drive.Commit{Key: req.Key, Entries: d.all("entries", req.Entries), Roots: req.Roots, Grants: d.all("grants", req.Grants)}
	if err := d.err(); err != nil {
		return nil, err
	}
	for _, from := range req.From {
		c.From = append(c.From, drive.Source{Handle: from.Handle, Session: from.Session})
	}
	for _, h := range req.Unchanged {
		c.Unchanged = append(c.Unchanged, journal.Head{Folder: h.Folder, Seq: h.Seq, Hash: journal.Hash(h.Hash)})
	}
	if u := req.Upload; u != nil {
		page, err := toPage(u.Page)
		if err != nil {
			return nil, err
		}
		c.Upload = &drive.Upload{ID: u.Upload, Secret: u.Secret, Pages: u.Pages, Page: *page}
	}
	return c, nil
}

func (s *server) folderRevisions(ctx context.Context, r api.Request, req api.FolderRevisionsRequest) (api.RevisionsPage, error) {
	b, folder, err := s.inFolder(ctx, r)
	if err != nil {
		return api.RevisionsPage{}, err
	}
	page, err := s.Drives.Revisions(ctx, b.ID, folder, req.Revisions, req.Cursor)
	if err != nil {
		return api.RevisionsPage{}, problem(err)
	}
	return revisionsPage(page), nil
}

func (s *server) folderExtents(ctx context.Context, r api.Request, req api.FolderExtentsRequest) (api.ExtentsPage, error) {
	b, folder, err := s.inFolder(ctx, r)
	if err != nil {
		return api.ExtentsPage{}, err
	}
	page, err := s.Drives.Extents(ctx, b.ID, folder, req.Revision, req.From, req.Count)
	if err != nil {
		return api.ExtentsPage{}, problem(err)
	}
	return api.ExtentsPage{Places: places(&page.Page), Extents: refs(page.Extents), ExtentCount: page.Count}, nil
}

func (s *server) getDrive(ctx context.Context, r api.Request, _ api.Empty) (api.DriveView, error) {
	b, err := s.bearer(ctx, r)
	if err != nil {
		return api.DriveView{}, err
	}
	v, err := s.Drives.View(ctx, b.ID)
	if err != nil {
		return api.DriveView{}, problem(err)
	}
	out := api.DriveView{Bytes: v.Bytes, Reserved: v.Reserved, Quota: v.Quota, Granted: []api.GrantedFolder{}}
	for _, g := range v.Granted {
		out.Granted = append(out.Granted, api.GrantedFolder{Folder: g.Folder, Grant: text(g.Grant)})
	}
	return out, nil
}

func (s *server) folderGrants(ctx context.Context, r api.Request, _ api.Empty) (api.FolderGrantsResponse, error) {
	b, folder, err := s.inFolder(ctx, r)
	if err != nil {
		return api.FolderGrantsResponse{}, err
	}
	grants, err := s.Drives.Grants(ctx, b.ID, folder)
	return api.FolderGrantsResponse{Grants: texts(grants)}, problem(err)
}
