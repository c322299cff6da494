package blobs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/api"
	"holdfast/client/fleet"
	"holdfast/client/internal/fake"
	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/ticket"
)

func TestHealthRestsLongerAndLonger(t *testing.T) {
	h, n, now := newHealth(), id.New[id.Node](), time.Unix(1000, 0)
	if h.rests(n).After(now) {
		t.Fatal("a node that nobody knows rests")
	}
	for i, want := range []time.Duration{2, 4, 8, 16, 32, 60, 60} {
		h.failed(n, now, 0)
		if have := h.rests(n).Sub(now); have != want*time.Second {
			t.Errorf("failure %d: rests %s", i, have)
		}
		h.failed(n, now, 0) // the same fault, seen by another request
		now = h.rests(n)
	}
	h.good(n, 100)
	if h.rests(n).After(now) || h.rate(n) != 100 {
		t.Error("still rests after it did well")
	}
	h.good(n, 500)
	if rate := h.rate(n); rate != 200 {
		t.Errorf("rate %v", rate)
	}
	h.failed(n, now, fullRest)
	if h.rests(n) != now.Add(fullRest) || h.wasSlow(n) {
		t.Error("a full node does not rest as long as it should")
	}
	h.tooSlow(n, now)
	if !h.wasSlow(n) {
		t.Error("slowness was forgotten")
	}
}

// TestSlowNodesAreLeftOnce: a node that crawls is left for another, but when all
// of them crawl it is the line, and nothing is gained by changing.
func TestSlowNodesAreLeftOnce(t *testing.T) {
	b := newBench(t, fake.New(t, "DE", "NZ", "IS"), 1<<20)
	const size = 1 << 20
	synctest.Test(t, func(t *testing.T) {
		w := newWatch()
		w.body = size
		w.progress(100)
		at := target{0, b.grant.Chains[0][0], 2}
		if err := b.u.check(at, size, w); err != nil {
			t.Fatalf("at once: %v", err)
		}
		crawl := func() {
			for range 40 {
				time.Sleep(b.u.Stall / 10)
				w.progress(1)
			}
		}
		crawl()
		if err := b.u.check(at, size, w); !errors.Is(err, ErrSlow) {
			t.Fatalf("crawling: %v", err)
		}
		for _, n := range b.grant.Chains[0][1:] {
			b.u.health.tooSlow(n.ID, time.Now())
		}
		if err := b.u.check(at, size, w); err != nil {
			t.Fatalf("the others crawl as well: %v", err)
		}
		time.Sleep(2 * b.u.Stall)
		if err := b.u.check(at, size, w); !errors.Is(err, ErrStalled) {
			t.Fatalf("standing still: %v", err)
		}
	})
}

// TestHandingOnTakesItsTime: when all bytes have left, how fast they did so is no
// measure of the node that hands them on, as long as it says that it does.
func TestHandingOnTakesItsTime(t *testing.T) {
	b := newBench(t, fake.New(t, "DE", "NZ", "IS"), 1<<20)
	const size = 1 << 20
	most := b.u.Patience + size/leastRate*time.Second
	for name, body := range map[string]int64{"of a body": size, "of what is there": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWatch()
				w.body = body
				w.progress(int(body))
				at := target{0, b.grant.Chains[0][0], 2}
				for time.Since(w.begun) < most-b.u.Stall {
					time.Sleep(b.u.Stall / 2)
					w.progress(0)
					if err := b.u.check(at, size, w); err != nil {
						t.Fatalf("after %s: %v", time.Since(w.begun), err)
					}
				}
				for time.Since(w.begun) < most {
					time.Sleep(b.u.Stall / 2)
					w.progress(0)
				}
				if err := b.u.check(at, size, w); !errors.Is(err, ErrSlow) {
					t.Errorf("for ever: %v", err)
				}
			})
		})
	}
}

// TestCrawlingBodyIsNotGivenUpAtItsEnd: on a line that is slow to all nodes a body
// takes longer than handing it on may; the time for that begins when it is out.
func TestCrawlingBodyIsNotGivenUpAtItsEnd(t *testing.T) {
	b := newBench(t, fake.New(t, "DE", "NZ", "IS"), 1<<20)
	const size = 1 << 20
	synctest.Test(t, func(t *testing.T) {
		for _, n := range b.grant.Chains[0][1:] {
			b.u.health.tooSlow(n.ID, time.Now())
		}
		w := newWatch()
		w.body = size
		at := target{0, b.grant.Chains[0][0], 2}
		for w.bytes.Load() < size { // 2 KiB/s: a quarter of the least rate
			time.Sleep(b.u.Stall / 2)
			w.progress(int(2048 * (b.u.Stall / 2).Seconds()))
			if err := b.u.check(at, size, w); err != nil {
				t.Fatalf("after %s, %d bytes: %v", time.Since(w.begun), w.bytes.Load(), err)
			}
		}
	})
}

// TestRestEndsWithTheUpload: an upload that is over is not waited for; a server
// that does not answer is.
func TestRestEndsWithTheUpload(t *testing.T) {
	b := newBench(t, fake.New(t, "DE", "NZ"), 1<<20)
	old := b.grant
	old.Got = time.Now().Add(-renewPause)
	for err, ends := range map[error]bool{
		api.UploadClosed: true, api.UploadUnknown: true, api.Unauthorized: true, api.NoPlacement: true,
		api.ErrUnreachable: false, api.Unavailable: false, ErrGrant: false,
	} {
		b.u.Replace(old)
		b.u.Renew = func(context.Context) (Grant, error) { return Grant{}, err }
		if have := b.u.rest(t.Context(), time.Microsecond); errors.Is(have, err) != ends || !ends && have != nil {
			t.Errorf("%v: %v", err, have)
		}
	}
}

// TestTwoNodesMustSayThatABudgetIsSpent: of each budget, or one node that lies
// could make it grow with every blob once two have been right.
func TestTwoNodesMustSayThatABudgetIsSpent(t *testing.T) {
	b := newBench(t, fake.New(t, "DE", "NZ"), 1<<20)
	for round := range 3 {
		for i, want := range []bool{false, true} {
			if have := b.u.spent(b.Nodes[i].ID); have != want {
				t.Errorf("round %d, node %d: %v", round, i, have)
			}
		}
		more := b.u.Grant()
		b.u.Replace(more) // a fresh ticket for the same budget changes nothing
		if !b.u.spent(b.Nodes[0].ID) {
			t.Errorf("round %d: forgotten with a renewed ticket", round)
		}
		more.Budget += 1 << 20
		b.u.Replace(more)
	}
}

func TestPickPrefersWholeChains(t *testing.T) {
	b := newBench(t, fake.New(t, "DE", "NZ", "IS", "CH"), 1<<20)
	node := func(i int) fleet.Node { return b.grant.Nodes[b.Nodes[i].ID] }
	b.grant.Chains = [][]fleet.Node{{node(0), node(1)}, {node(2), node(3)}}
	name := blob.Name([]byte("x"))
	for what, c := range map[string]struct {
		down []int
		want int
		wait bool
	}{
		"all well":                  {nil, 0, false},
		"the second of the first":   {[]int{1}, 2, false},
		"the first of the first":    {[]int{0}, 2, false},
		"one of each":               {[]int{0, 2}, 1, false},
		"the whole first chain":     {[]int{0, 1}, 2, false},
		"all, and nobody can store": {[]int{1, 2, 3, 0}, 1, true},
	} {
		t.Run(what, func(t *testing.T) {
			b.u.Receipts = NewReceipts(b.grant.Upload, nil, nil)
			b.u.Start(b.grant)
			for i, n := range c.down {
				b.u.health.failed(b.Nodes[n].ID, time.Now().Add(time.Duration(i)*time.Second), 0)
			}
			at, wait := b.u.pick(name)
			if at.node.ID != b.Nodes[c.want].ID || (wait > 0) != c.wait || at.copies != 2 {
				t.Errorf("node %s, wait %s, %d copies", at.node.Label(), wait, at.copies)
			}
		})
	}
}

func TestGuardEndsWhenItsCheckFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		ctx, cancel := guard(t.Context(), time.Second, func() error {
			if time.Since(begun) > 5*time.Second {
				return ErrStalled
			}
			return nil
		})
		defer cancel()
		<-ctx.Done()
		if !errors.Is(context.Cause(ctx), ErrStalled) || time.Since(begun) > 7*time.Second {
			t.Errorf("%v after %s", context.Cause(ctx), time.Since(begun))
		}
		ctx, cancel = guard(t.Context(), time.Second, func() error { return nil })
		cancel()
		<-ctx.Done()
	})
}

func TestFailureNeverPassesForAnEnd(t *testing.T) {
	for _, err := range []error{io.EOF, io.ErrUnexpectedEOF} {
		have := failure(t.Context(), err)
		if errors.Is(have, io.EOF) || !strings.Contains(have.Error(), "no answer") {
			t.Errorf("%v: %v", err, have)
		}
	}
}

func TestReceiptsCountIndependentCopies(t *testing.T) {
	s := fake.New(t, "DE", "DE", "NZ")
	b := newBench(t, s, 1<<20)
	var told []int
	r := NewReceipts(b.grant.Upload, func(_ id.Name, _ int64, copies int) { told = append(told, copies) }, nil)
	name := blob.Name([]byte("x"))
	stored := storedOf(name, 1)
	if names, err := r.Accept(s.Nodes[0].Receipt(b.grant.Upload, stored), b.grant.Nodes); err != nil || len(names) != 0 {
		t.Fatalf("nobody expected it: %v, %v", names, err)
	}
	r.Expect(name, 1)
	for i, enough := range []bool{false, false, true} {
		if _, err := r.Accept(s.Nodes[i].Receipt(b.grant.Upload, stored), b.grant.Nodes); err != nil || r.Enough(name) != enough {
			t.Errorf("after node %d: %v, %v", i, r.Enough(name), err)
		}
	}
	if len(r.Holders(name)) != 3 || len(told) != 2 || told[0] != 1 || told[1] != 2 {
		t.Errorf("%d holders, told %v", len(r.Holders(name)), told)
	}
	if texts, nodes, ok := r.Proof([]id.Name{name}); !ok || len(texts) != 3 || len(nodes) != 3 {
		t.Errorf("%d receipts of %d nodes", len(texts), len(nodes))
	}
}

// TestBodyEndsWithItsExchange: net/http may read a body after the answer came;
// the memory behind it is somebody else's by then.
func TestBodyEndsWithItsExchange(t *testing.T) {
	b := newBench(t, fake.New(t, "DE", "NZ"), 1<<20)
	w := newWatch()
	req, err := b.u.blobRequest(t.Context(), target{0, b.grant.Chains[0][0], 2}, id.New32(), bytes.Repeat([]byte("x"), 1000), w)
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 10)
	if n, err := req.Body.Read(p); n != 10 || err != nil {
		t.Fatal(n, err)
	}
	w.end()
	if n, err := req.Body.Read(p); n != 0 || err == nil {
		t.Errorf("%d bytes after the end, %v", n, err)
	}
	if req.Method != http.MethodPost || req.ContentLength != 1000 {
		t.Errorf("%s of %d bytes", req.Method, req.ContentLength)
	}
}

func storedOf(name id.Name, size int64) ticket.Stored { return ticket.Stored{Name: name, Size: size} }
