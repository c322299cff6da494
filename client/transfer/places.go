package transfer

import (
	"context"
	"fmt"
	"sync"
	"time"

	"holdfast/api"
	"holdfast/client/blobs"
	"holdfast/client/fleet"
	"holdfast/format/blob"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/seal"
)

// extentsAtOnce is how many extents are asked for: 2 GiB, which few lines carry
// within the five minutes that the tickets live.
const extentsAtOnce = 256

// places is where the blobs of one answer are.
type places struct {
	got     time.Time
	tickets []api.PlaceTicket
	blobs   []spot
}

// spot is one blob's place.
type spot struct {
	blobs.Place
	got     time.Time
	expires int64
}

func (s spot) stale(now time.Time) bool { return blobs.Stale(s.got, s.expires, now) }

func placeBlob(b api.PlacedBlob, nodes []fleet.Node, tickets []api.PlaceTicket) (spot, error) {
	out := spot{got: time.Now(), Place: blobs.Place{Upload: b.Upload, Name: b.Name, Size: b.Size}}
	if b.Size < 1 || b.Size > blob.MaxSize || len(b.Nodes) > blobs.MaxNodes {
		return spot{}, fmt.Errorf("%w (blob %s)", ErrAnswer, b.Name)
	}
	for _, i := range b.Nodes {
		if i < 0 || i >= len(nodes) {
			return spot{}, fmt.Errorf("%w (blob %s: no node %d)", ErrAnswer, b.Name, i)
		}
		out.Nodes = append(out.Nodes, nodes[i])
	}
	if len(b.Nodes) == 0 {
		return out, nil
	}
	if b.Ticket < 0 || b.Ticket >= len(tickets) {
		return spot{}, fmt.Errorf("%w (blob %s: no ticket %d)", ErrAnswer, b.Name, b.Ticket)
	}
	out.Ticket, out.expires = tickets[b.Ticket].Ticket, tickets[b.Ticket].Expires
	return out, nil
}

// extent is where one piece of a stream is.
type extent struct {
	spot
	index          int // of the blob in its answer
	offset, length int64
}

// revision is a stream that can be fetched: its record, held against the
// descriptor that came sealed.
type revision struct {
	d       *download
	from    origin
	content descriptor.Content
	keys    seal.Keys
	params  seal.Params
	length  int64
	pieces  int

	mu      sync.Mutex // guards extents
	extents map[int]extent
}

// revision checks a record of the server. Nothing in it is needed that the
// descriptor does not say as well, but the release key, salt and prefix; and
// those are right if the commitment is.
func (d *download) revision(p api.PlacedRevision, content descriptor.Content, where *places) (*revision, error) {
	refuse := func(what string) error {
		return integrity(fmt.Errorf("%w (%s of revision %s)", ErrAnswer, what, content.Revision))
	}
	length, err := seal.PaddedStreamLength(content.Size)
	if err != nil {
		return nil, integrity(err)
	}
	prefix, err := id.Encoding.DecodeString(p.Prefix)
	r := &revision{d: d, from: d.origin, content: content, length: length, pieces: 1, extents: map[int]extent{}}
	switch {
	case p.ID != content.Revision:
		return nil, refuse("the id")
	case err != nil || len(prefix) != len(r.params.Prefix):
		return nil, refuse("the prefix")
	case p.Length != length:
		return nil, refuse("the length")
	case p.Commitment != id.Bytes32(content.Commitment):
		return nil, refuse("the commitment")
	case p.Root != id.Bytes32(content.Root):
		return nil, refuse("the root")
	}
	if length > blob.PackMax {
		r.pieces = blob.Pieces(length)
	}
	if p.ExtentCount != r.pieces || len(p.Extents) < 1 {
		return nil, refuse("the number of extents")
	}
	r.keys = seal.Keys{File: content.File, Revision: content.Revision, K: content.Key, R: p.ReleaseKey}
	r.params.Salt = p.Salt
	copy(r.params.Prefix[:], prefix)
	// Before anything is fetched: another key, or the wrong release key.
	if _, err := seal.NewOpener(r.keys, r.params, content.Commitment); err != nil {
		return nil, integrity(err)
	}
	return r, r.place(0, p.Extents, where)
}

// place takes extents from number from on, checked: a large stream's pieces are
// blobs of their own, a small one lies in one blob.
func (r *revision) place(from int, extents []api.Extent, where *places) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n, e := range extents {
		i := from + n
		bad := integrity(fmt.Errorf("%w (extent %d of revision %s)", ErrAnswer, i, r.content.Revision))
		if i >= r.pieces || e[0] < 0 || e[0] >= int64(len(where.blobs)) {
			return bad
		}
		spot := where.blobs[e[0]]
		length := r.length
		if r.length > blob.PackMax {
			_, length = blob.Piece(r.length, i)
			if e[1] != 0 || spot.Size != length {
				return bad
			}
			// The root is computed over names: one that was fetched stays.
			if before, known := r.extents[i]; known && before.Name != spot.Name {
				return bad
			}
		}
		if e[2] != length || blob.CheckRange(spot.Size, e[1], e[2]) != nil {
			return bad
		}
		r.extents[i] = extent{spot: spot, index: int(e[0]), offset: e[1], length: e[2]}
	}
	return nil
}

// extent is where piece i is; fresh asks the server again.
func (r *revision) extent(ctx context.Context, i int, fresh bool) (extent, error) {
	r.mu.Lock()
	e, known := r.extents[i]
	r.mu.Unlock()
	if known && !fresh && !e.stale(time.Now()) {
		return e, nil
	}
	if err := r.ask(ctx, i); err != nil {
		return extent{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e, known = r.extents[i]
	if !known {
		return extent{}, fmt.Errorf("%w (extent %d of revision %s is missing)", ErrAnswer, i, r.content.Revision)
	}
	return e, nil
}

// ask asks for extents from piece i on.
func (r *revision) ask(ctx context.Context, i int) error {
	page, err := retry(ctx, r.d.c, r.d.c.patience(), func(ctx context.Context) (api.ExtentsPage, error) {
		return r.from.extents(ctx, r.content.Revision, i, min(extentsAtOnce, r.pieces-i))
	})
	if err != nil {
		return err
	}
	where, err := r.d.places(page.Places)
	if err != nil {
		return err
	}
	if page.ExtentCount != r.pieces {
		return integrity(fmt.Errorf("%w (the number of extents of revision %s changed)", ErrAnswer, r.content.Revision))
	}
	return r.place(i, page.Extents, where)
}

// at locates piece i for the fetcher.
func (r *revision) at(i int) blobs.Locator { return locator{r, i} }

type locator struct {
	r *revision
	i int
}

func (l locator) Locate(ctx context.Context, fresh bool) (blobs.Place, error) {
	e, err := l.r.extent(ctx, l.i, fresh)
	return e.Place, err
}
