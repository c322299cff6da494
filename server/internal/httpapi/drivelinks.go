package httpapi

import (
	"context"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/server/internal/drive"
	"holdfast/server/internal/share"
)

func (s *server) shareDrive(ctx context.Context, r api.Request, req api.DriveLinkSpec) (api.DriveLinkMade, error) {
	b, err := s.bearer(ctx, r)
	if err != nil {
		return api.DriveLinkMade{}, err
	}
	var d raw
	l := drive.NewLink{
		Link:      share.Link{Handle: req.Handle, Auth: req.AuthHash, Record: d.bytes("record", req.Record), Expires: req.Expires, Limit: req.Downloads},
		Revisions: req.Revisions, Own: d.bytes("own", req.Own), Grant: d.bytes("grant", req.Grant),
	}
	if err := d.err(); err != nil {
		return api.DriveLinkMade{}, err
	}
	expires, err := s.Drives.Share(ctx, b.ID, req.Folder, l)
	return api.DriveLinkMade{Expires: expires}, problem(err)
}

func (s *server) listDriveLinks(ctx context.Context, r api.Request, _ api.Empty) (api.DriveLinks, error) {
	b, err := s.bearer(ctx, r)
	if err != nil {
		return api.DriveLinks{}, err
	}
	all, err := s.Drives.Links(ctx, b.ID)
	out := api.DriveLinks{Links: []api.DriveLink{}}
	for _, l := range all {
		out.Links = append(out.Links, api.DriveLink{
			Handle: l.Handle, Folder: l.Folder, Own: text(l.Own), Expires: l.Expires, Downloads: l.Downloads, Limit: l.Limit,
		})
	}
	return out, problem(err)
}

func (s *server) unlinkDrive(ctx context.Context, r api.Request, _ api.Empty) (api.Empty, error) {
	b, err := s.bearer(ctx, r)
	if err != nil {
		return api.Empty{}, err
	}
	handle, err := pathID[id.Handle](r, "handle", api.NotFound)
	if err != nil {
		return api.Empty{}, err
	}
	return api.Empty{}, problem(s.Drives.Unlink(ctx, b.ID, handle))
}

func (s *server) linkFolders(ctx context.Context, r api.Request, req api.LinkFoldersRequest) (api.ReadFoldersResponse, error) {
	handle, err := pathID[id.Handle](r, "handle", api.NotFound)
	if err != nil {
		return api.ReadFoldersResponse{}, err
	}
	parts, err := s.Drives.ReadLinked(ctx, handle, req.Session, toPoints(req.Folders))
	return folderParts(parts), problem(err)
}

func (s *server) linkCheckpoint(ctx context.Context, r api.Request, req api.LinkCheckpointRequest) (api.CheckpointPages, error) {
	handle, err := pathID[id.Handle](r, "handle", api.NotFound)
	if err != nil {
		return api.CheckpointPages{}, err
	}
	folder, err := pathID[id.Folder](r, "folder", api.NotFound)
	if err != nil {
		return api.CheckpointPages{}, err
	}
	pages, err := s.Drives.CheckpointLinked(ctx, handle, req.Session, folder, hashes[id.Bytes32, journal.Hash](req.Pages))
	return api.CheckpointPages{Pages: texts(pages)}, problem(err)
}
