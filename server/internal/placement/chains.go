package placement

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"holdfast/format/id"
)

// ErrNoPlacement: too few independent nodes have room.
var ErrNoPlacement = errors.New("too few independent nodes have room")

// Candidate is a node that may take blobs now.
type Candidate struct {
	Node id.Node
	Exposure
	// Free is how many bytes it can still take.
	Free int64
}

// Chain is a list of pairwise independent nodes. The first takes the bytes, the
// second gets them from it, the others stand by: any two of them satisfy the
// policy of two copies.
type Chain []id.Node

// Expected are the nodes at which the bytes of an upload with these chains are
// expected, each named once: the first two of every chain. Others get bytes only
// when one of those fails.
func Expected(chains []Chain) []id.Node {
	var nodes []id.Node
	for _, chain := range chains {
		for _, node := range chain[:min(expected, len(chain))] {
			if !slices.Contains(nodes, node) {
				nodes = append(nodes, node)
			}
		}
	}
	slices.SortFunc(nodes, func(a, b id.Node) int { return slices.Compare(a[:], b[:]) })
	return nodes
}

// expected is how many nodes of a chain get bytes unless one fails.
const expected = 2

// Policy bounds what Chains makes.
type Policy struct {
	// Copies is the least length of a chain.
	Copies int
	// MaxLength and MaxChains bound a ticket: each further node is one more that
	// gets an order when the upload is abandoned.
	MaxLength, MaxChains int
	// MinFree is the room that a node must have for an upload of unknown size.
	MinFree int64
}

// Default is two copies with up to two nodes to spare, and four ways to begin.
var Default = Policy{Copies: 2, MaxLength: 4, MaxChains: 4, MinFree: 8 << 20}

// maxTries bounds the search for a member that lets a chain grow: in a large
// fleet under few laws there may be none, and each try looks at all nodes.
const maxTries = 64

// node is a candidate while chains are made.
type node struct {
	Candidate
	tied
	first, second int // chains in which it stands there
}

// Chains chooses chains for an upload of so many bytes. Every node in them has
// room for all of it, for every blob may end up on any node of a chain. No two
// chains begin with the same node, so that a client whose first node fails has
// somewhere else to go, and nodes are drawn in proportion to their free bytes.
// The same candidates, in any order, and the same randomness give the same
// chains. It fails with ErrNoPlacement.
func Chains(candidates []Candidate, bytes int64, p Policy, rnd *rand.Rand) ([]Chain, error) {
	nodes := roomy(candidates, max(bytes, p.MinFree))
	var chains []Chain
	heads := slices.Clone(nodes)
	for len(chains) < p.MaxChains && len(heads) > 0 {
		head := draw(heads, rnd, func(n *node) int64 { return n.Free / int64(1+n.second) })
		heads = slices.DeleteFunc(heads, func(n *node) bool { return n == head })
		if members := extend(head, nodes, p.MaxLength, rnd); len(members) >= p.Copies {
			chains = append(chains, take(members))
		}
	}
	if len(chains) == 0 {
		return nil, fmt.Errorf("%w: %d copies of %d bytes are wanted, and %d of %d nodes have room for one",
			ErrNoPlacement, p.Copies, bytes, len(nodes), len(candidates))
	}
	return chains, nil
}

// Room is the greatest upload that Chains would place now, for two copies.
func Room(candidates []Candidate, p Policy) int64 {
	nodes := roomy(candidates, p.MinFree)
	slices.SortFunc(nodes, func(a, b *node) int { return cmp.Compare(b.Free, a.Free) })
	for i, n := range nodes {
		for _, larger := range nodes[:i] {
			if independent(n.tied, larger.tied) {
				return n.Free
			}
		}
	}
	return 0
}

// roomy returns each candidate with that much room once, sorted by id, so that
// the order in which a caller lists them has no influence.
func roomy(candidates []Candidate, bytes int64) []*node {
	var nodes []*node
	for _, c := range candidates {
		if c.Free >= bytes && c.Free > 0 {
			nodes = append(nodes, &node{Candidate: c, tied: ties(c.Exposure)})
		}
	}
	slices.SortFunc(nodes, func(a, b *node) int { return slices.Compare(a.Node[:], b.Node[:]) })
	return slices.CompactFunc(nodes, func(a, b *node) bool { return a.Node == b.Node })
}

// extend makes the chain that begins with head.
func extend(head *node, nodes []*node, length int, rnd *rand.Rand) []*node {
	members := []*node{head}
	rest := without(nodes, head)
	for len(members) < length && len(rest) > 0 {
		next := pick(rest, len(members) == 1, len(members)+1 < length, rnd)
		members = append(members, next)
		rest = without(rest, next)
	}
	return members
}

// without returns those of rest that are independent of n.
func without(rest []*node, n *node) []*node {
	var left []*node
	for _, other := range rest {
		if other != n && independent(other.tied, n.tied) {
			left = append(left, other)
		}
	}
	return left
}

// pick draws the next member. If the chain may grow further it prefers one that
// lets it: a spare is worth more than an even load.
func pick(rest []*node, second, grows bool, rnd *rand.Rand) *node {
	weight := func(n *node) int64 {
		if second {
			return n.Free / int64(1+n.first+n.second)
		}
		return n.Free
	}
	first := draw(rest, rnd, weight)
	if !grows {
		return first
	}
	left, next := slices.Clone(rest), first
	for range maxTries {
		if slices.ContainsFunc(rest, func(n *node) bool { return independent(n.tied, next.tied) }) {
			return next
		}
		left = slices.DeleteFunc(left, func(n *node) bool { return n == next })
		if len(left) == 0 {
			break
		}
		next = draw(left, rnd, weight)
	}
	return first
}

// draw picks one of nodes, which are not none, with the given weights.
func draw(nodes []*node, rnd *rand.Rand, weight func(*node) int64) *node {
	// Weights are counted in MiB, at least one, so that no sum overflows and
	// nobody is left out.
	inMiB := func(n *node) int64 { return min(weight(n)>>20, 1<<40) + 1 }
	var sum int64
	for _, n := range nodes {
		sum += inMiB(n)
	}
	at := rnd.Int64N(sum)
	for _, n := range nodes {
		if at -= inMiB(n); at < 0 {
			return n
		}
	}
	return nodes[len(nodes)-1]
}

// take counts the chain's first and second node and returns their ids.
func take(members []*node) Chain {
	members[0].first++
	for _, n := range members[1:min(2, len(members))] {
		n.second++
	}
	chain := make(Chain, len(members))
	for i, n := range members {
		chain[i] = n.Node
	}
	return chain
}
