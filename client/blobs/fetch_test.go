package blobs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
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

// shelf is a blob stored at every node of a fake service, with a read ticket.
type shelf struct {
	*bench
	f      *Fetcher
	data   []byte
	place  Place
	asked  atomic.Int32 // fresh places
	faults atomic.Int32
}

func (s *shelf) Locate(_ context.Context, fresh bool) (Place, error) {
	if fresh {
		s.asked.Add(1)
	}
	return s.place, nil
}

func newShelf(t *testing.T, size int) *shelf {
	t.Helper()
	s := &shelf{bench: newBench(t, fake.New(t, "DE", "NZ"), 1<<30), data: bytesOf(7, size)}
	if err := s.put(t, s.data); err != nil {
		t.Fatal(err)
	}
	s.place = Place{Upload: s.grant.Upload, Name: blob.Name(s.data), Size: int64(size)}
	read := ticket.ReadTicket{Expires: time.Now().Add(time.Minute).Unix(), Reads: []ticket.Reads{{
		Upload: s.grant.Upload, Ranges: []ticket.Range{{Name: s.place.Name, Length: int64(size)}}}}}
	for _, n := range s.Nodes {
		node, err := fleet.Check(n.Node, true)
		if err != nil {
			t.Fatal(err)
		}
		s.place.Nodes = append(s.place.Nodes, node)
		read.Nodes = append(read.Nodes, n.ID)
	}
	s.place.Ticket = s.SignRead(read)
	s.f = NewFetcher(&http.Client{}, func(Fault) { s.faults.Add(1) })
	s.f.Patience = 2 * time.Second
	return s
}

func (s *shelf) fetch(t *testing.T, offset, length int64) ([]byte, error) {
	t.Helper()
	return s.f.Fetch(t.Context(), s, offset, length, make([]byte, blob.MaxSize))
}

func TestFetchWholeAndParts(t *testing.T) {
	s := newShelf(t, 300_000)
	for _, c := range [][2]int64{{0, 300_000}, {0, 1}, {299_999, 1}, {16_384, 16_384}, {100_001, 123_456}, {1, 299_999}} {
		got, err := s.fetch(t, c[0], c[1])
		if err != nil || !bytes.Equal(got, s.data[c[0]:c[0]+c[1]]) {
			t.Errorf("%v: %d bytes, %v", c, len(got), err)
		}
	}
	for _, c := range [][2]int64{{0, 300_001}, {-1, 5}, {300_000, 1}, {5, 0}} {
		if _, err := s.fetch(t, c[0], c[1]); !errors.Is(err, blob.ErrSlice) {
			t.Errorf("%v: %v", c, err)
		}
	}
	if s.faults.Load() != 0 {
		t.Errorf("%d faults", s.faults.Load())
	}
}

// badReads are the ways in which a node can fail a reader.
var badReads = map[string]func(n *fake.Node, w http.ResponseWriter, r *http.Request, serve http.HandlerFunc){
	"dead": func(*fake.Node, http.ResponseWriter, *http.Request, http.HandlerFunc) { panic(http.ErrAbortHandler) },
	"stands still from the start": func(n *fake.Node, _ http.ResponseWriter, r *http.Request, _ http.HandlerFunc) {
		n.Stand(r)
	},
	"stands still half way": func(n *fake.Node, w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		serve(&cutter{ResponseWriter: w, left: 100_000, then: func() { n.Stand(r) }}, r)
	},
	"dies half way": func(_ *fake.Node, w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		serve(&cutter{ResponseWriter: w, left: 100_000, then: func() { panic(http.ErrAbortHandler) }}, r)
	},
	"other bytes": func(_ *fake.Node, w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		serve(&flipper{ResponseWriter: w}, r)
	},
	"too few bytes": func(_ *fake.Node, w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
		w.Write([]byte("short"))
	},
	"endless bytes": func(_ *fake.Node, w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
		for range 100 {
			w.Write(make([]byte, 1<<20))
		}
	},
	"lost it": func(_ *fake.Node, w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
		api.WriteProblem(w, api.NewProblem(api.BlobUnknown, "lost"))
	},
	"nonsense": func(_ *fake.Node, w http.ResponseWriter, _ *http.Request, _ http.HandlerFunc) {
		w.WriteHeader(http.StatusTeapot)
	},
	"sends elsewhere": func(_ *fake.Node, w http.ResponseWriter, r *http.Request, _ http.HandlerFunc) {
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	},
}

// cutter passes some bytes on and then does something else.
type cutter struct {
	http.ResponseWriter
	left int
	then func()
}

func (c *cutter) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.ResponseWriter.Write(p[:n])
	http.NewResponseController(c.ResponseWriter).Flush()
	if c.left -= n; c.left == 0 {
		c.then()
	}
	return len(p), nil
}

// flipper changes a bit.
type flipper struct{ http.ResponseWriter }

func (f *flipper) Write(p []byte) (int, error) {
	p = bytes.Clone(p)
	p[len(p)/2] ^= 1
	return f.ResponseWriter.Write(p)
}

func TestFetchSurvivesABadNode(t *testing.T) {
	for name, bad := range badReads {
		for what, span := range map[string][2]int64{"whole": {0, 300_000}, "part": {20_000, 150_000}} {
			t.Run(name+" "+what, func(t *testing.T) {
				t.Parallel()
				s := newShelf(t, 300_000)
				n := s.Nodes[0]
				n.Hook(func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) { bad(n, w, r, serve) })
				begun := time.Now()
				got, err := s.fetch(t, span[0], span[1])
				if err != nil || !bytes.Equal(got, s.data[span[0]:span[0]+span[1]]) {
					t.Fatalf("%d bytes, %v", len(got), err)
				}
				if took := time.Since(begun); took > readStall {
					t.Errorf("it took %s: not hedged", took)
				}
				// The node is asked last from now on.
				reads := s.Nodes[0].Reads.Load()
				if _, err := s.fetch(t, span[0], span[1]); err != nil || s.Nodes[0].Reads.Load() != reads {
					t.Errorf("the bad node was asked first again (%v)", err)
				}
			})
		}
	}
}

func TestFetchFromCrawlingNode(t *testing.T) {
	s := newShelf(t, 300_000)
	s.Nodes[0].Hook(func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		w.Header().Set("Content-Length", strconv.Itoa(len(s.data)))
		for i := 0; i < len(s.data) && r.Context().Err() == nil; i += 100 {
			w.Write(s.data[i : i+100])
			http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(100 * time.Millisecond): // 1 KB/s
			}
		}
	})
	begun := time.Now()
	got, err := s.fetch(t, 0, 300_000)
	if err != nil || !bytes.Equal(got, s.data) || time.Since(begun) > 2*slowAfter {
		t.Fatalf("%d bytes in %s, %v", len(got), time.Since(begun), err)
	}
}

func TestFetchTellsDamageFromAbsence(t *testing.T) {
	for name, c := range map[string]struct {
		do     func(*shelf)
		want   []error
		not    error
		atOnce bool
	}{
		"all damaged":           {func(s *shelf) { s.Nodes[0].Damage(); s.Nodes[1].Damage() }, []error{ErrDamaged}, ErrNoCopy, true},
		"all lost":              {func(s *shelf) { s.Nodes[0].Lose(); s.Nodes[1].Lose() }, []error{ErrNoCopy, api.BlobUnknown}, ErrDamaged, true},
		"all dead":              {func(s *shelf) { s.Nodes[0].Kill(); s.Nodes[1].Kill() }, []error{ErrNoCopy, api.ErrUnreachable}, ErrDamaged, false},
		"one damaged, one dead": {func(s *shelf) { s.Nodes[0].Damage(); s.Nodes[1].Kill() }, []error{ErrNoCopy}, ErrDamaged, false},
		"no node any more":      {func(s *shelf) { s.place.Nodes = nil }, []error{ErrNoCopy}, ErrDamaged, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t, 5000)
			s.f.Patience = 600 * time.Millisecond
			c.do(s)
			_, err := s.fetch(t, 0, 5000)
			for _, want := range c.want {
				if !errors.Is(err, want) {
					t.Errorf("have %v, want %v", err, want)
				}
			}
			if errors.Is(err, c.not) {
				t.Errorf("have %v", err)
			}
			if err != nil && strings.Contains(err.Error(), s.place.Ticket) {
				t.Error("the ticket is in the error")
			}
			if c.atOnce != (s.asked.Load() == 0) {
				t.Errorf("asked %d times for fresh places", s.asked.Load())
			}
		})
	}
}

func TestFetchRenewsTicketsAndComesBack(t *testing.T) {
	s := newShelf(t, 5000)
	good := s.place.Ticket
	s.place.Ticket = s.SignRead(ticket.ReadTicket{Nodes: []id.Node{s.Nodes[0].ID, s.Nodes[1].ID}, Expires: 1,
		Reads: []ticket.Reads{{Upload: s.place.Upload, Ranges: []ticket.Range{{Name: s.place.Name, Length: 5000}}}}})
	at := relocated{s, good}
	got, err := s.f.Fetch(t.Context(), at, 0, 5000, make([]byte, blob.MaxSize))
	if err != nil || !bytes.Equal(got, s.data) || s.faults.Load() != 0 {
		t.Fatalf("%d bytes, %v, %d faults", len(got), err, s.faults.Load())
	}
}

// relocated gives a good ticket when asked for a fresh one.
type relocated struct {
	s    *shelf
	good string
}

func (r relocated) Locate(ctx context.Context, fresh bool) (Place, error) {
	p, err := r.s.Locate(ctx, fresh)
	if fresh {
		p.Ticket = r.good
	}
	return p, err
}

func TestFetchEndsWithItsContext(t *testing.T) {
	s := newShelf(t, 5000)
	for _, n := range s.Nodes {
		n.Hook(func(_ http.ResponseWriter, r *http.Request, _ http.HandlerFunc) { n.Stand(r) })
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(io.ErrClosedPipe) })
	if _, err := s.f.Fetch(ctx, s, 0, 5000, make([]byte, blob.MaxSize)); !errors.Is(err, io.ErrClosedPipe) {
		t.Fatalf("have %v", err)
	}
}

func TestStale(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for name, c := range map[string]struct {
		age     time.Duration
		expires int64
		want    bool
	}{
		"fresh":                            {time.Second, 300, false},
		"nearly over by age":               {4 * time.Minute, 300, true},
		"nearly over by the clock":         {time.Minute, 50, true},
		"over by a clock that is ahead":    {time.Second, -600, false},
		"still, half a minute later":       {30 * time.Second, -600, true},
		"long to go, by a clock behind it": {4*time.Minute + 1, 900, true},
	} {
		t.Run(name, func(t *testing.T) {
			if have := Stale(now.Add(-c.age), now.Unix()+c.expires, now); have != c.want {
				t.Errorf("have %v", have)
			}
		})
	}
}
