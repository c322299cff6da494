package fleet

import (
	"context"
	"crypto/sha256"
	"fmt"

	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/format/wire"
)

// orders returns the node's next orders of the database's epoch, signed. Orders
// of earlier epochs that were not answered were given new numbers when the
// epoch was raised. They are signed anew each time, from what is stored and with a signature that has no randomness, so
// that an order is the same bytes whenever it is fetched.
func (f *Fleet) orders(ctx context.Context, node id.Node, after Progress) (signed []string, more bool, err error) {
	orders, err := f.cfg.Store.Orders(ctx, node, after, maxOrders+1)
	if err != nil {
		return nil, false, fmt.Errorf("fetch orders: %w", err)
	}
	if len(orders) > maxOrders {
		orders, more = orders[:maxOrders], true
	}
	if len(orders) > 0 && orders[0].Number != after.Number+1 {
		// What comes next was done once, and forgotten here: the node was wiped, and
		// could do nothing with those that follow.
		return nil, false, nil
	}
	for _, o := range orders {
		text, err := ticket.SignText(f.cfg.OrderKey, payload(node, o))
		if err != nil {
			return nil, false, fmt.Errorf("order %d of epoch %d: %w", o.Number, o.Epoch, err)
		}
		signed = append(signed, text)
	}
	return signed, more, nil
}

// payload is what is signed of an order.
func payload(node id.Node, o Order) ticket.Order {
	return ticket.Order{Node: node, Epoch: o.Epoch, Number: o.Number, Action: o.Action, Upload: o.Upload, Day: o.Day}
}

// answered returns those receipts that hold and are news: signed by the node,
// for an order that it was given, whose text they repeat by its digest.
func (f *Fleet) answered(ctx context.Context, m member, receipts []string) ([]Answered, error) {
	opened := make([]ticket.OrderReceipt, 0, len(receipts))
	envelopes := make([][]byte, 0, len(receipts))
	at := make([]Progress, 0, len(receipts))
	for _, text := range receipts {
		envelope, err := ticket.ParseText(text)
		var r ticket.OrderReceipt
		if err == nil {
			r, err = ticket.Open[ticket.OrderReceipt](m.declared.Public[:], envelope)
		}
		if err != nil {
			f.cfg.Log.Warn("a receipt of an order does not hold", "node", m.Node, "error", err)
			continue
		}
		opened, envelopes, at = append(opened, r), append(envelopes, envelope), append(at, Progress{r.Epoch, r.Number})
	}
	if len(at) == 0 {
		return nil, nil
	}
	known, err := f.cfg.Store.OrdersAt(ctx, m.Node, at)
	if err != nil {
		return nil, fmt.Errorf("find orders: %w", err)
	}
	var news []Answered
	for i, r := range opened {
		o := known[at[i]]
		switch {
		case o.Number == 0 && !m.Done.Before(at[i]):
			// Done, answered and forgotten; the answer to an earlier heartbeat was lost.
		case !answers(m.Node, o, r):
			f.cfg.Log.Warn("a receipt answers no order that was given", "node", m.Node, "epoch", r.Epoch, "order", r.Number)
		case o.Outcome == 0 || o.Outcome == ticket.Refused && r.Outcome == ticket.Done:
			news = append(news, Answered{Progress: at[i], Outcome: r.Outcome, Receipt: envelopes[i]})
			f.logAnswer(r)
		}
	}
	return news, nil
}

// same tells whether the order of that place is the one with that digest, or is
// not known any more.
func (f *Fleet) same(ctx context.Context, node id.Node, at Progress, digest [sha256.Size]byte) (bool, error) {
	known, err := f.cfg.Store.OrdersAt(ctx, node, []Progress{at})
	if err != nil {
		return false, fmt.Errorf("find order: %w", err)
	}
	o, ok := known[at]
	return !ok || sha256.Sum256(wire.Marshal(payload(node, o))) == digest, nil
}

// answers tells whether r is the answer to o, which is zero if there is no such order.
func answers(node id.Node, o Order, r ticket.OrderReceipt) bool {
	order := payload(node, o)
	return o.Number != 0 && r.Answers(order, sha256.Sum256(wire.Marshal(order)))
}

func (f *Fleet) logAnswer(r ticket.OrderReceipt) {
	if r.Outcome == ticket.Refused {
		f.cfg.Log.Warn("a node refuses an order", "node", r.Node, "epoch", r.Epoch, "order", r.Number)
		return
	}
	f.cfg.Log.Debug("order done", "node", r.Node, "epoch", r.Epoch, "order", r.Number, "blobs", r.Blobs, "bytes", r.Bytes)
}
