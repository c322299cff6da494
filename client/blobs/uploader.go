// Package blobs moves sealed blobs between this machine and storage nodes
// (docs/protocol.md, "Upload" and "Download"). It promises that a blob counts as
// stored only with checked receipts of two independent nodes, that what Fetch
// returns hashes to the blob's name, and that a node that is dead, slow or lying
// costs seconds as long as another does its part. It sees ciphertext only and
// knows no keys, names of files or links.
package blobs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"holdfast/api"
	"holdfast/client/fleet"
	"holdfast/format/id"
)

// Errors of Put.
var (
	// ErrNoCopies: for too long no node could be made to store.
	ErrNoCopies = errors.New("no two storage nodes could be made to keep what is sent")
	// ErrBudget: the upload's bytes are spent; more must be asked for.
	ErrBudget = errors.New("the upload's bytes are spent")
)

const (
	// Stall is after how long without progress a node is given up (docs/protocol.md).
	Stall = 10 * time.Second
	// patience is how long Put goes on without any receipt coming in at all.
	patience = 2 * time.Minute
	// leastRate in bytes a second, below which another node is tried: less than
	// what four connections share on the slowest lines that people still use.
	leastRate = 8 << 10
	// longestWait is how long Put waits at most before it asks a node again that
	// failed, where there is no other.
	longestWait = 3 * time.Second
	// renewPause is the least time between grants that are asked for because of that.
	renewPause = 10 * time.Second
	// maxAnswer bounds the events of one request.
	maxAnswer = 1 << 20
)

// Fault is something that a node did and should not have.
type Fault struct {
	Node fleet.Node
	Blob id.Name
	Err  error
}

// Uploader stores the blobs of one upload. Safe for concurrent use.
type Uploader struct {
	HTTP *http.Client
	// Renew gets a fresh grant.
	Renew func(ctx context.Context) (Grant, error)
	// Receipts collects what nodes sign.
	Receipts *Receipts
	// Sent is told of bytes as they leave, those that are sent again included.
	Sent func(n int)
	// Fault is told of nodes that failed; the send goes on.
	Fault func(Fault)
	// Stall and Patience replace the constants in tests.
	Stall, Patience time.Duration

	health *health
	good   atomic.Int64 // Unix nanoseconds of the last receipt

	mu      sync.Mutex // guards grant and spentBy
	grant   Grant
	spentBy map[id.Node]bool // nodes that said, unprovoked, that the grant's budget is spent
	renew   sync.Mutex       // held while renewing
}

// Start makes the uploader ready to use grant.
func (u *Uploader) Start(grant Grant) {
	u.grant, u.health = grant, newHealth()
	if u.Stall == 0 {
		u.Stall = Stall
	}
	if u.Patience == 0 {
		u.Patience = patience
	}
	if u.Sent == nil {
		u.Sent = func(int) {}
	}
	if u.Fault == nil {
		u.Fault = func(Fault) {}
	}
	u.good.Store(time.Now().UnixNano())
}

// Grant is the one in use.
func (u *Uploader) Grant() Grant {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.grant
}

// Replace sets a grant that was had otherwise, such as by asking for more bytes.
func (u *Uploader) Replace(g Grant) {
	u.mu.Lock()
	defer u.mu.Unlock()
	g.keep(u.grant)
	if g.Budget > u.grant.Budget {
		u.spentBy = nil // what nodes said of the old budget is no word on this one
	}
	u.grant = g
}

// Put stores a blob at two independent nodes, whatever it takes short of
// Patience without a receipt. Its name must be durable here already.
func (u *Uploader) Put(ctx context.Context, name id.Name, data []byte) error {
	u.Receipts.Expect(name, int64(len(data)))
	begun := time.Now()
	whole := false // all bytes reached a node once: others may have them from there
	slow := map[id.Node]bool{}
	var last error
	for failures := 0; !u.Receipts.Enough(name); {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if since := time.Since(u.lastGood(begun)); since > u.Patience {
			return fmt.Errorf("%w within %s (%s): %w", ErrNoCopies, u.Patience, strings.Join(u.Grant().names(), ", "), last)
		}
		if err := u.fresh(ctx, false); err != nil {
			return err
		}
		at, wait := u.pick(name)
		if err := u.rest(ctx, wait); err != nil {
			return err
		}
		copies := len(u.Receipts.Holders(name))
		sent, err := u.try(ctx, at, name, data, whole)
		whole = whole || sent
		if err == nil && len(u.Receipts.Holders(name)) > copies {
			continue
		}
		if err == nil {
			err = fmt.Errorf("%w (nothing that was not known)", ErrReceipt)
		}
		if errors.Is(err, ErrSlow) && !slow[at.node.ID] {
			slow[at.node.ID], begun = true, time.Now() // it used up its own time, not that of the others
		}
		last = fmt.Errorf("%s: %w", at.node.Label(), err)
		if err := u.judge(ctx, at, name, err, failures); err != nil {
			return err
		}
		failures++
	}
	return nil
}

func (u *Uploader) lastGood(begun time.Time) time.Time {
	if good := time.Unix(0, u.good.Load()); good.After(begun) {
		return good
	}
	return begun
}

// judge decides what a failed try means; its error ends Put.
func (u *Uploader) judge(ctx context.Context, at target, name id.Name, err error, failures int) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	switch {
	case errors.Is(err, api.TicketSpent) && u.spent(at.node.ID):
		return fmt.Errorf("%w: %w", ErrBudget, err)
	case errors.Is(err, api.TicketExpired) && failures == 0:
		return u.fresh(ctx, true)
	case errors.Is(err, api.ReadOnly), errors.Is(err, api.NodeIO):
		u.health.failed(at.node.ID, time.Now(), fullRest)
	case errors.Is(err, ErrSlow):
		u.health.tooSlow(at.node.ID, time.Now())
	case errors.Is(err, api.ForwardFailed) && u.holds(name, at.node.ID):
		return nil // it did its own part; another node is asked for the rest
	default:
		u.health.failed(at.node.ID, time.Now(), 0)
	}
	u.Fault(Fault{at.node, name, err})
	return nil
}

// spent tells whether to believe a node that the budget is spent: when what was
// put so far exceeds it, or when a second node says so, too. One that lies must
// not make the budget grow without end.
func (u *Uploader) spent(n id.Node) bool {
	if u.Receipts.Bytes() > u.Grant().Budget {
		return true
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.spentBy == nil {
		u.spentBy = map[id.Node]bool{}
	}
	u.spentBy[n] = true
	return len(u.spentBy) > 1
}

// holds tells whether the node gave a receipt for the blob.
func (u *Uploader) holds(name id.Name, n id.Node) bool {
	return slices.ContainsFunc(u.Receipts.Holders(name), func(h fleet.Node) bool { return h.ID == n })
}

// fresh renews the grant when its time is nearly over, or when it must.
func (u *Uploader) fresh(ctx context.Context, must bool) error {
	before := u.Grant()
	if !must && !before.Stale(time.Now()) {
		return nil
	}
	u.renew.Lock()
	defer u.renew.Unlock()
	if u.Grant().Ticket != before.Ticket {
		return nil // somebody else was faster
	}
	g, err := u.Renew(ctx)
	if err != nil {
		return err
	}
	u.Replace(g)
	return nil
}

// rest waits while no node is ready, and asks whether there are others by now.
func (u *Uploader) rest(ctx context.Context, wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	if err := pause(ctx, min(wait, longestWait)); err != nil {
		return err
	}
	if time.Since(u.Grant().Got) < renewPause {
		return nil
	}
	err := u.fresh(ctx, true)
	if context.Cause(ctx) != nil || final(err) {
		return err
	}
	return nil // what was granted before may still serve
}

// final tells whether a server that gave no grant never will: the upload is over,
// or no nodes came although it waited for them.
func final(err error) bool {
	for _, code := range []api.Code{api.UploadClosed, api.UploadUnknown, api.Unauthorized, api.NoPlacement} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// pause waits, or ends with ctx.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// target is where a blob goes next.
type target struct {
	chain  int
	node   fleet.Node
	copies int
}

// pick chooses the node to ask, and how long to wait before: the first of the
// first chain that is not resting, with a second one that is not; among those
// that rest, the one that rests the shortest.
func (u *Uploader) pick(name id.Name) (target, time.Duration) {
	g, now := u.Grant(), time.Now()
	have := u.Receipts.Holders(name)
	var best target
	var bestRank int
	var bestWait time.Duration
	for c, chain := range g.Chains {
		for _, n := range chain {
			if !useful(n, have) {
				continue
			}
			wait := u.health.rests(n.ID).Sub(now)
			r := rank(wait > 0, len(have) > 0 || u.partner(chain, n, now))
			if best.copies == 0 || r < bestRank || r == bestRank && wait > 0 && wait < bestWait {
				best, bestRank, bestWait = target{c, n, 2 - min(len(have), 1)}, r, wait
			}
		}
	}
	if best.copies == 0 { // no node is left that could be the second copy: ask again for chains
		return u.anywhere(g, have), time.Second
	}
	return best, max(bestWait, 0)
}

// anywhere is a node that may bring a copy although none is known to help.
func (u *Uploader) anywhere(g Grant, have []fleet.Node) target {
	for c, chain := range g.Chains {
		for _, n := range chain {
			if len(have) == 0 || n.ID != have[0].ID {
				return target{c, n, 1}
			}
		}
	}
	return target{} // not reached: OpenGrant accepts no grant without two nodes
}

// useful tells whether a copy at n would be one more.
func useful(n fleet.Node, have []fleet.Node) bool {
	if len(have) == 0 {
		return true
	}
	for _, h := range have {
		if h.ID == n.ID {
			return false
		}
	}
	for _, h := range have {
		if fleet.Independent(h, n) {
			return true
		}
	}
	return false
}

// partner tells whether the chain has a second node that does not rest.
func (u *Uploader) partner(chain []fleet.Node, n fleet.Node, now time.Time) bool {
	for _, other := range chain {
		if other.ID != n.ID && fleet.Independent(n, other) && !u.health.rests(other.ID).After(now) {
			return true
		}
	}
	return false
}

func rank(resting, partner bool) int {
	switch {
	case !resting && partner:
		return 0
	case !resting:
		return 1
	}
	return 2
}
