package servertest

import (
	"context"
	"fmt"
	"slices"

	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/server/internal/placement"
	"holdfast/server/internal/share"
	"holdfast/server/internal/upload"
)

type uploads struct{ *Fleet }

// Chains implements upload.Fleet.
func (f uploads) Chains(_ context.Context, bytes int64, reserved map[id.Node]int64) ([]placement.Chain, error) {
	var chain placement.Chain
	for _, i := range f.Order {
		if n := f.Nodes[i]; !f.Away[n.ID] && bytes <= f.Free-reserved[n.ID] {
			chain = append(chain, n.ID)
		}
	}
	if len(chain) < ticket.MinChain {
		return nil, fmt.Errorf("%w: %d nodes", placement.ErrNoPlacement, len(chain))
	}
	turned := slices.Clone(chain)
	slices.Reverse(turned)
	return []placement.Chain{chain, turned}, nil
}

// Members implements upload.Fleet.
func (f uploads) Members(context.Context) ([]upload.Node, error) {
	var nodes []upload.Node
	for _, n := range f.Nodes {
		nodes = append(nodes, upload.Node{
			ID: n.ID, Public: n.Declared.Public[:], URL: n.Declared.URL, Declaration: ticket.Text(n.Declaration), Exposure: n.Exposure(),
			Free: f.Free, Writable: !f.Away[n.ID] && !f.Lost[n.ID], Counts: !f.Lost[n.ID],
		})
	}
	return nodes, nil
}

// Room implements upload.Fleet.
func (f uploads) Room(_ context.Context, reserved map[id.Node]int64) (int64, error) {
	room := f.Free
	for _, n := range f.Nodes {
		room = min(room, f.Free-reserved[n.ID])
	}
	return room, nil
}

type links struct{ *Fleet }

// Members implements share.Fleet.
func (f links) Members(context.Context) ([]share.Node, error) {
	var nodes []share.Node
	for _, n := range f.Nodes {
		health := 0
		if f.Away[n.ID] {
			health = 2
		}
		nodes = append(nodes, share.Node{ID: n.ID, URL: n.Declared.URL, Declaration: ticket.Text(n.Declaration), Health: health})
	}
	return nodes, nil
}

// IDs are the ids of all nodes.
func (f *Fleet) IDs() []id.Node {
	var ids []id.Node
	for _, n := range f.Nodes {
		ids = append(ids, n.ID)
	}
	return ids
}
