package node_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/node"
	"holdfast/node/store/storetest"
)

func (f *fleet) forward(n *node.Node, req api.ForwardRequest, blobs ...storetest.Blob) result {
	raw, err := json.Marshal(req)
	must(f.t, err)
	httpReq, err := http.NewRequestWithContext(f.t.Context(), "POST", n.URL()+"/forward", bytes.NewReader(raw))
	must(f.t, err)
	httpReq.Header.Set(api.HeaderVersion, "1")
	httpReq.Header.Set("Content-Type", api.TypeJSON)
	return f.do(httpReq, blobs...)
}

// TestForward resumes an upload whose second copies are missing.
func TestForward(t *testing.T) {
	f := newFleet(t, 3)
	p, s := f.nodes[0], f.nodes[1]
	up := id.New[id.Upload]()
	text := f.ticket(up, budget, f.places()...)
	var blobs []storetest.Blob
	var names []id.Name
	for i := range 10 {
		b := storetest.Make(up, uint64(i), 1000*(i+1))
		f.wantCopies(f.put(p, text, 1, b), p)
		blobs, names = append(blobs, b), append(names, b.Key.Name)
	}
	got := f.forward(p, api.ForwardRequest{Ticket: text, Copies: 2, Names: names}, blobs...)
	if got.err != nil || len(got.receipts) != 1+len(blobs) || got.receipts[0] != p.ID() {
		t.Fatalf("%+v", got)
	}
	for _, b := range blobs {
		if !holds(s, b) || holds(f.nodes[2], b) {
			t.Fatal("the second node should have it, and the third not")
		}
	}
	many := make([]id.Name, ticket.MaxStored+1)
	for _, c := range []struct {
		name string
		req  api.ForwardRequest
		want api.Code
	}{
		{"unknown blob", api.ForwardRequest{Ticket: text, Copies: 2, Names: []id.Name{names[0], {1}}}, api.BlobUnknown},
		{"twice", api.ForwardRequest{Ticket: text, Copies: 2, Names: []id.Name{names[0], names[0]}}, api.BadRequest},
		{"none", api.ForwardRequest{Ticket: text, Copies: 2}, api.BadRequest},
		{"too many", api.ForwardRequest{Ticket: text, Copies: 2, Names: many}, api.BadRequest},
		{"no copies", api.ForwardRequest{Ticket: text, Names: names}, api.BadRequest},
		{"too many copies", api.ForwardRequest{Ticket: text, Copies: 4, Names: names}, api.BadRequest},
		{"bad ticket", api.ForwardRequest{Ticket: "x", Copies: 2, Names: names}, api.TicketInvalid},
		{"no such chain", api.ForwardRequest{Ticket: text, Chain: 3, Copies: 2, Names: names}, api.TicketInvalid},
	} {
		t.Run(c.name, func(t *testing.T) { want(t, f.forward(p, c.req, blobs...).err, c.want) })
	}
}

func TestForwardFails(t *testing.T) {
	f := newFleet(t, 1)
	p := f.nodes[0]
	bad := newPeer(t, f, problemPeer(api.ReadOnly))
	up := id.New[id.Upload]()
	text := f.ticket(up, budget, placeOf(p), bad.place())
	b := storetest.Make(up, 1, 1000)
	f.wantCopies(f.put(p, text, 1, b), p)
	got := f.forward(p, api.ForwardRequest{Ticket: text, Copies: 2, Names: []id.Name{b.Key.Name}}, b)
	want(t, got.err, api.ForwardFailed)
	if len(got.receipts) != 1 || len(got.failed) != 1 || got.failed[0].Code != api.ReadOnly {
		t.Fatalf("%+v", got)
	}
}

func listReceipts(t *testing.T, n *node.Node, req api.ListReceiptsRequest) (api.ListReceiptsResponse, error) {
	t.Helper()
	return api.ListReceipts.Call(t.Context(), api.Caller{Base: n.URL(), HTTP: http.DefaultClient}, api.Args{}, req)
}

func TestReceipts(t *testing.T) {
	f := newFleet(t, 2)
	p := f.nodes[0]
	up := id.New[id.Upload]()
	text := f.ticket(up, budget, f.places()...)
	res, err := listReceipts(t, p, api.ListReceiptsRequest{Ticket: text})
	if err != nil || len(res.Receipts) != 0 || res.Used != 0 || res.Next != (id.Name{}) {
		t.Fatalf("nothing yet: %+v, %v", res, err)
	}
	const n = ticket.MaxStored + 7
	sizes := map[id.Name]int64{}
	var used int64
	for i := range n {
		b := storetest.Make(up, uint64(i), 10+i%50)
		must(t, storetest.Put(p.Store(), b, budget))
		sizes[b.Key.Name] = int64(len(b.Data))
		used += int64(len(b.Data))
	}
	stranger := storetest.Make(id.New[id.Upload](), 1, 10)
	must(t, storetest.Put(p.Store(), stranger, budget))
	req := api.ListReceiptsRequest{Ticket: text}
	var pages []int
	for {
		res, err := listReceipts(t, p, req)
		must(t, err)
		if res.Used != used {
			t.Fatalf("used %d, want %d", res.Used, used)
		}
		for _, text := range res.Receipts {
			d := f.members[p.ID()]
			receipt, err := ticket.OpenText[ticket.Receipt](d.Public[:], text)
			must(t, err)
			pages = append(pages, len(receipt.Blobs))
			for _, s := range receipt.Blobs {
				if sizes[s.Name] != s.Size || receipt.Upload != up {
					t.Fatalf("%s with %d bytes", s.Name, s.Size)
				}
				delete(sizes, s.Name)
			}
		}
		if res.Next == (id.Name{}) {
			break
		}
		req.After = res.Next
	}
	if len(sizes) != 0 || len(pages) != 2 || pages[0] != ticket.MaxStored || pages[1] != 7 {
		t.Fatalf("%d blobs are missing; pages %v", len(sizes), pages)
	}
	_, err = listReceipts(t, p, api.ListReceiptsRequest{Ticket: "x"})
	want(t, err, api.TicketInvalid)
	other := f.ticket(up, budget, placeOf(f.nodes[1]), ticket.Place{Node: id.Node{5}, URL: "http://127.0.0.1:1"})
	_, err = listReceipts(t, p, api.ListReceiptsRequest{Ticket: other})
	want(t, err, api.TicketOtherNode)
}
