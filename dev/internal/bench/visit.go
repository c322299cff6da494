//go:build linux

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"holdfast/api"
	"holdfast/client/blobs"
	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/link"
	"holdfast/format/seal"
)

// visit is load by clients of which each has an upload of its own, and at the
// end a link.
type visit struct {
	load    load
	caller  api.Caller
	clients []*visitor
}

type visitor struct {
	access   api.Args
	grant    blobs.Grant
	entries  []api.BlobEntry
	receipts []string

	handle id.Handle
	auth   link.Secret
	manage link.Secret
	reads  []string // address of each blob with its ticket
}

// open opens an upload for each client.
func (d *demo) open(ctx context.Context, l load) (*visit, error) {
	v := &visit{load: l, caller: api.Caller{Base: d.url, HTTP: web}}
	for range l.clients {
		const besides = 16 * kib // what a blob counts besides its bytes
		g, err := api.OpenUpload.Call(ctx, v.caller, api.Args{}, api.OpenUploadRequest{Bytes: int64(l.each()+1) * (l.size + besides + mib), Days: 1})
		if err != nil {
			return nil, err
		}
		grant, err := blobs.OpenGrant(g, true, time.Now())
		if err != nil {
			return nil, err
		}
		v.clients = append(v.clients, &visitor{grant: grant, access: api.Args{Path: map[string]string{"upload": g.Upload.String()}, Secret: g.Secret}})
	}
	return v, nil
}

// put stores the stock; each blob counts when two receipts are there.
func (v *visit) put(ctx context.Context, stock *stock) (time.Duration, error) {
	return v.load.together(ctx, func(ctx context.Context, client, i int) error {
		return v.clients[client].put(ctx, stock.names[i], stock.data[i], client)
	})
}

func (c *visitor) put(ctx context.Context, name id.Name, data []byte, client int) error {
	chain := client % len(c.grant.Chains)
	req, err := http.NewRequestWithContext(ctx, api.PutBlob.Method, c.grant.Chains[chain][0].URL+api.PutBlob.Path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	for header, value := range map[string]string{"Content-Type": api.TypeBytes, api.HeaderVersion: api.Version, api.HeaderTicket: c.grant.Ticket,
		api.HeaderBlob: name.String(), api.HeaderChain: strconv.Itoa(chain), api.HeaderCopies: "2"} {
		req.Header.Set(header, value)
	}
	res, err := web.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return api.ReadProblem(res)
	}
	texts, err := receipts(res.Body)
	if err != nil {
		return err
	}
	c.entries = append(c.entries, api.BlobEntry{Name: name, Size: int64(len(data))})
	c.receipts = append(c.receipts, texts...)
	return nil
}

// publish makes a link of each client's blobs, as one revision whose length is
// made valid by one more blob, and gets the tickets to read them.
func (v *visit) publish(ctx context.Context) error {
	for i, c := range v.clients {
		if err := c.publish(ctx, v.caller, i); err != nil {
			return fmt.Errorf("client %d: %w", i, err)
		}
	}
	return nil
}

func (c *visitor) publish(ctx context.Context, caller api.Caller, client int) error {
	var sum int64
	for _, e := range c.entries {
		sum += e.Size
	}
	length, err := seal.PaddedStreamLength(sum)
	if err != nil {
		return err
	}
	count := len(c.entries)
	last := make([]byte, length-sum)
	if _, err := io.ReadFull(noise(byte(client)), last); err != nil {
		return err
	}
	if err := c.put(ctx, blob.Name(last), last, client); err != nil {
		return err
	}
	rev := api.RevisionEntry{RevisionHead: api.RevisionHead{ID: id.New[id.Revision](), ReleaseKey: id.New32(), Commitment: id.New32(), Root: id.New32(), Salt: id.New32(), Prefix: "AAAAAAAAAA", Length: length}}
	for i, e := range c.entries {
		rev.Extents = append(rev.Extents, api.Extent{int64(i), 0, e.Size})
	}
	c.handle, c.auth, c.manage = id.New[id.Handle](), link.NewSecret(), link.NewSecret()
	spec := api.LinkSpec{Handle: c.handle, AuthHash: link.AuthHash(c.auth), ManageHash: link.ManageHash(c.handle, c.manage),
		Record: id.Encoding.EncodeToString(make([]byte, 300)), Expires: time.Now().Add(12 * time.Hour).Unix()}
	page := api.Page{Blobs: c.entries, Receipts: c.receipts, Revisions: []api.RevisionEntry{rev}}
	if _, err := api.CommitUpload.Call(ctx, caller, c.access, api.CommitRequest{Page: page, Link: spec}); err != nil {
		return err
	}
	return c.tickets(ctx, caller, rev.ID, count)
}

// tickets starts a download and notes where each of the first count blobs is read.
func (c *visitor) tickets(ctx context.Context, caller api.Caller, rev id.Revision, count int) error {
	path := api.Args{Path: map[string]string{"handle": c.handle.String()}}
	session := id.Bytes32(id.New32()).String()
	if _, err := api.StartSession.Call(ctx, caller, path, api.LinkAuth{Auth: id.Bytes32(c.auth), Session: session}); err != nil {
		return err
	}
	known := map[id.Name]string{}
	for from := 0; from < count; {
		p, err := api.GetExtents.Call(ctx, caller, path, api.ExtentsRequest{Session: session, Revision: rev, From: from, Count: api.PageExtents})
		if err != nil {
			return err
		}
		if len(p.Extents) == 0 {
			return errors.New("an answer without extents")
		}
		for _, place := range p.Blobs {
			if len(place.Nodes) == 0 {
				return fmt.Errorf("blob %s stands nowhere", place.Name)
			}
			q := url.Values{"v": {api.Version}, "upload": {place.Upload.String()}, "ticket": {p.Tickets[place.Ticket].Ticket}}
			known[place.Name] = p.Nodes[place.Nodes[0]].URL + "/blobs/" + place.Name.String() + "?" + q.Encode()
		}
		from += len(p.Extents)
	}
	for _, e := range c.entries[:count] {
		c.reads = append(c.reads, known[e.Name])
	}
	return nil
}

// get reads every blob whole.
func (v *visit) get(ctx context.Context) (time.Duration, error) {
	var read atomic.Int64
	each := v.load.each()
	took, err := v.load.together(ctx, func(ctx context.Context, client, i int) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.clients[client].reads[i-client*each], nil)
		if err != nil {
			return err
		}
		return answered(req, &read)
	})
	if err == nil && read.Load() != v.load.size*int64(each*v.load.clients) {
		err = fmt.Errorf("%d bytes came back", read.Load())
	}
	return took, err
}

func (v *visit) revoke(ctx context.Context) error {
	for _, c := range v.clients {
		args := api.Args{Path: map[string]string{"handle": c.handle.String()}, Secret: c.manage.Reveal()}
		if _, err := api.RevokeLink.Call(ctx, v.caller, args, api.Empty{}); err != nil {
			return err
		}
	}
	return nil
}
