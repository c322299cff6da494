package gate

import (
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/ticket"
)

var (
	self  = id.Node{1}
	other = id.Node{2}
	third = id.Node{3}
	now   = time.Unix(1_800_000_000, 0)
)

func place(n id.Node) ticket.Place { return ticket.Place{Node: n, URL: "http://127.0.0.1:1"} }

func newKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(append(make([]byte, 31), seed))
}

func sign[P ticket.Payload](t *testing.T, key ed25519.PrivateKey, p P) string {
	t.Helper()
	text, err := ticket.SignText(key, p)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func pinned(clock *time.Time) *Gate {
	g := New(self, func() time.Time { return *clock })
	g.Pin(id.Bytes32(newKey(1).Public().(ed25519.PublicKey)))
	return g
}

// alter flips one bit of the decoded ticket.
func alter(t *testing.T, text string, at int) string {
	t.Helper()
	raw, err := ticket.ParseText(text)
	if err != nil {
		t.Fatal(err)
	}
	raw[at%len(raw)] ^= 1
	return ticket.Text(raw)
}

func TestUpload(t *testing.T) {
	clock := now
	g := pinned(&clock)
	good := ticket.UploadTicket{Upload: id.Upload{7}, Budget: 99, Expires: now.Unix() + 60,
		Chains: [][]ticket.Place{{place(other), place(third)}, {place(other), place(self), place(third)}}}
	text := sign(t, newKey(1), good)
	for range 2 { // the second time from the cache
		grant, err := g.Upload(text, 1)
		if err != nil {
			t.Fatal(err)
		}
		if grant.Upload != good.Upload || grant.Budget != 99 || grant.Ticket != text || grant.Chain != 1 ||
			len(grant.Others) != 2 || grant.Others[0].Node != third || grant.Others[1].Node != other {
			t.Fatalf("grant %+v", grant)
		}
	}
	eternal, daily := good, good
	daily.Expires = now.Add(24 * time.Hour).Unix()
	eternal.Expires = daily.Expires + 1
	if _, err := g.Upload(sign(t, newKey(1), daily), 1); err != nil {
		t.Fatal(err)
	}
	foreign := good
	foreign.Chains = [][]ticket.Place{{place(other), place(third)}}
	read := ticket.ReadTicket{Nodes: []id.Node{self}, Expires: good.Expires,
		Reads: []ticket.Reads{{Upload: good.Upload, Ranges: []ticket.Range{{Length: 1}}}}}
	for _, c := range []struct {
		name  string
		text  string
		chain int
		later time.Duration
		want  api.Code
	}{
		{"another chain", text, 0, 0, api.TicketOtherNode},
		{"lives too long", sign(t, newKey(1), eternal), 1, 0, api.TicketInvalid},
		{"no such chain", text, 2, 0, api.TicketInvalid},
		{"negative chain", text, -1, 0, api.TicketInvalid},
		{"within the clocks' allowance", text, 1, 119 * time.Second, ""},
		{"expired", text, 1, 121 * time.Second, api.TicketExpired},
		{"other nodes", sign(t, newKey(1), foreign), 0, 0, api.TicketOtherNode},
		{"another service's key", sign(t, newKey(2), good), 1, 0, api.TicketInvalid},
		{"another kind", sign(t, newKey(1), read), 1, 0, api.TicketInvalid},
		{"altered in front", alter(t, text, 20), 1, 0, api.TicketInvalid},
		{"altered at the end", alter(t, text, 100000), 1, 0, api.TicketInvalid},
		{"empty", "", 1, 0, api.TicketInvalid},
		{"cut", text[:len(text)-4], 1, 0, api.TicketInvalid},
		{"not base64url", "!" + text[1:], 1, 0, api.TicketInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock = now.Add(c.later)
			_, err := g.Upload(c.text, c.chain)
			if c.chain == 1 { // whatever the chain, the same holds for resuming
				if _, resume := g.Resume(c.text); !errors.Is(resume, c.want) && (resume != nil || c.want != "") {
					t.Errorf("resume: have %v, want %v", resume, c.want)
				}
			}
			if c.want == "" && err != nil || c.want != "" && !errors.Is(err, c.want) {
				t.Fatalf("have %v, want %v", err, c.want)
			}
		})
	}
}

func TestRead(t *testing.T) {
	clock := now
	g := pinned(&clock)
	up, name := id.Upload{7}, id.Name{8}
	text := sign(t, newKey(1), ticket.ReadTicket{Nodes: []id.Node{other, self}, Expires: now.Unix() + 60,
		Reads: []ticket.Reads{{Upload: up, Ranges: []ticket.Range{{Name: name, Offset: 100, Length: 50}}}}})
	elsewhere := sign(t, newKey(1), ticket.ReadTicket{Nodes: []id.Node{other}, Expires: now.Unix() + 60,
		Reads: []ticket.Reads{{Upload: up, Ranges: []ticket.Range{{Name: name, Offset: 100, Length: 50}}}}})
	for _, c := range []struct {
		name           string
		text           string
		upload         id.Upload
		blob           id.Name
		offset, length int64
		later          time.Duration
		want           api.Code
	}{
		{"all of it", text, up, name, 100, 50, 0, ""},
		{"within", text, up, name, 120, 1, 0, ""},
		{"starts before", text, up, name, 99, 10, 0, api.TicketInvalid},
		{"ends after", text, up, name, 100, 51, 0, api.TicketInvalid},
		{"nothing", text, up, name, 100, 0, 0, api.TicketInvalid},
		{"overflow", text, up, name, 100, 1<<63 - 1, 0, api.TicketInvalid},
		{"another blob", text, up, id.Name{9}, 100, 50, 0, api.TicketInvalid},
		{"another upload", text, id.Upload{9}, name, 100, 50, 0, api.TicketInvalid},
		{"another node", elsewhere, up, name, 100, 50, 0, api.TicketOtherNode},
		{"expired", text, up, name, 100, 50, 5 * time.Minute, api.TicketExpired},
		{"altered", alter(t, text, 60), up, name, 100, 50, 0, api.TicketInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock = now.Add(c.later)
			err := g.Read(c.text, c.upload, c.blob, c.offset, c.length)
			if c.want == "" && err != nil || c.want != "" && !errors.Is(err, c.want) {
				t.Fatalf("have %v, want %v", err, c.want)
			}
		})
	}
}

func TestBeforeJoining(t *testing.T) {
	g := New(self, func() time.Time { return now })
	if _, err := g.Upload("x", 0); !errors.Is(err, api.Unavailable) {
		t.Fatalf("have %v", err)
	}
}

func TestPinForgetsTicketsOfTheOldKey(t *testing.T) {
	clock := now
	g := pinned(&clock)
	text := sign(t, newKey(1), ticket.UploadTicket{Budget: 1, Expires: now.Unix() + 60, Chains: [][]ticket.Place{{place(self), place(other)}}})
	if _, err := g.Upload(text, 0); err != nil {
		t.Fatal(err)
	}
	g.Pin(id.Bytes32(newKey(2).Public().(ed25519.PublicKey)))
	if _, err := g.Upload(text, 0); !errors.Is(err, api.TicketInvalid) {
		t.Fatalf("have %v", err)
	}
}

func TestCacheStaysSmall(t *testing.T) {
	clock := now
	g := pinned(&clock)
	for i := range cached + 50 {
		text := sign(t, newKey(1), ticket.UploadTicket{Budget: int64(i), Expires: now.Unix() + 60, Chains: [][]ticket.Place{{place(self), place(other)}}})
		if grant, err := g.Upload(text, 0); err != nil || grant.Budget != int64(i) {
			t.Fatalf("%d: %+v, %v", i, grant, err)
		}
	}
	if len(g.uploads) > cached {
		t.Fatalf("%d tickets are kept", len(g.uploads))
	}
}
