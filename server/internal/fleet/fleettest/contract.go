package fleettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/server/internal/fleet"
)

// Opened is an empty store, with what is done to it elsewhere than through fleet.Store.
type Opened struct {
	fleet.Store
	// Order gives nodes the order to delete an upload.
	Order func(ctx context.Context, upload id.Upload, nodes []id.Node, day int64) error
	// RaiseEpoch begins a new epoch above the one named.
	RaiseEpoch func(ctx context.Context, above int64) (int64, error)
}

// Contract checks what fleet.Store promises.
func Contract(t *testing.T, open func(t *testing.T) Opened) {
	for name, check := range map[string]func(*testing.T, Opened){
		"an invite is good once":                    inviteOnce,
		"an invite expires":                         inviteExpires,
		"of many joins with one invite one is made": inviteRace,
		"a refused join leaves the invite":          inviteKept,
		"members come back as they were stored":     membersKept,
		"renewing":                                  renewing,
		"removing":                                  removing,
		"the newest beat stays":                     beats,
		"progress grows, loss stays":                reports,
		"orders are numbered without gaps":          numbering,
		"orders are read in parts":                  parts,
		"the first receipt stays":                   receipts,
		"a new epoch":                               epochs,
		"orders are forgotten":                      forgetting,
	} {
		t.Run(name, func(t *testing.T) { check(t, open(t)) })
	}
}

var start = time.Unix(2_000_000_000, 0)

func invite(t *testing.T, s Opened, n byte, life time.Duration) [32]byte {
	t.Helper()
	hash := [32]byte{n, 1}
	if err := s.AddInvite(t.Context(), fleet.Invitation{Hash: hash, Expires: start.Add(life)}, start); err != nil {
		t.Fatal(err)
	}
	return hash
}

// admitted stores a new member under a URL.
func admitted(t *testing.T, s Opened, url string) fleet.Member {
	t.Helper()
	hash := [32]byte{0xff}
	if err := s.AddInvite(t.Context(), fleet.Invitation{Hash: hash, Expires: start.Add(time.Hour)}, start); err != nil {
		t.Fatal(err)
	}
	m := NewNode(t, NewClock(), "Alpha", "DE", url).Member(t)
	if err := s.AdmitNode(t.Context(), m, hash, start); err != nil {
		t.Fatal(err)
	}
	return m
}

func members(t *testing.T, s Opened) []fleet.Member {
	t.Helper()
	all, err := s.Members(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) || (got == nil) != (want == nil) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func inviteOnce(t *testing.T, s Opened) {
	clock := NewClock()
	hash, other := invite(t, s, 1, time.Hour), invite(t, s, 2, time.Hour)
	wrong := hash
	wrong[31] ^= 1
	a, b := NewNode(t, clock, "A", "DE", "https://a.example"), NewNode(t, clock, "B", "NZ", "https://b.example")
	wantErr(t, "wrong hash", s.AdmitNode(t.Context(), a.Member(t), wrong, start), fleet.ErrInvite)
	wantErr(t, "first use", s.AdmitNode(t.Context(), a.Member(t), hash, start), nil)
	wantErr(t, "second use", s.AdmitNode(t.Context(), b.Member(t), hash, start), fleet.ErrInvite)
	wantErr(t, "the other invite", s.AdmitNode(t.Context(), b.Member(t), other, start), nil)
	if n := len(members(t, s)); n != 2 {
		t.Errorf("%d members", n)
	}
}

func inviteExpires(t *testing.T, s Opened) {
	hash := invite(t, s, 1, time.Minute)
	m := NewNode(t, NewClock(), "A", "DE", "https://a.example").Member(t)
	wantErr(t, "at the end", s.AdmitNode(t.Context(), m, hash, start.Add(time.Minute)), fleet.ErrInvite)
	wantErr(t, "a second before", s.AdmitNode(t.Context(), m, hash, start.Add(time.Minute-time.Second)), nil)
}

func inviteRace(t *testing.T, s Opened) {
	hash := invite(t, s, 1, time.Hour)
	const tries = 6
	results := make([]error, tries)
	var all sync.WaitGroup
	for i := range tries {
		m := NewNode(t, NewClock(), "A", "DE", fmt.Sprintf("https://%d.example", i)).Member(t)
		all.Go(func() { results[i] = s.AdmitNode(t.Context(), m, hash, start) })
	}
	all.Wait()
	joined := 0
	for _, err := range results {
		if err == nil {
			joined++
		} else {
			wantErr(t, "the others", err, fleet.ErrInvite)
		}
	}
	if joined != 1 || len(members(t, s)) != 1 {
		t.Errorf("%d joined, %d members", joined, len(members(t, s)))
	}
}

func inviteKept(t *testing.T, s Opened) {
	first := admitted(t, s, "https://a.example")
	hash := invite(t, s, 1, time.Hour)
	clash := NewNode(t, NewClock(), "B", "NZ", "https://a.example").Member(t)
	wantErr(t, "URL taken", s.AdmitNode(t.Context(), clash, hash, start), fleet.ErrPlaceTaken)
	wantErr(t, "member already", s.AdmitNode(t.Context(), first, hash, start), fleet.ErrKnown)
	clash.Place = "https://b.example"
	wantErr(t, "with the same invite", s.AdmitNode(t.Context(), clash, hash, start), nil)
}

func membersKept(t *testing.T, s Opened) {
	if all := members(t, s); len(all) != 0 {
		t.Fatalf("%d members at first", len(all))
	}
	want := []fleet.Member{admitted(t, s, "https://z.example"), admitted(t, s, "https://a.example"), admitted(t, s, "https://m.example")}
	if got := members(t, s); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if epoch, err := s.Epoch(t.Context()); err != nil || epoch != 1 {
		t.Errorf("epoch %d, %v", epoch, err)
	}
}

func renewing(t *testing.T, s Opened) {
	m, other := admitted(t, s, "https://a.example"), admitted(t, s, "https://b.example")
	before := m.Declaration
	m.Declaration, m.Place, m.Superseded = []byte("new"), "https://c.example", [][32]byte{{1}, {2}}
	wantErr(t, "not what is there", s.RenewNode(t.Context(), m, []byte("old")), fleet.ErrChanged)
	wantErr(t, "renewed", s.RenewNode(t.Context(), m, before), nil)
	wantErr(t, "again", s.RenewNode(t.Context(), m, before), fleet.ErrChanged)
	if got := members(t, s)[0]; !reflect.DeepEqual(got, m) {
		t.Errorf("got  %+v\nwant %+v", got, m)
	}
	taken := m
	taken.Place, taken.Declaration = other.Place, []byte("newer")
	wantErr(t, "another's URL", s.RenewNode(t.Context(), taken, m.Declaration), fleet.ErrPlaceTaken)
	if got := members(t, s)[0]; !bytes.Equal(got.Declaration, m.Declaration) {
		t.Error("a refused renewal was stored")
	}
	unknown := NewNode(t, NewClock(), "X", "IS", "https://x.example").Member(t)
	wantErr(t, "no member", s.RenewNode(t.Context(), unknown, unknown.Declaration), fleet.ErrUnknownNode)
}

func removing(t *testing.T, s Opened) {
	m := admitted(t, s, "https://a.example")
	wantErr(t, "nobody", s.RemoveNode(t.Context(), id.Node{9}), fleet.ErrUnknownNode)
	wantErr(t, "removed", s.RemoveNode(t.Context(), m.Node), nil)
	wantErr(t, "again", s.RemoveNode(t.Context(), m.Node), fleet.ErrUnknownNode)
	if got := members(t, s); len(got) != 1 || !got[0].Removed {
		t.Errorf("%+v", got)
	}
	wantErr(t, "renewed", s.RenewNode(t.Context(), m, m.Declaration), fleet.ErrUnknownNode)
	hash := invite(t, s, 3, time.Hour)
	wantErr(t, "joined again", s.AdmitNode(t.Context(), m, hash, start), fleet.ErrKnown)
	successor := NewNode(t, NewClock(), "B", "NZ", "https://a.example").Member(t)
	wantErr(t, "its URL is free", s.AdmitNode(t.Context(), successor, hash, start), nil)
	ok(t, s.Order(t.Context(), id.Upload{1}, []id.Node{m.Node, successor.Node}, 5))
	ok(t, s.Order(t.Context(), id.Upload{2}, []id.Node{m.Node, successor.Node}, 5))
	wantIssued(t, s, m.Node, 1, 0)
	wantIssued(t, s, successor.Node, 1, 2)
	ok(t, s.RemoveNode(t.Context(), successor.Node))
	if left := orders(t, s, successor.Node, fleet.Progress{Epoch: 1}, 10); len(left) != 0 {
		t.Errorf("orders that nobody will fetch: %+v", left)
	}
}

func beats(t *testing.T, s Opened) {
	a, b := admitted(t, s, "https://a.example"), admitted(t, s, "https://b.example")
	first := fleet.Beat{Node: a.Node, SeenAt: 100, ToldAt: 90, Used: 1, Capacity: 2, ReadOnly: true, Program: "one"}
	second := fleet.Beat{Node: a.Node, SeenAt: 101, ToldAt: 80, Used: 3, Capacity: 4, Held: true, Program: "two"}
	back := fleet.Beat{Node: a.Node, SeenAt: 40, ToldAt: 41, Used: 5, Capacity: 6, Program: "clock set back"}
	other := fleet.Beat{Node: b.Node, SeenAt: 7, ToldAt: 8, Used: 9, Capacity: 10, Program: "three"}
	for _, step := range []struct {
		beats []fleet.Beat
		now   int64
		want  fleet.Beat
	}{
		{[]fleet.Beat{first, other}, 101, first}, {[]fleet.Beat{second}, 101, second}, {[]fleet.Beat{first}, 101, second},
		{[]fleet.Beat{{Node: id.Node{9}, SeenAt: 1}}, 101, second}, {nil, 101, second}, {[]fleet.Beat{back}, 41, back},
	} {
		ok(t, s.SaveBeats(t.Context(), step.beats, time.Unix(step.now, 0)))
		if got := members(t, s)[0].Beat; got != step.want {
			t.Errorf("after %+v: %+v", step.beats, got)
		}
	}
	if got := members(t, s)[1].Beat; got != other {
		t.Errorf("the other node's: %+v", got)
	}
}

func reports(t *testing.T, s Opened) {
	m := admitted(t, s, "https://a.example")
	for _, step := range []struct {
		report fleet.Report
		done   fleet.Progress
		at     int64
		wiped  int64
	}{
		{fleet.Report{Done: fleet.Progress{Epoch: 1, Number: 5}, DoneAt: 50}, fleet.Progress{Epoch: 1, Number: 5}, 50, 0},
		{fleet.Report{Done: fleet.Progress{Epoch: 1, Number: 4}, DoneAt: 60}, fleet.Progress{Epoch: 1, Number: 5}, 50, 0},
		{fleet.Report{Done: fleet.Progress{Epoch: 1, Number: 5}, DoneAt: 70, WipedDay: 9}, fleet.Progress{Epoch: 1, Number: 5}, 50, 9},
		{fleet.Report{Done: fleet.Progress{Epoch: 2, Number: 1}, DoneAt: 80, WipedDay: 11}, fleet.Progress{Epoch: 2, Number: 1}, 80, 9},
		{fleet.Report{Done: fleet.Progress{Epoch: 1, Number: 9}, DoneAt: 90}, fleet.Progress{Epoch: 2, Number: 1}, 80, 9},
	} {
		step.report.Node = m.Node
		ok(t, s.SaveReport(t.Context(), step.report))
		if got := members(t, s)[0]; got.Done != step.done || got.DoneAt != step.at || got.WipedDay != step.wiped {
			t.Errorf("after %+v: done %+v at %d, wiped %d", step.report, got.Done, got.DoneAt, got.WipedDay)
		}
	}
	wantErr(t, "nobody's report", s.SaveReport(t.Context(), fleet.Report{Node: id.Node{9}}), fleet.ErrUnknownNode)
}

func orders(t *testing.T, s Opened, node id.Node, after fleet.Progress, limit int) []fleet.Order {
	t.Helper()
	all, err := s.Orders(t.Context(), node, after, limit)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func wantIssued(t *testing.T, s Opened, node id.Node, epoch, number int64) {
	t.Helper()
	if got, err := s.Issued(t.Context(), node); err != nil || got != (fleet.Progress{Epoch: epoch, Number: number}) {
		t.Errorf("issued %+v, %v", got, err)
	}
}

func numbering(t *testing.T, s Opened) {
	a, b := admitted(t, s, "https://a.example").Node, admitted(t, s, "https://b.example").Node
	ok(t, s.Order(t.Context(), id.Upload{1}, []id.Node{a, b, a}, 100)) // named twice, ordered once
	ok(t, s.Order(t.Context(), id.Upload{2}, []id.Node{b}, 101))
	ok(t, s.Order(t.Context(), id.Upload{3}, []id.Node{b, a}, 102))
	ok(t, s.Order(t.Context(), id.Upload{4}, nil, 103))
	wantErr(t, "a stranger among them", s.Order(t.Context(), id.Upload{5}, []id.Node{a, {9}}, 104), fleet.ErrUnknownNode)
	order := func(number int64, upload byte, day int64) fleet.Order {
		return fleet.Order{Progress: fleet.Progress{Epoch: 1, Number: number}, Action: ticket.DeleteUpload, Upload: id.Upload{upload}, Day: day}
	}
	for node, want := range map[id.Node][]fleet.Order{
		a: {order(1, 1, 100), order(2, 3, 102)},
		b: {order(1, 1, 100), order(2, 2, 101), order(3, 3, 102)},
	} {
		if got := orders(t, s, node, fleet.Progress{Epoch: 1}, 10); !slices.Equal(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		wantIssued(t, s, node, 1, int64(len(want)))
	}
	_, err := s.Issued(t.Context(), id.Node{9})
	wantErr(t, "a stranger's orders", err, fleet.ErrUnknownNode)
}

func parts(t *testing.T, s Opened) {
	a := admitted(t, s, "https://a.example").Node
	for i := range 7 {
		ok(t, s.Order(t.Context(), id.Upload{byte(i)}, []id.Node{a}, 100))
	}
	var numbers []int64
	for at := (fleet.Progress{Epoch: 1}); ; {
		some := orders(t, s, a, at, 3)
		for _, o := range some {
			numbers = append(numbers, o.Number)
			at = o.Progress
		}
		if len(some) == 0 {
			break
		}
	}
	if !slices.Equal(numbers, []int64{1, 2, 3, 4, 5, 6, 7}) {
		t.Errorf("read %v", numbers)
	}
	if some := orders(t, s, a, fleet.Progress{Epoch: 2}, 10); len(some) != 0 {
		t.Errorf("orders of another epoch: %v", some)
	}
	if some := orders(t, s, id.Node{9}, fleet.Progress{Epoch: 1}, 10); len(some) != 0 {
		t.Errorf("orders of nobody: %v", some)
	}
}

func receipts(t *testing.T, s Opened) {
	a, b := admitted(t, s, "https://a.example").Node, admitted(t, s, "https://b.example").Node
	ok(t, s.Order(t.Context(), id.Upload{1}, []id.Node{a, b}, 100))
	ok(t, s.Order(t.Context(), id.Upload{2}, []id.Node{a, b}, 100))
	one, two := fleet.Progress{Epoch: 1, Number: 1}, fleet.Progress{Epoch: 1, Number: 2}
	answer := func(at fleet.Progress, outcome ticket.Outcome) {
		t.Helper()
		ok(t, s.SaveReport(t.Context(), fleet.Report{Node: a, Receipts: []fleet.Answered{{Progress: at, Outcome: outcome, Receipt: []byte("signed")}}}))
	}
	answer(one, ticket.Done)
	answer(one, ticket.Refused)
	answer(two, ticket.Refused)
	answer(fleet.Progress{Epoch: 1, Number: 3}, ticket.Done) // no such order
	check := func(node id.Node, at fleet.Progress, want ticket.Outcome) {
		t.Helper()
		found, err := s.OrdersAt(t.Context(), node, []fleet.Progress{at, {Epoch: 1, Number: 3}, {Epoch: 4, Number: 1}})
		if err != nil || len(found) != 1 || found[at].Outcome != want || found[at].Upload != (id.Upload{byte(at.Number)}) {
			t.Errorf("%+v: %+v, %v", at, found, err)
		}
	}
	check(a, one, ticket.Done)
	check(a, two, ticket.Refused)
	check(b, one, 0)
	answer(two, ticket.Done) // its owner agreed later
	check(a, two, ticket.Done)
}

func epochs(t *testing.T, s Opened) {
	a, b := admitted(t, s, "https://a.example").Node, admitted(t, s, "https://b.example").Node
	for i := range byte(4) {
		ok(t, s.Order(t.Context(), id.Upload{i}, []id.Node{a}, 100))
	}
	ok(t, s.SaveReport(t.Context(), fleet.Report{Node: a, Receipts: []fleet.Answered{{Progress: fleet.Progress{Epoch: 1, Number: 2}, Outcome: ticket.Done, Receipt: []byte("signed")}}}))
	for _, c := range []struct{ above, want int64 }{{0, 2}, {7, 8}, {3, 9}} {
		if epoch, err := s.RaiseEpoch(t.Context(), c.above); err != nil || epoch != c.want {
			t.Fatalf("raised above %d: %d, %v", c.above, epoch, err)
		}
	}
	if epoch, err := s.Epoch(t.Context()); err != nil || epoch != 9 {
		t.Errorf("epoch %d, %v", epoch, err)
	}
	ok(t, s.Order(t.Context(), id.Upload{4}, []id.Node{a, b}, 101))
	var uploads []byte
	for i, o := range orders(t, s, a, fleet.Progress{Epoch: 9}, 10) {
		if o.Epoch != 9 || o.Number != int64(i+1) {
			t.Errorf("order %d of epoch %d", o.Number, o.Epoch)
		}
		uploads = append(uploads, o.Upload[0])
	}
	if !bytes.Equal(uploads, []byte{0, 2, 3, 4}) { // 1 was answered
		t.Errorf("uploads %v", uploads)
	}
	if some := orders(t, s, b, fleet.Progress{Epoch: 9}, 10); len(some) != 1 || some[0].Number != 1 {
		t.Errorf("the other node: %+v", some)
	}
	wantIssued(t, s, a, 9, 4)
	if some := orders(t, s, a, fleet.Progress{Epoch: 1}, 10); len(some) != 1 || some[0].Number != 2 {
		t.Errorf("left of the first epoch: %+v", some)
	}
	old, err := s.OrdersAt(t.Context(), a, []fleet.Progress{{Epoch: 1, Number: 1}, {Epoch: 1, Number: 2}})
	if err != nil || len(old) != 1 || old[fleet.Progress{Epoch: 1, Number: 2}].Outcome != ticket.Done {
		t.Errorf("of the first epoch: %+v, %v", old, err)
	}
}

// forgetting: orders given on days 100 to 105, of which b did nothing, and a all
// but the last.
func forgetting(t *testing.T, s Opened) {
	a, b := admitted(t, s, "https://a.example").Node, admitted(t, s, "https://b.example").Node
	for i := range int64(6) {
		ok(t, s.Order(t.Context(), id.Upload{byte(i)}, []id.Node{a, b}, 100+i))
	}
	report := fleet.Report{Node: a, Done: fleet.Progress{Epoch: 1, Number: 5}}
	for n := range int64(5) {
		report.Receipts = append(report.Receipts, fleet.Answered{Progress: fleet.Progress{Epoch: 1, Number: n + 1}, Outcome: ticket.Done, Receipt: []byte("signed")})
	}
	ok(t, s.SaveReport(t.Context(), report))
	left := func(node id.Node) (numbers []int64) {
		t.Helper()
		for _, o := range orders(t, s, node, fleet.Progress{Epoch: 1}, 10) {
			numbers = append(numbers, o.Number)
		}
		return numbers
	}
	for _, step := range []struct {
		before int64
		limit  int
		gone   int
		left   []int64
	}{
		{100, 10, 0, []int64{1, 2, 3, 4, 5, 6}}, {102, 1, 1, []int64{2, 3, 4, 5, 6}}, {102, 10, 1, []int64{3, 4, 5, 6}},
		{1000, 10, 2, []int64{5, 6}}, {1000, 10, 0, []int64{5, 6}},
	} {
		gone, err := s.ForgetOrders(t.Context(), step.before, step.limit)
		if err != nil || gone != step.gone || !slices.Equal(left(a), step.left) {
			t.Errorf("before day %d, at most %d: %d gone, %v left, %v", step.before, step.limit, gone, left(a), err)
		}
	}
	if got := left(b); len(got) != 6 {
		t.Errorf("of those that were not done: %v", got)
	}
	wantIssued(t, s, a, 1, 6)
}
