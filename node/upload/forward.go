package upload

import (
	"context"
	"net/http"
	"sync"
	"time"

	"holdfast/api"
	"holdfast/format/ticket"
	"holdfast/node/gate"
	"holdfast/node/store"
)

const (
	// forwardAtOnce is how many blobs of one request are handed on at a time.
	forwardAtOnce = 4
	// namesTime bounds the reading of the request: 64 KiB at most.
	namesTime = 20 * time.Second
)

// forward is POST /forward: as POST /blobs, for blobs that are here already.
func (h *Handler) forward(w http.ResponseWriter, r *http.Request) {
	blobs, err := h.parseForward(w, r)
	if err != nil {
		api.WriteProblem(w, err)
		return
	}
	leave, err := h.enter(r.Context(), blobs[0].key.Upload, blobs[0].copies)
	if err != nil {
		api.WriteProblem(w, err)
		return
	}
	defer leave()
	entries := make([]store.Entry, len(blobs))
	for i, b := range blobs {
		entries[i] = store.Entry{Name: b.key.Name, Size: b.size}
	}
	receipt, err := h.sign(blobs[0].key.Upload, entries)
	if err != nil {
		h.Log.Error("sign receipt", "error", err)
		api.WriteProblem(w, err)
		return
	}
	// Without a client there is nobody to name the next blobs: it ends with it, also
	// with one that takes no answer.
	ctx, cancel := context.WithTimeout(r.Context(), api.ForwardBlobs.Timeout)
	defer cancel()
	out := newEvents(w)
	out.lost = cancel
	out.send(api.Event{Receipt: receipt})
	defer out.beat()()
	if short := h.handOn(ctx, blobs, out); short > 0 {
		out.send(api.Event{Problem: api.NewProblem(api.ForwardFailed,
			"%d of %d blobs have fewer copies than asked for. Receipts that came are good; try another chain for the rest.", short, len(blobs))})
	}
}

func (h *Handler) parseForward(w http.ResponseWriter, r *http.Request) ([]incoming, error) {
	if err := api.CheckVersion(r); err != nil {
		return nil, err
	}
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(namesTime)) // only test recorders refuse
	defer conn.SetReadDeadline(time.Time{})
	var req api.ForwardRequest
	if err := api.ReadJSON(w, r, api.ForwardBlobs.MaxBody, &req); err != nil {
		return nil, err
	}
	grant, err := h.Gate.Upload(req.Ticket, req.Chain)
	if err != nil {
		return nil, err
	}
	if err := checkCopies(req.Copies, grant); err != nil {
		return nil, err
	}
	if len(req.Names) < 1 || len(req.Names) > ticket.MaxStored {
		return nil, api.NewProblem(api.BadRequest, "Name 1 to %d blobs at once.", ticket.MaxStored)
	}
	return h.held(req, grant)
}

// held looks all blobs up before any is handed on.
func (h *Handler) held(req api.ForwardRequest, grant gate.Grant) ([]incoming, error) {
	blobs := make([]incoming, len(req.Names))
	seen := map[store.Key]bool{}
	for i, name := range req.Names {
		key := store.Key{Upload: grant.Upload, Name: name}
		if seen[key] {
			return nil, api.NewProblem(api.BadRequest, "Blob %s is named twice.", name)
		}
		seen[key] = true
		size, err := h.Store.Stat(key)
		if err != nil {
			return nil, h.problem(err)
		}
		blobs[i] = incoming{grant: grant, key: key, size: size, copies: req.Copies}
	}
	return blobs, nil
}

// handOn returns for how many blobs too few copies were made.
func (h *Handler) handOn(ctx context.Context, blobs []incoming, out *events) (short int) {
	var mu sync.Mutex // guards short
	var workers sync.WaitGroup
	turn := make(chan struct{}, forwardAtOnce)
	for _, in := range blobs {
		turn <- struct{}{}
		workers.Go(func() {
			defer func() { <-turn }()
			made := 1
			for event := range h.Peers.Spread(ctx, in.held(h.opener(in.key))) {
				if event.Receipt != "" {
					made++
				}
				h.note(event)
				out.send(event)
			}
			if made < in.copies {
				mu.Lock()
				short++
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return short
}
