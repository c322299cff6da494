package fleet

import (
	"crypto/ed25519"
	"errors"
	"testing"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/ticket"
)

func declare(t *testing.T, change func(*ticket.Declaration)) (api.Node, ed25519.PrivateKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := ticket.Declaration{Public: [32]byte(public), Operator: "Operator A", Jurisdiction: "DE", URL: "http://127.0.0.1:7001", Capacity: 1, Day: 1}
	if change != nil {
		change(&d)
	}
	text, err := ticket.SignText(private, d)
	if err != nil {
		t.Fatal(err)
	}
	return api.Node{ID: ticket.NodeID(public), URL: d.URL, Declaration: text}, private
}

func TestCheckBelievesOnlyTheNode(t *testing.T) {
	good, _ := declare(t, nil)
	other, _ := declare(t, nil)
	plain, _ := declare(t, func(d *ticket.Declaration) { d.URL = "http://node.example" })
	address, _ := declare(t, func(d *ticket.Declaration) { d.URL = "http://203.0.113.5" })
	for name, c := range map[string]struct {
		node  api.Node
		local bool
		fails bool
	}{
		"as declared":                {good, true, false},
		"id of another":              {api.Node{ID: other.ID, URL: good.URL, Declaration: good.Declaration}, true, true},
		"invented id":                {api.Node{ID: id.New[id.Node](), URL: good.URL, Declaration: good.Declaration}, true, true},
		"other address":              {api.Node{ID: good.ID, URL: "http://127.0.0.1:9999", Declaration: good.Declaration}, true, true},
		"no declaration":             {api.Node{ID: good.ID, URL: good.URL}, true, true},
		"damaged declaration":        {api.Node{ID: good.ID, URL: good.URL, Declaration: flip(good.Declaration)}, true, true},
		"plain http from afar":       {plain, false, true},
		"loopback of a remote host":  {good, false, true},
		"plain http of a local host": {plain, true, true},
		"plain http to an address":   {address, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := Check(c.node, c.local)
			if c.fails != errors.Is(err, ErrNode) || !c.fails && (err != nil || n.ID != good.ID) {
				t.Fatalf("got %v, %v", n, err)
			}
		})
	}
}

func flip(text string) string {
	b := []byte(text)
	b[len(b)-10] ^= 1
	return string(b)
}

func TestIndependent(t *testing.T) {
	node := func(operator, law string, change func(*ticket.Declaration)) Node {
		n, _ := declare(t, func(d *ticket.Declaration) {
			d.Operator, d.Jurisdiction = operator, law
			if change != nil {
				change(d)
			}
		})
		out, err := Check(n, true)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	a := node("A", "DE", nil)
	for name, c := range map[string]struct {
		b    Node
		want bool
	}{
		"other company, other law":  {node("B", "NZ", nil), true},
		"one law":                   {node("B", "DE", nil), false},
		"one company, other case":   {node(" a ", "NZ", nil), false},
		"site under the same law":   {node("B", "NZ", func(d *ticket.Declaration) { d.Site = "DE" }), false},
		"parent is the other":       {node("B", "NZ", func(d *ticket.Declaration) { d.Parent = "a" }), false},
		"rents storage from A":      {node("B", "NZ", func(d *ticket.Declaration) { d.Storage = "A" }), false},
		"parent in wide letters":    {node("B", "NZ", func(d *ticket.Declaration) { d.Parent = "\uff21" }), false},
		"parent unknown to the one": {node("B", "NZ", func(d *ticket.Declaration) { d.Parent = "C" }), true},
	} {
		t.Run(name, func(t *testing.T) {
			if Independent(a, c.b) != c.want || Independent(c.b, a) != c.want || Enough([]Node{a, a, c.b}) != c.want {
				t.Errorf("want %v", c.want)
			}
		})
	}
	for spelling, other := range map[string]string{"Acme GmbH": " acme \u00a0 GMBH", "STRASSE": "straße"} {
		if Independent(node(spelling, "DE", nil), node(other, "NZ", nil)) {
			t.Errorf("%q and %q pass for two companies", spelling, other)
		}
	}
}

func TestIsLocal(t *testing.T) {
	for base, want := range map[string]struct{ local, fails bool }{
		"https://share.example":     {false, false},
		"http://127.0.0.1:8080":     {true, false},
		"http://[::1]:8080":         {true, false},
		"http://localhost:1":        {true, false},
		"http://share.example":      {false, true},
		"share.example":             {false, true},
		"https://user@host":         {false, true},
		"https://host/?q":           {false, true},
		"ftp://host":                {false, true},
		"":                          {false, true},
		"http://127.0.0.1.example/": {false, true},
	} {
		local, err := IsLocal(base)
		if local != want.local || (err != nil) != want.fails {
			t.Errorf("%q: %v, %v", base, local, err)
		}
	}
}
