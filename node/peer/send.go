package peer

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"holdfast/api"
	"holdfast/format/ticket"
)

// maxAnswer bounds what is read of a peer's answer: one receipt and its frame.
const maxAnswer = 256 << 10

// send stores the blob at one node and returns its checked receipt.
func (p *Peers) send(ctx context.Context, place ticket.Place, job Job) (string, error) {
	if err := checkAddress(place.URL); err != nil {
		return "", err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type keyResult struct {
		key ed25519.PublicKey
		err error
	}
	keys := make(chan keyResult, 1)
	go func() { // beside the first bytes; afterwards the key is known
		key, err := p.public(ctx, place)
		keys <- keyResult{key, err}
	}()
	receipt, err := p.post(ctx, cancel, place, job)
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, ErrStalled) {
			err = cause
		}
		return "", err
	}
	timeout := time.NewTimer(p.stall)
	defer timeout.Stop()
	select {
	case got := <-keys:
		if got.err != nil {
			return "", got.err
		}
		return receipt, checkReceipt(got.key, receipt, job)
	case <-timeout.C:
		return "", fmt.Errorf("%w: its key was not to be had", ErrStalled)
	}
}

// checkReceipt tells whether the text is what its node owes us for the blob.
func checkReceipt(public ed25519.PublicKey, text string, job Job) error {
	receipt, err := ticket.OpenText[ticket.Receipt](public, text)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReceipt, err)
	}
	if receipt.Upload != job.Upload {
		return fmt.Errorf("%w: it is for another upload", ErrReceipt)
	}
	if !slices.ContainsFunc(receipt.Blobs, func(s ticket.Stored) bool { return s.Name == job.Name && s.Size == job.Size }) {
		return fmt.Errorf("%w: it is for other blobs", ErrReceipt)
	}
	return nil
}

// post sends the bytes and waits for the receipt's text.
func (p *Peers) post(ctx context.Context, cancel context.CancelCauseFunc, place ticket.Place, job Job) (string, error) {
	watch := newWatch(p.stall)
	req, err := p.request(ctx, place, job, watch)
	if err != nil {
		return "", err
	}
	stop := watch.start(cancel)
	defer stop()
	res, err := p.client.Do(req)
	if err != nil {
		return "", api.Unreachable(withoutURL(err))
	}
	defer drainAndClose(res.Body)
	watch.moved()
	if res.StatusCode != http.StatusOK {
		return "", api.ReadProblem(res)
	}
	return readAnswer(res.Body, watch)
}

func (p *Peers) request(ctx context.Context, place ticket.Place, job Job, watch *watch) (*http.Request, error) {
	source, err := job.Open()
	if err != nil {
		return nil, fmt.Errorf("read own copy: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, api.PutBlob.Method, strings.TrimRight(place.URL, "/")+api.PutBlob.Path, watched{source, watch})
	if err != nil {
		source.Close()
		return nil, err
	}
	req.ContentLength = job.Size
	req.GetBody = func() (io.ReadCloser, error) { // for a kept connection that the peer had closed
		source, err := job.Open()
		return watched{source, watch}, err
	}
	for name, value := range map[string]string{
		api.HeaderVersion: api.Version, api.HeaderTicket: job.Ticket, api.HeaderBlob: job.Name.String(),
		api.HeaderChain: strconv.Itoa(job.Chain), api.HeaderCopies: "1", "Content-Type": api.TypeBytes,
	} {
		req.Header.Set(name, value)
	}
	if job.Held {
		req.Header.Set("Expect", "100-continue")
	}
	return req, nil
}

// readAnswer returns the receipt in a peer's answer.
func readAnswer(body io.Reader, watch *watch) (string, error) {
	events := json.NewDecoder(io.LimitReader(body, maxAnswer))
	for {
		var event api.Event
		if err := events.Decode(&event); err != nil {
			return "", fmt.Errorf("%w: the answer ended without a receipt: %w", api.ErrUnreachable, err)
		}
		watch.moved()
		switch {
		case event.Receipt != "":
			return event.Receipt, nil
		case event.Problem != nil:
			return "", event.Problem
		}
	}
}

// withoutURL drops the address that net/http puts into its errors.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// watch notices a peer that stands still. Waiting for our own source does not
// count: that is the client's time.
type watch struct {
	stall   time.Duration
	last    atomic.Int64 // Unix nanoseconds
	waiting atomic.Bool  // for the source
}

func newWatch(stall time.Duration) *watch {
	w := &watch{stall: stall}
	w.moved()
	return w
}

func (w *watch) moved() { w.last.Store(time.Now().UnixNano()) }

func (w *watch) start(cancel context.CancelCauseFunc) (stop func()) {
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(w.stall / 8)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			if !w.waiting.Load() && time.Since(time.Unix(0, w.last.Load())) > w.stall {
				cancel(ErrStalled)
				return
			}
		}
	}()
	return func() { close(done) }
}

// watched tells the watch about each read.
type watched struct {
	io.ReadCloser
	watch *watch
}

func (r watched) Read(p []byte) (int, error) {
	r.watch.waiting.Store(true)
	n, err := r.ReadCloser.Read(p)
	r.watch.moved()
	r.watch.waiting.Store(false)
	return n, err
}
