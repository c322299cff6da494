package blobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"holdfast/api"
	"holdfast/format/descriptor"
	"holdfast/format/id"
)

// try asks one node for copies. If all bytes may be there already, it only asks
// it to hand them on; sent tells whether all bytes left towards it.
func (u *Uploader) try(ctx context.Context, at target, name id.Name, data []byte, whole bool) (sent bool, err error) {
	size := int64(len(data))
	if whole {
		err := u.exchange(ctx, at, name, size, newWatch(), func(ctx context.Context) (*http.Request, error) {
			return u.forwardRequest(ctx, at, name)
		})
		if !errors.Is(err, api.BlobUnknown) {
			return false, err
		}
	}
	w := newWatch()
	w.body = size
	err = u.exchange(ctx, at, name, size, w, func(ctx context.Context) (*http.Request, error) {
		return u.blobRequest(ctx, at, name, data, w)
	})
	return w.left(), err
}

// exchange sends a request about a blob of size bytes and takes in the events of
// its answer. nil means that it brought a receipt for the blob, though perhaps not
// enough of them.
func (u *Uploader) exchange(ctx context.Context, at target, name id.Name, size int64, w *watch, request func(context.Context) (*http.Request, error)) error {
	defer w.end() // the buffer of a body is free when this returns
	ctx, cancel := guard(ctx, u.Stall/20, func() error { return u.check(at, size, w) })
	defer cancel()
	req, err := request(ctx)
	if err != nil {
		return err
	}
	res, err := u.HTTP.Do(req)
	if err != nil {
		return failure(ctx, err)
	}
	defer res.Body.Close()
	w.progress(0)
	if res.StatusCode != http.StatusOK {
		return api.ReadProblem(res)
	}
	return u.events(ctx, res.Body, at, name, w)
}

// check is the guard's: it ends an exchange that stands still or crawls. Once
// the bytes have left, the rate at which they did so tells nothing: the node
// hands them on, and says by its events that it lives. It gets the time that this
// takes on the slowest line, so that one that only says so ends as well.
func (u *Uploader) check(at target, size int64, w *watch) error {
	took := time.Since(w.begun)
	switch {
	case w.silence() >= u.Stall:
		return fmt.Errorf("%w (no progress for %s)", ErrStalled, u.Stall)
	case !w.left() && took >= 2*u.Stall && w.rate() < leastRate && !u.crawling(at):
		return ErrSlow
	case w.left() && took-w.leaving() >= u.Patience+time.Duration(size)*time.Second/leastRate:
		return ErrSlow
	}
	return nil
}

// crawling tells whether slowness is no reason to try another node: all of them
// were slow, so that it is the line to here.
func (u *Uploader) crawling(at target) bool {
	for _, chain := range u.Grant().Chains {
		for _, n := range chain {
			if n.ID != at.node.ID && !u.health.wasSlow(n.ID) {
				return false
			}
		}
	}
	return true
}

func (u *Uploader) blobRequest(ctx context.Context, at target, name id.Name, data []byte, w *watch) (*http.Request, error) {
	body := func() (io.ReadCloser, error) {
		return &watched{Reader: bytes.NewReader(data), watch: w, progress: func(n int) {
			w.progress(n)
			u.Sent(n)
		}}, nil
	}
	first, _ := body()
	req, err := http.NewRequestWithContext(ctx, api.PutBlob.Method, at.node.URL+api.PutBlob.Path, first)
	if err != nil {
		return nil, err
	}
	req.ContentLength, req.GetBody = int64(len(data)), body
	for header, value := range map[string]string{
		"Content-Type":    api.TypeBytes,
		api.HeaderVersion: api.Version,
		api.HeaderTicket:  u.Grant().Ticket,
		api.HeaderBlob:    name.String(),
		api.HeaderChain:   strconv.Itoa(at.chain),
		api.HeaderCopies:  strconv.Itoa(at.copies),
	} {
		req.Header.Set(header, value)
	}
	return req, nil
}

func (u *Uploader) forwardRequest(ctx context.Context, at target, name id.Name) (*http.Request, error) {
	raw, err := json.Marshal(api.ForwardRequest{Ticket: u.Grant().Ticket, Chain: at.chain, Copies: at.copies, Names: []id.Name{name}})
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, api.ForwardBlobs.Method, at.node.URL+api.ForwardBlobs.Path, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", api.TypeJSON)
	req.Header.Set(api.HeaderVersion, api.Version)
	return req, nil
}

// events reads an answer as it comes.
func (u *Uploader) events(ctx context.Context, body io.Reader, at target, name id.Name, w *watch) error {
	dec := json.NewDecoder(io.LimitReader(body, maxAnswer))
	got := false
	for {
		var e api.Event
		if err := dec.Decode(&e); err != nil {
			if got && errors.Is(err, io.EOF) {
				u.health.good(at.node.ID, w.rate())
				return nil
			}
			return failure(ctx, err)
		}
		w.progress(0)
		switch {
		case e.Receipt != "":
			if err := u.receipt(e.Receipt, name); err != nil {
				return err
			}
			got = true
		case e.Failed != nil:
			u.health.failed(e.Failed.Node, time.Now(), 0)
			if n, known := u.Grant().Nodes[e.Failed.Node]; known {
				u.Fault(Fault{n, name, fmt.Errorf("not reached by %s (%s)", at.node.Label(), descriptor.Display(string(e.Failed.Code)))})
			}
		case e.Problem != nil:
			return e.Problem
		}
	}
}

func (u *Uploader) receipt(text string, name id.Name) error {
	before := len(u.Receipts.Holders(name))
	names, err := u.Receipts.Accept(text, u.Grant().Nodes)
	if err != nil {
		return err
	}
	if !slices.Contains(names, name) {
		return fmt.Errorf("%w (it is for other blobs than the one sent)", ErrReceipt)
	}
	// What is said again is no progress, or one node could keep a send waiting for ever.
	if len(u.Receipts.Holders(name)) > before {
		u.good.Store(time.Now().UnixNano())
	}
	return nil
}

// failure is a broken exchange's error: why it was ended, if it was, and never
// the address, since those of reads hold tickets.
func failure(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, io.EOF) { // which must not pass for the end of something
		return fmt.Errorf("%w: the connection was closed", api.ErrUnreachable)
	}
	return api.Unreachable(err)
}
