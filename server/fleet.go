package server

import (
	"context"
	"crypto/ed25519"

	"holdfast/server/internal/fleet"
	"holdfast/server/internal/keys"
	"holdfast/server/internal/share"
	"holdfast/server/internal/store"
	"holdfast/server/internal/upload"
)

func newFleet(s *store.Store, signing keys.Keys, cfg *Config) (*fleet.Fleet, error) {
	return fleet.New(fleet.Config{
		Store: s, OrderKey: signing.Order, TicketKey: signing.Ticket.Public().(ed25519.PublicKey),
		NodeTimeout: cfg.NodeTimeout, Public: cfg.public(), Now: cfg.Now, Log: cfg.Log,
	})
}

// uploadFleet is the fleet as package upload wants it.
type uploadFleet struct{ *fleet.Fleet }

// Members implements upload.Fleet.
func (f uploadFleet) Members(ctx context.Context) ([]upload.Node, error) {
	nodes, err := f.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]upload.Node, len(nodes))
	for i, n := range nodes {
		out[i] = upload.Node{
			ID: n.ID, Public: n.Key, URL: n.URL, Declaration: n.Declaration, Exposure: n.Exposure,
			Free: n.Free(), Writable: n.Writable, Counts: !n.Removed && !n.Wiped,
		}
	}
	return out, nil
}

// shareFleet is the fleet as package share wants it.
type shareFleet struct{ *fleet.Fleet }

// Members implements share.Fleet.
func (f shareFleet) Members(ctx context.Context) ([]share.Node, error) {
	nodes, err := f.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	out := []share.Node{}
	for _, n := range nodes {
		if !n.Removed {
			out = append(out, share.Node{ID: n.ID, URL: n.URL, Declaration: n.Declaration, Health: n.Health()})
		}
	}
	return out, nil
}
