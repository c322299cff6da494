package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"holdfast/server"
)

// adminCmd are the operator's tasks. They work on the server's data directory or
// database, also while the server runs.
type adminCmd struct {
	Invite adminInviteCmd `cmd:"" help:"Print an invite with which one storage node may join."`
	Nodes  adminNodesCmd  `cmd:"" help:"List the storage nodes."`

	RemoveNode adminRemoveNodeCmd `cmd:"" help:"End a storage node's membership for good: no data, no orders and no reads go to it any more."`
	RaiseEpoch adminRaiseEpochCmd `cmd:"" help:"Begin new numbers of orders, after the database was restored from a backup."`
}

type adminInviteCmd struct {
	databaseFlags
	Data string        `help:"Directory of the server's database; not needed with --database." type:"path" env:"HOLDFAST_DATA"`
	Life time.Duration `help:"How long the invite can be used." default:"168h"`
}

// Run prints the code and nothing else on stdout.
func (c *adminInviteCmd) Run(ctx context.Context) error {
	data, err := c.in(c.Data)
	if err != nil {
		return err
	}
	code, expires, err := server.Invite(ctx, data, time.Now(), c.Life)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "Good for one node, until %s.\n", expires.Local().Format("2 January 2006, 15:04 MST"))
	fmt.Println(code)
	return nil
}

type adminNodesCmd struct {
	databaseFlags
	Data        string        `help:"Directory of the server's database; not needed with --database." type:"path" env:"HOLDFAST_DATA"`
	NodeTimeout time.Duration `help:"How long a node counts as live after a heartbeat." default:"45s" env:"HOLDFAST_NODE_TIMEOUT"`
	JSON        bool          `help:"Print one JSON object a line." name:"json"`
}

// Run lists the nodes in the order in which they joined.
func (c *adminNodesCmd) Run(ctx context.Context) error {
	data, err := c.in(c.Data)
	if err != nil {
		return err
	}
	nodes, err := server.Nodes(ctx, data, c.NodeTimeout)
	if err != nil {
		return err
	}
	if c.JSON {
		enc := json.NewEncoder(os.Stdout)
		for _, n := range nodes {
			if err := enc.Encode(n); err != nil {
				return err
			}
		}
		return nil
	}
	return printNodes(os.Stdout, nodes, time.Now())
}

type adminRemoveNodeCmd struct {
	databaseFlags
	ID   string `arg:"" help:"The node's id, as 'holdfast admin nodes' lists it."`
	Data string `help:"Directory of the server's database; not needed with --database." type:"path" env:"HOLDFAST_DATA"`
}

// Run removes one node and says what that means.
func (c *adminRemoveNodeCmd) Run(ctx context.Context) error {
	data, err := c.in(c.Data)
	if err != nil {
		return err
	}
	n, err := server.RemoveNode(ctx, data, c.ID)
	if err != nil {
		return err
	}
	note("Removed the node of %q (%s) at %s. It counts as a copy no longer, and its address is free for another node.", n.Operator, n.Jurisdiction, n.URL)
	note("What it holds it holds still, and it gets no more orders to delete: its owner can stop it and empty its directory.")
	return nil
}

type adminRaiseEpochCmd struct {
	databaseFlags
	Above int64  `help:"Epoch of the node that is furthest ahead, as the server's log names it (node_epoch). The new one is greater than that and the database's."`
	Data  string `help:"Directory of the server's database; not needed with --database." type:"path" env:"HOLDFAST_DATA"`
}

// Run prints the new epoch.
func (c *adminRaiseEpochCmd) Run(ctx context.Context) error {
	data, err := c.in(c.Data)
	if err != nil {
		return err
	}
	epoch, err := server.RaiseEpoch(ctx, data, c.Above)
	if err != nil {
		return err
	}
	note("Orders that nodes did not answer yet are given again, with new numbers. Nodes that a backup made unknown come back by themselves.")
	fmt.Println(epoch)
	return nil
}

func printNodes(w io.Writer, nodes []server.NodeState, now time.Time) error {
	if len(nodes) == 0 {
		_, err := fmt.Fprintln(w, "No node has joined yet. Print an invite with: holdfast admin invite")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STATE\tJURISDICTION\tOPERATOR\tUSED\tCAPACITY\tLAST SEEN\tURL\tID")
	for _, n := range nodes {
		seen := "never"
		if !n.LastSeen.IsZero() {
			seen = now.Sub(n.LastSeen).Round(time.Second).String() + " ago"
		}
		state := n.State
		if n.OrdersHeld {
			state += ", orders held"
		}
		fmt.Fprintf(table, "%s\t%s\t%q\t%s\t%s\t%s\t%s\t%s\n", state, n.Jurisdiction, n.Operator, gigabytes(n.Used), gigabytes(n.Capacity), seen, n.URL, n.ID)
	}
	return table.Flush()
}

func gigabytes(n int64) string { return fmt.Sprintf("%.1f GB", float64(n)/1e9) }
