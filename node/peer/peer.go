// Package peer hands blobs on to other nodes of a chain and brings back their
// receipts. It promises that a receipt it returns is the peer's own, for the blob
// that was sent; that a peer that stalls costs seconds, not minutes; and that one
// which fails is asked last for a while. It keeps no bytes: it reads what it is
// given, as often as it needs.
package peer

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/ticket"
)

// Errors for which a peer is given up.
var (
	// ErrStalled: the peer took no byte and gave no answer for too long.
	ErrStalled = errors.New("peer: stalled")
	// ErrReceipt: what the peer answered is no receipt of its own for this blob.
	ErrReceipt = errors.New("peer: not a receipt of this node for this blob")
	// ErrAddress: blobs are not sent there.
	ErrAddress = errors.New("peer: plain http is for loopback addresses only")
)

const (
	// stall is how long a peer may take no byte or leave us without an answer. The
	// client gives this node up after 10 seconds without an event, so that one
	// stall and the next peer's work fit in.
	stall = 5 * time.Second
	// continueTime is how long a peer may take to say whether it wants the bytes of a
	// blob that it may have; then they are sent unasked, since something on the way
	// may not know the question.
	continueTime = 2 * time.Second
	// dialTime bounds connecting.
	dialTime = 3 * time.Second
	// firstRest is for how long a peer that failed is asked last; it doubles with
	// each failure up to lastRest.
	firstRest, lastRest = 2 * time.Second, time.Minute
	// remembered bounds how many peers are known at once.
	remembered = 4096
)

// Options of New.
type Options struct {
	// TLS is for peers with certificates that the system does not know; may be nil.
	TLS *tls.Config
	// Stall replaces the constant in tests.
	Stall time.Duration
	Now   func() time.Time
}

// Peers knows the other nodes that this one has met.
type Peers struct {
	client *http.Client
	stall  time.Duration
	now    func() time.Time

	mu    sync.Mutex // guards known and what it holds
	known map[id.Node]*known
}

type known struct {
	public   ed25519.PublicKey // nil until asked for
	failures int
	rest     time.Time // asked last until then
}

// New makes a Peers without acquaintances.
func New(opt Options) *Peers {
	if opt.Stall == 0 {
		opt.Stall = stall
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Peers{client: &http.Client{Transport: transport(opt.TLS),
		// A node does not send others elsewhere; following would carry the ticket along.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, stall: opt.Stall, now: opt.Now, known: map[id.Node]*known{}}
}

func transport(conf *tls.Config) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true) // one connection a blob: HTTP/2 would share one window
	dialer := &net.Dialer{Timeout: dialTime, Control: limitUnsent}
	return &http.Transport{
		DialContext:           dialer.DialContext,
		TLSClientConfig:       conf,
		TLSHandshakeTimeout:   dialTime,
		Protocols:             &protocols,
		DisableCompression:    true,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       60 * time.Second, // below the other node's
		ExpectContinueTimeout: continueTime,
		WriteBufferSize:       32 << 10,
	}
}

// Close drops idle connections.
func (p *Peers) Close() { p.client.CloseIdleConnections() }

// get is called with mu held.
func (p *Peers) get(node id.Node) *known {
	k := p.known[node]
	if k == nil {
		for old := range p.known {
			if len(p.known) < remembered {
				break
			}
			delete(p.known, old)
		}
		k = &known{}
		p.known[node] = k
	}
	return k
}

// Sort puts peers that rest behind the others, else keeps their order.
func (p *Peers) Sort(places []ticket.Place) []ticket.Place {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ready, resting []ticket.Place
	for _, place := range places {
		if k := p.known[place.Node]; k != nil && p.now().Before(k.rest) {
			resting = append(resting, place)
		} else {
			ready = append(ready, place)
		}
	}
	return append(ready, resting...)
}

// note remembers how it went with a peer.
func (p *Peers) note(node id.Node, good bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.get(node)
	if good {
		k.failures, k.rest = 0, time.Time{}
		return
	}
	rest := min(firstRest<<min(k.failures, 10), lastRest)
	k.failures++
	k.rest = p.now().Add(rest)
}

// public returns a peer's key: what the peer declares, if it fits its id. The id
// comes from the ticket, which the server signed, so that the address cannot
// answer for somebody else.
func (p *Peers) public(ctx context.Context, place ticket.Place) (ed25519.PublicKey, error) {
	p.mu.Lock()
	key := p.get(place.Node).public
	p.mu.Unlock()
	if key != nil {
		return key, nil
	}
	health, err := api.GetHealth.Call(ctx, api.Caller{Base: strings.TrimRight(place.URL, "/"), HTTP: p.client}, api.Args{}, api.Empty{})
	if err != nil {
		return nil, fmt.Errorf("ask for the key: %w", err)
	}
	raw, err := ticket.ParseText(health.Declaration)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	declared, err := ticket.OpenDeclaration(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	if declared.Node() != place.Node {
		return nil, fmt.Errorf("%w: node %s answers there", ErrReceipt, declared.Node())
	}
	key = ed25519.PublicKey(declared.Public[:])
	p.mu.Lock()
	p.get(place.Node).public = key
	p.mu.Unlock()
	return key, nil
}

// checkAddress refuses plain HTTP beyond this machine.
func checkAddress(base string) error {
	u, err := url.Parse(base)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAddress, err)
	}
	if u.Scheme == "https" || u.Hostname() == "localhost" {
		return nil
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrAddress, u.Host)
}

// code names a failure for the client.
func code(err error) api.Code {
	var problem *api.Problem
	switch {
	case errors.As(err, &problem):
		return problem.Code
	case errors.Is(err, ErrReceipt):
		return api.ReceiptInvalid
	}
	return api.Unavailable
}

// blames tells whether a failure speaks against the peer, or only against this
// blob or ticket.
func blames(err error) bool {
	for _, c := range []api.Code{api.TicketExpired, api.TicketSpent, api.TicketInvalid, api.TicketOtherNode, api.BlobMismatch, api.RateLimited} {
		if errors.Is(err, c) {
			return false
		}
	}
	return !errors.Is(err, context.Canceled)
}

// drainAndClose lets a connection be used again where little is left on it.
func drainAndClose(body io.ReadCloser) {
	io.CopyN(io.Discard, body, 4<<10) // what fails here only costs the connection
	body.Close()
}
