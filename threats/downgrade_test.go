package threats

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/client/blobs"
	"holdfast/client/fleet"
	"holdfast/client/transfer"
	"holdfast/format/id"
	"holdfast/format/link"
	"holdfast/format/ticket"
)

// TestThreat07Fragment: links of another version or with flags that nobody
// defined, with a checksum that fits, are refused before anything is asked.
func TestThreat07Fragment(t *testing.T) {
	s := shared(t, small, 1)
	tp := taped(t)
	for name, change := range map[string]func(raw []byte){
		"version 0":         func(raw []byte) { raw[0] = 0 },
		"version 2":         func(raw []byte) { raw[0] = 2 },
		"version 255":       func(raw []byte) { raw[0] = 255 },
		"flag 2":            func(raw []byte) { raw[1] = 2 },
		"flag 128":          func(raw []byte) { raw[1] = 128 },
		"password and flag": func(raw []byte) { raw[1] = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			address, fragment, _ := strings.Cut(s.url, "#")
			raw := decoded(t, fragment)
			change(raw)
			sum := sha256.New()
			sum.Write([]byte("holdfast/v1/link-checksum\x00"))
			sum.Write(s.link.Handle[:])
			sum.Write([]byte{1})
			sum.Write(raw[1 : len(raw)-4])
			copy(raw[len(raw)-4:], sum.Sum(nil))
			text := address + "#" + id.Encoding.EncodeToString(raw)
			if _, _, err := link.Parse(text); !errors.Is(err, link.ErrUnknown) {
				t.Errorf("parsed with %v", err)
			}
			if r := run(t, t.TempDir(), "receive", text, "-o", t.TempDir()); r.code != 4 {
				t.Errorf("exit %d: %s", r.code, r.stderr)
			}
		})
	}
	if n := len(tp.ofClients()); n > 0 {
		t.Errorf("%d requests were sent for links that are not known", n)
	}
}

// TestThreat07Record: the server offers records of other versions and kinds.
func TestThreat07Record(t *testing.T) {
	for name, record := range map[string]func(h *sender, d any) []byte{
		"version 0":   func(h *sender, d any) []byte { return versioned(h, d, 0) },
		"version 2":   func(h *sender, d any) []byte { return versioned(h, d, 2) },
		"kind folder": func(h *sender, d any) []byte { return h.record(map[uint64]any{1: 3, 2: d}) },
		"kind 0":      func(h *sender, d any) []byte { return h.record(map[uint64]any{1: 0, 2: d}) },
		"unknown key": func(h *sender, d any) []byte { return h.record(map[uint64]any{1: 1, 2: d, 9: 1}) },
		"parameters":  func(h *sender, d any) []byte { return h.record(map[uint64]any{1: 1, 2: d, 6: 8, 7: 1}) },
		"no content":  func(h *sender, d any) []byte { return h.record(map[uint64]any{1: 1}) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newSender(t)
			d := h.add([]byte("text"), "file")
			h.store()
			h.mustCommit(h.request(record(h, d), id.Revision{}))
			(&specimen{link: h.link}).refused(t)
		})
	}
}

func versioned(h *sender, d any, version byte) []byte {
	raw := h.record(map[uint64]any{1: 1, 2: d})
	raw[0] = version
	return raw
}

// TestThreat07Stretching: nothing that a server says changes what a guess of the
// password costs: the parameters are the program's own, and the answers hold none.
func TestThreat07Stretching(t *testing.T) {
	l := link.New(link.NeedsPassword)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	honestKeys, err := l.Keys("correct horse")
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took < 64<<20 {
		t.Errorf("stretching a password took %d bytes of memory", took)
	}
	tp := taped(t)
	play(t, evil{request: func(x *exchange) bool {
		var everything = map[string]any{
			"protocol": "1", "record": "AQ", "m": 8, "t": 1, "p": 1, "memory": 8 << 30, "iterations": 1 << 30, "kdf": map[string]any{"m": 8, "name": "pbkdf2"},
			"argon2": map[string]any{"memory": 8, "time": 1}, "salt": strings.Repeat("A", 43), "expires": 1, "copies": []any{},
		}
		return x.reply(http.StatusOK, everything)
	}})
	c, _ := newClient(t)
	begun := time.Now()
	_, err = c.Open(limited(t), l, transfer.OpenOptions{Password: "correct horse"})
	if !errors.Is(err, transfer.ErrIntegrity) || time.Since(begun) > 10*time.Second {
		t.Errorf("opened with %v after %s", err, time.Since(begun))
	}
	looks := tp.calls(api.LookLink.Info)
	if len(looks) != 1 || !strings.Contains(string(looks[0].sent), id.Bytes32(honestKeys.Auth).String()) {
		t.Errorf("%d looks; the first with another value than the link's own parameters give", len(looks))
	}
	if n := len(tp.ofClients()); n != 1 {
		t.Errorf("%d requests: something was asked for before or after the password was stretched", n)
	}
}

// TestThreat07Protocol: answers that refuse, or speak, another protocol version.
func TestThreat07Protocol(t *testing.T) {
	s := shared(t, small, 1)
	play(t, evil{request: func(x *exchange) bool { return x.refuse(api.UnknownVersion) }})
	if g := s.receive(t); !errors.Is(g.err, api.UnknownVersion) {
		t.Errorf("received with %v", g.err)
	}
	honest()
	for _, version := range []string{"", "0", "2", "1.0", "01", "1 ", "1, 2"} {
		for _, base := range []string{service.real + "/api/v1/info", service.nodes[0].real + "/health"} {
			req, err := http.NewRequest("GET", base, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header["Holdfast-Version"] = []string{version}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			p := api.ReadProblem(res)
			res.Body.Close()
			if version != "1 " && p.Code != api.UnknownVersion { // net/http trims spaces
				t.Errorf("%s with version %q: %d %s", base, version, res.StatusCode, p.Code)
			}
		}
	}
}

// TestThreat07Info: limits that are absurd do no more than refuse or fail the
// send; no blob leaves.
func TestThreat07Info(t *testing.T) {
	path := writeFile(t, t.TempDir()+"/f", noise(small, 4))
	for name, limits := range map[string]api.Limits{
		"nothing":        {},
		"negative":       {MaxUploadBytes: -1, DefaultDays: -5, MaxDays: -5, MaxDownloads: -1},
		"days overflow":  {MaxUploadBytes: 1 << 40, DefaultDays: 1 << 62, MaxDays: 1 << 62},
		"no default":     {MaxUploadBytes: 1 << 40, MaxDays: 30},
		"bytes too few":  {MaxUploadBytes: 100, DefaultDays: 7, MaxDays: 30},
		"default beyond": {MaxUploadBytes: 1 << 40, DefaultDays: 1000, MaxDays: 30},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, evil{answer: func(x *exchange) {
				if x.is(api.GetInfo.Info) {
					rewrite(x, func(i *api.ServiceInfo) { i.Limits = limits })
				}
			}})
			tp := taped(t)
			c, _ := newClient(t)
			_, err := c.Send(limited(t), transfer.SendOptions{Paths: []string{path}})
			if !errors.Is(err, transfer.ErrLimit) {
				t.Errorf("sent with %v", err)
			}
			if n := len(tp.calls(api.PutBlob)); n > 0 {
				t.Errorf("%d blobs left", n)
			}
		})
	}
}

// TestThreat07Grant: tickets of another type, tickets and nodes that do not fit
// each other, and nodes that do not prove who they are: no byte is sent.
func TestThreat07Grant(t *testing.T) {
	path := writeFile(t, t.TempDir()+"/f", noise(small, 5))
	read := ""
	play(t, evil{answer: func(x *exchange) {
		if x.is(api.GetRevisions.Info) {
			rewrite(x, func(p *api.RevisionsPage) { read = p.Tickets[0].Ticket })
		}
	}})
	shared(t, small, 1).whole(t)
	m := service.nodes[0]
	for name, c := range map[string]struct {
		change func(g *api.UploadGrant)
		want   error
	}{
		"read ticket":    {func(g *api.UploadGrant) { g.Ticket = read }, blobs.ErrGrant},
		"receipt":        {func(g *api.UploadGrant) { g.Ticket = receipt(t, m, g.Upload, ticket.Stored{Name: id.New32(), Size: 1}) }, blobs.ErrGrant},
		"declaration":    {func(g *api.UploadGrant) { g.Ticket = g.Nodes[0].Declaration }, blobs.ErrGrant},
		"no ticket":      {func(g *api.UploadGrant) { g.Ticket = "" }, blobs.ErrGrant},
		"another upload": {func(g *api.UploadGrant) { g.Upload = id.New[id.Upload]() }, blobs.ErrGrant},
		"nodes swapped": {func(g *api.UploadGrant) {
			g.Nodes[0].Declaration, g.Nodes[1].Declaration = g.Nodes[1].Declaration, g.Nodes[0].Declaration
		}, fleet.ErrNode},
		"another address":  {func(g *api.UploadGrant) { g.Nodes[0].URL = service.front.url }, fleet.ErrNode},
		"id not the key's": {func(g *api.UploadGrant) { g.Nodes[0].ID = id.New[id.Node]() }, fleet.ErrNode},
		"node missing":     {func(g *api.UploadGrant) { g.Nodes = g.Nodes[:1] }, blobs.ErrGrant},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, evil{answer: func(x *exchange) {
				if x.is(api.OpenUpload.Info) {
					rewrite(x, c.change)
				}
			}})
			tp := taped(t)
			client, _ := newClient(t)
			_, err := client.Send(limited(t), transfer.SendOptions{Paths: []string{path}})
			if !errors.Is(err, c.want) {
				t.Errorf("sent with %v, want %v", err, c.want)
			}
			if n := len(tp.calls(api.PutBlob)) + len(tp.calls(api.CommitUpload.Info)); n > 0 {
				t.Errorf("%d blobs or commits left", n)
			}
		})
	}
}

// TestThreat07NoParameters: no field of any answer is about algorithms.
func TestThreat07NoParameters(t *testing.T) {
	document := api.OpenAPI(nil)
	for _, word := range []string{"argon", "kdf", "iterations", "cipher", "algorithm", "suite"} {
		if strings.Contains(strings.ToLower(string(document)), word) {
			t.Errorf("the protocol speaks of %q", word)
		}
	}
}
