package fake

import (
	"net/http"

	"holdfast/api"
	"holdfast/format/id"
)

// Session is the token of the only account.
var Session = id.Bytes32{1, 2, 3}

func (s *Service) registerDrive(mux *http.ServeMux) {
	handle(s, mux, api.OpenDriveUpload, func(r api.Request, req api.OpenDriveUploadRequest) (api.UploadGrant, error) {
		if err := logged(r); err != nil {
			return api.UploadGrant{}, err
		}
		return s.opened(req.Bytes), nil
	})
	handle(s, mux, api.FolderRevisions, func(r api.Request, req api.FolderRevisionsRequest) (api.RevisionsPage, error) {
		held, err := s.folder(r)
		if err != nil {
			return api.RevisionsPage{}, err
		}
		for _, l := range held { // one upload in an answer: the rest is asked for again
			if _, has := l.revisions[req.Revisions[0]]; has {
				return s.page(l, req.Revisions), nil
			}
		}
		return api.RevisionsPage{}, api.NewProblem(api.NotFound, "no such revision here")
	})
	handle(s, mux, api.FolderExtents, func(r api.Request, req api.FolderExtentsRequest) (api.ExtentsPage, error) {
		held, err := s.folder(r)
		if err != nil {
			return api.ExtentsPage{}, err
		}
		for _, l := range held {
			if rev, has := l.revisions[req.Revision]; has {
				places, refs := s.places(l, rev.Extents[req.From:min(req.From+min(req.Count, pageExtents), len(rev.Extents))])
				return api.ExtentsPage{Places: places, Extents: refs, ExtentCount: len(rev.Extents)}, nil
			}
		}
		return api.ExtentsPage{}, api.NewProblem(api.NotFound, "no such revision here")
	})
}

func logged(r api.Request) error {
	if r.Secret != Session.String() {
		return api.NewProblem(api.AccountSessionOver, "who?")
	}
	return nil
}

func (s *Service) folder(r api.Request) ([]*linked, error) {
	if err := logged(r); err != nil {
		return nil, err
	}
	folder, err := id.Parse[id.Folder](r.PathValue("folder"))
	if err != nil || s.folders[folder] == nil {
		return nil, api.NewProblem(api.NotFound, "no such folder")
	}
	return s.folders[folder], nil
}

// Hold closes an upload as a commit of the drive does: these folders hold its
// revisions from now on.
func (s *Service) Hold(up api.DriveUpload, folders ...id.Folder) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uploads[up.Upload]
	if u == nil || u.closed || u.secret != up.Secret {
		return api.NewProblem(api.UploadUnknown, "which?")
	}
	l, err := s.bring(up.Upload, u, up.Pages, up.Page)
	if err != nil {
		return err
	}
	u.closed = true
	for _, f := range folders {
		s.folders[f] = append(s.folders[f], l)
	}
	return nil
}
