package httpapi

import (
	"testing"
	"time"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/server/internal/servertest"
)

// TestJourney: every call of a send and a download, as clients make them.
func TestJourney(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	info, err := api.GetInfo.Call(ctx, r.call, api.Args{}, api.Empty{})
	r.must(err)
	if info.Protocol != "1" || info.Software != "test" || !info.Accepting || info.Limits.MaxDays != 30 || info.Fleet != "v1" {
		t.Errorf("info %+v", info)
	}

	g := r.open(1 << 20)
	if g.Budget != 1<<20 || len(g.Nodes) != 3 || g.Limits.FreeBytes != limits.ReservedBytes-g.Budget || g.Secret == "" {
		t.Errorf("grant %+v", g)
	}
	fresh, err := api.GetUpload.Call(ctx, r.call, uploadArgs(g), api.Empty{})
	r.must(err)
	if fresh.Upload != g.Upload || fresh.Secret != "" || fresh.Ticket == "" {
		t.Errorf("fresh grant %+v", fresh)
	}
	more, err := api.ExtendUpload.Call(ctx, r.call, uploadArgs(g), api.ExtendUploadRequest{Bytes: 1 << 30})
	r.must(err)
	if more.Budget != 1<<30 {
		t.Errorf("extended %+v", more)
	}

	send := servertest.NewSend(t, g.Upload, r.clock.Now(), r.fleet.Nodes[:2], 5000, 300_000, 30<<20)
	send.Link.MaxDownloads = 2
	send.Link.Listing = send.Page.Revisions[0].ID
	req := request(send)
	staged := req.Page
	req.Pages, req.Page = 1, api.Page{Receipts: staged.Receipts}
	staged.Receipts = nil
	args := uploadArgs(g)
	args.Path["page"] = "0"
	_, err = api.StagePage.Call(ctx, r.call, args, staged)
	r.must(err)
	done, err := api.CommitUpload.Call(ctx, r.call, uploadArgs(g), req)
	r.must(err)
	if len(done.Copies) != 2 || done.Expires < send.Link.Expires {
		t.Errorf("committed %+v", done)
	}
	again, err := api.CommitUpload.Call(ctx, r.call, uploadArgs(g), req)
	r.must(err)
	if again.Expires != done.Expires || len(again.Copies) != 2 {
		t.Errorf("again %+v", again)
	}
	r.receive(send)
	r.manage(send)
}

func (r *rig) receive(send *servertest.Send) {
	r.Helper()
	ctx, auth := r.Context(), api.LinkAuth{Auth: send.Auth, Session: id.Bytes32(id.New32()).String()}
	look, err := api.LookLink.Call(ctx, r.call, linkArgs(send), auth)
	r.must(err)
	if look.Record != id.Encoding.EncodeToString(send.Link.Record) || *look.DownloadsLeft != 2 || look.Listing == nil || len(look.Copies) != 2 {
		r.Errorf("look %+v", look)
	}
	session, err := api.StartSession.Call(ctx, r.call, linkArgs(send), auth)
	r.must(err)
	if *session.DownloadsLeft != 1 || session.Expires != r.clock.Now().Add(24*time.Hour).Unix() {
		r.Errorf("session %+v", session)
	}
	revisions, err := api.GetRevisions.Call(ctx, r.call, linkArgs(send), api.RevisionsRequest{Session: auth.Session})
	r.must(err)
	if len(revisions.Revisions) != 3 || revisions.Next != "" || len(revisions.Blobs) != 5 || len(revisions.Tickets) != 1 || len(revisions.Nodes) != 2 {
		r.Errorf("revisions %+v", revisions)
	}
	for i, have := range revisions.Revisions {
		want := page(send.Page).Revisions[i]
		if have.RevisionHead != want.RevisionHead || have.ExtentCount != len(want.Extents) {
			r.Errorf("revision %d: %+v, want %+v", i, have, want)
		}
	}
	extents, err := api.GetExtents.Call(ctx, r.call, linkArgs(send), api.ExtentsRequest{
		Session: auth.Session, Revision: revisions.Revisions[2].ID, From: 1, Count: 2,
	})
	r.must(err)
	if len(extents.Extents) != 2 || extents.ExtentCount != 4 {
		r.Errorf("extents %+v", extents)
	}
	listing, err := api.GetExtents.Call(ctx, r.call, linkArgs(send), api.ExtentsRequest{Auth: send.Auth, Revision: send.Link.Listing, Count: 1})
	r.must(err)
	if len(listing.Extents) != 1 {
		r.Errorf("listing %+v", listing)
	}
	again, err := api.StartSession.Call(ctx, r.call, linkArgs(send), auth)
	r.must(err)
	if *again.DownloadsLeft != 1 {
		r.Errorf("the same session again: %+v", again)
	}
	other := api.LinkAuth{Auth: send.Auth, Session: id.Bytes32(id.New32()).String()}
	_, err = api.StartSession.Call(ctx, r.call, linkArgs(send), other)
	r.must(err)
	other.Session = id.Bytes32(id.New32()).String()
	_, err = api.StartSession.Call(ctx, r.call, linkArgs(send), other)
	r.want(err, api.LinkUsedUp)
	for _, session := range []string{"", other.Session} {
		_, err = api.LookLink.Call(ctx, r.call, linkArgs(send), api.LinkAuth{Auth: send.Auth, Session: session})
		r.want(err, api.LinkUsedUp)
	}
	_, err = api.LookLink.Call(ctx, r.call, linkArgs(send), auth)
	r.must(err)
}

func (r *rig) manage(send *servertest.Send) {
	r.Helper()
	ctx := r.Context()
	st, err := api.LinkStatus.Call(ctx, r.call, linkArgs(send), api.Empty{})
	r.must(err)
	if st.State != "live" || st.Downloads != 2 || st.Limit != 2 || st.Bytes != send.Bytes() || len(st.Copies) != 2 {
		r.Errorf("status %+v", st)
	}
	wrong := linkArgs(send)
	wrong.Secret = anotherSecret()
	_, err = api.RevokeLink.Call(ctx, r.call, wrong, api.Empty{})
	r.want(err, api.Unauthorized)
	for range 2 {
		_, err = api.RevokeLink.Call(ctx, r.call, linkArgs(send), api.Empty{})
		r.must(err)
	}
	st, err = api.LinkStatus.Call(ctx, r.call, linkArgs(send), api.Empty{})
	r.must(err)
	if st.State != "revoked" || st.Bytes != 0 {
		r.Errorf("status %+v", st)
	}
	_, err = api.LookLink.Call(ctx, r.call, linkArgs(send), api.LinkAuth{Auth: send.Auth})
	r.want(err, api.LinkRevoked)
}

func TestAbandon(t *testing.T) {
	r := newRig(t)
	g := r.open(1000)
	_, err := api.AbandonUpload.Call(t.Context(), r.call, uploadArgs(g), api.Empty{})
	r.must(err)
	_, err = api.GetUpload.Call(t.Context(), r.call, uploadArgs(g), api.Empty{})
	r.want(err, api.UploadClosed)
}

func TestNodes(t *testing.T) {
	r := newRig(t)
	joined, err := api.JoinNode.Call(t.Context(), r.call, api.Args{}, api.JoinRequest{Declaration: "x"})
	r.must(err)
	if joined.Epoch != 3 {
		t.Errorf("joined %+v", joined)
	}
	beat, err := api.Heartbeat.Call(t.Context(), r.call, api.Args{}, api.HeartbeatRequest{Heartbeat: "x"})
	r.must(err)
	if beat.Epoch != 3 || len(beat.Orders) != 1 || !beat.More {
		t.Errorf("beat %+v", beat)
	}
}
