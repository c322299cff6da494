package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestShape(t *testing.T) {
	for text, want := range map[string]Code{
		`{"a":[1,2,3],"b":"[,,,,,,,]"}`:               "",
		`{"a":[1,2,3,4]}`:                             BodyTooLarge,
		`{"a":{"b":[{},{}]},"c":[[1,2,3,4,5,6],[1]]}`: "",
		`{"a":[1,2],"b":[1,2],"c":[1,2]}`:             BodyTooLarge,
		`{"a":["\"],[,,,,","\\",1]}`:                  "",
		`[{"a":1,"b":2,"c":3,"d":4,"e":5},null]`:      "",
		`[null,null,null,null]`:                       BodyTooLarge,
		`]]}}[1,2,3]`:                                 "", // no JSON; what decodes it says so
		`"\`:                                          "",
		strings.Repeat(`{"a":`, maxDepth):             "",
		strings.Repeat(`[`, maxDepth+1):               BadRequest,
		strings.Repeat(`{"a":[`, maxDepth/2) + `{}`:   BadRequest,
	} {
		err := checkShape([]byte(text), 3)
		if want == "" && err != nil || want != "" && !errors.Is(err, want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// TestGate: more large bodies than there are places wait a while and are then
// sent away, and a place that is left is taken by the next.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		places := make(chan struct{}, 1)
		if err := enter(t.Context(), places); err != nil {
			t.Fatal(err)
		}
		var p *Problem
		if err := enter(t.Context(), places); !errors.As(err, &p) || p.Code != Unavailable || p.RetryAfter < 1 {
			t.Errorf("when all is taken: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := enter(ctx, places); !errors.Is(err, Unavailable) {
			t.Errorf("for a caller that went away: %v", err)
		}
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if err := enter(t.Context(), places); err != nil {
				t.Errorf("after one left: %v", err)
			}
		})
		synctest.Wait()
		<-places
		waiting.Wait()
	})
}

// TestPlacesAreGivenBack: however a large body ends, its places are free again.
func TestPlacesAreGivenBack(t *testing.T) {
	info := Info{MaxBody: 4 * smallBody, MaxEntries: 10}
	g := newGate()
	for name, body := range map[string]string{
		"good":     `{"text":"` + strings.Repeat("x", smallBody) + `"}`,
		"too long": strings.Repeat(" ", 5*smallBody),
		"no JSON":  strings.Repeat("x", smallBody+1),
		"entries":  `[` + strings.Repeat("1,", smallBody),
	} {
		for range 2 * arrivingMost {
			r := httptest.NewRequest("POST", "/", strings.NewReader(body))
			r.Header.Set("Content-Type", TypeJSON)
			r.ContentLength = -1
			var q question
			leave, err := g.take(t.Context(), httptest.NewRecorder(), r, info, &q)
			if (err == nil) != (name == "good") || errors.Is(err, Unavailable) {
				t.Fatalf("%s: %v", name, err)
			}
			if err == nil {
				if len(g.working) != 1 {
					t.Fatalf("%d are worked on", len(g.working))
				}
				leave()
			}
			if len(g.arriving) != 0 || len(g.working) != 0 {
				t.Fatalf("%s: %d and %d places taken", name, len(g.arriving), len(g.working))
			}
		}
	}
}

// TestDeadlineEndsWithItsRequest: what one request set for its answer does not
// cut off another on the same connection.
func TestDeadlineEndsWithItsRequest(t *testing.T) {
	mux := http.NewServeMux()
	poke.Handle(mux, func(string, error) {}, func(context.Context, Request, Empty) (Empty, error) { return Empty{}, nil })
	ask.Handle(mux, func(string, error) {}, func(context.Context, Request, question) (answer, error) { return answer{}, nil })
	for name, method := range map[string]string{"without content": "DELETE", "a problem": "POST"} {
		var w deadlines
		r := httptest.NewRequest(method, map[string]string{"DELETE": "/poke", "POST": "/ask/x"}[method], nil)
		r.Header.Set(HeaderVersion, Version)
		mux.ServeHTTP(&w, r)
		if len(w.set) != 2 || w.set[0] || !w.set[1] || !w.flushed {
			t.Errorf("%s: deadlines taken back: %v, flushed before: %v", name, w.set, w.flushed)
		}
	}
	var w deadlines
	respond(&w, 200, TypeJSON, answer{"x"})
	if raw, err := json.Marshal(answer{"x"}); err != nil || w.header.Get("Content-Length") != "12" || len(raw) != 12 || len(w.set) != 1 || !w.set[0] {
		t.Errorf("an answer: %v, headers %v", w.set, w.header)
	}
}

// deadlines notes which write deadlines were set: true for none.
type deadlines struct {
	header  http.Header
	set     []bool
	flushed bool
}

func (w *deadlines) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}
func (w *deadlines) Write(p []byte) (int, error) { return len(p), nil }
func (w *deadlines) WriteHeader(int)             {}
func (w *deadlines) Flush()                      { w.flushed = true }

func (w *deadlines) SetReadDeadline(time.Time) error { return nil }

func (w *deadlines) SetWriteDeadline(at time.Time) error {
	w.set = append(w.set, at.IsZero())
	return nil
}
