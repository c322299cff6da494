// Package gate decides who may store and read at this node: it checks tickets
// against the server's pinned key, this node's id and the clock. It promises
// that a grant was signed by that server, is not expired and names this node. It
// keeps no count of what was used: budgets are the store's.
package gate

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"time"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/format/wire"
)

// cached is how many opened tickets of a kind are kept, so that a signature is
// checked once and not for each blob. An opened ticket is a few KiB, and one
// serves an upload for an hour or a reader for minutes.
const cached = 128

// uploadLife is the longest that an upload ticket may still live; the server gives
// an hour. Since longer ones are refused, a closed upload can be forgotten later
// than that (docs/protocol.md, "Orders").
const uploadLife = 24 * time.Hour

// Gate checks tickets.
type Gate struct {
	self id.Node
	now  func() time.Time

	mu      sync.Mutex // guards what follows
	key     ed25519.PublicKey
	uploads map[[sha256.Size]byte]ticket.UploadTicket
	reads   map[[sha256.Size]byte]ticket.ReadTicket
}

// New makes a gate that lets nobody pass until Pin.
func New(self id.Node, now func() time.Time) *Gate {
	return &Gate{self: self, now: now,
		uploads: map[[sha256.Size]byte]ticket.UploadTicket{}, reads: map[[sha256.Size]byte]ticket.ReadTicket{}}
}

// Pin sets the server's ticket key.
func (g *Gate) Pin(key id.Bytes32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.key = ed25519.PublicKey(key[:])
	clear(g.uploads)
	clear(g.reads)
}

// Grant is the right to store blobs of an upload.
type Grant struct {
	Upload id.Upload
	Budget int64
	// Ticket is its text, to be handed on.
	Ticket string
	Chain  int
	// Others are the nodes of the chain that come after this one, then those
	// before it.
	Others []ticket.Place
}

// Resume checks an upload ticket for asking what this node holds of its upload.
func (g *Gate) Resume(text string) (id.Upload, error) {
	t, err := g.upload(text)
	return t.Upload, err
}

func (g *Gate) upload(text string) (ticket.UploadTicket, error) {
	t, err := open(g, g.uploads, text)
	now := g.now()
	if err == nil {
		err = t.Allows(g.self, now)
	}
	switch {
	case err != nil:
		return ticket.UploadTicket{}, problem(err)
	case t.Expires > now.Add(uploadLife).Unix():
		return ticket.UploadTicket{}, api.NewProblem(api.TicketInvalid, "The ticket would live for more than a day. If it has just been made, a clock is wrong.")
	}
	return t, nil
}

// Upload checks an upload ticket for one of its chains. Errors are problems.
func (g *Gate) Upload(text string, chain int) (Grant, error) {
	t, err := g.upload(text)
	if err != nil {
		return Grant{}, err
	}
	if chain < 0 || chain >= len(t.Chains) {
		return Grant{}, api.NewProblem(api.TicketInvalid, "The ticket has %d chains, numbered from 0; there is no chain %d.", len(t.Chains), chain)
	}
	nodes := t.Chains[chain]
	at := slices.IndexFunc(nodes, func(p ticket.Place) bool { return p.Node == g.self })
	if at < 0 {
		return Grant{}, api.NewProblem(api.TicketOtherNode, "Chain %d of the ticket does not name this node (%s).", chain, g.self)
	}
	others := append(slices.Clone(nodes[at+1:]), nodes[:at]...)
	return Grant{Upload: t.Upload, Budget: t.Budget, Ticket: text, Chain: chain, Others: others}, nil
}

// Read checks that a read ticket covers length bytes from offset on.
func (g *Gate) Read(text string, upload id.Upload, name id.Name, offset, length int64) error {
	t, err := open(g, g.reads, text)
	if err == nil {
		err = t.Allows(g.self, upload, name, offset, length, g.now())
	}
	if err != nil {
		return problem(err)
	}
	return nil
}

// open checks the signature of a ticket, unless it did so before. The cache holds
// what was signed, never a decision: expiry is compared each time.
func open[T ticket.Payload](g *Gate, seen map[[sha256.Size]byte]T, text string) (T, error) {
	digest := sha256.Sum256([]byte(text))
	g.mu.Lock()
	t, known := seen[digest]
	key := g.key
	g.mu.Unlock()
	if known {
		return t, nil
	}
	if key == nil {
		return t, api.NewProblem(api.Unavailable, "This node has not joined its service yet; try again in a moment.")
	}
	t, err := ticket.OpenText[T](key, text)
	if err != nil {
		return t, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !key.Equal(g.key) {
		return t, nil // good a moment ago; not to be remembered
	}
	if len(seen) >= cached {
		for old := range seen { // any of them
			delete(seen, old)
			break
		}
	}
	seen[digest] = t
	return t, nil
}

// problem turns what format/ticket says into the protocol's codes.
func problem(err error) error {
	var p *api.Problem
	switch {
	case errors.As(err, &p):
		return err
	case errors.Is(err, ticket.ErrExpired):
		return api.NewProblem(api.TicketExpired, "Ask the server for a fresh ticket. If it has just been made, a clock is wrong.")
	case errors.Is(err, ticket.ErrOtherNode):
		return api.NewProblem(api.TicketOtherNode, "The ticket does not name this node; use it where it does.")
	case errors.Is(err, ticket.ErrNotListed):
		return api.NewProblem(api.TicketInvalid, "The ticket does not cover these bytes; ask the server for one that does.")
	case errors.Is(err, wire.ErrSignature), errors.Is(err, wire.ErrEnvelope):
		return api.NewProblem(api.TicketInvalid, "The ticket was altered, or is of another kind or service.")
	}
	return api.NewProblem(api.TicketInvalid, "The ticket is missing, cut or damaged.")
}
