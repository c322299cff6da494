package server

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"holdfast/format/id"
	"holdfast/server/internal/fleet"
	"holdfast/server/internal/keys"
	"holdfast/server/internal/store"
)

// Invite makes an invite with which one node may join the fleet of the server
// with that data, whether it runs now or not. Life 0 is a week.
func Invite(ctx context.Context, data Data, now time.Time, life time.Duration) (code string, expires time.Time, err error) {
	err = withStore(ctx, data, func(s *store.Store) error {
		code, expires, err = fleet.Invite(ctx, s, now, life)
		return err
	})
	return code, expires, err
}

// NodeState is a node as an operator sees it.
type NodeState struct {
	ID           string    `json:"id"`
	Operator     string    `json:"operator"`
	Jurisdiction string    `json:"jurisdiction"`
	URL          string    `json:"url"`
	Capacity     int64     `json:"capacity"`
	Used         int64     `json:"used"`
	LastSeen     time.Time `json:"lastSeen,omitzero"`
	Software     string    `json:"software,omitempty"`
	// State: live, read-only, silent, wiped or removed.
	State string `json:"state"`
	// OrdersHeld: it deletes nothing until its owner has decided.
	OrdersHeld bool `json:"ordersHeld,omitempty"`
}

// Nodes lists the fleet of the server with that data. What heartbeats
// told it is a few seconds old while it runs.
func Nodes(ctx context.Context, data Data, nodeTimeout time.Duration) ([]NodeState, error) {
	out := []NodeState{}
	err := withStore(ctx, data, func(s *store.Store) error {
		_, nobody, err := ed25519.GenerateKey(nil) // nothing is signed here
		if err != nil {
			return err
		}
		f, err := newFleet(s, keys.Keys{Ticket: nobody, Order: nobody}, &Config{NodeTimeout: nodeTimeout})
		if err != nil {
			return err
		}
		nodes, err := f.Nodes(ctx)
		for _, n := range nodes {
			out = append(out, NodeState{
				ID: n.ID.String(), Operator: n.Operator, Jurisdiction: n.Jurisdiction, URL: n.URL, Capacity: n.Capacity, Used: n.Used,
				LastSeen: n.LastSeen.UTC(), Software: n.Program, State: state(n), OrdersHeld: n.Held && !n.Removed,
			})
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	return out, nil
}

func state(n fleet.Node) string {
	switch {
	case n.Removed:
		return "removed"
	case n.Wiped:
		return "wiped"
	case !n.Live:
		return "silent"
	case !n.Writable:
		return "read-only"
	}
	return "live"
}

// RemoveNode ends the membership of a node in the fleet of the server with that
// data directory, whether it runs now or not; it returns what the node declared.
func RemoveNode(ctx context.Context, data Data, nodeID string) (removed NodeState, err error) {
	node, err := id.Parse[id.Node](nodeID)
	if err != nil {
		return removed, fmt.Errorf("%w: %q is not the id of a node; `holdfast admin nodes` lists them: %w", ErrConfig, nodeID, err)
	}
	nodes, err := Nodes(ctx, data, 0)
	if err != nil {
		return removed, err
	}
	i := slices.IndexFunc(nodes, func(n NodeState) bool { return n.ID == node.String() && n.State != "removed" })
	if i < 0 {
		return removed, fmt.Errorf("remove node: there is no member %s; `holdfast admin nodes` lists them", node)
	}
	err = withStore(ctx, data, func(s *store.Store) error { return s.RemoveNode(ctx, node) })
	if err != nil {
		return removed, fmt.Errorf("remove node: %w", err)
	}
	nodes[i].State = "removed"
	return nodes[i], nil
}

// RaiseEpoch begins a new epoch of orders, greater than above and the present
// one, and returns it. It is for a database that came back from a backup.
func RaiseEpoch(ctx context.Context, data Data, above int64) (epoch int64, err error) {
	if above < 0 || above >= maxEpoch {
		return 0, fmt.Errorf("%w: an epoch is a number from 0 to %d", ErrConfig, int64(maxEpoch))
	}
	err = withStore(ctx, data, func(s *store.Store) error {
		epoch, err = s.RaiseEpoch(ctx, above)
		return err
	})
	return epoch, err
}

// maxEpoch leaves room to raise it again, whatever somebody typed: nodes never
// go back to a lower one.
const maxEpoch = 1 << 40

// withStore opens the database beside a server that may be running.
func withStore(ctx context.Context, data Data, f func(*store.Store) error) (err error) {
	if data.Database == "" && data.Dir == "" {
		return fmt.Errorf("%w: name the server's data directory with --data, or its database with --database", ErrConfig)
	}
	if _, err := os.Stat(data.Dir); data.Database == "" && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: there is no data directory %s; start the server once, or name the right one with --data", ErrConfig, data.Dir)
	}
	s, err := openStore(ctx, data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return f(s)
}
