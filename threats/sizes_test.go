package threats

import (
	"errors"
	"fmt"
	"math/bits"
	"net/http"
	"path/filepath"
	"slices"
	"testing"

	"holdfast/api"
	"holdfast/client/transfer"
	"holdfast/format/blob"
	"holdfast/format/id"
)

// padme is docs/format.md §3, written here once more.
func padme(n int64) int64 {
	n = max(n, 1024)
	e := int64(bits.Len64(uint64(n)) - 1)
	s := int64(bits.Len64(uint64(e)))
	m := int64(1)<<(e-s) - 1
	return (n + m) &^ m
}

// streamOf is the length of the stream over a file of n bytes.
func streamOf(n int64) int64 {
	p := padme(n)
	segments := int64(1)
	if p > 262_088 {
		segments += (p - 262_088 + 262_127) / 262_128
	}
	return 40 + p + 16*segments
}

// TestThreat22ClientPads: what the client commits says no more of a size than
// the padding allows, whatever the sizes.
func TestThreat22ClientPads(t *testing.T) {
	dir := t.TempDir()
	var want []int64
	for i, size := range []int64{0, 1, 1000, 1023, 1024, 1025, 1056, 1057, 4097, 65_000, 262_088, 262_089, 1 << 20, 1<<20 + 1, 3_000_000, 8_388_608} {
		writeFile(t, filepath.Join(dir, fmt.Sprint(i)), noise(int(size), 90))
		want = append(want, streamOf(size))
	}
	_, tp := send(t, transfer.SendOptions{Paths: []string{dir}})
	revisions, _ := tp.committed(t)
	var have []int64
	for _, r := range revisions {
		var sum int64
		for _, e := range r.Extents {
			sum += e[2]
		}
		if sum != r.Length {
			t.Errorf("extents of %d bytes for a stream of %d", sum, r.Length)
		}
		have = append(have, r.Length)
	}
	if len(have) != len(want)+1 { // the listing
		t.Fatalf("%d revisions for %d files", len(have), len(want))
	}
	for _, n := range want {
		i := slices.Index(have, n)
		if i < 0 {
			t.Errorf("no stream of %d bytes among %v", n, have)
			continue
		}
		have = slices.Delete(have, i, i+1)
	}
	listing := have[0]
	if plain := listing - 40 - 16*((listing+segmentSize-1)/segmentSize); padme(plain) != plain {
		t.Errorf("the listing's stream of %d bytes is not padded", listing)
	}
}

// TestThreat22ServerRefuses: revisions of lengths that no padded file has.
func TestThreat22ServerRefuses(t *testing.T) {
	h := newSender(t)
	d := h.add(noise(small, 91), "file")
	h.add(noise(9000, 92), "room for longer ones")
	h.store()
	valid := map[int64]bool{}
	for n := int64(0); n < 12_000; n++ {
		valid[streamOf(n)] = true
	}
	length := streamOf(small)
	req := h.request(h.record(map[uint64]any{1: 1, 2: d}), id.Revision{})
	req.Page.Revisions = req.Page.Revisions[:1]
	r := &req.Page.Revisions[0]
	for _, n := range []int64{1, 39, 40, 56, 57, 1000, 1079, 1081, length - 1, length + 1, length + 16, small, small + 56, padme(small), padme(small) + 40, 40 + 3001 + 16} {
		if valid[n] { // by chance that of another file
			continue
		}
		r.Length, r.Extents = n, []api.Extent{{0, 0, n}}
		if err := h.commit(req); !errors.Is(err, api.RevisionInvalid) {
			t.Errorf("%d bytes: committed with %v", n, err)
		}
	}
	for what, c := range map[string]api.RevisionEntry{
		"told longer than its extents":  {RevisionHead: api.RevisionHead{Length: streamOf(5000)}, Extents: []api.Extent{{0, 0, length}}},
		"told shorter than its extents": {RevisionHead: api.RevisionHead{Length: 1080}, Extents: []api.Extent{{0, 0, length}}},
		"beyond its blob":               {RevisionHead: api.RevisionHead{Length: length}, Extents: []api.Extent{{0, int64(len(h.pack)) - 1, length}}},
	} {
		r.Length, r.Extents = c.Length, c.Extents
		if err := h.commit(req); !errors.Is(err, api.RevisionInvalid) {
			t.Errorf("%s: committed with %v", what, err)
		}
	}
	r.Length, r.Extents = length, []api.Extent{{0, 0, length}}
	h.mustCommit(req)
}

// TestThreat23SameFileTwice: one file, sent by two people and twice by one, makes
// no equal blob, and no answer that differs.
func TestThreat23SameFileTwice(t *testing.T) {
	for _, size := range []int{small, 9 << 20} {
		path := writeFile(t, filepath.Join(t.TempDir(), "same"), noise(size, 93))
		seen := map[id.Name]bool{}
		var first []string
		for n := range 3 {
			_, tp := send(t, transfer.SendOptions{Paths: []string{path}})
			var answers []string
			for name := range tp.bodies() {
				if seen[name] {
					t.Errorf("send %d of %d bytes repeats blob %s", n, size, name)
				}
			}
			for name := range tp.bodies() {
				seen[name] = true
			}
			for _, x := range tp.calls(api.PutBlob) {
				answers = append(answers, fmt.Sprintf("put %s %d %s", x.req.Header.Get(api.HeaderCopies), x.status, x.header.Get("Content-Type")))
			}
			for _, x := range append(tp.calls(api.OpenUpload.Info), tp.calls(api.CommitUpload.Info)...) {
				answers = append(answers, fmt.Sprintf("%s %d", x.req.Method, x.status))
			}
			slices.Sort(answers)
			if first == nil {
				first = answers
			}
			if !slices.Equal(first, answers) {
				t.Errorf("send %d of %d bytes is answered otherwise: %v, %v", n, size, answers, first)
			}
		}
	}
}

// TestThreat23NoConfirmation: who knows a blob of somebody else learns nothing by
// asking for it under an upload of his own, and saves no byte.
func TestThreat23NoConfirmation(t *testing.T) {
	victim := newSender(t)
	d := victim.add(noise(small, 94), "secret")
	victim.store()
	victim.mustCommit(victim.request(victim.record(map[uint64]any{1: 1, 2: d}), id.Revision{}))
	name := blob.Name(victim.pack)
	thief := newSender(t)
	defer thief.abandon()
	for _, m := range chosen(t, thief.grant) {
		caller := api.Caller{Base: m.real, HTTP: http.DefaultClient}
		list, err := api.ListReceipts.Call(t.Context(), caller, api.Args{}, api.ListReceiptsRequest{Ticket: thief.grant.Ticket})
		if err != nil || len(list.Receipts) != 0 || list.Used != 0 {
			t.Errorf("%s lists %d receipts, %d bytes: %v", m.name, len(list.Receipts), list.Used, err)
		}
		known := forward(t, m, thief.grant.Ticket, name)
		unknown := forward(t, m, thief.grant.Ticket, id.New32())
		if known != unknown {
			t.Errorf("%s answers %s for a blob of another upload, %s for none", m.name, known, unknown)
		}
	}
	thief.pack = victim.pack
	tp := taped(t)
	thief.store()
	for _, x := range tp.calls(api.PutBlob) {
		if len(x.sent) != len(victim.pack) {
			t.Errorf("%d bytes passed of a blob of %d", len(x.sent), len(victim.pack))
		}
	}
}

func forward(t *testing.T, m *member, ticket string, name id.Name) string {
	t.Helper()
	status, body := post(t, m.real+"/forward", []byte(`{"ticket":"`+ticket+`","chain":0,"copies":1,"names":["`+name.String()+`"]}`))
	return fmt.Sprintf("%d %s", status, codeOf(t, body))
}
