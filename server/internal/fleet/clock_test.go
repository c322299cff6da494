package fleet_test

import (
	"errors"
	"testing"
	"time"

	"holdfast/format/ticket"
	"holdfast/server/internal/fleet"
)

// Fault 21: clocks of servers and nodes are set back, as a time service does that
// corrects both. Nodes serve on, also over a restart of the server.
func TestClockSetBack(t *testing.T) {
	for _, back := range []time.Duration{time.Minute, time.Hour, 24 * time.Hour} {
		w := newWorld(t)
		n := w.joined("Alpha", "DE")
		w.later(time.Minute, n)
		w.clock.Add(-back)
		if w.see(n).Live {
			t.Errorf("%s back: live before it was heard", back)
		}
		up := func(when string) {
			t.Helper()
			if seen := w.see(n); !seen.Live || !seen.Writable || !seen.LastSeen.Equal(w.clock.Now()) {
				t.Errorf("%s back, %s: %+v", back, when, seen)
			}
		}
		w.beat(n)
		up("heard")
		w.later(15*time.Second, n)
		up("and stored")
		w.restart()
		if !w.see(n).Live {
			t.Errorf("%s back: what was stored since is not there", back)
		}
		if back > 10*time.Minute {
			w.clock.Add(15 * time.Second)
			w.beat(n)
			up("after a restart")
		}
	}
}

// The server starts anew just after the clock was set back, or not, and shortly
// before it is the time again that was told before.
func TestClockSetBackAndRestart(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w := newWorld(t)
		n := w.joined("Alpha", "DE")
		w.later(time.Minute, n)
		told := w.clock.Now()
		w.clock.Add(-time.Hour)
		if restart {
			w.restart()
		}
		w.beat(n)
		if !w.see(n).Writable {
			t.Errorf("restart %v: not believed", restart)
		}
		w.later(55*time.Minute, n)
		w.restart()
		w.clock.Add(15 * time.Second)
		w.beat(n)
		if left := told.Sub(w.clock.Now()); left <= 0 || left >= 10*time.Minute {
			t.Fatalf("%s before the time that was told: this test sees nothing", left)
		}
		if !w.see(n).Writable {
			t.Errorf("restart %v: not believed shortly before the time that was told", restart)
		}
	}
}

// What was heard before the clock was set back may be heard again, and makes no
// node look wiped: its progress is not older than it says.
func TestReplaysAfterTheClockWasSetBack(t *testing.T) {
	w := newWorld(t)
	n := w.joined("Alpha", "DE")
	w.abandon(n)
	w.drain(n)
	w.clock.Add(15 * time.Second)
	heard := n.Heartbeat(t)
	if _, err := w.Heartbeat(t.Context(), heard, nil); err != nil {
		t.Fatal(err)
	}
	w.refused(heard, fleet.ErrReplay, "nonce")
	w.clock.Add(time.Minute)
	w.abandon(n)
	w.drain(n) // its furthest progress before
	w.later(30*time.Minute, n)
	w.clock.Add(-31 * time.Minute)
	w.abandon(n)
	w.drain(n) // further still, by an earlier clock
	w.restart()
	w.clock.Add(15 * time.Second)
	for _, text := range []string{heard, n.Heartbeat(t, func(h *ticket.Heartbeat) { h.Number, h.Order = 1, nil })} {
		if _, err := w.Heartbeat(t.Context(), text, nil); !errors.Is(err, fleet.ErrReplay) {
			t.Errorf("an old heartbeat: %v", err)
		}
	}
	if w.see(n).Wiped {
		t.Error("it looks wiped")
	}
	w.beat(n)
}

// TestServiceThatStartsAgainServesAtOnce: nodes that were there when the server
// went are believed to be there when it comes back, for as long as they have to
// be heard; one that had been silent before is not.
func TestServiceThatStartsAgainServesAtOnce(t *testing.T) {
	w := newWorld(t)
	silent, de, nz := w.joined("Silent", "IS"), w.joined("A", "DE"), w.joined("B", "NZ")
	w.clock.Add(2 * time.Minute)
	w.beat(de)
	w.beat(nz)
	if err := w.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(10 * time.Minute) // without a server
	w.restart()
	if !w.see(de).Writable || !w.see(nz).Writable || w.see(silent).Live {
		t.Errorf("DE %+v, NZ %+v, silent %+v", w.see(de), w.see(nz), w.see(silent))
	}
	if _, err := w.Chains(t.Context(), 1, nil); err != nil {
		t.Errorf("nothing can be placed: %v", err)
	}
	w.clock.Add(fleet.DefaultNodeTimeout / 2)
	w.beat(de)
	w.clock.Add(fleet.DefaultNodeTimeout/2 + time.Second)
	if !w.see(de).Live || w.see(nz).Live {
		t.Errorf("DE, heard: %v; NZ, not heard: %v", w.see(de).Live, w.see(nz).Live)
	}
}

// TestServiceKilledTwiceServesAtOnce: a server that is killed again and again may
// have stored one node's heartbeat of a while ago and another's of just now.
func TestServiceKilledTwiceServesAtOnce(t *testing.T) {
	w := newWorld(t)
	de, nz := w.joined("A", "DE"), w.joined("B", "NZ")
	w.beat(nz)
	if err := w.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(fleet.DefaultNodeTimeout * 3 / 2)
	w.restart()
	w.beat(de)
	if err := w.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.restart()
	if !w.see(de).Writable || !w.see(nz).Writable {
		t.Errorf("DE %+v, NZ %+v", w.see(de), w.see(nz))
	}
}
