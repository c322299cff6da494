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

// adminCmd are the operator's tasks. They work on the server's data directory,
// also while the server runs.
type adminCmd struct {
	Invite adminInviteCmd `cmd:"" help:"Print an invite with which one storage node may join."`
	Nodes  adminNodesCmd  `cmd:"" help:"List the storage nodes."`
}

type adminInviteCmd struct {
	Data string        `help:"Directory of the server's database and keys." required:"" type:"path" env:"HOLDFAST_DATA"`
	Life time.Duration `help:"How long the invite can be used." default:"168h"`
}

// Run prints the code and nothing else on stdout.
func (c *adminInviteCmd) Run(ctx context.Context) error {
	code, expires, err := server.Invite(ctx, c.Data, time.Now(), c.Life)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "Good for one node, until %s.\n", expires.Local().Format("2 January 2006, 15:04 MST"))
	fmt.Println(code)
	return nil
}

type adminNodesCmd struct {
	Data        string        `help:"Directory of the server's database and keys." required:"" type:"path" env:"HOLDFAST_DATA"`
	NodeTimeout time.Duration `help:"How long a node counts as live after a heartbeat." default:"45s" env:"HOLDFAST_NODE_TIMEOUT"`
	JSON        bool          `help:"Print one JSON object a line." name:"json"`
}

// Run lists the nodes in the order in which they joined.
func (c *adminNodesCmd) Run(ctx context.Context) error {
	nodes, err := server.Nodes(ctx, c.Data, c.NodeTimeout)
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
		fmt.Fprintf(table, "%s\t%s\t%q\t%s\t%s\t%s\t%s\t%s\n", n.State, n.Jurisdiction, n.Operator, gigabytes(n.Used), gigabytes(n.Capacity), seen, n.URL, n.ID)
	}
	return table.Flush()
}

func gigabytes(n int64) string { return fmt.Sprintf("%.1f GB", float64(n)/1e9) }
