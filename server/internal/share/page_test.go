package share_test

import (
	"fmt"
	"slices"
	"testing"

	"holdfast/format/id"
	"holdfast/server/internal/servertest"
	"holdfast/server/internal/share"
)

// all follows the cursor to the end.
func (r *rig) all(send *servertest.Send, session string, ids []id.Revision) (revisions []share.Placed, pages int) {
	r.Helper()
	for cursor := ""; ; pages++ {
		p, err := r.Revisions(r.Context(), send.Link.Handle, session, ids, cursor)
		r.must(err)
		r.readable(p)
		extents := 0
		for _, rev := range p.Revisions {
			extents += len(rev.Extents)
		}
		if extents > share.PageExtents {
			r.Fatalf("%d extents in one answer", extents)
		}
		revisions = append(revisions, p.Revisions...)
		if cursor = p.Next; cursor == "" {
			return revisions, pages + 1
		}
	}
}

func checkRevisions(t *testing.T, have []share.Placed, want ...int) func(*servertest.Send) {
	t.Helper()
	return func(s *servertest.Send) {
		t.Helper()
		if len(have) != len(want) {
			t.Fatalf("%d revisions, want %d", len(have), len(want))
		}
		for i, n := range want {
			w := s.Page.Revisions[n]
			if have[i].ID != w.ID || have[i].ReleaseKey != w.ReleaseKey || have[i].Count != len(w.Extents) {
				t.Fatalf("revision %d: %+v", i, have[i].Revision)
			}
		}
	}
}

// TestPagesOfManySmallFiles: 4,000 files in a few packs.
func TestPagesOfManySmallFiles(t *testing.T) {
	r := newRig(t)
	send := r.sent(nil, slices.Repeat([]int64{10_000}, 4000)...)
	session := r.start(send).Session
	have, pages := r.all(send, session, nil)
	order := make([]int, 4000)
	for i := range order {
		order[i] = i
	}
	checkRevisions(t, have, order...)(send)
	if pages != 2 {
		t.Errorf("%d pages", pages)
	}
	p, err := r.Revisions(t.Context(), send.Link.Handle, session, nil, "")
	r.must(err)
	if len(p.Tickets) != 1 { // neighbours are read as one range
		t.Errorf("%d tickets for %d blobs", len(p.Tickets), len(p.Blobs))
	}
}

// TestEverySecondFile: parts of one blob that do not touch take several tickets.
func TestEverySecondFile(t *testing.T) {
	r := newRig(t)
	send := r.sent(nil, slices.Repeat([]int64{1000}, 600)...)
	var ids []id.Revision
	var want []int
	for i := 598; i >= 0; i -= 2 {
		ids = append(ids, send.Page.Revisions[i].ID)
		want = append(want, i)
	}
	have, pages := r.all(send, r.start(send).Session, ids)
	checkRevisions(t, have, want...)(send)
	if pages != 1 {
		t.Errorf("%d pages", pages)
	}
}

// TestLargeFile: one revision with more extents than an answer carries.
func TestLargeFile(t *testing.T) {
	r := newRig(t)
	send := r.sent(nil, 1000, 17<<30, 2000)
	session := r.start(send).Session
	have, pages := r.all(send, session, nil)
	checkRevisions(t, have, 0, 1, 2)(send)
	if pages != 3 || len(have[1].Extents) != share.PageExtents {
		t.Errorf("%d pages, %d extents", pages, len(have[1].Extents))
	}
	extents := len(have[1].Extents)
	for from := extents; from < have[1].Count; {
		p, err := r.Extents(t.Context(), send.Link.Handle, share.Key{Session: session}, have[1].ID, from, 1<<30)
		r.must(err)
		r.readable(&p.Page)
		if p.Count != have[1].Count || len(p.Extents) == 0 {
			t.Fatalf("from %d: %d of %d", from, len(p.Extents), p.Count)
		}
		from += len(p.Extents)
		extents += len(p.Extents)
	}
	if extents != len(send.Page.Revisions[1].Extents) {
		t.Errorf("%d extents of %d", extents, len(send.Page.Revisions[1].Extents))
	}
	beyond, err := r.Extents(t.Context(), send.Link.Handle, share.Key{Session: session}, have[1].ID, have[1].Count, 5)
	if err != nil || len(beyond.Extents) != 0 {
		t.Errorf("beyond the end: %v, %v", beyond, err)
	}
}

func TestNamedRevisionsInPages(t *testing.T) {
	r := newRig(t)
	send := r.sent(nil, slices.Repeat([]int64{1000}, 3000)...)
	var ids []id.Revision
	var want []int
	for i := range send.Page.Revisions {
		ids = append(ids, send.Page.Revisions[i].ID)
		want = append(want, i)
	}
	slices.Reverse(ids)
	slices.Reverse(want)
	have, pages := r.all(send, r.start(send).Session, ids)
	checkRevisions(t, have, want...)(send)
	if pages != 2 {
		t.Errorf("%d pages", pages)
	}
}

func TestBadRequests(t *testing.T) {
	r := newRig(t)
	send := r.sent(nil, 1000)
	session := r.start(send).Session
	handle, known := send.Link.Handle, send.Page.Revisions[0].ID
	for name, ask := range map[string]func() error{
		"cursor of letters": func() error { _, err := r.Revisions(t.Context(), handle, session, nil, "x"); return err },
		"negative cursor":   func() error { _, err := r.Revisions(t.Context(), handle, session, nil, "-1"); return err },
		"huge cursor": func() error {
			_, err := r.Revisions(t.Context(), handle, session, nil, "9223372036854775808")
			return err
		},
		"cursor with plus": func() error { _, err := r.Revisions(t.Context(), handle, session, nil, "+1"); return err },
		"cursor beyond list": func() error {
			_, err := r.Revisions(t.Context(), handle, session, []id.Revision{known}, "1")
			return err
		},
		"very many ids": func() error {
			_, err := r.Revisions(t.Context(), handle, session, make([]id.Revision, 1<<14+1), "")
			return err
		},
		"negative from": func() error {
			_, err := r.Extents(t.Context(), handle, share.Key{Session: session}, known, -1, 1)
			return err
		},
		"no count": func() error {
			_, err := r.Extents(t.Context(), handle, share.Key{Session: session}, known, 0, 0)
			return err
		},
		"no key": func() error { _, err := r.Extents(t.Context(), handle, share.Key{}, known, 0, 1); return err },
	} {
		t.Run(name, func(t *testing.T) { r.want(ask(), share.ErrRequest) })
	}
	_, err := r.Revisions(t.Context(), handle, session, []id.Revision{id.New[id.Revision]()}, "")
	r.want(err, share.ErrNotFound)
	p, err := r.Revisions(t.Context(), handle, session, nil, "9223372036854775807")
	if err != nil || len(p.Revisions) != 0 {
		t.Errorf("a cursor behind everything: %v, %v", p, err)
	}
}

// TestNodesByHealth: nodes that are silent come last, and blobs spread over the
// others.
func TestNodesByHealth(t *testing.T) {
	r := newRig(t)
	send := r.sent(nil, 512<<20)
	session := r.start(send).Session
	first := func() map[id.Node]int {
		t.Helper()
		p, err := r.Revisions(t.Context(), send.Link.Handle, session, nil, "")
		r.must(err)
		r.readable(p)
		count := map[id.Node]int{}
		for _, b := range p.Blobs {
			if len(b.Nodes) != 2 {
				t.Fatalf("%d nodes", len(b.Nodes))
			}
			count[p.Nodes[b.Nodes[0]].ID]++
		}
		return count
	}
	ids := r.fleet.IDs()
	if n := first(); n[ids[0]] < 10 || n[ids[1]] < 10 {
		t.Errorf("64 blobs are read first at %v", n)
	}
	r.fleet.Away[ids[0]] = true
	if n := first(); n[ids[0]] != 0 {
		t.Errorf("a silent node comes first: %v", n)
	}
}

// TestNodesThatLeft: a blob whose nodes are gone is listed without a node.
func TestNodesThatLeft(t *testing.T) {
	r := newRig(t)
	send := r.sent(nil, 1000)
	session := r.start(send).Session
	r.fleet.Nodes = r.fleet.Nodes[1:]
	p, err := r.Revisions(t.Context(), send.Link.Handle, session, nil, "")
	r.must(err)
	r.readable(p)
	if len(p.Nodes) != 1 || len(p.Blobs[0].Nodes) != 1 {
		t.Errorf("nodes %v", p.Nodes)
	}
	r.fleet.Nodes = r.fleet.Nodes[1:]
	p, err = r.Revisions(t.Context(), send.Link.Handle, session, nil, "")
	r.must(err)
	if len(p.Nodes) != 0 || len(p.Tickets) != 0 || len(p.Blobs) != 1 || len(p.Blobs[0].Nodes) != 0 || p.Revisions[0].Extents[0].Blob != 0 {
		t.Errorf("page %+v", p)
	}
	if v, err := r.Look(t.Context(), send.Link.Handle, auth(send)); err != nil || len(v.Copies) != 0 {
		t.Errorf("copies %v, %v", v.Copies, err)
	}
}

func TestPositionsAreOpaqueToOthers(t *testing.T) {
	r := newRig(t)
	first, second := r.sent(nil, 1000, 1000), r.sent(nil, 1000)
	session := r.start(second).Session
	p, err := r.Revisions(t.Context(), second.Link.Handle, session, nil, fmt.Sprint(0))
	r.must(err)
	if len(p.Revisions) != 1 || p.Revisions[0].ID == first.Page.Revisions[0].ID {
		t.Errorf("revisions %+v", p.Revisions)
	}
}
