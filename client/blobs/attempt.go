package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"holdfast/api"
	"holdfast/format/blob"
)

// errLength: what a node sent is not as long as it must be.
var errLength = errors.New("length: not what was asked for; fetch it from another node")

// start asks the next node; it reads whole blobs into buf.
func (r *race) start(ctx context.Context, buf []byte, spare bool) {
	node := r.nodes[0]
	r.nodes = r.nodes[1:]
	ctx, cancel := context.WithCancelCause(ctx)
	a := &attempt{node: node, watch: newWatch(), cancel: cancel, buf: buf, spare: spare}
	r.tries = append(r.tries, a)
	go func() {
		a.data, a.err = r.read(ctx, a)
		if cause := context.Cause(ctx); a.err != nil && cause != nil {
			a.err = cause
		}
		r.results <- a
	}()
}

// hedge gives up what stands still and asks one more node where the first
// hesitates; it returns how many requests it started.
func (r *race) hedge(ctx context.Context) int {
	running := 0
	hesitates := false
	for _, a := range r.tries {
		if a.over {
			continue
		}
		running++
		if a.watch.silence() >= readStall {
			a.cancel(fmt.Errorf("%w (no byte for %s)", ErrStalled, readStall))
		}
		hesitates = hesitates || a.watch.silence() >= hedgeAfter || r.crawls(a)
	}
	if !hesitates || running != 1 || len(r.nodes) == 0 {
		return 0
	}
	if !r.whole() {
		r.start(ctx, nil, false)
		return 1
	}
	select {
	case buf := <-r.f.spare:
		if buf == nil {
			buf = make([]byte, blob.MaxSize)
		}
		r.start(ctx, buf, true)
		return 1
	default:
		return 0 // others hedge; what stands still is left all the same
	}
}

// crawls compares a request with what the next copy's node would give.
func (r *race) crawls(a *attempt) bool {
	if time.Since(a.watch.begun) < slowAfter || len(r.nodes) == 0 {
		return false
	}
	rate := a.watch.rate()
	other := r.f.health.rate(r.nodes[0].ID)
	if other == 0 {
		return rate < crawl && !r.f.health.wasSlow(r.nodes[0].ID)
	}
	return rate*slowFactor < other
}

// read reads the range from one node and verifies it.
func (r *race) read(ctx context.Context, a *attempt) ([]byte, error) {
	query := url.Values{"v": {api.Version}, "upload": {r.place.Upload.String()}, "ticket": {r.place.Ticket}}
	size := r.length
	if !r.whole() {
		query.Set("offset", strconv.FormatInt(r.offset, 10))
		query.Set("length", strconv.FormatInt(r.length, 10))
		size = blob.SliceSize(r.place.Size, r.offset, r.length)
	}
	req, err := http.NewRequestWithContext(ctx, api.GetBlob.Method, a.node.URL+"/blobs/"+r.place.Name.String()+"?"+query.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: not an address", errLength)
	}
	res, err := r.f.http.Do(req)
	if err != nil {
		return nil, failure(ctx, err)
	}
	defer res.Body.Close()
	a.watch.progress(0)
	if res.StatusCode != http.StatusOK {
		return nil, api.ReadProblem(res)
	}
	if res.ContentLength != size {
		return nil, fmt.Errorf("%w (%d bytes instead of %d)", errLength, res.ContentLength, size)
	}
	into := a.buf
	if !r.whole() {
		into = make([]byte, size)
	}
	if _, err := io.ReadFull(&watched{Reader: res.Body, watch: a.watch, progress: a.watch.progress}, into[:size]); err != nil {
		return nil, failure(ctx, err)
	}
	return r.verify(into[:size])
}

func (r *race) verify(data []byte) ([]byte, error) {
	if r.whole() {
		return data, blob.Check(data, r.place.Name)
	}
	return blob.OpenSlice(data, blob.Proof{Name: r.place.Name, Size: r.place.Size, Offset: r.offset, Length: r.length})
}
