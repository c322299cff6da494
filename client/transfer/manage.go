package transfer

import (
	"context"
	"sync"
	"time"

	"holdfast/api"
	"holdfast/client/fleet"
	"holdfast/format/id"
	"holdfast/format/link"
)

// healthTime bounds asking a node how it is.
const healthTime = 5 * time.Second

// Revoke ends a link for good. Repeating it is harmless.
func (c *Client) Revoke(ctx context.Context, handle id.Handle, manage link.Secret) error {
	_, err := retry(ctx, c, firstPatience, func(ctx context.Context) (api.Empty, error) {
		return api.RevokeLink.Call(ctx, c.caller(), manageArgs(handle, manage), api.Empty{})
	})
	return err
}

func manageArgs(handle id.Handle, manage link.Secret) api.Args {
	return api.Args{Path: handleArgs(handle).Path, Secret: manage.Reveal()}
}

// Status is what the sender of a link may know, with the nodes that hold it.
func (c *Client) Status(ctx context.Context, handle id.Handle, manage link.Secret) (api.LinkState, []fleet.Node, error) {
	state, err := retry(ctx, c, firstPatience, func(ctx context.Context) (api.LinkState, error) {
		return api.LinkStatus.Call(ctx, c.caller(), manageArgs(handle, manage), api.Empty{})
	})
	if err != nil {
		return state, nil, err
	}
	nodes, err := fleet.CheckAll(state.Copies, c.local)
	return state, nodes, err
}

// Unreachable is the state of a node that does not answer.
const Unreachable = "unreachable"

// States asks the nodes how they are: serving, read-only or Unreachable.
func (c *Client) States(ctx context.Context, nodes []fleet.Node) []string {
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	out := make([]string, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() {
			h, err := api.GetHealth.Call(ctx, api.Caller{Base: n.URL, HTTP: c.http}, api.Args{}, api.Empty{})
			if err != nil || h.Node != n.ID || h.State != "serving" && h.State != "read-only" {
				out[i] = Unreachable
				return
			}
			out[i] = h.State
		})
	}
	wg.Wait()
	return out
}
