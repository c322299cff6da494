package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/format/ticket"
	"holdfast/server/internal/fleet"
	"holdfast/server/internal/fleet/fleettest"
	"holdfast/server/internal/placement"
)

func TestHeartbeatsRefused(t *testing.T) {
	w := newWorld(t)
	n, other := w.joined("Alpha", "DE"), w.joined("Beta", "NZ")
	stranger := w.node("Gamma", "IS")
	w.clock.Add(15 * time.Second)
	said := func(change func(*ticket.Heartbeat)) string { return n.Heartbeat(t, change) }
	for name, c := range map[string]struct {
		text string
		want error
		says string
	}{
		"nothing":                   {"", fleet.ErrHeartbeat, ""},
		"no base64url":              {"a b", fleet.ErrHeartbeat, ""},
		"no envelope":               {"AAAA", fleet.ErrHeartbeat, ""},
		"a declaration":             {n.Declaration(t), fleet.ErrHeartbeat, ""},
		"a stranger's":              {stranger.Heartbeat(t), fleet.ErrUnknownNode, "invite"},
		"a bit flipped":             {fleettest.Flip(t, n.Heartbeat(t), 155), fleet.ErrHeartbeat, "signature"},
		"signature flipped":         {fleettest.Flip(t, n.Heartbeat(t), 8*90), fleet.ErrHeartbeat, "signature"},
		"for another":               {fleettest.Sign(t, n.Key, ticket.Heartbeat{Node: other.ID, Time: w.clock.Now().Unix()}), fleet.ErrHeartbeat, ""},
		"unknown state":             {said(func(h *ticket.Heartbeat) { h.State = 2 }), fleet.ErrHeartbeat, "state"},
		"an order of no epoch":      {said(func(h *ticket.Heartbeat) { h.Epoch, h.Number = 0, 1 }), fleet.ErrHeartbeat, "epoch"},
		"clock ten minutes ahead":   {said(func(h *ticket.Heartbeat) { h.Time += 601 }), fleet.ErrClock, "2032-02-29T23:50:27Z"},
		"clock ten minutes behind":  {said(func(h *ticket.Heartbeat) { h.Time -= 601 }), fleet.ErrClock, "2032-02-29T23:40:26Z"},
		"clock a day ahead":         {said(func(h *ticket.Heartbeat) { h.Time += 86400 }), fleet.ErrClock, "clock"},
		"clock not set":             {said(func(h *ticket.Heartbeat) { h.Time = 0 }), fleet.ErrClock, "1970"},
		"an order that is not here": {said(func(h *ticket.Heartbeat) { h.Epoch, h.Number = 1, 1 }), fleet.ErrRestored, "epoch"},
		"a higher epoch":            {said(func(h *ticket.Heartbeat) { h.Epoch = 2 }), fleet.ErrRestored, "operator"},
	} {
		t.Run(name, func(t *testing.T) { w.refused(c.text, c.want, c.says) })
	}
	if got := w.see(n).LastSeen; !got.Equal(w.clock.Now().Add(-15 * time.Second)) {
		t.Errorf("a refused heartbeat counts: last seen %s", got)
	}
	for _, far := range []time.Duration{600 * time.Second, -600 * time.Second} {
		n.Skew = far
		w.beat(n)
	}
	if !w.logged("clock is off", n.ID.String(), "-600") {
		t.Error("a clock that is off is not logged")
	}
}

func TestTooManyReceipts(t *testing.T) {
	w := newWorld(t)
	n := w.joined("Alpha", "DE")
	if _, err := w.Heartbeat(t.Context(), n.Heartbeat(t), make([]string, 1025)); !errors.Is(err, fleet.ErrHeartbeat) {
		t.Errorf("%v", err)
	}
}

func TestHeartbeatsAreBelievedOnce(t *testing.T) {
	w := newWorld(t)
	n := w.joined("Alpha", "DE")
	heard := n.Heartbeat(t)
	if _, err := w.Heartbeat(t.Context(), heard, nil); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.refused(heard, fleet.ErrReplay, "nonce")
		w.clock.Add(5 * time.Minute)
	}
	w.refused(heard, fleet.ErrClock)
	// A clock that was set back a little, as time services do, is no replay.
	w.beat(n)
	n.Skew = -5 * time.Minute
	w.beat(n)
}

func TestHeartbeatsOfTheSecondBeforeACrash(t *testing.T) {
	w := newWorld(t)
	n := w.joined("Alpha", "DE")
	heard := n.Heartbeat(t)
	if _, err := w.Heartbeat(t.Context(), heard, nil); err != nil {
		t.Fatal(err)
	}
	if err := w.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.restart()
	w.clock.Add(time.Second)
	w.refused(heard, fleet.ErrReplay)
	w.beat(n)
	newest := n.Heartbeat(t, func(h *ticket.Heartbeat) { h.Time++ })
	if _, err := w.Heartbeat(t.Context(), newest, nil); err != nil {
		t.Fatal(err)
	}
	n.Skew = -time.Minute // set back, told and stored: the newest is still a replay
	w.beat(n)
	if err := w.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.restart()
	w.refused(newest, fleet.ErrReplay)
	w.refused(n.Heartbeat(t), fleet.ErrReplay, "set back")
	w.clock.Add(time.Minute + 2*time.Second)
	w.beat(n)
}

func TestHeartbeatsAreLimited(t *testing.T) {
	w := newWorld(t)
	n := w.joined("Alpha", "DE")
	for range 2047 {
		w.beat(n)
	}
	w.refused(n.Heartbeat(t), fleet.ErrHeartbeat, "slow down")
	w.clock.Add(10*time.Minute + time.Second)
	w.beat(n)
}

// A node that saw an epoch and no order of it has nothing to forget.
func TestANodeWithoutOrdersIsNotWiped(t *testing.T) {
	w := newWorld(t)
	n := w.joined("Alpha", "DE")
	for _, epoch := range []int64{1, 0} {
		n.Done.Epoch = epoch
		w.clock.Add(15 * time.Second)
		w.beat(n)
	}
	if w.see(n).Wiped {
		t.Error("it counts as wiped")
	}
}

func TestOneOfManyEqualHeartbeatsIsBelieved(t *testing.T) {
	w := newWorld(t)
	n := w.joined("Alpha", "DE")
	heard := n.Heartbeat(t)
	var all sync.WaitGroup
	results := make([]error, 8)
	for i := range results {
		all.Go(func() { _, results[i] = w.Heartbeat(t.Context(), heard, nil) })
	}
	all.Wait()
	believed := 0
	for _, err := range results {
		if err == nil {
			believed++
		} else if !errors.Is(err, fleet.ErrReplay) {
			t.Error(err)
		}
	}
	if believed != 1 {
		t.Errorf("believed %d times", believed)
	}
}

func TestLiveness(t *testing.T) {
	w := newWorld(t)
	n := w.joined("Alpha", "DE")
	quiet := w.joined("Beta", "NZ")
	state := func(of *fleettest.Node) string {
		s := w.see(of)
		return fmt.Sprintf("live %v writable %v health %d", s.Live, s.Writable, s.Health())
	}
	check := func(of *fleettest.Node, when, want string) {
		t.Helper()
		if got := state(of); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	const up, away = "live true writable true health 0", "live false writable false health 2"
	w.later(45*time.Second, n)
	check(quiet, "after 45 seconds", up)
	w.clock.Add(time.Second)
	check(quiet, "a second later", away)
	check(n, "the other", up)
	n.State = ticket.ReadOnly
	w.beat(n)
	check(n, "read-only", "live true writable false health 0")
	n.State = ticket.Serving
	w.beat(n)
	w.later(15*time.Second, n)
	if !w.logged("fell silent", quiet.ID.String()) || w.logged("fell silent", n.ID.String()) {
		t.Error("silence is not logged as it should be")
	}
	w.later(45*time.Second, n)
	w.restart()
	check(n, "after a crash of the server", up)
	check(quiet, "after a crash of the server", away)
	w.later(15*time.Second, n)
	w.later(15*time.Second, n, quiet)
	check(quiet, "back", up)
	if !w.logged("node is back", quiet.ID.String()) {
		t.Error("its return is not logged")
	}
	w.clock.Add(-24 * time.Hour)
	check(n, "the server's clock set back", away)
}

func TestNodeTimeoutIsConfigured(t *testing.T) {
	w := newWorld(t)
	w.restart(func(c *fleet.Config) { c.NodeTimeout = 3 * time.Second })
	n := w.joined("Alpha", "DE")
	w.clock.Add(3 * time.Second)
	if !w.see(n).Live {
		t.Error("not live within the time-out")
	}
	w.clock.Add(time.Second)
	if w.see(n).Live {
		t.Error("live after the time-out")
	}
}

// Two servers over one database: what one hears the other knows after a step.
func TestAnotherServerHears(t *testing.T) {
	w := newWorld(t)
	mine := w.Fleet
	w.restart()
	theirs := w.Fleet
	n := w.joined("Alpha", "DE") // through theirs
	w.clock.Add(2 * time.Second)
	if got, err := mine.Node(t.Context(), n.ID); err != nil || got.Live {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := theirs.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(2 * time.Second)
	if got, err := mine.Node(t.Context(), n.ID); err != nil || !got.Live || got.Capacity != n.Capacity {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := mine.Heartbeat(t.Context(), n.Heartbeat(t), nil); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(time.Minute)
	n.Used = 77
	w.beat(n) // through theirs; what mine heard is older
	if err := theirs.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := mine.Node(t.Context(), n.ID); err != nil || !got.Live || got.Used != 77 {
		t.Errorf("%+v, %v", got, err)
	}
}

// A node that has joined through one server may come to another one next, which
// read the members a moment before.
func TestAnotherServerKnowsWhoJustJoined(t *testing.T) {
	w := newWorld(t)
	mine := w.Fleet
	if _, err := mine.Nodes(t.Context()); err != nil { // read, and believed for a second
		t.Fatal(err)
	}
	w.restart()
	n := w.joined("Alpha", "DE") // through theirs
	if _, err := mine.Heartbeat(t.Context(), n.Heartbeat(t), nil); err != nil {
		t.Error(err)
	}
	reads := 0
	counted := counting{w.store, &reads}
	w.restart(func(cfg *fleet.Config) { cfg.Store = counted })
	stranger := w.node("Mallory", "NZ")
	for range 1000 {
		w.refused(stranger.Heartbeat(t), fleet.ErrUnknownNode)
	}
	if reads > 30 {
		t.Errorf("strangers made the members be read %d times", reads)
	}
}

// counting counts how often members are read.
type counting struct {
	fleet.Store
	reads *int
}

func (c counting) Members(ctx context.Context) ([]fleet.Member, error) {
	*c.reads++
	return c.Store.Members(ctx)
}

// What a node says of its program is kept as far as it can be read: PostgreSQL
// keeps no NUL, and one node must not keep the others' beats from being stored.
func TestUnprintableProgram(t *testing.T) {
	w := newWorld(t)
	n := w.joined("Alpha", "DE")
	w.clock.Add(time.Second)
	if _, err := w.Heartbeat(t.Context(), n.Heartbeat(t, func(h *ticket.Heartbeat) { h.Program = "v1\x00\u202e.2" }), nil); err != nil {
		t.Fatal(err)
	}
	if got := w.see(n).Program; got != "v1.2" {
		t.Errorf("program %q", got)
	}
}

func TestChainsOfTheFleet(t *testing.T) {
	w := newWorld(t)
	a, b := w.joined("Alpha", "DE"), w.joined("Beta", "NZ")
	if chains, err := w.Chains(t.Context(), 1<<30, nil); err != nil || len(chains) != 2 {
		t.Errorf("%v, %v", chains, err)
	}
	b.Used = b.Capacity - 1<<29
	w.beat(b)
	if room, err := w.Room(t.Context(), nil); err != nil || room != 1<<29 {
		t.Errorf("room %d, %v", room, err)
	}
	if _, err := w.Chains(t.Context(), 1<<30, nil); !errors.Is(err, placement.ErrNoPlacement) {
		t.Errorf("full: %v", err)
	}
	tied := w.node("Delta", "IS")
	tied.Declared.Storage = " ALPHA"
	if _, err := w.Join(t.Context(), w.invite(), tied.Declaration(t)); err != nil {
		t.Fatal(err)
	}
	w.beat(tied)
	if _, err := w.Chains(t.Context(), 1<<30, nil); !errors.Is(err, placement.ErrNoPlacement) {
		t.Errorf("Alpha stores for Delta: %v", err)
	}
	w.joined("Epsilon", "CH")
	chains, err := w.Chains(t.Context(), 1<<30, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, chain := range chains {
		for _, node := range chain {
			if node == b.ID || len(chain) != 2 {
				t.Errorf("%v", chain)
			}
		}
	}
	serving, err := w.Serving(t.Context())
	if err != nil || len(serving) != 4 || serving[0].ID != a.ID || serving[0].Declaration != a.Declaration(t) || serving[0].URL != a.Declared.URL {
		t.Errorf("%+v, %v", serving, err)
	}
	w.clock.Add(time.Minute)
	if serving, err := w.Serving(t.Context()); err != nil || serving == nil || len(serving) != 0 {
		t.Errorf("all silent: %v, %v", serving, err)
	}
}

// failing is a store whose writes and reads of some kind fail.
type failing struct {
	fleet.Store
	beats, members bool
}

var errDisk = errors.New("disk on fire")

func (f *failing) SaveBeats(ctx context.Context, beats []fleet.Beat, now time.Time) error {
	if f.beats {
		return errDisk
	}
	return f.Store.SaveBeats(ctx, beats, now)
}

func (f *failing) Members(ctx context.Context) ([]fleet.Member, error) {
	if f.members {
		return nil, errDisk
	}
	return f.Store.Members(ctx)
}

func TestAStoreThatFails(t *testing.T) {
	w := newWorld(t)
	f := &failing{Store: w.store}
	w.restart(func(c *fleet.Config) { c.Store = f })
	n := w.joined("Alpha", "DE")
	f.beats = true
	if err := w.Step(t.Context()); !errors.Is(err, errDisk) {
		t.Errorf("%v", err)
	}
	if !w.see(n).Live {
		t.Error("not live because it could not be stored")
	}
	f.beats = false
	if err := w.Step(t.Context()); err != nil { // what failed is stored now
		t.Error(err)
	}
	w.restart()
	if !w.see(n).Live {
		t.Error("the heartbeat was not stored after all")
	}
	f.members = true
	w.restart(func(c *fleet.Config) { c.Store = f })
	if _, err := w.Heartbeat(t.Context(), n.Heartbeat(t), nil); !errors.Is(err, errDisk) || errors.Is(err, fleet.ErrUnknownNode) {
		t.Errorf("%v", err)
	}
	if _, err := w.Join(t.Context(), w.invite(), n.Declaration(t)); !errors.Is(err, errDisk) {
		t.Errorf("%v", err)
	}
	if _, err := w.Chains(t.Context(), 1, nil); !errors.Is(err, errDisk) {
		t.Errorf("%v", err)
	}
}

func TestNewNeedsKeysAndStore(t *testing.T) {
	w := newWorld(t)
	for name, cfg := range map[string]fleet.Config{
		"store":      {OrderKey: w.orderKey, TicketKey: w.orderPublic()},
		"order key":  {Store: w.store, TicketKey: w.orderPublic()},
		"ticket key": {Store: w.store, OrderKey: w.orderKey},
	} {
		if f, err := fleet.New(cfg); err == nil || f != nil {
			t.Errorf("made without %s", name)
		}
	}
}

// No event names an address or a URL.
func TestNoAddressesInTheLog(t *testing.T) {
	w := newWorld(t)
	n := fleettest.NewNode(t, w.clock, "Alpha", "DE", "https://192.0.2.77:8443/secret-path")
	if _, err := w.Join(t.Context(), w.invite(), n.Declaration(t)); err != nil {
		t.Fatal(err)
	}
	w.beat(n, "nonsense")
	n.Declared.Capacity++
	if _, err := w.Join(t.Context(), "", n.Declaration(t)); err != nil {
		t.Fatal(err)
	}
	w.later(time.Minute, n)
	w.later(2 * time.Minute)
	w.later(30*time.Second, n)
	if err := w.Remove(t.Context(), n.ID); err != nil {
		t.Fatal(err)
	}
	lines := strings.Count(w.log.String(), "\n")
	if lines < 5 {
		t.Errorf("%d events only:\n%s", lines, w.log)
	}
	for _, word := range strings.FieldsFunc(w.log.String(), func(r rune) bool { return strings.ContainsRune(" =\"\n", r) }) {
		if net.ParseIP(word) != nil || strings.Contains(word, "192.0.2") || strings.Contains(word, "secret-path") || strings.Contains(word, "://") {
			t.Errorf("the log says %q", word)
		}
	}
}
