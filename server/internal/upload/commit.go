package upload

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"holdfast/format/id"
	"holdfast/format/wire"
	"holdfast/server/internal/placement"
	"holdfast/server/internal/share"
)

// Commit is what closes an upload: pages that were staged, the last one, and the link.
type Commit struct {
	// Pages were staged under the numbers below it.
	Pages int        `cbor:"1,keyasint"`
	Page  Page       `cbor:"2,keyasint"`
	Link  share.Spec `cbor:"3,keyasint"`
}

// Done is the answer to a commit.
type Done struct {
	// Expires is the link's end in Unix seconds, rounded.
	Expires int64 `cbor:"1,keyasint"`
	// Holders are the nodes that hold the upload's blobs.
	Holders []id.Node `cbor:"2,keyasint"`
}

// maxDone bounds a stored answer: 64 nodes take little more than a kilobyte.
const maxDone = 4 << 10

// Copies that are acknowledged at least, and that are wanted in the end.
const (
	copiesNeeded = 2
	copiesWanted = 3
)

// digest tells one commit from another.
func (c *Commit) digest() []byte {
	sum := sha256.Sum256(wire.Marshal(c))
	return sum[:]
}

// Commit makes everything that an upload brought visible, with its link, or
// nothing. The same commit again gets the same answer. It also returns the
// members that hold the blobs.
func (s *Service) Commit(ctx context.Context, upload id.Upload, secret string, c *Commit) (Done, []Node, error) {
	done, err := s.commit(ctx, upload, secret, c)
	if err != nil {
		return Done{}, nil, fmt.Errorf("commit upload: %w", err)
	}
	holders, err := s.Named(ctx, done.Holders)
	if err != nil {
		return Done{}, nil, fmt.Errorf("commit upload: %w", err)
	}
	return done, holders, nil
}

// Named are those of the nodes that are known to the fleet.
func (s *Service) Named(ctx context.Context, nodes []id.Node) ([]Node, error) {
	if len(nodes) == 0 {
		return nil, nil
	}
	members, err := s.fleet.Members(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(members), func(n Node) bool { return !slices.Contains(nodes, n.ID) }), nil
}

func (s *Service) commit(ctx context.Context, upload id.Upload, secret string, c *Commit) (Done, error) {
	u, err := s.known(ctx, upload, secret)
	if err != nil {
		return Done{}, err
	}
	digest := c.digest()
	if !u.openAt(s.now()) {
		return answered(u, digest)
	}
	if !u.Account.IsZero() {
		return Done{}, fmt.Errorf("%w: the upload is for a drive, where no link closes it", ErrRequest)
	}
	closing, err := s.closing(ctx, u, c.Pages, &c.Page)
	if err != nil {
		return Done{}, err
	}
	var done Done
	err = s.store.CommitUpload(ctx, upload, func(u Upload, tx Tx) error {
		now := s.now()
		if !u.openAt(now) { // the same commit may have come twice at once
			done, err = answered(u, digest)
			return err
		}
		brought, err := closing.Assemble(ctx, u, tx)
		if err != nil {
			return err
		}
		if done, err = s.link(ctx, u, tx, brought, c.Link, now); err != nil {
			return err
		}
		return tx.Close(ctx, now.Unix()/secondsDay, digest, wire.Marshal(done), done.Holders)
	})
	if err != nil {
		return Done{}, err
	}
	return done, nil
}

// answered is the answer to a commit of an upload that is not open any more.
func answered(u Upload, digest []byte) (Done, error) {
	if u.State != Committed {
		return Done{}, ErrClosed
	}
	if !bytes.Equal(u.Digest, digest) {
		return Done{}, ErrConflict
	}
	var done Done
	if err := wire.Unmarshal(u.Answer, maxDone, &done); err != nil {
		return Done{}, fmt.Errorf("read answer: %w", err)
	}
	return done, nil
}

// assembly puts the pages of one upload together inside of the transaction.
// Pages are read twice, one at a time, so that memory is bounded by the blobs.
type assembly struct {
	tx      Tx
	members map[id.Node]Node
	upload  Upload
	last    *staged
	pages   int

	blobs   []assembled
	numbers map[id.Name]int
	bytes   int64
	// nodes are those that sent receipts; a blob's mask has their indexes.
	nodes  []id.Node
	policy map[uint64]int // copies that a mask counts for

	revisions []id.Revision
}

type assembled struct {
	name id.Name
	size int64
	mask uint64
}

// Closing is what is going to close an upload, its last page checked.
type Closing struct {
	members map[id.Node]Node
	last    *staged
	pages   int
	now     func() time.Time
}

// closing checks what can be checked before the transaction, which holds up every
// other writer: signatures do not change.
func (s *Service) closing(ctx context.Context, u Upload, pages int, p *Page) (*Closing, error) {
	if pages < 0 || pages > maxPages {
		return nil, fmt.Errorf("%w: %d pages, at most %d", ErrRequest, pages, maxPages)
	}
	last, err := s.checkPage(ctx, u, p)
	if err != nil {
		return nil, err
	}
	members, err := s.membersByID(ctx)
	if err != nil {
		return nil, err
	}
	return &Closing{members: members, last: last, pages: pages, now: s.now}, nil
}

// Closing prepares what a commit of the account's drive closes an upload with.
func (s *Service) Closing(ctx context.Context, account id.Account, upload id.Upload, secret string, pages int, p *Page) (*Closing, error) {
	u, err := s.open(ctx, upload, secret)
	if err == nil && u.Account != account {
		err = fmt.Errorf("%w: the upload is not for this account's drive", ErrRequest)
	}
	if err != nil {
		return nil, err
	}
	return s.closing(ctx, u, pages, p)
}

// Brought is what an upload brought.
type Brought struct {
	Bytes     int64 // of all blobs
	Revisions []id.Revision
	Holders   []id.Node
}

// Assemble puts the pages of u, as it stands in tx, together. It may run again, for
// another transaction.
func (c *Closing) Assemble(ctx context.Context, u Upload, tx Tx) (Brought, error) {
	if !u.openAt(c.now()) {
		return Brought{}, ErrClosed
	}
	a := &assembly{tx: tx, members: c.members, upload: u, last: c.last, pages: c.pages, numbers: map[id.Name]int{}, policy: map[uint64]int{}}
	if err := a.each(ctx, a.addBlobs); err != nil {
		return Brought{}, err
	}
	if err := a.each(ctx, a.addRest); err != nil {
		return Brought{}, err
	}
	holders, err := a.addCopies(ctx)
	if err != nil {
		return Brought{}, err
	}
	if len(a.revisions) == 0 {
		return Brought{}, fmt.Errorf("%w: there is none", ErrRevision)
	}
	return Brought{Bytes: a.bytes, Revisions: a.revisions, Holders: holders}, nil
}

// link adds the link to what was brought.
func (s *Service) link(ctx context.Context, u Upload, tx Tx, b Brought, spec share.Spec, now time.Time) (Done, error) {
	if !spec.Listing.IsZero() && !slices.Contains(b.Revisions, spec.Listing) {
		return Done{}, fmt.Errorf("%w: the listing %s is not in this upload", ErrRevision, spec.Listing)
	}
	l, err := spec.Link(u.ID, b.Bytes, share.Limits{Days: s.limits.Days, Downloads: s.limits.Downloads}, now)
	if err != nil {
		return Done{}, err
	}
	if err := tx.AddLink(ctx, l); err != nil {
		return Done{}, err
	}
	return Done{Expires: l.Expires, Holders: b.Holders}, nil
}

// each calls f with every page in order.
func (a *assembly) each(ctx context.Context, f func(context.Context, *staged) error) error {
	for n := range a.pages {
		body, err := a.tx.Page(ctx, n)
		if err != nil {
			return fmt.Errorf("page %d of %d: %w", n, a.pages, err)
		}
		p, err := decodeStaged(body)
		if err != nil {
			return err
		}
		if err := f(ctx, p); err != nil {
			return fmt.Errorf("page %d: %w", n, err)
		}
	}
	return f(ctx, a.last)
}

func (a *assembly) addBlobs(ctx context.Context, p *staged) error {
	for _, b := range p.Blobs {
		if len(a.blobs) == maxBlobs {
			return fmt.Errorf("%w: more than %d blobs", ErrOverLimit, maxBlobs)
		}
		if _, twice := a.numbers[b.Name]; twice {
			return fmt.Errorf("%w: blob %s twice", ErrRequest, b.Name)
		}
		if a.bytes += b.Size; a.bytes > a.upload.Budget {
			return fmt.Errorf("%w: the blobs are larger than the budget of %d bytes", ErrOverLimit, a.upload.Budget)
		}
		if err := a.tx.AddBlob(ctx, b); err != nil {
			return err
		}
		a.numbers[b.Name] = len(a.blobs)
		a.blobs = append(a.blobs, assembled{name: b.Name, size: b.Size})
	}
	return nil
}

func (a *assembly) addRest(ctx context.Context, p *staged) error {
	for _, said := range p.Receipts {
		if err := a.addReceipt(said); err != nil {
			return err
		}
	}
	for i := range p.Revisions {
		if err := a.addRevision(ctx, &p.Revisions[i]); err != nil {
			return err
		}
	}
	return nil
}

// addReceipt counts copies. A receipt may also name blobs that the client does
// not commit; their copies are nobody's. Of a node that left or lost its state
// after it signed nothing is counted.
func (a *assembly) addReceipt(said statement) error {
	if !a.members[said.Node].Counts {
		return nil
	}
	index := slices.Index(a.nodes, said.Node)
	if index < 0 {
		index = len(a.nodes)
		a.nodes = append(a.nodes, said.Node)
	}
	if index >= maxNodes { // tickets name fewer
		return fmt.Errorf("%w: from more than %d nodes", ErrReceipt, maxNodes)
	}
	for _, b := range said.Blobs {
		number, ok := a.numbers[b.Name]
		if !ok {
			continue
		}
		blob := &a.blobs[number]
		if blob.size != b.Size {
			return fmt.Errorf("%w: node %s stored %d bytes of blob %s, which has %d", ErrReceipt, said.Node, b.Size, b.Name, blob.size)
		}
		blob.mask |= 1 << index
	}
	return nil
}

func (a *assembly) addRevision(ctx context.Context, r *Revision) error {
	for n, e := range r.Extents {
		if e.Blob >= int64(len(a.blobs)) {
			return fmt.Errorf("%w: revision %s: extent %d: no blob has number %d", ErrRevision, r.ID, n, e.Blob)
		}
		if size := a.blobs[e.Blob].size; e.Offset+e.Length > size {
			return fmt.Errorf("%w: revision %s: extent %d ends at %d, its blob at %d", ErrRevision, r.ID, n, e.Offset+e.Length, size)
		}
	}
	if len(a.revisions) == maxRevisions {
		return fmt.Errorf("%w: more than %d revisions", ErrOverLimit, maxRevisions)
	}
	a.revisions = append(a.revisions, r.ID)
	return a.tx.AddRevision(ctx, r)
}

// addCopies checks that every blob has independent copies, and notes them and
// what is wanted beyond them.
func (a *assembly) addCopies(ctx context.Context) ([]id.Node, error) {
	var all uint64
	for number, b := range a.blobs {
		copies := a.independent(b.mask)
		if copies < copiesNeeded {
			return nil, fmt.Errorf("%w: blob %s", ErrReceiptsMissing, b.name)
		}
		if err := a.tx.AddCopies(ctx, number, a.named(b.mask), copiesWanted-copies); err != nil {
			return nil, err
		}
		all |= b.mask
	}
	return a.named(all), nil
}

func (a *assembly) named(mask uint64) []id.Node {
	var nodes []id.Node
	for i, n := range a.nodes {
		if mask&(1<<i) != 0 {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// independent is for how many copies the nodes of a mask count, at most copiesWanted.
func (a *assembly) independent(mask uint64) int {
	if copies, ok := a.policy[mask]; ok {
		return copies
	}
	var exposures []placement.Exposure
	for _, n := range a.named(mask) {
		exposures = append(exposures, a.members[n].Exposure)
	}
	copies := 0
	for copies < copiesWanted && placement.Satisfies(exposures, copies+1) {
		copies++
	}
	a.policy[mask] = copies
	return copies
}
