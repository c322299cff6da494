package upload

import (
	"context"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/node/store"
)

// receipts is POST /receipts.
func (h *Handler) receipts(_ context.Context, _ api.Request, req api.ListReceiptsRequest) (api.ListReceiptsResponse, error) {
	var res api.ListReceiptsResponse
	upload, err := h.Gate.Resume(req.Ticket)
	if err != nil {
		return res, err
	}
	entries, err := h.Store.List(upload, req.After, ticket.MaxStored)
	if err != nil {
		return res, h.problem(err)
	}
	usage, err := h.Store.Usage(upload)
	if err != nil {
		return res, h.problem(err)
	}
	res.Used, res.Receipts = usage.Bytes, []string{}
	if len(entries) == 0 {
		return res, nil
	}
	receipt, err := h.sign(upload, entries)
	if err != nil {
		return res, err
	}
	res.Receipts = []string{receipt}
	if len(entries) == ticket.MaxStored {
		res.Next = entries[len(entries)-1].Name
	}
	return res, nil
}

func (h *Handler) sign(upload id.Upload, entries []store.Entry) (string, error) {
	stored := make([]ticket.Stored, len(entries))
	for i, e := range entries {
		stored[i] = ticket.Stored{Name: e.Name, Size: e.Size}
	}
	return h.Self.Receipt(upload, stored, h.Now())
}
