// Package upload takes blobs in, hands them on and gives receipts
// (docs/protocol.md, "Upload"). It promises that a receipt is signed only after
// the store has made the blob durable, that refused requests cost little, and
// that no blob is held in memory. Whether a ticket holds is the gate's to say,
// what a budget has left the store's.
package upload

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"holdfast/api"
	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/node/gate"
	"holdfast/node/identity"
	"holdfast/node/pace"
	"holdfast/node/peer"
	"holdfast/node/store"
)

const (
	// bufferSize is large enough that system calls and hashing run in long strides.
	bufferSize = 128 << 10
	// drainTime bounds what is read of a refused body. Clients that are still
	// sending do not read the answer, and browsers lose it when the connection ends.
	drainTime = 3 * time.Second
)

// Handler serves what stores blobs.
type Handler struct {
	Store store.Store
	Gate  *gate.Gate
	Self  *identity.Identity
	Peers *peer.Peers
	Now   func() time.Time
	Log   *slog.Logger
	// Life ends when the node stops: work that a client no longer waits for goes on
	// until then.
	Life context.Context

	firsts, lasts *places // for requests with copies to make, and without
	buffers       sync.Pool
}

// Register adds the endpoints to mux.
func (h *Handler) Register(mux *http.ServeMux) {
	h.firsts, h.lasts = newPlaces(), newPlaces()
	h.buffers.New = func() any { b := make([]byte, bufferSize); return &b }
	mux.HandleFunc(api.PutBlob.Pattern(), h.put)
	mux.HandleFunc(api.ForwardBlobs.Pattern(), h.forward)
	api.ListReceipts.Handle(mux, func(_ string, err error) { h.Log.Error("receipts", "error", err) }, h.receipts)
}

// put is POST /blobs.
func (h *Handler) put(w http.ResponseWriter, r *http.Request) {
	in, err := h.parse(r)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	leave, err := h.enter(r.Context(), in.key.Upload, in.copies)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	defer leave()
	ctx, cancel := context.WithTimeout(h.Life, api.PutBlob.Timeout)
	defer cancel()
	writer, err := h.Store.Begin(in.key, in.size, in.grant.Budget)
	switch {
	case errors.Is(err, store.ErrExists):
		h.existing(ctx, w, r, in)
	case err != nil:
		h.refuse(w, r, h.problem(err))
	default:
		h.receive(ctx, w, r, in, writer)
	}
}

// receive takes a new blob in, handing it on meanwhile.
func (h *Handler) receive(ctx context.Context, w http.ResponseWriter, r *http.Request, in incoming, writer store.Writer) {
	handOn, cancel := context.WithCancel(ctx)
	defer cancel()
	// Keeps the file open until the last node has it, under whatever name.
	pin := writer.Follow()
	defer pin.Close()
	copies := h.Peers.Spread(handOn, in.job(func() (io.ReadCloser, error) { return writer.Follow(), nil }))
	defer func() {
		for range copies { // until every reader of the file has gone
		}
	}()
	if err := h.copyBody(w, r, in.size, writer); err != nil {
		cancel()
		writer.Abort(err)
		h.refuse(w, r, h.problem(err))
		return
	}
	// All bytes are here: from now on the blob is stored, whether the client waits
	// or not. It will find the receipts when it asks.
	if err := writer.Commit(); err != nil {
		cancel()
		h.refuse(w, r, h.problem(err))
		return
	}
	h.answer(w, in, in.size, copies)
}

// copyBody moves the body into the store. Bytes that do not come are the
// client's fault, all else the store's.
func (h *Handler) copyBody(w http.ResponseWriter, r *http.Request, size int64, writer store.Writer) error {
	buffer := h.buffers.Get().(*[]byte)
	defer h.buffers.Put(buffer)
	body := pace.NewReader(w, r.Body, size)
	defer body.Done()
	for {
		n, err := body.Read(*buffer)
		if n > 0 {
			if _, err := writer.Write((*buffer)[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return &bodyError{err}
		}
	}
}

// bodyError is a body that broke off or came too slowly.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "body: " + e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

// existing answers for a blob that is held already. The body is read, since
// clients listen only then, and nothing of it is looked at. Who asks before
// sending, as other nodes do, need not send.
func (h *Handler) existing(ctx context.Context, w http.ResponseWriter, r *http.Request, in incoming) {
	size, err := h.Store.Stat(in.key)
	if err != nil {
		h.refuse(w, r, h.problem(err))
		return
	}
	in.size = size
	copies := h.Peers.Spread(ctx, in.held(h.opener(in.key)))
	if r.Header.Get("Expect") == "" {
		body := pace.NewReader(w, r.Body, r.ContentLength)
		if _, err := io.Copy(io.Discard, body); err != nil {
			h.Log.Debug("a client that resent a blob went away", "upload", in.key.Upload)
		}
		body.Done()
	}
	h.answer(w, in, size, copies)
}

func (h *Handler) opener(key store.Key) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		r, err := h.Store.Open(key)
		if err != nil {
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{io.NewSectionReader(r, 0, r.Size()), r}, nil
	}
}

// answer writes the events: the own receipt, then what the others give, as it
// comes.
func (h *Handler) answer(w http.ResponseWriter, in incoming, size int64, copies <-chan api.Event) {
	receipt, err := h.Self.Receipt(in.key.Upload, []ticket.Stored{{Name: in.key.Name, Size: size}}, h.Now())
	if err != nil {
		h.Log.Error("sign receipt", "error", err)
		pace.NewWriter(w).Next()
		api.WriteProblem(w, err)
		return
	}
	out := newEvents(w)
	out.write(api.Event{Receipt: receipt})
	defer out.beat()()
	made := 1
	for {
		event, more := next(copies, out)
		if !more {
			break
		}
		if event.Receipt != "" {
			made++
		}
		h.note(event)
		out.write(event)
	}
	if made < in.copies {
		out.write(api.Event{Problem: tooFew(made, in.copies)})
	}
}

// note logs a node that failed.
func (h *Handler) note(event api.Event) {
	if event.Failed != nil {
		h.Log.Info("another node did not store a blob", "node", event.Failed.Node, "code", event.Failed.Code)
	}
}

// next waits for an event; what was written before goes out if that takes time.
func next(copies <-chan api.Event, out *events) (event api.Event, more bool) {
	select {
	case event, more = <-copies:
	default:
		out.flush()
		event, more = <-copies
	}
	return event, more
}

func tooFew(made, wanted int) *api.Problem {
	return api.NewProblem(api.ForwardFailed, "%d of %d copies were made. Receipts that came are good; try another chain for the rest.", made, wanted)
}

// enter waits for a request's turn.
func (h *Handler) enter(ctx context.Context, upload id.Upload, copies int) (leave func(), err error) {
	places := h.lasts
	if copies > 1 {
		places = h.firsts
	}
	if leave, ok := places.enter(ctx, upload); ok {
		return leave, nil
	}
	p := api.NewProblem(api.Unavailable, "This node takes as many blobs at once as it can; try again in a moment or use another node.")
	p.RetryAfter = 1
	return nil, p
}

// refuse answers with a problem. What is left of the body is read for a moment.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if r.Header.Get("Expect") == "" { // else the client has not sent any
		conn := http.NewResponseController(w)
		_ = conn.SetReadDeadline(time.Now().Add(drainTime))
		_, drainErr := io.CopyN(io.Discard, r.Body, blob.MaxSize+1)
		_ = conn.SetReadDeadline(time.Time{})
		if !errors.Is(drainErr, io.EOF) {
			w.Header().Set("Connection", "close")
		}
	}
	pace.NewWriter(w).Next()
	api.WriteProblem(w, err)
}

// problem turns errors of the store and the body into the protocol's codes.
func (h *Handler) problem(err error) error {
	var p *api.Problem
	var body *bodyError
	switch {
	case errors.As(err, &p):
		return err
	case errors.As(err, &body):
		return api.NewProblem(api.BadRequest, "The body broke off or came too slowly; send the blob again.")
	case errors.Is(err, store.ErrClosed):
		return api.NewProblem(api.TicketInvalid, "This upload is closed: it was deleted, and takes nothing again.")
	case errors.Is(err, store.ErrBudget):
		return api.NewProblem(api.TicketSpent, "This node holds as much for the upload as the ticket allows, 16 KiB for each blob counted in; extend the upload.")
	case errors.Is(err, store.ErrMismatch):
		return api.NewProblem(api.BlobMismatch, "The bytes do not hash to the name they came with; nothing was stored.")
	case errors.Is(err, store.ErrSize):
		return api.NewProblem(api.BadRequest, "The body is not as long as announced; nothing was stored.")
	case errors.Is(err, store.ErrUnknown):
		return api.NewProblem(api.BlobUnknown, "This node does not have the blob; send it.")
	case errors.Is(err, store.ErrBusy):
		return api.NewProblem(api.Unavailable, "This node is out of file handles or memory; use another node.")
	case errors.Is(err, store.ErrFull):
		return api.NewProblem(api.ReadOnly, "This node has no room (%s). What it holds is safe and can be read; use another node.", store.Full)
	case errors.Is(err, store.ErrIO):
		h.Log.Error("the disk failed", "error", err)
		return api.NewProblem(api.NodeIO, "This node's disk failed (%s); nothing was stored. Use another node.", store.IOError)
	}
	h.Log.Error("store", "error", err)
	return err
}
