package transfer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"holdfast/api"
	"holdfast/client/blobs"
	"holdfast/client/fleet"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/seal"
)

// download fetches revisions, opens them and checks them against what came sealed.
type download struct {
	c       *Client
	report  Report
	origin  origin
	fetcher *blobs.Fetcher
	buffers *seal.Buffers
	turn    chan struct{} // a place for each blob on its way
}

// origin is where a server gives revisions out: a link, or folders of the drive.
type origin interface {
	// revisions are records of some of these, of the first one at least.
	revisions(ctx context.Context, want []id.Revision) (api.RevisionsPage, error)
	extents(ctx context.Context, r id.Revision, from, count int) (api.ExtentsPage, error)
	// apart splits entries into those that are asked for apart from each other.
	apart(entries []descriptor.Descriptor, todo []int) [][]int
}

func newDownload(c *Client, report Report, from origin) *download {
	d := &download{
		c: c, report: report, origin: from,
		fetcher: blobs.NewFetcher(c.http, report.fault), buffers: seal.NewBuffers(receiveBuffers), turn: make(chan struct{}, inFlight),
	}
	if c.Patience > 0 {
		d.fetcher.Patience = c.Patience
	}
	return d
}

// revisions asks for the records of these files, all that one answer holds.
func (d *download) revisions(ctx context.Context, files []descriptor.Content) (map[id.Revision]*revision, error) {
	revs, lies, err := d.records(ctx, files)
	for _, f := range files {
		err = errors.Join(err, lies[f.Revision])
	}
	return revs, err
}

// records is revisions; what an answer says of one file that is not what was
// shared stands in lies, and does not spoil the others.
func (d *download) records(ctx context.Context, files []descriptor.Content) (revs map[id.Revision]*revision, lies map[id.Revision]error, err error) {
	ids := make([]id.Revision, 0, len(files))
	want := map[id.Revision]descriptor.Content{}
	for _, f := range files {
		if _, twice := want[f.Revision]; !twice { // a copy of a file is the same revision
			ids = append(ids, f.Revision)
			want[f.Revision] = f
		}
	}
	page, err := retry(ctx, d.c, d.c.patience(), func(ctx context.Context) (api.RevisionsPage, error) {
		return d.origin.revisions(ctx, ids)
	})
	if err != nil {
		return nil, nil, err
	}
	where, err := d.places(page.Places)
	if err != nil {
		return nil, nil, err
	}
	revs, lies = map[id.Revision]*revision{}, map[id.Revision]error{}
	for _, p := range page.Revisions {
		content, asked := want[p.ID]
		if !asked {
			return nil, nil, fmt.Errorf("%w (a revision that was not asked for, or twice)", ErrAnswer)
		}
		delete(want, p.ID)
		if r, err := d.revision(p, content, where); err != nil {
			lies[p.ID] = err
		} else {
			revs[p.ID] = r
		}
	}
	if len(page.Revisions) == 0 {
		return nil, nil, fmt.Errorf("%w (revisions are missing)", ErrAnswer)
	}
	return revs, lies, nil
}

// places checks where an answer says that blobs are.
func (d *download) places(p api.Places) (*places, error) {
	nodes, err := fleet.CheckAll(p.Nodes, d.c.local)
	if err != nil {
		return nil, err
	}
	out := &places{got: time.Now(), tickets: p.Tickets}
	for _, b := range p.Blobs {
		spot, err := placeBlob(b, nodes, p.Tickets)
		if err != nil {
			return nil, err
		}
		out.blobs = append(out.blobs, spot)
	}
	return out, nil
}
