package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/node/store"
)

func newHandler() *Handler {
	h := &Handler{Log: slog.New(slog.DiscardHandler)}
	h.Register(http.NewServeMux())
	return h
}

// up is one of many uploads.
func up(n int) id.Upload { return id.Upload{byte(n), 1} }

// TestPlaces: requests wait for their turn, not for ever; and those that other
// nodes hand on never wait for those that have copies to make.
func TestPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler()
		var leave func()
		for i := range AtOnce {
			var err error
			if leave, err = h.enter(t.Context(), up(i), 2); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := h.enter(t.Context(), up(0), 1); err != nil {
			t.Fatal("a request without copies to make:", err)
		}
		start := time.Now()
		_, err := h.enter(t.Context(), up(AtOnce), 2)
		var problem *api.Problem
		if !errors.As(err, &problem) || problem.Code != api.Unavailable || problem.RetryAfter == 0 || time.Since(start) != queueTime {
			t.Fatalf("%v after %s", err, time.Since(start))
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := h.enter(gone, up(0), 2); err == nil {
			t.Fatal("a client that went away has a place")
		}
		go func() {
			time.Sleep(time.Second)
			leave()
		}()
		if _, err := h.enter(t.Context(), up(AtOnce), 2); err != nil {
			t.Fatal(err)
		}
	})
}

// TestPlacesOfAnUpload: one upload does not take all places, and waits for its
// own; nothing is remembered of it afterwards.
func TestPlacesOfAnUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler()
		var leaves []func()
		for range ofUpload {
			leave, err := h.enter(t.Context(), up(1), 2)
			if err != nil {
				t.Fatal(err)
			}
			leaves = append(leaves, leave)
		}
		start := time.Now()
		if _, err := h.enter(t.Context(), up(1), 2); !errors.Is(err, api.Unavailable) || time.Since(start) != queueTime {
			t.Fatalf("%v after %s", err, time.Since(start))
		}
		other, err := h.enter(t.Context(), up(2), 2)
		if err != nil {
			t.Fatal("another upload:", err)
		}
		go func() {
			time.Sleep(time.Second)
			leaves[0]()
		}()
		last, err := h.enter(t.Context(), up(1), 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, leave := range append(leaves[1:], other, last) {
			leave()
		}
		if len(h.firsts.all) != 0 || len(h.firsts.uploads) != 0 {
			t.Errorf("%d places taken, %d uploads remembered", len(h.firsts.all), len(h.firsts.uploads))
		}
	})
}

func TestProblems(t *testing.T) {
	h := newHandler()
	for err, want := range map[error]api.Code{
		store.ErrClosed: api.TicketInvalid, store.ErrBudget: api.TicketSpent, store.ErrMismatch: api.BlobMismatch,
		store.ErrSize: api.BadRequest, store.ErrUnknown: api.BlobUnknown, store.ErrBusy: api.Unavailable,
		store.ErrFull: api.ReadOnly, store.ErrIO: api.NodeIO,
		api.NewProblem(api.TicketExpired, ""): api.TicketExpired, &bodyError{io.ErrUnexpectedEOF}: api.BadRequest,
	} {
		if got := h.problem(fmt.Errorf("doing: %w", err)); !errors.Is(got, want) {
			t.Errorf("%v: have %v, want %s", err, got, want)
		}
	}
	// What nobody thought of tells nothing to strangers.
	w := httptest.NewRecorder()
	api.WriteProblem(w, h.problem(errors.New("secret path")))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// broken is a client that went away.
type broken struct{ httptest.ResponseRecorder }

func (*broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestEventsToNobody(t *testing.T) {
	out := newEvents(&broken{})
	for range 3 {
		out.send(api.Event{Receipt: "x"})
	}
	if !out.gone {
		t.Error("goes on writing")
	}
}

func TestEventsAreLines(t *testing.T) {
	w := httptest.NewRecorder()
	out := newEvents(w)
	out.write(api.Event{Receipt: "a"})
	if w.Flushed {
		t.Error("let out before it was asked to")
	}
	out.send(api.Event{Problem: tooFew(1, 2)})
	lines := strings.Split(w.Body.String(), "\n")
	if !w.Flushed || len(lines) != 3 || lines[0] != `{"receipt":"a"}` || !strings.Contains(lines[1], "1 of 2 copies") {
		t.Errorf("%q", w.Body)
	}
}
