package ticket

import (
	"time"

	"holdfast/format/id"
)

// Limits of upload tickets.
const (
	MaxChains = 8
	MinChain  = 2
	MaxChain  = 8
)

// Place is a node and where it is reached.
type Place struct {
	Node id.Node `cbor:"1,keyasint"`
	URL  string  `cbor:"2,keyasint"`
}

// UploadTicket is the right to store blobs for one upload, up to a budget, at
// the nodes of its chains. In a chain the first node takes the bytes and hands
// them on to the second; the others are spares. No node stands in a chain
// twice: the second copy would be the first.
type UploadTicket struct {
	Upload  id.Upload `cbor:"1,keyasint"`
	Chains  [][]Place `cbor:"2,keyasint"`
	Budget  int64     `cbor:"3,keyasint"` // bytes
	Expires int64     `cbor:"4,keyasint"` // Unix seconds
}

func (UploadTicket) kind() string            { return "upload-ticket" }
func (UploadTicket) signer() (id.Node, bool) { return id.Node{}, false }

// Check implements Payload.
func (t UploadTicket) Check() error {
	if err := checkUints(t.Budget, t.Expires); err != nil {
		return err
	}
	if err := checkCount("chains", len(t.Chains), MaxChains); err != nil {
		return err
	}
	for _, chain := range t.Chains {
		if len(chain) < MinChain || len(chain) > MaxChain {
			return refuse("a chain of %d nodes, %d to %d allowed", len(chain), MinChain, MaxChain)
		}
		seen := make(map[id.Node]bool, len(chain))
		for _, place := range chain {
			if err := CheckURL(place.URL); err != nil {
				return err
			}
			if seen[place.Node] {
				return refuse("node %s twice in a chain", place.Node)
			}
			seen[place.Node] = true
		}
	}
	return nil
}

// Allows tells whether that node may take blobs under the ticket now. How much
// of the budget is left only the node knows.
func (t UploadTicket) Allows(node id.Node, now time.Time) error {
	if err := expired(t.Expires, now); err != nil {
		return err
	}
	for _, chain := range t.Chains {
		for _, place := range chain {
			if place.Node == node {
				return nil
			}
		}
	}
	return ErrOtherNode
}
