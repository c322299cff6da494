package blobs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"holdfast/api"
	"holdfast/client/fleet"
	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/ticket"
)

// Errors of Fetch.
var (
	// ErrDamaged: every copy that can be had is damaged.
	ErrDamaged = errors.New("all copies are damaged")
	// ErrNoCopy: no node that has a copy can be reached.
	ErrNoCopy = errors.New("no copy can be reached")
)

const (
	// hedgeAfter is the silence after which another copy is asked for as well,
	// stall the one after which the first node is left (docs/protocol.md, Download 5).
	hedgeAfter = 1200 * time.Millisecond
	readStall  = 4 * time.Second
	// slowAfter is when a node that crawls is compared with others: slower than a
	// slowFactor-th of what another copy's node gave of late, or, where nothing is
	// known of it, than crawl bytes a second.
	slowAfter  = 3 * time.Second
	slowFactor = 8
	crawl      = 32 << 10
	// readPatience is how long Fetch goes round all copies in vain.
	readPatience = time.Minute
	// spares bound the memory of hedging.
	spares = 2
)

// Place is where a blob's copies are, and the right to read them.
type Place struct {
	Upload id.Upload
	Name   id.Name
	Size   int64
	Nodes  []fleet.Node
	Ticket string
}

// Locator finds a blob's place; with fresh it asks the server again, because
// the ticket was refused or the nodes do not answer.
type Locator interface {
	Locate(ctx context.Context, fresh bool) (Place, error)
}

// Fetcher reads blobs. Safe for concurrent use.
type Fetcher struct {
	http   *http.Client
	fault  func(Fault)
	health *health
	spare  chan []byte
	// Patience replaces the constant in tests.
	Patience time.Duration
}

// NewFetcher makes a fetcher; fault is told of nodes that failed and may be nil.
func NewFetcher(client *http.Client, fault func(Fault)) *Fetcher {
	if fault == nil {
		fault = func(Fault) {}
	}
	f := &Fetcher{http: client, fault: fault, health: newHealth(), spare: make(chan []byte, spares), Patience: readPatience}
	for range spares {
		f.spare <- nil
	}
	return f
}

// Fetch returns length bytes from offset of a blob, verified against its name.
// A whole blob is read into buf, which then has room for it; parts have memory
// of their own.
func (f *Fetcher) Fetch(ctx context.Context, at Locator, offset, length int64, buf []byte) ([]byte, error) {
	begun := time.Now()
	for round := 0; ; round++ {
		place, err := at.Locate(ctx, round > 0)
		if err != nil {
			return nil, err
		}
		if err := blob.CheckRange(place.Size, offset, length); err != nil {
			return nil, err
		}
		r := race{f: f, place: place, offset: offset, length: length, nodes: f.order(place.Nodes)}
		data, err := r.run(ctx, buf)
		if err == nil {
			return data, nil
		}
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		if r.settled() || time.Since(begun) > f.Patience {
			return nil, err
		}
		if err := pause(ctx, min(500*time.Millisecond<<min(round, 4), longestWait)); err != nil {
			return nil, err
		}
	}
}

// order puts nodes that rest behind the others.
func (f *Fetcher) order(nodes []fleet.Node) []fleet.Node {
	var ready, resting []fleet.Node
	for _, n := range nodes {
		if f.health.rests(n.ID).After(time.Now()) {
			resting = append(resting, n)
		} else {
			ready = append(ready, n)
		}
	}
	return append(ready, resting...)
}

// attempt is one request of a race.
type attempt struct {
	node   fleet.Node
	watch  *watch
	cancel context.CancelCauseFunc
	buf    []byte
	spare  bool
	data   []byte
	err    error
	over   bool
}

// race reads one range from one copy, and from the next when that one fails or
// hesitates. The first good answer wins.
type race struct {
	f              *Fetcher
	place          Place
	offset, length int64
	nodes          []fleet.Node // those not asked yet
	tries          []*attempt
	results        chan *attempt
}

func (r *race) whole() bool { return r.offset == 0 && r.length == r.place.Size }

// run ends with all its requests ended, so that buf is nobody else's.
func (r *race) run(ctx context.Context, buf []byte) ([]byte, error) {
	if len(r.nodes) == 0 {
		return nil, r.failed()
	}
	r.results = make(chan *attempt, len(r.nodes))
	r.start(ctx, buf, false)
	tick := time.NewTicker(hedgeAfter / 8)
	defer tick.Stop()
	running := 1
	for running > 0 {
		select {
		case a := <-r.results:
			running--
			a.over = true
			if a.err == nil {
				r.f.health.good(a.node.ID, a.watch.rate())
				return r.won(a, running, buf), nil
			}
			r.note(ctx, a)
			if len(r.nodes) > 0 && running == 0 && ctx.Err() == nil {
				r.start(ctx, buf, false)
				running++
			}
			r.giveBack(a)
		case <-tick.C:
			running += r.hedge(ctx)
		}
	}
	return nil, r.failed()
}

// won ends the other requests and puts what was read where the caller wants it.
func (r *race) won(winner *attempt, running int, buf []byte) []byte {
	for _, a := range r.tries {
		if !a.over {
			a.cancel(context.Canceled)
			if a.watch.silence() > hedgeAfter/2 {
				r.f.health.failed(a.node.ID, time.Now(), 0)
			} else {
				r.f.health.tooSlow(a.node.ID, time.Now())
			}
		}
	}
	for range running {
		r.giveBack(<-r.results)
	}
	data := winner.data
	if winner.spare {
		data = buf[:copy(buf, data)]
	}
	r.giveBack(winner)
	return data
}

func (r *race) giveBack(a *attempt) {
	a.cancel(context.Canceled)
	if a.spare {
		r.f.spare <- a.buf
	}
}

// note remembers what a failure says of its node.
func (r *race) note(ctx context.Context, a *attempt) {
	if ctx.Err() != nil {
		return
	}
	if errors.Is(a.err, api.TicketExpired) || errors.Is(a.err, api.TicketInvalid) {
		return // it goes round with a fresh one
	}
	r.f.health.failed(a.node.ID, time.Now(), 0)
	r.f.fault(Fault{a.node, r.place.Name, a.err})
}

// settled tells whether asking again would bring the same: every node answered,
// and none has the bytes.
func (r *race) settled() bool {
	for _, a := range r.tries {
		if !lies(a.err) && !errors.Is(a.err, api.BlobUnknown) {
			return false
		}
	}
	return true
}

// failed sums up why no copy could be read.
func (r *race) failed() error {
	var causes []string
	damaged := false
	var first error
	for _, a := range r.tries {
		causes = append(causes, fmt.Sprintf("%s: %v", a.node.Label(), a.err))
		damaged = damaged || lies(a.err)
		if first == nil || errors.Is(first, api.ErrUnreachable) {
			first = a.err
		}
	}
	if first == nil {
		return fmt.Errorf("%w (blob %s: no storage node has it any more)", ErrNoCopy, r.place.Name)
	}
	sum := strings.Join(causes, "; ")
	if damaged && r.settled() {
		return fmt.Errorf("%w (blob %s: %s)", ErrDamaged, r.place.Name, sum)
	}
	return &unread{sum: fmt.Sprintf("%v (blob %s: %s)", ErrNoCopy, r.place.Name, sum), cause: first}
}

// unread is ErrNoCopy with what the first node said.
type unread struct {
	sum   string
	cause error
}

func (e *unread) Error() string   { return e.sum }
func (e *unread) Unwrap() []error { return []error{ErrNoCopy, e.cause} }

// lies tells whether a node sent other bytes than the blob's.
func lies(err error) bool {
	return errors.Is(err, blob.ErrName) || errors.Is(err, blob.ErrSlice) || errors.Is(err, errLength)
}

// readLife is how long read tickets live (docs/protocol.md).
const readLife = 5 * time.Minute

// Stale tells whether read tickets that came at got should be renewed.
func Stale(got time.Time, expires int64, now time.Time) bool {
	return stale(got, expires, readLife, now)
}

// MaxNodes is how many nodes a blob's place may name.
const MaxNodes = ticket.MaxReaders
