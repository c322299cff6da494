package cluster_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/client/transfer"
	"holdfast/cluster"
	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/link"
	"holdfast/format/ticket"
	"holdfast/format/wire"
)

// TestPassword: a link with a password opens with the password only.
func TestPassword(t *testing.T) {
	c := cluster.Start(t, cluster.Config{})
	want := content(30, 5000)
	r := send(t, c.Client(t), want, transfer.SendOptions{Password: "correct horse"})
	for password, wrong := range map[string]error{"": link.ErrPasswordNeeded, "Correct horse": api.WrongKey} {
		if _, err := stream(t.Context(), c.Client(t), r, password); !errors.Is(err, wrong) {
			t.Errorf("with %q: %v", password, err)
		}
	}
	got, err := stream(t.Context(), c.Client(t), r, "correct horse")
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Error("not what was sent")
	}
}

// TestDownloadLimit: of many who start at once, exactly as many as allowed do; they
// can finish, and when their time is over the link ends.
func TestDownloadLimit(t *testing.T) {
	const limit, starters = 5, 24
	c := cluster.Start(t, cluster.Config{})
	want := content(31, 5000)
	r := send(t, c.Client(t), want, transfer.SendOptions{Downloads: limit, Expires: 5 * 24 * time.Hour})
	shares := make([]*transfer.Share, starters)
	for i := range shares {
		var err error
		shares[i], err = c.Client(t).Open(t.Context(), r.Link, transfer.OpenOptions{})
		must(t, err)
	}
	var started atomic.Int32
	var all sync.WaitGroup
	for _, share := range shares {
		all.Go(func() {
			if err := share.Start(t.Context()); err != nil {
				code(t, err, api.LinkUsedUp)
				return
			}
			started.Add(1)
			var got bytes.Buffer
			if err := share.Stream(t.Context(), 0, &got); err != nil || !bytes.Equal(got.Bytes(), want) {
				t.Errorf("started, but received %d bytes: %v", got.Len(), err)
			}
		})
	}
	all.Wait()
	if started.Load() != limit {
		t.Errorf("%d of %d downloads started", started.Load(), limit)
	}
	c.Step(t.Context())
	if len(holders(c)) == 0 {
		t.Error("gone before the last session is over")
	}
	c.Clock.Add(25 * time.Hour)
	c.Step(t.Context())
	ended(t, c)
	_, err := stream(t.Context(), c.Client(t), r, "")
	code(t, err, api.LinkUsedUp)
}

// end is a way in which a link can end.
type end struct {
	name    string
	options transfer.SendOptions
	bring   func(t *testing.T, c *cluster.Cluster, sender *transfer.Client, r *transfer.Result)
	says    api.Code
}

var ends = []end{
	{"revoked", transfer.SendOptions{}, func(t *testing.T, _ *cluster.Cluster, sender *transfer.Client, r *transfer.Result) {
		must(t, sender.Revoke(t.Context(), r.Handle, manage(r)))
	}, api.LinkRevoked},
	{"expired", transfer.SendOptions{Expires: time.Hour}, func(_ *testing.T, c *cluster.Cluster, _ *transfer.Client, _ *transfer.Result) {
		c.Clock.Add(2 * time.Hour) // the expiry was rounded up
	}, api.LinkExpired},
	{"used up", transfer.SendOptions{Downloads: 1, Expires: 5 * 24 * time.Hour}, func(t *testing.T, c *cluster.Cluster, _ *transfer.Client, _ *transfer.Result) {
		c.Clock.Add(25 * time.Hour) // the one session that watches is over
	}, api.LinkUsedUp},
}

// TestEnds: however a link ends, nobody gets anything any more from that moment,
// its secrets are destroyed, and orders take its blobs from all nodes, also from
// one that was away.
func TestEnds(t *testing.T) {
	for _, e := range ends {
		t.Run(e.name, func(t *testing.T) {
			c := cluster.Start(t, cluster.Config{})
			sender := c.Client(t)
			want := content(32, 3*mib)
			r := send(t, sender, want, e.options)
			known := secrets(t, c)
			share, err := c.Client(t).Open(t.Context(), r.Link, transfer.OpenOptions{})
			must(t, err)
			err = share.Start(t.Context())
			must(t, err)
			must(t, share.Stream(t.Context(), 0, &bytes.Buffer{}))

			away := holders(c)[1]
			away.Stop()
			e.bring(t, c, sender, r)
			if e.says != api.LinkUsedUp { // who started may finish until the sweep ends it
				code(t, share.Stream(t.Context(), 0, &bytes.Buffer{}), e.says)
			}
			c.Step(t.Context())
			code(t, share.Stream(t.Context(), 0, &bytes.Buffer{}), e.says)
			_, err = stream(t.Context(), c.Client(t), r, "")
			code(t, err, e.says)
			state, _, err := sender.Status(t.Context(), r.Handle, manage(r))
			must(t, err)
			if state.State != strings.ReplaceAll(e.name, " ", "-") {
				t.Errorf("the sender sees %q", state.State)
			}
			erased(t, c, known)
			if n := c.Server.Numbers(t.Context(), `SELECT COUNT(*) FROM node_order WHERE outcome = 0`); n[0] != 1 {
				t.Errorf("%d orders wait, for the one node that is away", n[0])
			}

			away.Start()
			if held := away.Held().Blobs; held != 0 {
				t.Errorf("the node that was away still holds %d blobs", held)
			}
			c.Step(t.Context())
			ended(t, c)
		})
	}
}

// TestTicketsOutlivedByOrders: tickets that were good before an order give and
// store nothing after it.
func TestTicketsOutlivedByOrders(t *testing.T) {
	c := cluster.Start(t, cluster.Config{})
	web := c.HTTP(t)
	server := api.Caller{Base: c.URL, HTTP: web}
	g, err := api.OpenUpload.Call(t.Context(), server, api.Args{}, api.OpenUploadRequest{Bytes: mib, Days: 1})
	must(t, err)
	data := content(33, 5000)
	name := blob.Name(data)
	first := firstNode(t, g)
	put := func() *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), "POST", first+api.PutBlob.Path, bytes.NewReader(data))
		must(t, err)
		for key, value := range map[string]string{
			api.HeaderVersion: api.Version, api.HeaderTicket: g.Ticket, api.HeaderBlob: name.String(), api.HeaderChain: "0", api.HeaderCopies: "2",
		} {
			req.Header.Set(key, value)
		}
		res, err := web.Do(req)
		must(t, err)
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	if res := put(); res.StatusCode != http.StatusOK {
		t.Fatalf("stored: %s", res.Status)
	} else if _, err := new(bytes.Buffer).ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	if len(holders(c)) != 2 {
		t.Fatalf("%d nodes hold the blob", len(holders(c)))
	}
	_, err = api.AbandonUpload.Call(t.Context(), server, api.Args{Path: map[string]string{"upload": g.Upload.String()}, Secret: g.Secret}, api.Empty{})
	must(t, err)
	c.Step(t.Context())
	ended(t, c)
	if res := put(); res.StatusCode == http.StatusOK {
		t.Errorf("stored again: %s", res.Status)
	} else {
		code(t, api.ReadProblem(res), api.TicketInvalid)
	}
	ended(t, c)
}

// firstNode is the URL of the node that takes an upload on its first chain.
func firstNode(t *testing.T, g api.UploadGrant) string {
	t.Helper()
	raw, err := ticket.ParseText(g.Ticket)
	must(t, err)
	envelope, err := wire.Parse(raw)
	must(t, err)
	var u ticket.UploadTicket
	must(t, wire.Unmarshal(envelope.Payload, wire.MaxEnvelope, &u))
	for _, n := range g.Nodes {
		if n.ID == u.Chains[0][0].Node {
			return n.URL
		}
	}
	t.Fatal("the ticket names a node that the grant does not")
	return ""
}

// TestReadTicketAfterTheEnd: a node gives out nothing of an upload that it was
// ordered to delete, whatever ticket is shown.
func TestReadTicketAfterTheEnd(t *testing.T) {
	c := cluster.Start(t, cluster.Config{})
	sender, web := c.Client(t), c.HTTP(t)
	r := send(t, sender, content(34, 3*mib), transfer.SendOptions{})
	keys, err := r.Link.Keys("")
	must(t, err)
	server := api.Caller{Base: c.URL, HTTP: web}
	path := map[string]string{"handle": r.Handle.String()}
	token := id.Bytes32(id.New32()).String()
	_, err = api.StartSession.Call(t.Context(), server, api.Args{Path: path}, api.LinkAuth{Auth: [32]byte(keys.Auth), Session: token})
	must(t, err)
	share, err := sender.Open(t.Context(), r.Link, transfer.OpenOptions{})
	must(t, err)
	page, err := api.GetRevisions.Call(t.Context(), server, api.Args{Path: path}, api.RevisionsRequest{
		Session: token, Revisions: append(api.RevisionsRequest{}.Revisions, share.Entries[0].Content.Revision),
	})
	must(t, err)
	placed := page.Places.Blobs[0]
	query := url.Values{"v": {api.Version}, "upload": {placed.Upload.String()}, "ticket": {page.Places.Tickets[placed.Ticket].Ticket}}
	get := func() *http.Response {
		res, err := web.Get(page.Places.Nodes[placed.Nodes[0]].URL + "/blobs/" + placed.Name.String() + "?" + query.Encode())
		must(t, err)
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	if res := get(); res.StatusCode != http.StatusOK {
		t.Fatalf("before the end: %v", api.ReadProblem(res))
	}
	must(t, sender.Revoke(t.Context(), r.Handle, manage(r)))
	c.Step(t.Context())
	code(t, api.ReadProblem(get()), api.BlobUnknown)
}
