package blobs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/client/fleet"
	"holdfast/client/internal/fake"
	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/ticket"
)

// bench is an open upload at a fake service.
type bench struct {
	*fake.Service
	u      *Uploader
	grant  Grant
	faults atomic.Int32
	copies atomic.Int32
	renews atomic.Int32
}

const testStall = 600 * time.Millisecond

func newBench(t *testing.T, s *fake.Service, bytes int64) *bench {
	t.Helper()
	b := &bench{Service: s}
	open := func(ctx context.Context) (Grant, error) {
		b.renews.Add(1)
		g, err := api.OpenUpload.Call(ctx, api.Caller{Base: s.URL, HTTP: http.DefaultClient}, api.Args{}, api.OpenUploadRequest{Bytes: bytes, Days: 1})
		if err != nil {
			return Grant{}, err
		}
		return OpenGrant(g, true, time.Now())
	}
	grant, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.grant = grant
	b.u = &Uploader{
		HTTP: &http.Client{}, Stall: testStall, Patience: 3 * time.Second, Renew: open,
		Receipts: NewReceipts(grant.Upload, func(_ id.Name, _ int64, copies int) { b.copies.Add(int32(copies)) }, nil),
		Fault:    func(Fault) { b.faults.Add(1) },
	}
	b.u.Start(grant)
	return b
}

func bytesOf(seed uint64, n int) []byte {
	out := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	r.Read(out)
	return out
}

func (b *bench) put(t *testing.T, data []byte) error {
	t.Helper()
	return b.u.Put(t.Context(), blob.Name(data), data)
}

func only(path string, f func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc)) func(http.ResponseWriter, *http.Request, http.HandlerFunc) {
	return func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		if strings.HasPrefix(r.URL.Path, path) {
			f(w, r, serve)
			return
		}
		serve(w, r)
	}
}

func TestPutSurvivesAnyOneNode(t *testing.T) {
	for name, misbehave := range map[string]func(*fake.Node, http.ResponseWriter, *http.Request){
		"refuses":      func(*fake.Node, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"stands still": func(n *fake.Node, _ http.ResponseWriter, r *http.Request) { n.Stand(r) },
		"read-only": func(_ *fake.Node, w http.ResponseWriter, _ *http.Request) {
			api.WriteProblem(w, api.NewProblem(api.ReadOnly, "full"))
		},
		"disk failed": func(_ *fake.Node, w http.ResponseWriter, _ *http.Request) {
			api.WriteProblem(w, api.NewProblem(api.NodeIO, "disk"))
		},
		"dies half way": func(_ *fake.Node, _ http.ResponseWriter, r *http.Request) {
			io.CopyN(io.Discard, r.Body, 1<<20)
			panic(http.ErrAbortHandler)
		},
		"answers nonsense": func(_ *fake.Node, w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.Write([]byte("<html>"))
		},
		"takes all and says nothing": func(n *fake.Node, _ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			n.Stand(r)
		},
	} {
		for _, which := range []int{0, 1, 2} {
			t.Run(name+" at "+[]string{"P", "S", "spare"}[which], func(t *testing.T) {
				t.Parallel()
				b := newBench(t, fake.New(t, "DE", "NZ", "IS"), 1<<30)
				bad := b.Nodes[which]
				bad.Hook(func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) { misbehave(bad, w, r) })
				for i := range 3 {
					data := bytesOf(uint64(i), 3<<20)
					if err := b.put(t, data); err != nil {
						t.Fatal(err)
					}
					if n := len(b.u.Receipts.Holders(blob.Name(data))); n < 2 {
						t.Fatalf("%d holders", n)
					}
				}
				if told := b.faults.Load() > 0; told != (which < 2) {
					t.Errorf("fault told: %v", told)
				}
			})
		}
	}
}

func TestPutKeepsTheFirstReceipt(t *testing.T) {
	b := newBench(t, fake.New(t, "DE", "NZ", "IS"), 1<<30)
	// Both others are away for P, and one is back when the client asks it itself.
	b.Nodes[1].Kill()
	b.Nodes[2].Kill()
	data := bytesOf(1, 1<<20)
	b.Nodes[0].Hook(only("/blobs", func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		serve(w, r)
		b.Nodes[2].Hook(nil)
	}))
	if err := b.put(t, data); err != nil {
		t.Fatal(err)
	}
	holders := b.u.Receipts.Holders(blob.Name(data))
	if len(holders) != 2 || holders[0].ID != b.Nodes[0].ID || holders[1].ID != b.Nodes[2].ID {
		t.Errorf("holders: %v", holders)
	}
	if n := b.Nodes[0].Bytes.Load(); n != 1<<20 {
		t.Errorf("P got %d bytes", n)
	}
}

func TestPutSendsNothingAgainThatIsThere(t *testing.T) {
	b := newBench(t, fake.New(t, "DE", "NZ", "IS"), 1<<30)
	// P stores, hands on, and dies before it answers.
	b.Nodes[0].Hook(only("/blobs", func(_ http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		serve(&discard{}, r)
		panic(http.ErrAbortHandler)
	}))
	if err := b.put(t, bytesOf(1, 2<<20)); err != nil {
		t.Fatal(err)
	}
	if n := b.Nodes[1].Bytes.Load() + b.Nodes[2].Bytes.Load(); n != 0 {
		t.Errorf("%d bytes were sent again", n)
	}
}

// TestPutWaitsWhileEventsCome: the line from P to S is slow. P says with empty
// events that bytes move, longer than a silent node would be waited for: it is
// not given up, and nothing is sent twice.
func TestPutWaitsWhileEventsCome(t *testing.T) {
	t.Parallel()
	slowly := func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		alive(w, 3*testStall)
		r.Body = io.NopCloser(bytes.NewReader(body))
		serve(w, r)
	}
	t.Run("of a body", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, fake.New(t, "DE", "NZ"), 1<<30)
		b.Nodes[0].Hook(slowly)
		if err := b.put(t, bytesOf(1, 1<<10)); err != nil {
			t.Fatal(err)
		}
		if n := b.Nodes[1].Bytes.Load(); n != 0 || b.faults.Load() != 0 {
			t.Errorf("%d bytes were sent again, %d faults", n, b.faults.Load())
		}
	})
	t.Run("of what is there", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, fake.New(t, "DE", "NZ"), 1<<30)
		b.Nodes[0].Hook(func(_ http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
			serve(&discard{}, r)
			b.Nodes[0].Hook(nil)
			b.Nodes[1].Hook(only("/forward", slowly))
			panic(http.ErrAbortHandler)
		})
		if err := b.put(t, bytesOf(1, 1<<10)); err != nil {
			t.Fatal(err)
		}
		if n := b.Nodes[1].Bytes.Load(); n != 0 || b.faults.Load() != 1 {
			t.Errorf("%d bytes were sent again, %d faults", n, b.faults.Load())
		}
	})
}

// TestPutLeavesANodeThatOnlySaysItLives: empty events hold a send up for a time
// that is bounded, and the other nodes get theirs after it.
func TestPutLeavesANodeThatOnlySaysItLives(t *testing.T) {
	b := newBench(t, fake.New(t, "DE", "NZ", "IS"), 1<<30)
	b.u.Patience = testStall / 2
	b.Nodes[0].Hook(func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			alive(w, time.Minute)
		}
	})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			if err := b.put(t, bytesOf(uint64(i), 1<<10)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// alive writes an empty event every now and then, for some time.
func alive(w http.ResponseWriter, d time.Duration) {
	tick := time.NewTicker(testStall / 4)
	defer tick.Stop()
	for begun := time.Now(); time.Since(begun) < d; <-tick.C {
		if _, err := io.WriteString(w, "{}\n"); err != nil {
			return // the client has gone, which the test sees
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
	}
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header {
	if d.header == nil {
		d.header = http.Header{}
	}
	return d.header
}
func (*discard) Write(p []byte) (int, error) { return len(p), nil }
func (*discard) WriteHeader(int)             {}

func TestPutRefusesFalseReceipts(t *testing.T) {
	data := bytesOf(1, 1<<20)
	stored := ticket.Stored{Name: blob.Name(data), Size: int64(len(data))}
	for name, receipts := range map[string]func(s *fake.Service, upload id.Upload) []string{
		"of another upload": func(s *fake.Service, _ id.Upload) []string {
			return []string{s.Nodes[0].Receipt(id.New[id.Upload](), stored)}
		},
		"for another blob": func(s *fake.Service, u id.Upload) []string {
			return []string{s.Nodes[0].Receipt(u, ticket.Stored{Name: id.New32(), Size: 5})}
		},
		"of another size": func(s *fake.Service, u id.Upload) []string {
			return []string{s.Nodes[0].Receipt(u, ticket.Stored{Name: stored.Name, Size: 5})}
		},
		"altered": func(s *fake.Service, u id.Upload) []string {
			text := []byte(s.Nodes[0].Receipt(u, stored))
			text[len(text)-9] ^= 1
			return []string{string(text)}
		},
		"of a stranger": func(_ *fake.Service, u id.Upload) []string {
			return []string{fake.New(t, "CH").Nodes[0].Receipt(u, stored)}
		},
		"twice its own": func(s *fake.Service, u id.Upload) []string {
			return []string{s.Nodes[0].Receipt(u, stored), s.Nodes[0].Receipt(u, stored)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, fake.New(t, "DE", "NZ"), 1<<30)
			b.u.Patience = 500 * time.Millisecond
			b.Nodes[1].Kill()
			b.Nodes[0].Hook(func(w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) {
				io.Copy(io.Discard, r.Body)
				for _, text := range receipts(b.Service, b.grant.Upload) {
					w.Write([]byte(`{"receipt":"` + text + `"}` + "\n"))
				}
			})
			if err := b.put(t, data); !errors.Is(err, ErrNoCopies) {
				t.Fatalf("have %v", err)
			}
			if b.u.Receipts.Enough(stored.Name) {
				t.Error("counted as stored")
			}
		})
	}
}

func TestTwoNodesUnderOneLawDoNotSuffice(t *testing.T) {
	s := fake.New(t, "DE", "DE", "NZ")
	s.Chains = [][]int{{0, 1}}
	_, err := OpenGrant(mustOpen(t, s), true, time.Now())
	if !errors.Is(err, ErrPlacement) {
		t.Fatalf("a chain under one law: %v", err)
	}
	s.Chains = [][]int{{0, 1, 2}}
	b := newBench(t, s, 1<<30)
	if err := b.put(t, bytesOf(1, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if len(b.u.Receipts.Holders(blob.Name(bytesOf(1, 1<<20)))) != 3 {
		t.Error("the third node was not asked")
	}
}

func mustOpen(t *testing.T, s *fake.Service) api.UploadGrant {
	t.Helper()
	g, err := api.OpenUpload.Call(t.Context(), api.Caller{Base: s.URL, HTTP: http.DefaultClient}, api.Args{}, api.OpenUploadRequest{Bytes: 1 << 20, Days: 1})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestOpenGrantBelievesOnlyWhatHolds(t *testing.T) {
	s := fake.New(t, "DE", "NZ")
	stranger := fake.New(t, "IS").Nodes[0]
	for name, change := range map[string]func(*api.UploadGrant){
		"another upload":      func(g *api.UploadGrant) { g.Upload = id.New[id.Upload]() },
		"ticket cut":          func(g *api.UploadGrant) { g.Ticket = g.Ticket[:40] },
		"another envelope":    func(g *api.UploadGrant) { g.Ticket = g.Nodes[0].Declaration },
		"node not described":  func(g *api.UploadGrant) { g.Nodes = g.Nodes[:1] },
		"node under a name":   func(g *api.UploadGrant) { g.Nodes[1].Declaration = stranger.Declaration },
		"node elsewhere":      func(g *api.UploadGrant) { g.Nodes[1].URL = stranger.URL },
		"nothing of it there": func(g *api.UploadGrant) { *g = api.UploadGrant{} },
	} {
		t.Run(name, func(t *testing.T) {
			g := mustOpen(t, s)
			change(&g)
			if _, err := OpenGrant(g, true, time.Now()); !errors.Is(err, ErrGrant) && !errors.Is(err, fleet.ErrNode) {
				t.Errorf("have %v", err)
			}
		})
	}
}

func TestPutAsksForMoreWhenTheBudgetIsSpent(t *testing.T) {
	b := newBench(t, fake.New(t, "DE", "NZ"), 1<<20)
	if err := b.put(t, bytesOf(1, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := b.put(t, bytesOf(2, 1<<20)); !errors.Is(err, ErrBudget) {
		t.Fatalf("have %v", err)
	}
}

// TestReceiptSaidAgainIsNoProgress: a node that repeats its receipt while the
// others are away does not make a send wait for ever.
func TestReceiptSaidAgainIsNoProgress(t *testing.T) {
	b := newBench(t, fake.New(t, "DE", "NZ"), 1<<20)
	name := blob.Name(bytesOf(1, 5))
	b.u.Receipts.Expect(name, 5)
	say := func(n int) int64 {
		t.Helper()
		b.u.good.Store(1)
		if err := b.u.receipt(b.Nodes[n].Receipt(b.grant.Upload, ticket.Stored{Name: name, Size: 5}), name); err != nil {
			t.Fatal(err)
		}
		return b.u.good.Load()
	}
	if say(0) == 1 {
		t.Error("a first receipt is no progress")
	}
	if say(0) != 1 {
		t.Error("the same receipt again is progress")
	}
	if say(1) == 1 {
		t.Error("another node's receipt is no progress")
	}
}

func TestPutGivesUpInTheEnd(t *testing.T) {
	b := newBench(t, fake.New(t, "DE", "NZ"), 1<<20)
	b.Nodes[0].Kill()
	b.Nodes[1].Kill()
	b.u.Patience = 300 * time.Millisecond
	if err := b.put(t, bytesOf(1, 1<<10)); !errors.Is(err, ErrNoCopies) || !strings.Contains(err.Error(), "Operator DE") {
		t.Fatalf("have %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(io.ErrClosedPipe)
	data := bytesOf(2, 5)
	if err := b.u.Put(ctx, blob.Name(data), data); !errors.Is(err, io.ErrClosedPipe) {
		t.Fatalf("cancelled: %v", err)
	}
}

func TestPutRenewsTickets(t *testing.T) {
	b := newBench(t, fake.New(t, "DE", "NZ"), 1<<30)
	var refused atomic.Bool
	b.Nodes[0].Hook(func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		if !refused.Swap(true) {
			api.WriteProblem(w, api.NewProblem(api.TicketExpired, "late"))
			return
		}
		b.Nodes[0].Hook(nil)
		serve(w, r)
	})
	// The renewed grant of this test is another upload's, for which receipts do not
	// count: that it was asked for is what matters.
	b.u.Renew = func(context.Context) (Grant, error) {
		b.renews.Add(1)
		g := b.grant
		g.Ticket += ""
		return g, nil
	}
	before := b.renews.Load()
	if err := b.put(t, bytesOf(1, 1<<10)); err != nil {
		t.Fatal(err)
	}
	if b.renews.Load() != before+1 {
		t.Errorf("%d renewals", b.renews.Load()-before)
	}
	old := b.grant
	old.Got = time.Now().Add(-uploadLife)
	b.u.Replace(old)
	if err := b.put(t, bytesOf(2, 1<<10)); err != nil || b.renews.Load() != before+2 {
		t.Errorf("%v, %d renewals", err, b.renews.Load()-before)
	}
}

func TestAskCountsWhatNodesHold(t *testing.T) {
	b := newBench(t, fake.New(t, "DE", "NZ", "IS"), 1<<30)
	var names []id.Name
	for i := range 8 {
		data := bytesOf(uint64(i), 1000)
		names = append(names, blob.Name(data))
		if err := b.put(t, data); err != nil {
			t.Fatal(err)
		}
	}
	b.Nodes[2].Kill()
	fresh := NewReceipts(b.grant.Upload, nil, nil)
	b.u.Receipts = fresh
	for _, name := range names[:7] {
		fresh.Expect(name, 1000)
	}
	if used := b.u.Ask(t.Context()); used != 8000 {
		t.Errorf("%d bytes used", used)
	}
	texts, nodes, ok := fresh.Proof(names[:7])
	if !ok || len(nodes) != 2 || len(texts) > 2*3 {
		t.Errorf("%v: %d receipts of %d nodes", ok, len(texts), len(nodes))
	}
	if _, _, ok := fresh.Proof(names); ok {
		t.Error("a blob that was not expected is proved")
	}
}
