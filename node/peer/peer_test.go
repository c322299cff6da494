package peer

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/ticket"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func place(n byte) ticket.Place { return ticket.Place{Node: id.Node{n}, URL: "http://127.0.0.1:1"} }

func order(places []ticket.Place) (text string) {
	for _, p := range places {
		text += fmt.Sprint(p.Node[0])
	}
	return text
}

func TestRest(t *testing.T) {
	now := time.Unix(1000, 0)
	p := New(Options{Now: func() time.Time { return now }})
	all := []ticket.Place{place(1), place(2), place(3)}
	step := func(want string) {
		t.Helper()
		if got := order(p.Sort(all)); got != want {
			t.Fatalf("at %d: %s, want %s", now.Unix(), got, want)
		}
	}
	step("123")
	p.note(id.Node{1}, false)
	step("231")
	p.note(id.Node{2}, false)
	step("312")
	now = now.Add(firstRest - time.Millisecond)
	step("312")
	now = now.Add(time.Millisecond)
	step("123")
	// Each failure rests it twice as long, up to a minute.
	for _, rest := range []time.Duration{4, 8, 16, 32, 60, 60} {
		p.note(id.Node{1}, false)
		now = now.Add(rest*time.Second - time.Millisecond)
		step("231")
		now = now.Add(time.Millisecond)
		step("123")
	}
	p.note(id.Node{1}, true) // and a success forgets them
	p.note(id.Node{1}, false)
	now = now.Add(firstRest)
	step("123")
}

func TestKnownPeersAreBounded(t *testing.T) {
	p := New(Options{})
	for i := range remembered + 100 {
		p.note(id.Node{byte(i), byte(i >> 8), 1}, false)
	}
	if len(p.known) > remembered {
		t.Fatalf("%d are known", len(p.known))
	}
}

func TestAddress(t *testing.T) {
	for base, good := range map[string]bool{
		"https://example.org": true, "https://192.0.2.1:8443/x": true, "http://127.0.0.1:80": true, "http://127.9.9.9": true,
		"http://[::1]:80": true, "http://localhost:80": true, "http://example.org": false, "http://192.0.2.1": false,
		"http://127.0.0.1.example.org": false, "http://[fe80::1]": false, "http://0.0.0.0": false, "http://%zz": false,
	} {
		if err := checkAddress(base); errors.Is(err, ErrAddress) == good || (err == nil) != good {
			t.Errorf("%s: %v", base, err)
		}
	}
}

func TestCodes(t *testing.T) {
	for _, c := range []struct {
		err    error
		code   api.Code
		blames bool
	}{
		{api.NewProblem(api.ReadOnly, ""), api.ReadOnly, true},
		{fmt.Errorf("x: %w", api.NewProblem(api.NodeIO, "")), api.NodeIO, true},
		{api.NewProblem(api.TicketExpired, ""), api.TicketExpired, false},
		{api.NewProblem(api.TicketSpent, ""), api.TicketSpent, false},
		{api.NewProblem(api.BlobMismatch, ""), api.BlobMismatch, false},
		{ErrStalled, api.Unavailable, true},
		{ErrAddress, api.Unavailable, true},
		{fmt.Errorf("x: %w", ErrReceipt), api.ReceiptInvalid, true},
		{fmt.Errorf("x: %w", api.ErrUnreachable), api.Unavailable, true},
		{fmt.Errorf("x: %w", context.Canceled), api.Unavailable, false},
	} {
		if got := code(c.err); got != c.code {
			t.Errorf("%v: code %s, want %s", c.err, got, c.code)
		}
		if got := blames(c.err); got != c.blames {
			t.Errorf("%v: blames %v", c.err, got)
		}
	}
}

func TestSpreadWithoutWork(t *testing.T) {
	p := New(Options{})
	for _, job := range []Job{{}, {Copies: 1}, {Nodes: []ticket.Place{place(1)}}} {
		for event := range p.Spread(t.Context(), job) {
			t.Errorf("%+v", event)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for event := range p.Spread(ended, Job{Copies: 1, Nodes: []ticket.Place{place(1)}}) {
		t.Errorf("after the end: %+v", event)
	}
}
