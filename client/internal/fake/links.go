package fake

import (
	"net/http"
	"time"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/link"
	"holdfast/format/ticket"
)

// pageExtents is small, so that answers have to be asked on.
const pageExtents = 5

func (s *Service) registerLinks(mux *http.ServeMux) {
	handle(s, mux, api.LookLink, func(r api.Request, req api.LinkAuth) (api.LinkLook, error) {
		l, err := s.link(r, req.Auth)
		if err != nil {
			return api.LinkLook{}, err
		}
		left := l.left()
		if left != nil && *left == 0 && !l.sessions[req.Session] {
			return api.LinkLook{}, api.NewProblem(api.LinkUsedUp, "used up")
		}
		look := api.LinkLook{Record: l.spec.Record, Expires: l.spec.Expires, DownloadsLeft: left, Copies: s.apiNodes()[:2]}
		if !l.spec.Listing.IsZero() {
			page := s.page(l, []id.Revision{l.spec.Listing})
			look.Listing = &page
		}
		return look, nil
	})
	handle(s, mux, api.StartSession, func(r api.Request, req api.LinkAuth) (api.LinkSession, error) {
		l, err := s.link(r, req.Auth)
		if err != nil {
			return api.LinkSession{}, err
		}
		if !l.sessions[req.Session] {
			if left := l.left(); left != nil && *left == 0 {
				return api.LinkSession{}, api.NewProblem(api.LinkUsedUp, "used up")
			}
			l.downloads++
			l.sessions[req.Session] = true
		}
		return api.LinkSession{Expires: time.Now().Add(24 * time.Hour).Unix(), DownloadsLeft: l.left()}, nil
	})
	handle(s, mux, api.GetRevisions, func(r api.Request, req api.RevisionsRequest) (api.RevisionsPage, error) {
		l, err := s.session(r, req.Session)
		if err != nil {
			return api.RevisionsPage{}, err
		}
		return s.page(l, req.Revisions), nil
	})
	handle(s, mux, api.GetExtents, func(r api.Request, req api.ExtentsRequest) (api.ExtentsPage, error) {
		l, err := s.link(r, req.Auth)
		if req.Session != "" {
			l, err = s.session(r, req.Session)
		}
		if err != nil {
			return api.ExtentsPage{}, err
		}
		rev := l.revisions[req.Revision]
		extents := rev.Extents[req.From:min(req.From+min(req.Count, pageExtents), len(rev.Extents))]
		places, refs := s.places(l, extents)
		return api.ExtentsPage{Places: places, Extents: refs, ExtentCount: len(rev.Extents)}, nil
	})
	handle(s, mux, api.LinkStatus, func(r api.Request, _ api.Empty) (api.LinkState, error) {
		l, err := s.managed(r)
		if err != nil {
			return api.LinkState{}, err
		}
		state := "live"
		if l.revoked {
			state = "revoked"
		}
		return api.LinkState{State: state, Downloads: l.downloads, Limit: l.spec.Downloads, Copies: s.apiNodes()[:2]}, nil
	})
	handle(s, mux, api.RevokeLink, func(r api.Request, _ api.Empty) (api.Empty, error) {
		l, err := s.managed(r)
		if err == nil {
			l.revoked = true
		}
		return api.Empty{}, err
	})
}

func (l *linked) left() *int64 {
	if l.spec.Downloads == 0 {
		return nil
	}
	left := l.spec.Downloads - l.downloads
	return &left
}

func (s *Service) find(r api.Request) (*linked, error) {
	handle, err := id.Parse[id.Handle](r.PathValue("handle"))
	l := s.links[handle]
	if err != nil || l == nil {
		return nil, api.NewProblem(api.NotFound, "no such link")
	}
	return l, nil
}

func (s *Service) link(r api.Request, auth id.Bytes32) (*linked, error) {
	l, err := s.find(r)
	switch {
	case err != nil:
		return nil, err
	case l.revoked:
		return nil, api.NewProblem(api.LinkRevoked, "revoked")
	case link.AuthHash(link.Secret(auth)) != l.spec.AuthHash:
		return nil, api.NewProblem(api.WrongKey, "wrong")
	}
	return l, nil
}

func (s *Service) session(r api.Request, session string) (*linked, error) {
	l, err := s.find(r)
	if err == nil && !l.sessions[session] {
		err = api.NewProblem(api.SessionInvalid, "over")
	}
	return l, err
}

// EndSessions ends all download sessions.
func (s *Service) EndSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		clear(l.sessions)
	}
}

func (s *Service) managed(r api.Request) (*linked, error) {
	l, err := s.find(r)
	if err != nil {
		return nil, err
	}
	secret, err := link.ParseSecret(r.Secret)
	if err != nil || link.ManageHash(l.spec.Handle, secret) != l.spec.ManageHash {
		return nil, api.NewProblem(api.Unauthorized, "secret")
	}
	return l, nil
}

// page answers with as many of the revisions as fit.
func (s *Service) page(l *linked, ids []id.Revision) api.RevisionsPage {
	var out api.RevisionsPage
	var all []api.Extent
	for _, r := range ids {
		rev, ok := l.revisions[r]
		if !ok {
			continue
		}
		extents := rev.Extents[:min(len(rev.Extents), pageExtents)]
		if len(all) > 0 && len(all)+len(rev.Extents) > 40*pageExtents {
			out.Next = "more"
			break
		}
		out.Revisions = append(out.Revisions, api.PlacedRevision{RevisionHead: rev.RevisionHead, Extents: extents, ExtentCount: len(rev.Extents)})
		all = append(all, extents...)
	}
	places, refs := s.places(l, all)
	out.Places = places
	for i := range out.Revisions {
		n := len(out.Revisions[i].Extents)
		out.Revisions[i].Extents, refs = refs[:n:n], refs[n:]
	}
	return out
}

// places puts the extents' blobs and one ticket for each into an answer.
func (s *Service) places(l *linked, extents []api.Extent) (api.Places, []api.Extent) {
	p := api.Places{Nodes: s.apiNodes()}
	index, refs := map[int64]int{}, []api.Extent{}
	for _, e := range extents {
		i, known := index[e[0]]
		if !known {
			b := l.blobs[e[0]]
			i = len(p.Blobs)
			index[e[0]] = i
			t := ticket.ReadTicket{Expires: time.Now().Add(5 * time.Minute).Unix(),
				Reads: []ticket.Reads{{Upload: l.upload, Ranges: []ticket.Range{{Name: b.Name, Length: b.Size}}}}}
			placed := api.PlacedBlob{Upload: l.upload, Name: b.Name, Size: b.Size, Ticket: i}
			for n, node := range s.Nodes {
				if _, has := node.blob(Blob{l.upload, b.Name}); has {
					placed.Nodes = append(placed.Nodes, n)
					t.Nodes = append(t.Nodes, node.ID)
				}
			}
			if len(t.Nodes) == 0 {
				t.Nodes, placed.Nodes = []id.Node{s.Nodes[0].ID}, []int{0}
			}
			text, err := ticket.SignText(s.key, t)
			if err != nil {
				panic(err)
			}
			p.Blobs = append(p.Blobs, placed)
			p.Tickets = append(p.Tickets, api.PlaceTicket{Ticket: text, Expires: t.Expires})
		}
		refs = append(refs, api.Extent{int64(i), e[1], e[2]})
	}
	return p, refs
}
