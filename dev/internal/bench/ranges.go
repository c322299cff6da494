//go:build linux

package bench

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"holdfast/client/home"
	"holdfast/client/transfer"
	"holdfast/format/link"
)

const (
	rangeFile = 10 * gib
	rangeSize = mib
	rangeRuns = 50
	caseRange = "1 MiB at random of 10 GiB"
)

// ranges reads parts of a large file through the SDK and counts what goes over
// the line to nodes.
func ranges(ctx context.Context, b *Bench, r *record) error {
	d, err := b.demo(ctx, "holdfast", "DE,NZ,IS")
	if err != nil {
		return err
	}
	defer d.finish()
	file := b.path("large.bin")
	if _, err := writeFile(file, 10, rangeFile); err != nil {
		return err
	}
	_, out, err := b.timed(ctx, job{name: b.Program, args: []string{"send", "--server", d.url, file}, env: []string{"HOLDFAST_HOME=" + b.path("home")}})
	if err != nil {
		return err
	}
	share, counted, err := b.openCounted(ctx, d.url, strings.TrimSpace(string(out)))
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(10, 10))
	for round := 1; round <= rangeRuns; round++ {
		if err := readRange(ctx, r, round, share, counted, random.Int64N(rangeFile-rangeSize), file); err != nil {
			return err
		}
	}
	return nil
}

// openCounted opens a link and starts its download with a client that counts.
func (b *Bench) openCounted(ctx context.Context, server, text string) (*transfer.Share, *counter, error) {
	l, _, err := link.Parse(text)
	if err != nil {
		return nil, nil, err
	}
	client := transfer.NewHTTP(nil)
	counted := &counter{next: client.Transport, server: server}
	client.Transport = counted
	dir, err := home.Open(b.path("reader"))
	if err != nil {
		return nil, nil, err
	}
	c, err := transfer.New(server, client, dir)
	if err != nil {
		return nil, nil, err
	}
	share, err := c.Open(ctx, l, transfer.OpenOptions{})
	if err != nil {
		return nil, nil, err
	}
	return share, counted, share.Start(ctx)
}

func readRange(ctx context.Context, r *record, round int, share *transfer.Share, counted *counter, offset int64, file string) error {
	counted.reset()
	out := &firstByte{begin: time.Now()}
	if err := share.Range(ctx, 0, offset, rangeSize, out); err != nil {
		return err
	}
	requests, calls, fetched := counted.count()
	r.add(sample{Case: caseRange, Subject: holdfast, Round: round, Bytes: rangeSize, Seconds: out.after.Seconds(), Requests: requests, Calls: calls, Fetched: fetched})
	want, err := readPart(file, offset, rangeSize)
	if err == nil && !bytes.Equal(out.Bytes(), want) {
		err = errors.New("what came back is not what was sent")
	}
	return err
}

// firstByte keeps what is written and when that began.
type firstByte struct {
	bytes.Buffer
	begin time.Time
	after time.Duration
}

func (f *firstByte) Write(p []byte) (int, error) {
	if f.after == 0 {
		f.after = time.Since(f.begin)
	}
	return f.Buffer.Write(p)
}

// counter counts requests to nodes, calls of the server, and bytes of nodes' answers.
type counter struct {
	next   http.RoundTripper
	server string

	mu              sync.Mutex // guards what follows
	requests, calls int
	fetched         int64
}

func (c *counter) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests, c.calls, c.fetched = 0, 0, 0
}

func (c *counter) count() (requests, calls int, fetched int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests, c.calls, c.fetched
}

// RoundTrip implements http.RoundTripper.
func (c *counter) RoundTrip(req *http.Request) (*http.Response, error) {
	toNode := !strings.HasPrefix(req.URL.String(), c.server+"/")
	c.mu.Lock()
	if toNode {
		c.requests++
	} else {
		c.calls++
	}
	c.mu.Unlock()
	res, err := c.next.RoundTrip(req)
	if err == nil && toNode {
		res.Body = &countedBody{res.Body, c}
	}
	return res, err
}

type countedBody struct {
	io.ReadCloser
	c *counter
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.c.mu.Lock()
	defer b.c.mu.Unlock()
	b.c.fetched += int64(n)
	return n, err
}
