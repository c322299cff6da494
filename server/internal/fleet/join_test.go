package fleet_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"holdfast/format/ticket"
	"holdfast/server/internal/fleet"
	"holdfast/server/internal/fleet/fleettest"
)

func TestJoin(t *testing.T) {
	w := newWorld(t)
	n := w.node("Alpha GmbH", "DE")
	got, err := w.Join(t.Context(), w.invite(), n.Declaration(t))
	if err != nil || got.Node != n.ID || got.Epoch != 1 || !bytes.Equal(got.OrderKey, w.orderPublic()) || len(got.TicketKey) != 32 {
		t.Fatalf("%+v, %v", got, err)
	}
	seen := w.see(n)
	if seen.Operator != "Alpha GmbH" || seen.Jurisdiction != "DE" || seen.URL != "https://alpha.example" || seen.Origin != seen.URL ||
		!bytes.Equal(seen.Key, n.Declared.Public[:]) || seen.Declaration != n.Declaration(t) {
		t.Errorf("%+v", seen)
	}
	if seen.Live || seen.Writable {
		t.Error("live without a heartbeat")
	}
	if _, err := w.Node(t.Context(), [16]byte{1}); !errors.Is(err, fleet.ErrUnknownNode) {
		t.Errorf("a stranger: %v", err)
	}
	if !w.logged("node joined", n.ID.String(), "DE") {
		t.Error("not logged")
	}
}

func TestJoinNeedsAnInvite(t *testing.T) {
	w := newWorld(t)
	good := w.invite()
	expired := w.invite()
	w.clock.Add(fleet.DefaultInvite)
	fresh := w.invite()
	for name, code := range map[string]string{
		"none": "", "without its prefix": fresh[4:], "cut": fresh[:len(fresh)-1], "another's letters": "hfi-" + strings.Repeat("A", 43),
		"expired": expired, "expired too": good, "with words around it": "code: " + fresh,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := w.Join(t.Context(), code, w.node("Alpha", "DE").Declaration(t)); !errors.Is(err, fleet.ErrInvite) {
				t.Errorf("%v", err)
			} else if code != "" && strings.Contains(err.Error(), fresh[4:20]) {
				t.Errorf("the message repeats the code: %v", err)
			}
		})
	}
	if _, err := w.Join(t.Context(), " "+fresh+"\n", w.node("Alpha", "DE").Declaration(t)); err != nil {
		t.Errorf("white space around the code: %v", err)
	}
	if _, err := w.Join(t.Context(), fresh, w.node("Beta", "NZ").Declaration(t)); !errors.Is(err, fleet.ErrInvite) {
		t.Errorf("used twice: %v", err)
	}
}

func TestInviteLives(t *testing.T) {
	w := newWorld(t)
	for life, want := range map[time.Duration]time.Duration{0: 7 * 24 * time.Hour, time.Hour: time.Hour, fleet.MaxInvite: fleet.MaxInvite} {
		_, expires, err := fleet.Invite(t.Context(), w.store, w.clock.Now(), life)
		if err != nil || !expires.Equal(w.clock.Now().Add(want)) {
			t.Errorf("%s: %s, %v", life, expires, err)
		}
	}
	for _, life := range []time.Duration{-time.Second, fleet.MaxInvite + time.Second} {
		if _, _, err := fleet.Invite(t.Context(), w.store, w.clock.Now(), life); err == nil {
			t.Errorf("an invite for %s", life)
		}
	}
}

func TestDeclarationsRefused(t *testing.T) {
	w := newWorld(t)
	n := w.node("Alpha GmbH", "DE")
	other := w.node("Beta Ltd", "NZ")
	declared := func(change func(*ticket.Declaration)) string { return n.Declaration(t, change) }
	for name, c := range map[string]struct{ text, says string }{
		"nothing":                   {"", ""},
		"no envelope":               {"AAAA", ""},
		"a heartbeat":               {n.Heartbeat(t), ""},
		"a bit flipped":             {fleettest.Flip(t, n.Declaration(t), 400), ""},
		"signature flipped":         {fleettest.Flip(t, n.Declaration(t), 8*len(n.Declaration(t))/2), ""},
		"another's key inside":      {declared(func(d *ticket.Declaration) { d.Public = other.Declared.Public }), ""},
		"signed by another":         {fleettest.Sign(t, other.Key, n.Declared), ""},
		"unknown jurisdiction":      {declared(func(d *ticket.Declaration) { d.Jurisdiction = "XX" }), "jurisdiction"},
		"jurisdiction in small":     {declared(func(d *ticket.Declaration) { d.Jurisdiction = "de" }), "jurisdiction"},
		"unknown site":              {declared(func(d *ticket.Declaration) { d.Site = "UK" }), "jurisdiction"},
		"no operator":               {declared(func(d *ticket.Declaration) { d.Operator = "" }), "operator"},
		"operator of spaces":        {declared(func(d *ticket.Declaration) { d.Operator = "  " }), "operator"},
		"operator turned around":    {declared(func(d *ticket.Declaration) { d.Operator = "Alpha \u202eHbmG" }), "U+202E"},
		"operator with a new line":  {declared(func(d *ticket.Declaration) { d.Operator = "Alpha\nGmbH" }), "U+000A"},
		"parent with a hidden sign": {declared(func(d *ticket.Declaration) { d.Parent = "Hold\u200bing" }), "parent company"},
		"provider with a control":   {declared(func(d *ticket.Declaration) { d.Storage = "\x07" }), "storage provider"},
		"http elsewhere":            {declared(func(d *ticket.Declaration) { d.URL = "http://alpha.example" }), "https://"},
		"URL with a query":          {declared(func(d *ticket.Declaration) { d.URL = "https://alpha.example?a" }), ""},
		"URL with a slash":          {declared(func(d *ticket.Declaration) { d.URL = "https://alpha.example/" }), "slash"},
		"of last week":              {declared(func(d *ticket.Declaration) { d.Day -= 7 }), "clock"},
		"of two days ahead":         {declared(func(d *ticket.Declaration) { d.Day += 2 }), "clock"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Join(t.Context(), w.invite(), c.text)
			if !errors.Is(err, fleet.ErrDeclaration) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
		})
	}
	if nodes, err := w.Nodes(t.Context()); err != nil || len(nodes) != 0 {
		t.Errorf("%d members, %v", len(nodes), err)
	}
}

func TestLoopbackIsNoPlaceOfAPublicService(t *testing.T) {
	w := newWorld(t)
	for _, url := range []string{"http://127.0.0.1:9001", "https://localhost:9001", "http://[::1]:9001"} {
		n := fleettest.NewNode(t, w.clock, "Alpha", "DE", url)
		w.restart(func(c *fleet.Config) { c.Public = true })
		if _, err := w.Join(t.Context(), w.invite(), n.Declaration(t)); !errors.Is(err, fleet.ErrDeclaration) || !strings.Contains(err.Error(), "loopback") {
			t.Errorf("%s: %v", url, err)
		}
		w.restart()
		if _, err := w.Join(t.Context(), w.invite(), n.Declaration(t)); err != nil {
			t.Errorf("%s on a machine of its own: %v", url, err)
		}
	}
}

func TestOneURLIsOneNode(t *testing.T) {
	w := newWorld(t)
	a := w.joined("Alpha", "DE")
	b := w.joined("Beta", "NZ")
	for name, url := range map[string]string{"the same": "https://alpha.example", "in capitals": "https://ALPHA.example", "with its port": "https://alpha.example:443"} {
		t.Run(name, func(t *testing.T) {
			n := w.node("Gamma", "IS")
			n.Declared.URL = url
			invite := w.invite()
			if _, err := w.Join(t.Context(), invite, n.Declaration(t)); !errors.Is(err, fleet.ErrDeclaration) || !strings.Contains(err.Error(), "URL") {
				t.Errorf("a new node: %v", err)
			}
			if _, err := w.Join(t.Context(), "", b.Declaration(t, func(d *ticket.Declaration) { d.URL = url })); !errors.Is(err, fleet.ErrDeclaration) {
				t.Errorf("a member: %v", err)
			}
		})
	}
	if err := w.Remove(t.Context(), a.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Join(t.Context(), "", b.Declaration(t, func(d *ticket.Declaration) { d.URL = "https://alpha.example" })); err != nil {
		t.Errorf("after it was removed: %v", err)
	}
}

func TestRenewal(t *testing.T) {
	w := newWorld(t)
	n := w.joined("Alpha GmbH", "DE")
	for name, change := range map[string]func(*ticket.Declaration){
		"operator":           func(d *ticket.Declaration) { d.Operator = "Alpha AG" },
		"jurisdiction":       func(d *ticket.Declaration) { d.Jurisdiction = "AT" },
		"parent":             func(d *ticket.Declaration) { d.Parent = "Holding" },
		"site":               func(d *ticket.Declaration) { d.Site = "NZ" },
		"storage provider":   func(d *ticket.Declaration) { d.Storage = "Disks" },
		"day before":         func(d *ticket.Declaration) { d.Day-- },
		"unprintable spaces": func(d *ticket.Declaration) { d.Operator = "Alpha\u00a0GmbH" },
	} {
		t.Run("not: "+name, func(t *testing.T) {
			if _, err := w.Join(t.Context(), w.invite(), n.Declaration(t, change)); !errors.Is(err, fleet.ErrDeclaration) {
				t.Errorf("%v", err)
			}
			if w.see(n).Declaration != n.Declaration(t) {
				t.Error("it stands there all the same")
			}
		})
	}
	for name, change := range map[string]func(*ticket.Declaration){
		"nothing":         func(*ticket.Declaration) {},
		"capacity":        func(d *ticket.Declaration) { d.Capacity *= 2 },
		"URL":             func(d *ticket.Declaration) { d.URL = "https://new.example/node" },
		"spelling":        func(d *ticket.Declaration) { d.Operator = "ALPHA GmbH" },
		"day":             func(d *ticket.Declaration) { d.Day++ },
		"more on the day": func(d *ticket.Declaration) { d.Capacity-- },
	} {
		t.Run(name, func(t *testing.T) {
			change(&n.Declared)
			if _, err := w.Join(t.Context(), "", n.Declaration(t)); err != nil {
				t.Fatal(err)
			}
			if w.see(n).Declaration != n.Declaration(t) {
				t.Error("it does not stand there")
			}
		})
	}
}

// Declarations are public: whoever has one must not be able to bring it back.
func TestDeclarationsAreNotBroughtBack(t *testing.T) {
	w := newWorld(t)
	n := w.joined("Alpha", "DE")
	old := n.Declaration(t)
	urls := []string{"https://one.example", "https://two.example", "https://three.example"}
	for _, url := range urls {
		n.Declared.URL = url
		if _, err := w.Join(t.Context(), "", n.Declaration(t)); err != nil {
			t.Fatal(err)
		}
	}
	w.restart()
	for _, text := range []string{old, n.Declaration(t, func(d *ticket.Declaration) { d.URL = urls[0] }), n.Declaration(t, func(d *ticket.Declaration) { d.URL = urls[1] })} {
		if _, err := w.Join(t.Context(), "", text); !errors.Is(err, fleet.ErrDeclaration) {
			t.Errorf("%v", err)
		}
	}
	w.clock.Add(24 * time.Hour)
	yesterday := n.Declaration(t)
	n.Declared.Day++
	n.Declared.URL = urls[0] // back, but by a new statement
	if _, err := w.Join(t.Context(), "", n.Declaration(t)); err != nil {
		t.Error(err)
	}
	if _, err := w.Join(t.Context(), "", yesterday); !errors.Is(err, fleet.ErrDeclaration) {
		t.Errorf("yesterday's: %v", err)
	}
	if got := w.see(n).URL; got != urls[0] {
		t.Errorf("it is at %s", got)
	}
}

func TestDeclarationsOfADayAreLimited(t *testing.T) {
	w := newWorld(t)
	n := w.joined("Alpha", "DE")
	for range 16 {
		n.Declared.Capacity++
		if _, err := w.Join(t.Context(), "", n.Declaration(t)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Join(t.Context(), "", n.Declaration(t, func(d *ticket.Declaration) { d.Capacity++ })); !errors.Is(err, fleet.ErrDeclaration) || !strings.Contains(err.Error(), "tomorrow") {
		t.Errorf("%v", err)
	}
	w.clock.Add(24 * time.Hour)
	n.Declared.Day++
	if _, err := w.Join(t.Context(), "", n.Declaration(t)); err != nil {
		t.Errorf("the next day: %v", err)
	}
}

func TestRemovedForGood(t *testing.T) {
	w := newWorld(t)
	n := w.joined("Alpha", "DE")
	if err := w.Remove(t.Context(), n.ID); err != nil {
		t.Fatal(err)
	}
	if err := w.Remove(t.Context(), n.ID); !errors.Is(err, fleet.ErrUnknownNode) {
		t.Errorf("again: %v", err)
	}
	if seen := w.see(n); !seen.Removed || seen.Live || seen.Writable || seen.Health() != 3 {
		t.Errorf("%+v", seen)
	}
	w.clock.Add(15 * time.Second)
	w.refused(n.Heartbeat(t), fleet.ErrUnknownNode, "removed")
	if _, err := w.Join(t.Context(), w.invite(), n.Declaration(t)); !errors.Is(err, fleet.ErrDeclaration) || !strings.Contains(err.Error(), "new node") {
		t.Errorf("%v", err)
	}
}

func TestVersionFollowsURLs(t *testing.T) {
	w := newWorld(t)
	version := func() string {
		t.Helper()
		v, _, err := w.Origins(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	empty := version()
	a, b := w.joined("Alpha", "DE"), w.joined("Beta", "NZ")
	two := version()
	w.restart()
	if two == empty || two != version() {
		t.Errorf("%s, %s, %s after a restart", empty, two, version())
	}
	b.Declared.Capacity++
	if _, err := w.Join(t.Context(), "", b.Declaration(t)); err != nil {
		t.Fatal(err)
	}
	if version() != two {
		t.Error("another capacity is another version")
	}
	if err := w.Remove(t.Context(), a.ID); err != nil || version() == two {
		t.Errorf("one has left, and the version stays: %v", err)
	}
	if a = w.joined("Alpha", "DE"); version() != two {
		t.Error("the same URLs in another sequence are another version")
	}
	b.Declared.URL = "https://moved.example:8443/node"
	if _, err := w.Join(t.Context(), "", b.Declaration(t)); err != nil {
		t.Fatal(err)
	}
	moved, origins, err := w.Origins(t.Context())
	if err != nil || moved == two || strings.Join(origins, " ") != "https://moved.example:8443 https://alpha.example" {
		t.Errorf("%s, %v, %v", moved, origins, err)
	}
	if err := errors.Join(w.Remove(t.Context(), a.ID), w.Remove(t.Context(), b.ID)); err != nil || version() != empty {
		t.Errorf("nobody is left, and the version %s is not that of nobody: %v", version(), err)
	}
}
