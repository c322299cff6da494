package blobs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"holdfast/api"
	"holdfast/client/fleet"
	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/format/wire"
)

// ErrGrant: the server's right to store does not hold together.
var ErrGrant = errors.New("the server's answer does not hold together; nothing was sent")

// ErrPlacement: what the server offers are not two independent nodes.
var ErrPlacement = errors.New("the server offers no two storage nodes of different companies under different laws; nothing was sent")

// Grant is an open upload's right to store, checked as far as a client can: the
// ticket is signed for the nodes, under a key that only they know.
type Grant struct {
	Upload id.Upload
	Ticket string
	Chains [][]fleet.Node
	Nodes  map[id.Node]fleet.Node
	Budget int64
	// Expires is the ticket's end in Unix seconds, Got when it was received.
	Expires int64
	Got     time.Time
}

// OpenGrant checks a grant. A chain counts as far as its nodes are what they
// declare; chains that could not hold two independent copies are left out.
func OpenGrant(g api.UploadGrant, local bool, now time.Time) (Grant, error) {
	t, err := readTicket(g.Ticket)
	if err != nil {
		return Grant{}, fmt.Errorf("%w (upload ticket: %w)", ErrGrant, err)
	}
	if t.Upload != g.Upload {
		return Grant{}, fmt.Errorf("%w (the ticket is for another upload)", ErrGrant)
	}
	out := Grant{Upload: g.Upload, Ticket: g.Ticket, Budget: t.Budget, Expires: t.Expires, Got: now, Nodes: map[id.Node]fleet.Node{}}
	nodes, err := fleet.CheckAll(g.Nodes, local)
	if err != nil {
		return Grant{}, err
	}
	for _, n := range nodes {
		out.Nodes[n.ID] = n
	}
	good := false
	for _, places := range t.Chains {
		chain := make([]fleet.Node, len(places))
		for i, p := range places {
			n, ok := out.Nodes[p.Node]
			if !ok || n.URL != strings.TrimSuffix(p.URL, "/") {
				return Grant{}, fmt.Errorf("%w (the ticket names node %s, the answer does not, or elsewhere)", ErrGrant, p.Node)
			}
			chain[i] = n
		}
		if !fleet.Enough(chain) {
			chain = nil // keeps the numbers of the other chains
		}
		good = good || chain != nil
		out.Chains = append(out.Chains, chain)
	}
	if !good {
		return Grant{}, ErrPlacement
	}
	return out, nil
}

// readTicket reads what the server signed for the nodes. Clients do not know the
// key: a server that alters its own tickets harms only its own uploads.
func readTicket(text string) (ticket.UploadTicket, error) {
	var t ticket.UploadTicket
	raw, err := ticket.ParseText(text)
	if err != nil {
		return t, err
	}
	e, err := wire.Parse(raw)
	if err != nil {
		return t, err
	}
	if e.Type != "upload-ticket" {
		return t, fmt.Errorf("%w: have %q", wire.ErrEnvelope, e.Type)
	}
	if err := wire.Unmarshal(e.Payload, wire.MaxEnvelope, &t); err != nil {
		return t, err
	}
	return t, t.Check()
}

// stale tells whether a ticket should be renewed: its time is nearly over by
// this clock, which may be wrong, or by the time since it came.
func stale(got time.Time, expires int64, life time.Duration, now time.Time) bool {
	const ahead, pause = time.Minute, 30 * time.Second
	age := now.Sub(got)
	return age >= life-ahead || expires-now.Unix() < int64(ahead/time.Second) && age >= pause
}

// uploadLife is how long upload tickets live (docs/protocol.md).
const uploadLife = time.Hour

// Stale tells whether the grant should be renewed before more is sent.
func (g Grant) Stale(now time.Time) bool { return stale(g.Got, g.Expires, uploadLife, now) }

// keep adds nodes of an earlier grant: their receipts stay good.
func (g *Grant) keep(earlier Grant) {
	for node, n := range earlier.Nodes {
		if _, ok := g.Nodes[node]; !ok {
			g.Nodes[node] = n
		}
	}
}

// names lists the nodes that are asked, for messages.
func (g Grant) names() []string {
	var out []string
	for _, chain := range g.Chains {
		for _, n := range chain {
			if label := n.Label(); !slices.Contains(out, label) {
				out = append(out, label)
			}
		}
	}
	return out
}
