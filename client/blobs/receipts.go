package blobs

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"sync"

	"holdfast/client/fleet"
	"holdfast/format/id"
	"holdfast/format/ticket"
)

// ErrReceipt: a node's receipt does not hold.
var ErrReceipt = errors.New("a storage node gave a receipt that does not hold")

// Receipts collects receipts of one upload and tells which blobs stand where.
// Safe for concurrent use.
type Receipts struct {
	upload id.Upload
	// stored is called when a blob has its first receipt, and when it has two
	// from independent nodes.
	stored func(name id.Name, size int64, copies int)
	// fresh is called with every receipt that says something new.
	fresh func(text string)

	mu    sync.Mutex // guards what follows
	blobs map[id.Name]*held
}

// held is what is known of one blob.
type held struct {
	size   int64
	nodes  []fleet.Node
	texts  map[id.Node]string
	enough bool
}

// NewReceipts starts with none; either function may be nil.
func NewReceipts(upload id.Upload, stored func(name id.Name, size int64, copies int), fresh func(text string)) *Receipts {
	if stored == nil {
		stored = func(id.Name, int64, int) {}
	}
	if fresh == nil {
		fresh = func(string) {}
	}
	return &Receipts{upload: upload, stored: stored, fresh: fresh, blobs: map[id.Name]*held{}}
}

// Expect names a blob that is about to be sent, or was. Receipts count for
// expected blobs only.
func (r *Receipts) Expect(name id.Name, size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.blobs[name] == nil {
		r.blobs[name] = &held{size: size, texts: map[id.Node]string{}}
	}
}

// Accept checks a receipt and counts what it says. It returns the names of the
// expected blobs that it is for, new or not.
func (r *Receipts) Accept(text string, nodes map[id.Node]fleet.Node) ([]id.Name, error) {
	receipt, node, err := openReceipt(text, nodes)
	if err != nil {
		return nil, err
	}
	if receipt.Upload != r.upload {
		return nil, fmt.Errorf("%w (%s: it is for another upload)", ErrReceipt, node.Label())
	}
	r.mu.Lock()
	var names []id.Name
	var changed []notice
	for _, b := range receipt.Blobs {
		h := r.blobs[b.Name]
		if h == nil {
			continue
		}
		if h.size != b.Size {
			r.mu.Unlock()
			return nil, fmt.Errorf("%w (%s: %d bytes of blob %s, which has %d)", ErrReceipt, node.Label(), b.Size, b.Name, h.size)
		}
		names = append(names, b.Name)
		if copies := h.add(node, text); copies > 0 {
			changed = append(changed, notice{b.Name, b.Size, copies})
		}
	}
	r.mu.Unlock()
	for _, n := range changed {
		r.stored(n.name, n.size, n.copies)
	}
	if len(changed) > 0 {
		r.fresh(text)
	}
	return names, nil
}

type notice struct {
	name   id.Name
	size   int64
	copies int
}

// add returns 1 or 2 when so many independent copies are reached by it.
func (h *held) add(node fleet.Node, text string) int {
	if _, known := h.texts[node.ID]; known {
		// One receipt for many blobs makes the commit shorter than many for one.
		if len(text) > len(h.texts[node.ID]) {
			h.texts[node.ID] = text
		}
		return 0
	}
	h.texts[node.ID] = text
	h.nodes = append(h.nodes, node)
	if len(h.nodes) == 1 {
		return 1
	}
	if !h.enough && fleet.Enough(h.nodes) {
		h.enough = true
		return 2
	}
	return 0
}

// openReceipt checks the signature by the key of the node that the receipt names.
func openReceipt(text string, nodes map[id.Node]fleet.Node) (ticket.Receipt, fleet.Node, error) {
	raw, err := ticket.ParseText(text)
	if err != nil {
		return ticket.Receipt{}, fleet.Node{}, fmt.Errorf("%w (%w)", ErrReceipt, err)
	}
	keys := make([]ed25519.PublicKey, 0, len(nodes))
	for _, n := range nodes {
		keys = append(keys, n.Key())
	}
	receipt, err := ticket.OpenAny[ticket.Receipt](keys, raw)
	if err != nil {
		return ticket.Receipt{}, fleet.Node{}, fmt.Errorf("%w (%w)", ErrReceipt, err)
	}
	return receipt, nodes[receipt.Node], nil
}

// Enough tells whether two independent nodes have the blob.
func (r *Receipts) Enough(name id.Name) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.blobs[name]
	return h != nil && h.enough
}

// Bytes is the size of all expected blobs together.
func (r *Receipts) Bytes() (sum int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.blobs {
		sum += h.size
	}
	return sum
}

// Holders are the nodes that gave receipts for the blob.
func (r *Receipts) Holders(name id.Name) []fleet.Node {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.blobs[name]; h != nil {
		return slices.Clone(h.nodes)
	}
	return nil
}

// Proof returns receipts that show two independent copies of every one of these
// blobs, and the nodes that gave them; false if a blob has too few.
func (r *Receipts) Proof(names []id.Name) (texts []string, nodes []fleet.Node, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen, from := map[string]bool{}, map[id.Node]bool{}
	for _, name := range names {
		h := r.blobs[name]
		if h == nil || !h.enough {
			return nil, nil, false
		}
		for _, n := range h.nodes { // all of them: a third copy is wanted too
			if text := h.texts[n.ID]; !seen[text] {
				seen[text] = true
				texts = append(texts, text)
			}
			if !from[n.ID] {
				from[n.ID] = true
				nodes = append(nodes, n)
			}
		}
	}
	return texts, nodes, true
}
