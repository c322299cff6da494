package share

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"

	"holdfast/format/id"
	"holdfast/format/ticket"
)

// Limits of one read ticket. With them its text stays below 6 KB, so that it
// goes into a URL's query.
const (
	ticketBlobs  = 32
	ticketRanges = ticket.MaxRanges
	ticketNodes  = ticket.MaxReaders
)

// PlacedBlob is a blob, the nodes that hold it, best first, and the ticket that
// covers the answer's extents of it. A blob of very many parts comes several
// times, each time with another ticket. Nodes is empty, and Ticket means
// nothing, where no node that holds it is a member any more.
type PlacedBlob struct {
	Blob
	Nodes  []int // indexes into Page.Nodes
	Ticket int   // index into Page.Tickets
}

// Ticket is a read ticket's text and its end in Unix seconds.
type Ticket struct {
	Text    string
	Expires int64
}

// placer finds out where blobs are and which tickets read them.
type placer struct {
	members map[id.Node]Node
	order   []int64 // keys of blobs, in the order of their first extent
	blobs   map[int64]*wanted
	nodes   []Node
	index   map[id.Node]int
	placed  []PlacedBlob
	spans   []span        // of placed, what its ticket covers
	firsts  map[int64]int // first of a blob's entries in placed
}

type wanted struct {
	Blob
	nodes []int
	spans []span
}

// span is [from, to).
type span struct{ from, to int64 }

func newPlacer(members []Node) *placer {
	p := &placer{
		members: map[id.Node]Node{}, blobs: map[int64]*wanted{}, index: map[id.Node]int{}, firsts: map[int64]int{},
		nodes: []Node{}, placed: []PlacedBlob{},
	}
	for _, m := range members {
		p.members[m.ID] = m
	}
	return p
}

// blob finds the nodes of b, once.
func (p *placer) blob(ctx context.Context, r Source, b Blob) error {
	if p.blobs[b.Key] != nil {
		return nil
	}
	holders, err := r.Copies(ctx, b)
	if err != nil {
		return err
	}
	var nodes []Node
	for _, h := range holders {
		if n, ok := p.members[h]; ok {
			nodes = append(nodes, n)
		}
	}
	slices.SortFunc(nodes, func(x, y Node) int { return byHealth(b.Name, x, y) })
	w := &wanted{Blob: b, nodes: []int{}}
	for _, n := range nodes {
		w.nodes = append(w.nodes, p.number(n))
	}
	p.blobs[b.Key] = w
	p.order = append(p.order, b.Key)
	return nil
}

// byHealth puts the better nodes first. Among equals each blob has an order of
// its own, so that readers spread over the nodes.
func byHealth(name id.Name, x, y Node) int {
	return cmp.Or(cmp.Compare(x.Health, y.Health), cmp.Compare(weight(name, x.ID), weight(name, y.ID)), slices.Compare(x.ID[:], y.ID[:]))
}

func weight(name id.Name, node id.Node) uint64 {
	h := fnv.New128a()
	h.Write(name[:])
	h.Write(node[:])
	return binary.BigEndian.Uint64(h.Sum(nil)[8:])
}

func (p *placer) number(n Node) int {
	i, ok := p.index[n.ID]
	if !ok {
		i = len(p.nodes)
		p.nodes = append(p.nodes, n)
		p.index[n.ID] = i
	}
	return i
}

// want adds an extent to what is to be read.
func (p *placer) want(e Extent) {
	w := p.blobs[e.Blob.Key]
	w.spans = append(w.spans, span{e.Offset, e.Offset + e.Length})
}

// merged joins spans that touch: adjacent extents are read as one range.
func merged(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	var out []span
	for _, s := range spans {
		if n := len(out); n > 0 && s.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}

// draft is a ticket while it is filled.
type draft struct {
	nodes  []int
	reads  []ticket.Reads // neighbours are of different uploads
	ranges int
	blobs  int
}

func (d *draft) takes(nodes []int) bool {
	more := 0
	for _, n := range nodes {
		if !slices.Contains(d.nodes, n) {
			more++
		}
	}
	return d.blobs < ticketBlobs && d.ranges < ticketRanges && len(d.nodes)+more <= ticketNodes
}

// tickets places every wanted blob and signs tickets for it.
func (p *placer) tickets(key ed25519.PrivateKey, expires int64) ([]Ticket, error) {
	var drafts []*draft
	for _, k := range p.order {
		w := p.blobs[k]
		p.firsts[k] = len(p.placed)
		nodes := w.nodes[:min(len(w.nodes), ticketNodes)]
		rest := merged(w.spans)
		for len(rest) > 0 {
			if len(nodes) > 0 && (len(drafts) == 0 || !drafts[len(drafts)-1].takes(nodes)) {
				drafts = append(drafts, &draft{})
			}
			n := len(rest)
			if len(nodes) > 0 {
				n = drafts[len(drafts)-1].add(w.Blob, nodes, rest)
			}
			p.placed = append(p.placed, PlacedBlob{Blob: w.Blob, Nodes: nodes, Ticket: max(len(drafts)-1, 0)})
			p.spans = append(p.spans, span{rest[0].from, rest[n-1].to})
			rest = rest[n:]
		}
	}
	out := []Ticket{}
	for _, d := range drafts {
		text, err := d.sign(key, expires, p.nodes)
		if err != nil {
			return nil, err
		}
		out = append(out, Ticket{Text: text, Expires: expires})
	}
	return out, nil
}

// add takes as many of the spans as there is room for and returns how many.
func (d *draft) add(b Blob, nodes []int, spans []span) int {
	d.blobs++
	for _, n := range nodes {
		if !slices.Contains(d.nodes, n) {
			d.nodes = append(d.nodes, n)
		}
	}
	if last := len(d.reads) - 1; last < 0 || d.reads[last].Upload != b.Upload {
		d.reads = append(d.reads, ticket.Reads{Upload: b.Upload})
	}
	reads := &d.reads[len(d.reads)-1]
	n := min(len(spans), ticketRanges-d.ranges)
	d.ranges += n
	for _, s := range spans[:n] {
		reads.Ranges = append(reads.Ranges, ticket.Range{Name: b.Name, Offset: s.from, Length: s.to - s.from})
	}
	return n
}

func (d *draft) sign(key ed25519.PrivateKey, expires int64, nodes []Node) (string, error) {
	t := ticket.ReadTicket{Reads: d.reads, Expires: expires}
	for _, n := range d.nodes {
		t.Nodes = append(t.Nodes, nodes[n].ID)
	}
	text, err := ticket.SignText(key, t)
	if err != nil {
		return "", fmt.Errorf("sign read ticket: %w", err)
	}
	return text, nil
}

// find is the entry of placed whose ticket covers e.
func (p *placer) find(e Extent) int {
	for i := p.firsts[e.Blob.Key]; i < len(p.placed); i++ {
		if p.spans[i].from <= e.Offset && e.Offset+e.Length <= p.spans[i].to {
			return i
		}
	}
	return p.firsts[e.Blob.Key] // not reached: every extent was wanted
}
