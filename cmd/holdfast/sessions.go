package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"holdfast/api"
	"holdfast/format/descriptor"
	"holdfast/format/id"
)

// sessionsCmd is about the account's logins.
type sessionsCmd struct {
	List   sessionsListCmd   `cmd:"" default:"withargs" help:"List them, the one used last first."`
	Revoke sessionsRevokeCmd `cmd:"" help:"End one of them, or all others."`
}

// shortSession is how much of a session's id is shown, and asked for at least.
const shortSession = 8

type sessionsListCmd struct{ accountFlags }

// Run lists the sessions.
func (c *sessionsListCmd) Run(ctx context.Context) error {
	client, kept, err := c.loggedIn()
	if err != nil {
		return err
	}
	view, err := client.View(ctx, kept.Access)
	if err != nil {
		return err
	}
	return printSessions(view, c.JSON)
}

type sessionsRevokeCmd struct {
	accountFlags
	ID     string `arg:"" optional:"" help:"The session's id, as 'holdfast sessions' shows it."`
	Others bool   `help:"End all but this machine's."`
}

// Run ends sessions.
func (c *sessionsRevokeCmd) Run(ctx context.Context) error {
	if (c.ID == "") == !c.Others {
		return usagef("which session? Give one id, or --others")
	}
	client, kept, err := c.loggedIn()
	if err != nil {
		return err
	}
	if c.Others {
		n, err := client.EndOthers(ctx, kept.Access)
		if err != nil {
			return err
		}
		return c.ended(n)
	}
	view, err := client.View(ctx, kept.Access)
	if err != nil {
		return err
	}
	session, err := sessionOf(view, c.ID)
	if err != nil {
		return err
	}
	if err := client.EndSession(ctx, kept.Access, session); err != nil {
		return err
	}
	return c.ended(1)
}

func (c *sessionsRevokeCmd) ended(n int) error {
	if c.JSON {
		return printJSON(struct {
			Ended int `json:"ended"`
		}{n})
	}
	note("Ended %s.", plural(int64(n), "login"))
	return nil
}

// sessionJSON is a session; days are UTC.
type sessionJSON struct {
	ID      string `json:"id"`
	Label   string `json:"label"`
	Made    string `json:"made"`
	Used    string `json:"used"`
	Current bool   `json:"current"`
}

func dayText(day int64) string { return time.Unix(day*86400, 0).UTC().Format("2006-01-02") }

func printSessions(view api.AccountView, asJSON bool) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tLABEL\tMADE\tUSED\t")
	for _, s := range view.Sessions {
		if asJSON {
			if err := printJSON(sessionJSON{s.ID.String(), s.Label, dayText(s.Made), dayText(s.Used), s.Current}); err != nil {
				return err
			}
			continue
		}
		here := ""
		if s.Current {
			here = "this one"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.ID.String()[:shortSession], descriptor.Display(s.Label), dayText(s.Made), dayText(s.Used), here)
	}
	if asJSON {
		return nil
	}
	return w.Flush()
}

// sessionOf finds the one session whose id begins so.
func sessionOf(view api.AccountView, begins string) (id.Bytes32, error) {
	var found []id.Bytes32
	for _, s := range view.Sessions {
		if len(begins) >= shortSession && strings.HasPrefix(s.ID.String(), begins) {
			found = append(found, s.ID)
		}
	}
	if len(found) != 1 {
		return id.Bytes32{}, fmt.Errorf("%w: no session of the account has the id %.60q; 'holdfast sessions' lists them", api.NotFound, begins)
	}
	return found[0], nil
}
