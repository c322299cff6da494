package fleet_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/server/internal/fleet"
	"holdfast/server/internal/fleet/fleettest"
	"holdfast/server/internal/placement"
	"holdfast/server/internal/store"
	"holdfast/server/internal/upload"
)

// world is one server's fleet over a database on disk.
type world struct {
	*fleet.Fleet
	t                   testing.TB
	store               *store.Store
	path                string
	clock               *fleettest.Clock
	log                 *bytes.Buffer
	orderKey, ticketKey ed25519.PrivateKey
}

func newWorld(t testing.TB) *world {
	t.Helper()
	path := filepath.Join(t.TempDir(), "holdfast.db")
	w := &world{t: t, store: openStore(t, path), path: path, clock: fleettest.NewClock(), log: &bytes.Buffer{}, orderKey: key(1), ticketKey: key(2)}
	w.restart()
	return w
}

func openStore(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// backup copies the database; restored opens the copy in its place.
func (w *world) backup() (restored func()) {
	w.t.Helper()
	if err := w.store.Scrub(w.t.Context()); err != nil { // all is in one file now
		w.t.Fatal(err)
	}
	raw, err := os.ReadFile(w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	path := filepath.Join(w.t.TempDir(), "holdfast.db")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return func() {
		w.t.Helper()
		w.store, w.path = openStore(w.t, path), path
		w.restart()
	}
}

func key(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

// restart makes a Fleet that knows only what is stored, as after a crash.
func (w *world) restart(change ...func(*fleet.Config)) {
	w.t.Helper()
	cfg := fleet.Config{
		Store: w.store, OrderKey: w.orderKey, TicketKey: w.ticketKey.Public().(ed25519.PublicKey), Now: w.clock.Now,
		Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&cfg)
	}
	f, err := fleet.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Fleet = f
}

func (w *world) invite() string {
	w.t.Helper()
	code, _, err := fleet.Invite(w.t.Context(), w.store, w.clock.Now(), 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return code
}

func (w *world) node(operator, jurisdiction string) *fleettest.Node {
	w.t.Helper()
	host := strings.ToLower(strings.Fields(operator)[0])
	return fleettest.NewNode(w.t, w.clock, operator, jurisdiction, fmt.Sprintf("https://%s.example", host))
}

// joined makes a node that has joined and sent a heartbeat.
func (w *world) joined(operator, jurisdiction string) *fleettest.Node {
	w.t.Helper()
	n := w.node(operator, jurisdiction)
	if _, err := w.Join(w.t.Context(), w.invite(), n.Declaration(w.t)); err != nil {
		w.t.Fatal(err)
	}
	w.beat(n)
	return n
}

func (w *world) beat(n *fleettest.Node, receipts ...string) fleet.Answer {
	w.t.Helper()
	answer, err := w.Heartbeat(w.t.Context(), n.Heartbeat(w.t), receipts)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer
}

// refused checks that a heartbeat is, and that its message tells people enough.
func (w *world) refused(heartbeat string, want error, words ...string) {
	w.t.Helper()
	answer, err := w.Heartbeat(w.t.Context(), heartbeat, nil)
	if !errors.Is(err, want) || answer.Orders != nil {
		w.t.Errorf("%+v, %v, want %v", answer, err, want)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			w.t.Errorf("%q does not say %q", err, word)
		}
	}
}

func (w *world) see(n *fleettest.Node) fleet.Node {
	w.t.Helper()
	seen, err := w.Node(w.t.Context(), n.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return seen
}

// later moves the clock and lets the nodes send their heartbeats all the while.
func (w *world) later(d time.Duration, nodes ...*fleettest.Node) {
	w.t.Helper()
	for ; d > 0; d -= 15 * time.Second {
		w.clock.Add(15 * time.Second)
		for _, n := range nodes {
			w.beat(n)
		}
		if err := w.Step(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
}

// abandon opens an upload at the nodes and abandons it, so that each of them is
// ordered to delete it.
func (w *world) abandon(nodes ...*fleettest.Node) id.Upload {
	w.t.Helper()
	u := upload.Upload{ID: id.New[id.Upload](), Closes: 1, Chains: []placement.Chain{nil}}
	for _, n := range nodes {
		u.Chains[0] = append(u.Chains[0], n.ID)
	}
	if err := w.store.OpenUpload(w.t.Context(), u, 1<<40, 1000, 1<<50); err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.AbandonUpload(w.t.Context(), u.ID, ticket.Day(w.clock.Now())); err != nil {
		w.t.Fatal(err)
	}
	return u.ID
}

// logged tells whether a line of the log has all the words.
func (w *world) logged(words ...string) bool {
	for line := range strings.Lines(w.log.String()) {
		all := true
		for _, word := range words {
			all = all && strings.Contains(line, word)
		}
		if all {
			return true
		}
	}
	return false
}

func (w *world) orderPublic() ed25519.PublicKey { return w.orderKey.Public().(ed25519.PublicKey) }

func opened(t testing.TB, public ed25519.PublicKey, orders []string) []ticket.Order {
	t.Helper()
	var all []ticket.Order
	for _, text := range orders {
		o, err := ticket.OpenText[ticket.Order](public, text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	return all
}
