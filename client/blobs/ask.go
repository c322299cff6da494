package blobs

import (
	"context"
	"fmt"
	"sync"
	"time"

	"holdfast/api"
	"holdfast/client/fleet"
	"holdfast/format/id"
)

const (
	// askTime bounds asking one node for its receipts: who is silent for so long
	// is of no use now.
	askTime = 10 * time.Second
	// maxAskPages bounds the receipts that a node may send: 2^20 blobs.
	maxAskPages = 1024
)

// Ask asks every node what it holds of the upload and counts it. Nodes that do
// not answer have nothing to add. It returns the greatest number of bytes that a
// node counts against the budget.
func (u *Uploader) Ask(ctx context.Context) (used int64) {
	var mu sync.Mutex // guards used
	var wg sync.WaitGroup
	for _, n := range u.Grant().Nodes {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, askTime)
			defer cancel()
			here, err := u.ask(ctx, n)
			if err != nil {
				u.health.failed(n.ID, time.Now(), 0)
				u.Fault(Fault{Node: n, Err: err})
			}
			mu.Lock()
			used = max(used, here)
			mu.Unlock()
		})
	}
	wg.Wait()
	return used
}

func (u *Uploader) ask(ctx context.Context, n fleet.Node) (used int64, err error) {
	var after id.Name
	for range maxAskPages {
		res, err := api.ListReceipts.Call(ctx, api.Caller{Base: n.URL, HTTP: u.HTTP}, api.Args{},
			api.ListReceiptsRequest{Ticket: u.Grant().Ticket, After: after})
		if err != nil {
			return used, err
		}
		used = res.Used
		for _, text := range res.Receipts {
			if _, err := u.Receipts.Accept(text, u.Grant().Nodes); err != nil {
				return used, err
			}
		}
		if res.Next == (id.Name{}) {
			return used, nil
		}
		after = res.Next
	}
	return used, fmt.Errorf("%s: its list of receipts does not end", n.Label())
}
