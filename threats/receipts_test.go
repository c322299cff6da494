package threats

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/client/blobs"
	"holdfast/client/transfer"
	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/format/wire"
)

// signed is a receipt that claims to be its node's, under any key.
func signed(key ed25519.PrivateKey, r ticket.Receipt) string {
	r.Day = ticket.Day(time.Now())
	payload := wire.Marshal(r)
	signature := ed25519.Sign(key, append([]byte("holdfast/v1/receipt\x00"), payload...))
	return ticket.Text(wire.Marshal(map[uint64]any{1: "receipt", 2: r.Node, 3: payload, 4: signature}))
}

func strangerKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(noise(32, 70)) }

// lies are receipts that do not hold, of a node for one blob of an upload.
var lies = map[string]func(t testing.TB, m, other *member, upload id.Upload, name id.Name, size int64) string{
	"another upload": func(t testing.TB, m, _ *member, _ id.Upload, name id.Name, size int64) string {
		return receipt(t, m, id.New[id.Upload](), ticket.Stored{Name: name, Size: size})
	},
	"another blob": func(t testing.TB, m, _ *member, upload id.Upload, _ id.Name, size int64) string {
		return receipt(t, m, upload, ticket.Stored{Name: id.New32(), Size: size})
	},
	"another size": func(t testing.TB, m, _ *member, upload id.Upload, name id.Name, size int64) string {
		return receipt(t, m, upload, ticket.Stored{Name: name, Size: size - 1})
	},
	"a stranger": func(t testing.TB, _, _ *member, upload id.Upload, name id.Name, size int64) string {
		key := strangerKey()
		return signed(key, ticket.Receipt{Upload: upload, Node: ticket.NodeID(key.Public().(ed25519.PublicKey)), Blobs: []ticket.Stored{{Name: name, Size: size}}})
	},
	"a stranger under a member's name": func(t testing.TB, m, _ *member, upload id.Upload, name id.Name, size int64) string {
		return signed(strangerKey(), ticket.Receipt{Upload: upload, Node: m.id(), Blobs: []ticket.Stored{{Name: name, Size: size}}})
	},
	"one member under another's name": func(t testing.TB, m, other *member, upload id.Upload, name id.Name, size int64) string {
		return signed(m.key, ticket.Receipt{Upload: upload, Node: other.id(), Blobs: []ticket.Stored{{Name: name, Size: size}}})
	},
	"a flipped signature": func(t testing.TB, m, _ *member, upload id.Upload, name id.Name, size int64) string {
		raw, err := ticket.ParseText(receipt(t, m, upload, ticket.Stored{Name: name, Size: size}))
		if err != nil {
			t.Fatal(err)
		}
		raw[len(raw)-1] ^= 1
		return ticket.Text(raw)
	},
	"a heartbeat": func(t testing.TB, m, _ *member, _ id.Upload, _ id.Name, _ int64) string {
		text, err := ticket.SignText(m.key, ticket.Heartbeat{Node: m.id(), Time: time.Now().Unix(), Capacity: 1, Program: "x"})
		if err != nil {
			t.Fatal(err)
		}
		return text
	},
}

// chosen are the members that a grant names.
func chosen(t testing.TB, g api.UploadGrant) []*member {
	t.Helper()
	var out []*member
	for _, n := range g.Nodes {
		for _, m := range service.nodes {
			if m.id() == n.ID {
				out = append(out, m)
			}
		}
	}
	if len(out) < 2 {
		t.Fatal("the grant names too few nodes")
	}
	return out
}

// TestThreat24ServerRefusesReceipts: a commit with a lie in place of one of two
// good receipts is refused; afterwards the honest commit goes through.
func TestThreat24ServerRefusesReceipts(t *testing.T) {
	h := newSender(t)
	d := h.add(noise(small, 71), "file")
	h.store()
	name, size := blob.Name(h.pack), int64(len(h.pack))
	req := h.request(h.record(map[uint64]any{1: 1, 2: d}), id.Revision{})
	members := chosen(t, h.grant)
	m, other := members[0], members[1]
	stored := ticket.Stored{Name: name, Size: size}
	good := receipt(t, m, h.grant.Upload, stored)
	refused := func(what string, receipts []string) {
		t.Helper()
		req.Page.Receipts = receipts
		if err := h.commit(req); !errors.Is(err, api.ReceiptInvalid) && !errors.Is(err, api.ReceiptsMissing) {
			t.Errorf("%s: committed with %v", what, err)
		}
	}
	for what, lie := range lies {
		refused(what, []string{good, lie(t, other, m, h.grant.Upload, name, size)})
		refused(what+", twice", []string{lie(t, m, other, h.grant.Upload, name, size), lie(t, other, m, h.grant.Upload, name, size)})
	}
	refused("none", nil)
	refused("one", []string{good})
	refused("one twice", []string{good, good})
	first, second := service.nodes[0], service.nodes[dependent]
	refused("dependent nodes", []string{receipt(t, first, h.grant.Upload, stored), receipt(t, second, h.grant.Upload, stored)})
	refused("not an envelope", []string{good, "AAAA"})
	req.Page.Receipts = h.receipts
	h.mustCommit(req)
}

// TestThreat24ClientRefusesReceipts: nodes that answer with such receipts: with
// all of them lying nothing is published; with one the send goes on elsewhere.
func TestThreat24ClientRefusesReceipts(t *testing.T) {
	path := writeFile(t, t.TempDir()+"/f", noise(small, 72))
	for what, lie := range lies {
		answer := func(x *exchange) {
			if !x.is(api.PutBlob) && !x.is(api.ForwardBlobs) || x.status != http.StatusOK {
				return
			}
			m, other := memberOf(x.at), service.nodes[0]
			if m == other {
				other = service.nodes[1]
			}
			raw, err := ticket.ParseText(x.req.Header.Get(api.HeaderTicket))
			if err != nil || !x.is(api.PutBlob) {
				x.refuse(api.ForwardFailed)
				return
			}
			upload := uploadOf(raw)
			x.body = events(lie(t, m, other, upload, blob.Name(x.sent), int64(len(x.sent))), lie(t, other, m, upload, blob.Name(x.sent), int64(len(x.sent))))
		}
		t.Run(what+", all nodes", func(t *testing.T) {
			tp := taped(t)
			play(t, evil{answer: answer})
			c, _ := newClient(t)
			c.Patience = 300 * time.Millisecond
			_, err := c.Send(limited(t), transfer.SendOptions{Paths: []string{path}})
			if !errors.Is(err, blobs.ErrNoCopies) {
				t.Errorf("sent with %v", err)
			}
			if n := len(tp.calls(api.CommitUpload.Info)); n > 0 {
				t.Errorf("%d commits", n)
			}
		})
		t.Run(what+", one node", func(t *testing.T) {
			var liar atomic.Pointer[front]
			play(t, evil{answer: func(x *exchange) {
				if x.is(api.PutBlob) && x.req.Header.Get(api.HeaderCopies) == "2" {
					liar.CompareAndSwap(nil, x.at)
				}
				if x.at == liar.Load() {
					answer(x)
				}
			}})
			send(t, transfer.SendOptions{Paths: []string{path}})
		})
	}
}

func memberOf(f *front) *member {
	for _, m := range service.nodes {
		if m.front == f {
			return m
		}
	}
	return nil
}

// uploadOf reads an upload ticket without its key.
func uploadOf(envelope []byte) id.Upload {
	var t ticket.UploadTicket
	e, err := wire.Parse(envelope)
	if err == nil {
		err = wire.Unmarshal(e.Payload, wire.MaxEnvelope, &t)
	}
	if err != nil {
		panic(err)
	}
	return t.Upload
}

func events(receipts ...string) []byte {
	var b bytes.Buffer
	for _, r := range receipts {
		if err := json.NewEncoder(&b).Encode(api.Event{Receipt: r}); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

// TestThreat24DependentNodes: the server offers two nodes of one law and company,
// under a ticket of its own making; then it offers good ones, and two dependent
// ones sign.
func TestThreat24DependentNodes(t *testing.T) {
	path := writeFile(t, t.TempDir()+"/f", noise(small, 73))
	first, second, third := service.nodes[0], service.nodes[dependent], service.nodes[1]
	offer := func(members ...*member) func(x *exchange) {
		return func(x *exchange) {
			if !x.is(api.OpenUpload.Info) && !x.is(api.GetUpload.Info) {
				return
			}
			rewrite(x, func(g *api.UploadGrant) {
				var chain []ticket.Place
				g.Nodes = nil
				for _, m := range members {
					declared := health(t, m).Declaration
					chain = append(chain, ticket.Place{Node: m.id(), URL: m.url})
					g.Nodes = append(g.Nodes, api.Node{ID: m.id(), URL: m.url, Declaration: declared})
				}
				text, err := ticket.SignText(strangerKey(), ticket.UploadTicket{
					Upload: g.Upload, Chains: [][]ticket.Place{chain}, Budget: g.Budget, Expires: g.Expires,
				})
				if err != nil {
					t.Error(err)
				}
				g.Ticket = text
			})
		}
	}
	t.Run("offered", func(t *testing.T) {
		tp := taped(t)
		play(t, evil{answer: offer(first, second)})
		c, _ := newClient(t)
		if _, err := c.Send(limited(t), transfer.SendOptions{Paths: []string{path}}); !errors.Is(err, blobs.ErrPlacement) {
			t.Errorf("sent with %v", err)
		}
		if n := len(tp.calls(api.PutBlob)); n > 0 {
			t.Errorf("%d blobs were sent", n)
		}
	})
	t.Run("signing", func(t *testing.T) {
		tp := taped(t)
		play(t, evil{
			request: func(x *exchange) bool {
				if x.is(api.ForwardBlobs) {
					return x.refuse(api.ForwardFailed)
				}
				if !x.is(api.PutBlob) {
					return false
				}
				raw, err := ticket.ParseText(x.req.Header.Get(api.HeaderTicket))
				if err != nil {
					t.Error(err)
				}
				stored := ticket.Stored{Name: blob.Name(x.sent), Size: int64(len(x.sent))}
				x.status, x.header = http.StatusOK, http.Header{"Content-Type": {api.TypeEvents}}
				x.body = events(receipt(t, first, uploadOf(raw), stored), receipt(t, second, uploadOf(raw), stored))
				return true
			},
			answer: offer(first, second, third),
		})
		c, _ := newClient(t)
		c.Patience = 300 * time.Millisecond
		if _, err := c.Send(limited(t), transfer.SendOptions{Paths: []string{path}}); !errors.Is(err, blobs.ErrNoCopies) {
			t.Errorf("sent with %v", err)
		}
		if n := len(tp.calls(api.CommitUpload.Info)); n > 0 {
			t.Errorf("%d commits", n)
		}
	})
}

func health(t testing.TB, m *member) api.Health {
	h, err := api.GetHealth.Call(t.Context(), api.Caller{Base: m.real, HTTP: http.DefaultClient}, api.Args{}, api.Empty{})
	if err != nil {
		t.Error(err)
	}
	return h
}

// garbage is what a broken or malicious node may answer to a read.
var garbage = map[string]func(x *exchange){
	"a flipped bit":       func(x *exchange) { x.body = bytes.Clone(x.body); x.body[len(x.body)/2] ^= 1 },
	"the last bit":        func(x *exchange) { x.body = bytes.Clone(x.body); x.body[len(x.body)-1] ^= 0x80 },
	"the first bit":       func(x *exchange) { x.body = bytes.Clone(x.body); x.body[0] ^= 1 },
	"zeros":               func(x *exchange) { x.body = make([]byte, len(x.body)) },
	"noise":               func(x *exchange) { x.body = noise(len(x.body), 80) },
	"cut short":           func(x *exchange) { x.body = x.body[:len(x.body)-1] },
	"too long":            func(x *exchange) { x.body = append(bytes.Clone(x.body), 0) },
	"nothing":             func(x *exchange) { x.body = nil },
	"a page":              func(x *exchange) { x.body = []byte("<html>Welcome</html>"); x.header.Set("Content-Type", "text/html") },
	"not found":           func(x *exchange) { x.refuse(api.BlobUnknown) },
	"broken disk":         func(x *exchange) { x.refuse(api.NodeIO) },
	"a redirect":          func(x *exchange) { x.status = 302; x.header.Set("Location", service.front.url+"/stolen"); x.body = nil },
	"another protocol":    func(x *exchange) { x.refuse(api.UnknownVersion) },
	"success of no bytes": func(x *exchange) { x.status, x.body = http.StatusNoContent, nil },
}

// TestThreat25OneNode: one node answers garbage: the read takes the next copy,
// and the fault is recorded.
func TestThreat25OneNode(t *testing.T) {
	for _, size := range []int{small, large} {
		s := shared(t, size, 1)
		for what, spoil := range garbage {
			t.Run(fmt.Sprintf("%d bytes, %s", size, what), func(t *testing.T) {
				var liar atomic.Pointer[front]
				play(t, evil{answer: func(x *exchange) {
					if x.req.Method != "GET" || x.at == service.front {
						return
					}
					liar.CompareAndSwap(nil, x.at)
					if x.at == liar.Load() {
						spoil(x)
					}
				}})
				tp := taped(t)
				g := s.whole(t)
				found := false
				for _, f := range g.faults {
					found = found || f.Node.URL == liar.Load().url
					if f.Node.URL != liar.Load().url {
						t.Errorf("an honest node is blamed: %v", f.Err)
					}
				}
				if !found {
					t.Error("no fault was recorded")
				}
				for _, x := range tp.ofClients() {
					if x.req.URL.Path == "/stolen" {
						t.Error("a redirect was followed with the ticket")
					}
				}
			})
		}
	}
}

// TestThreat25AllNodes: every copy is damaged: an integrity failure that names
// the blob and the nodes, and nothing is left.
func TestThreat25AllNodes(t *testing.T) {
	for _, size := range []int{small, large} {
		s := shared(t, size, 1)
		for _, what := range []string{"a flipped bit", "cut short", "noise"} {
			t.Run(strconv.Itoa(size)+" bytes, "+what, func(t *testing.T) {
				play(t, evil{answer: func(x *exchange) {
					if x.req.Method == "GET" && x.at != service.front {
						garbage[what](x)
					}
				}})
				s.refused(t, blobs.ErrDamaged)
			})
		}
	}
}
