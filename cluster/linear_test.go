package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"golang.org/x/sync/errgroup"

	"holdfast/api"
	"holdfast/client/account"
	"holdfast/client/drive"
	"holdfast/client/home"
	"holdfast/client/transfer"
	"holdfast/cluster"
	"holdfast/format/journal"
	"holdfast/format/keys"
)

// Histories of several devices that work at once, checked for linearizability
// (Herlihy and Wing 1990) by porcupine: whatever they saw could have been seen if each
// thing had been done at one moment between its beginning and its end.

// verb is what a device does in the folder.
type verb int

const (
	lists verb = iota
	makes
	renames
	removes
)

// act is one of them. Things are numbered, and no name is ever used twice, so that a
// name says which thing it is.
type act struct {
	verb     verb
	item     int
	from, to string
}

// outcome is what the device was told.
type outcome struct {
	// done, or there was nothing of that name, or it was gone when the change came.
	done, absent, void bool
	names              string // of a listing
}

// world is the folder's state: "item=name" of each live thing, sorted.
type world string

func (w world) things() []string {
	if w == "" {
		return nil
	}
	return strings.Split(string(w), " ")
}

func (w world) name(item int) (string, bool) {
	for _, thing := range w.things() {
		if name, ok := strings.CutPrefix(thing, fmt.Sprint(item, "=")); ok {
			return name, true
		}
	}
	return "", false
}

func (w world) with(item int, name string) world {
	things := slices.DeleteFunc(w.things(), func(t string) bool { return strings.HasPrefix(t, fmt.Sprint(item, "=")) })
	if name != "" {
		things = append(things, fmt.Sprint(item, "=", name))
	}
	slices.Sort(things)
	return world(strings.Join(things, " "))
}

func (w world) listing() string {
	var names []string
	for _, thing := range w.things() {
		_, name, _ := strings.Cut(thing, "=")
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// step is the specification. A change is meant for a thing, not for a name: what was
// renamed between a device's look and its change is renamed or removed all the same
// (docs/format.md §23).
func step(state, input, output any) (bool, any) {
	w, a, o := state.(world), input.(act), output.(outcome)
	name, live := w.name(a.item)
	switch {
	case a.verb == lists:
		return o.names == w.listing(), w
	case o.absent:
		return name != a.from, w
	case o.void:
		return !live, w
	case a.verb == makes:
		return !live, w.with(a.item, a.to)
	case a.verb == renames:
		return live, w.with(a.item, a.to)
	default:
		return live, w.with(a.item, "")
	}
}

// folderModel is of a folder that begins as start.
func folderModel(start world) porcupine.Model {
	return porcupine.Model{Init: func() any { return start }, Step: step}
}

const (
	linearDevices = 4
	linearActs    = 10_000
	linearPart    = 500 // acts between two moments at which nobody is at work
	linearThings  = 8   // live at once, about
	linearFolder  = "/shared by all devices"
)

// history is what was done, by all devices.
type history struct {
	begin time.Time
	mu    sync.Mutex
	all   []porcupine.Operation
	items atomic.Int64
	names atomic.Int64
}

func (h *history) now() int64 { return int64(time.Since(h.begin)) }

func (h *history) note(o porcupine.Operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, o)
}

// device is one of the account's.
type device struct {
	number int
	drive  *drive.Drive
	rng    *rand.Rand
	seen   []string // at its last listing
}

// draw chooses what to do next.
func (d *device) draw(h *history) act {
	n := d.rng.IntN(100)
	if n < 60 || n >= 75 && len(d.seen) == 0 {
		return act{verb: lists}
	}
	fresh := func(item int) string { return fmt.Sprintf("thing %d, name %d", item, h.names.Add(1)) }
	if n < 75 && len(d.seen) < linearThings {
		item := int(h.items.Add(1))
		return act{verb: makes, item: item, to: strings.ReplaceAll(fresh(item), " ", "_")}
	}
	if len(d.seen) == 0 {
		return act{verb: lists}
	}
	a := act{verb: removes, from: d.seen[d.rng.IntN(len(d.seen))]}
	if _, err := fmt.Sscanf(a.from, "thing_%d,", &a.item); err != nil {
		panic(err)
	}
	if n < 90 {
		a.verb, a.to = renames, strings.ReplaceAll(fresh(a.item), " ", "_")
	}
	return a
}

// do does it. What it fails with, but for a name that is not there, is an error.
func (d *device) do(ctx context.Context, a act) (o outcome, err error) {
	at := func(name string) string { return linearFolder + "/" + name }
	var result drive.Result
	switch a.verb {
	case lists:
		items, err := d.drive.List(ctx, linearFolder)
		if err != nil {
			return o, err
		}
		d.seen = nil
		for _, i := range items {
			d.seen = append(d.seen, i.Descriptor().Path)
		}
		slices.Sort(d.seen)
		return outcome{done: true, names: strings.Join(d.seen, " ")}, nil
	case makes:
		result, err = d.drive.Mkdir(ctx, []string{at(a.to)}, false)
	case renames:
		result, err = d.drive.Move(ctx, []string{at(a.from)}, at(a.to))
	case removes:
		result, err = d.drive.Remove(ctx, []string{at(a.from)})
	}
	if errors.Is(err, drive.ErrNotFound) {
		return outcome{absent: true}, nil
	}
	for _, n := range result.Notices {
		switch n.Reason {
		case journal.Gone, journal.Done:
			return outcome{void: true}, err
		default:
			return o, fmt.Errorf("%+v: %+v", a, n)
		}
	}
	return outcome{done: true}, err
}

// TestDriveIsLinearizable: devices of one account make, rename, remove and list things
// in one folder, all at once.
func TestDriveIsLinearizable(t *testing.T) {
	c := cluster.Start(t, cluster.Config{})
	people := account.New(c.URL, transfer.NewHTTP(nil))
	first, err := people.SignUp(t.Context(), "somebody", "correct horse battery staple", "x", keys.NewPhrase())
	must(t, err)
	h := &history{begin: time.Now()}
	var devices []*device
	for n := range linearDevices {
		dir, err := home.Open(t.TempDir())
		must(t, err)
		d, err := drive.Open(first, dir, api.Caller{Base: c.URL, HTTP: transfer.NewHTTP(nil)})
		must(t, err)
		devices = append(devices, &device{number: n, drive: d, rng: rand.New(rand.NewPCG(uint64(n), 15))})
	}
	_, err = devices[0].drive.Mkdir(t.Context(), []string{linearFolder}, false)
	must(t, err)
	start, all := world(""), 0
	counts := map[string]int{}
	for all < linearActs {
		must(t, h.run(t.Context(), devices, linearPart))
		// Nobody is at work now: what there is stands at the beginning of the next part.
		end, err := devices[0].do(t.Context(), act{verb: lists})
		must(t, err)
		h.note(porcupine.Operation{Input: act{verb: lists}, Call: h.now(), Output: end, Return: h.now()})
		if result := porcupine.CheckOperationsTimeout(folderModel(start), h.all, time.Minute); result != porcupine.Ok {
			t.Fatalf("after %d acts a part of the history is not linearizable: %s", all, result)
		}
		start = worldOf(t, devices[0].seen)
		all += len(h.all)
		tally(counts, h.all)
		h.all = nil
	}
	t.Logf("%d acts in %v: %v", all, time.Since(h.begin).Round(time.Second), counts)
}

// run has all devices at work, until so many acts were done.
func (h *history) run(ctx context.Context, devices []*device, acts int64) error {
	var left atomic.Int64
	left.Store(acts)
	g, ctx := errgroup.WithContext(ctx)
	for _, d := range devices {
		g.Go(func() error {
			for left.Add(-1) >= 0 {
				a := d.draw(h)
				call := h.now()
				o, err := d.do(ctx, a)
				if err != nil {
					return fmt.Errorf("device %d: %+v: %w", d.number, a, err)
				}
				h.note(porcupine.Operation{ClientId: d.number, Input: a, Call: call, Output: o, Return: h.now()})
			}
			return nil
		})
	}
	return g.Wait()
}

// worldOf is the state that a listing shows.
func worldOf(t *testing.T, names []string) (w world) {
	t.Helper()
	for _, name := range names {
		var item int
		if _, err := fmt.Sscanf(name, "thing_%d,", &item); err != nil {
			t.Fatal(err)
		}
		w = w.with(item, name)
	}
	return w
}

// tally counts what happened, so that a run in which nothing met shows.
func tally(counts map[string]int, all []porcupine.Operation) {
	for _, op := range all {
		a, o := op.Input.(act), op.Output.(outcome)
		name := [...]string{"listed", "made", "renamed", "removed"}[a.verb]
		if o.absent {
			name += ", absent"
		}
		if o.void {
			name += ", void"
		}
		counts[name]++
	}
}
