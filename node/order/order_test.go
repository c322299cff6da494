package order

import (
	"crypto/ed25519"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/node/durable"
	"holdfast/node/identity"
	"holdfast/node/store"
	"holdfast/node/store/storetest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const roomy = 1 << 40

func newKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(append(make([]byte, 31), seed))
}

// aged is a store in memory whose blobs came at the times that the test says.
type aged struct {
	store.Store
	at map[id.Upload]time.Time
}

func (a aged) Each(up id.Upload, f func(id.Name, int64, time.Time)) error {
	all, err := a.List(up, id.Name{}, 1<<20)
	for _, e := range all {
		f(e.Name, e.Size, a.at[up])
	}
	return err
}

// desk is a book over a store in memory.
type desk struct {
	t     *testing.T
	dir   string
	self  *identity.Identity
	store Store
	at    map[id.Upload]time.Time
	now   time.Time
	book  *Book
}

func newDesk(t *testing.T) *desk {
	dir := t.TempDir()
	self, err := identity.Create(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, dir: dir, self: self, now: time.Unix(1_800_000_000, 0), at: map[id.Upload]time.Time{}}
	d.store = aged{store.NewMem(roomy, func() time.Time { return d.now }), d.at}
	d.open()
	return d
}

// open is a start of the node.
func (d *desk) open() {
	d.t.Helper()
	book, err := Open(d.dir, d.self, d.store, func() time.Time { return d.now }, slog.New(slog.DiscardHandler))
	if err != nil {
		d.t.Fatal(err)
	}
	d.book = book
	book.Pin(id.Bytes32(newKey(1).Public().(ed25519.PublicKey)), 1)
}

func (d *desk) sign(o ticket.Order) string {
	d.t.Helper()
	if o.Node == (id.Node{}) {
		o.Node = d.self.ID()
	}
	if o.Action == 0 {
		o.Action = ticket.DeleteUpload
	}
	text, err := ticket.SignText(newKey(1), o)
	if err != nil {
		d.t.Fatal(err)
	}
	return text
}

func (d *desk) take(orders ...string) {
	d.t.Helper()
	if err := d.book.Take(orders); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) position(epoch, last int64) {
	d.t.Helper()
	if e, l := d.book.Position(); e != epoch || l != last {
		d.t.Fatalf("epoch %d, order %d; want %d, %d", e, l, epoch, last)
	}
}

// fill stores n blobs of a size, as of a month ago.
func (d *desk) fill(up id.Upload, n, size int) {
	d.t.Helper()
	d.bring(up, n, size, 30*day)
}

// bring stores n blobs of a size that came so long ago.
func (d *desk) bring(up id.Upload, n, size int, ago time.Duration) {
	d.t.Helper()
	d.at[up] = d.now.Add(-ago)
	for i := range n {
		if err := storetest.Put(d.store, storetest.Make(up, uint64(i), size), roomy); err != nil {
			d.t.Fatal(err)
		}
	}
}

func (d *desk) closed(up id.Upload) bool {
	err := storetest.Put(d.store, storetest.Make(up, 77, 77), roomy)
	return errors.Is(err, store.ErrClosed)
}

func TestSequence(t *testing.T) {
	d := newDesk(t)
	up := func(n byte) id.Upload { return id.Upload{n} }
	one := d.sign(ticket.Order{Epoch: 1, Number: 1, Upload: up(1)})
	two := d.sign(ticket.Order{Epoch: 1, Number: 2, Upload: up(2)})
	three := d.sign(ticket.Order{Epoch: 1, Number: 3, Upload: up(3)})
	five := d.sign(ticket.Order{Epoch: 1, Number: 5, Upload: up(5)})
	d.take(one, one, three, two) // twice, too early, the next
	d.position(1, 2)
	if got := d.book.Counters(); got != (Counters{Old: 1, Gap: 1}) {
		t.Fatalf("%+v", got)
	}
	d.take(three, five)
	d.position(1, 3)
	if d.closed(up(5)) || !d.closed(up(1)) || !d.closed(up(2)) || !d.closed(up(3)) {
		t.Fatal("the wrong uploads are closed")
	}
	d.open() // the next process remembers
	d.position(1, 3)
	d.take(one, two, three)
	if got := d.book.Counters(); got.Old != 3 {
		t.Fatalf("%+v", got)
	}
	if n := len(d.book.Pending(100)); n != 3 {
		t.Fatalf("%d receipts wait", n)
	}
}

func TestEpochs(t *testing.T) {
	d := newDesk(t)
	d.take(d.sign(ticket.Order{Epoch: 1, Number: 1, Upload: id.Upload{1}}))
	if d.book.Last() == nil {
		t.Fatal("it does not know which order it did")
	}
	late := d.sign(ticket.Order{Epoch: 1, Number: 2, Upload: id.Upload{2}})
	d.take(d.sign(ticket.Order{Epoch: 3, Number: 2, Upload: id.Upload{3}})) // a new epoch, whose first order is missing
	d.position(3, 0)
	d.take(late) // the old scheduler wakes late
	if d.position(3, 0); d.book.Last() != nil {
		t.Fatal("it tells an order of another epoch")
	}
	if d.closed(id.Upload{2}) || d.closed(id.Upload{3}) {
		t.Fatal("done out of order")
	}
	d.open() // the epoch is remembered although no order of it was done
	d.take(late)
	if d.position(3, 0); d.closed(id.Upload{2}) {
		t.Fatal("an order of an old epoch was done")
	}
	d.take(d.sign(ticket.Order{Epoch: 3, Number: 1, Upload: id.Upload{4}}))
	d.position(3, 1)
	d.take(late) // whose number would be the next
	if d.position(3, 1); d.closed(id.Upload{2}) {
		t.Fatal("an order of an old epoch was done")
	}
	d.book.Pin(id.Bytes32(newKey(1).Public().(ed25519.PublicKey)), 1) // what was named at joining never sets it back
	d.position(3, 1)
}

func TestIgnored(t *testing.T) {
	d := newDesk(t)
	good := d.sign(ticket.Order{Epoch: 1, Number: 1, Upload: id.Upload{1}})
	raw, err := ticket.ParseText(good)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := ticket.SignText(newKey(9), ticket.Order{Node: d.self.ID(), Epoch: 1, Number: 1, Action: ticket.DeleteUpload, Upload: id.Upload{1}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		altered := append([]byte{}, raw...)
		altered[i] ^= 1
		d.take(ticket.Text(altered))
	}
	d.take("", "x", good[:len(good)-4], foreign)
	if got := d.book.Counters(); got.Invalid != int64(len(raw))+4 || got.Foreign != 0 {
		t.Fatalf("%+v of %d", got, len(raw))
	}
	d.take(d.sign(ticket.Order{Node: id.Node{9}, Epoch: 1, Number: 1, Upload: id.Upload{1}}))
	if got := d.book.Counters(); got.Foreign != 1 {
		t.Fatalf("%+v", got)
	}
	if d.position(1, 0); d.closed(id.Upload{1}) {
		t.Fatal("something was done")
	}
	d.take(good)
	d.position(1, 1)
}

func TestBeforeJoiningNothingIsDone(t *testing.T) {
	d := newDesk(t)
	book, err := Open(t.TempDir(), d.self, d.store, func() time.Time { return d.now }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := book.Take([]string{d.sign(ticket.Order{Epoch: 1, Number: 1})}); err != nil || book.Counters().Invalid != 1 {
		t.Fatalf("%v, %+v", err, book.Counters())
	}
}

func TestReceipts(t *testing.T) {
	d := newDesk(t)
	up := id.Upload{1}
	d.fill(up, 3, 1000)
	names := []id.Name{storetest.Make(up, 0, 1000).Key.Name, {5}}
	texts := []string{
		d.sign(ticket.Order{Epoch: 1, Number: 1, Action: ticket.DeleteBlobs, Upload: up, Blobs: names}),
		d.sign(ticket.Order{Epoch: 1, Number: 2, Upload: up}),
		d.sign(ticket.Order{Epoch: 1, Number: 3, Action: ticket.Repack, Upload: up, Blobs: names[:1], Keep: []ticket.Range{{Name: names[0], Length: 5}}}),
	}
	d.take(texts...)
	declared, err := d.self.Declaration(ticket.Declaration{Operator: "O", Jurisdiction: "DE", URL: "http://127.0.0.1"}, d.now)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := ticket.ParseText(declared)
	declaration, err := ticket.OpenDeclaration(raw)
	if err != nil {
		t.Fatal(err)
	}
	pending := d.book.Pending(100)
	for i, want := range []ticket.OrderReceipt{
		{Outcome: ticket.Done, Blobs: 1, Bytes: 1000}, {Outcome: ticket.Done, Blobs: 2, Bytes: 2000}, {Outcome: ticket.Refused},
	} {
		got, err := ticket.OpenText[ticket.OrderReceipt](declaration.Public[:], pending[i])
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := ticket.ParseText(texts[i])
		want.Order, err = ticket.Digest(raw)
		if err != nil {
			t.Fatal(err)
		}
		want.Node, want.Epoch, want.Number, want.Day = d.self.ID(), 1, int64(i+1), ticket.Day(d.now)
		if got != want {
			t.Errorf("have %+v, want %+v", got, want)
		}
	}
	if got := d.book.Pending(2); len(got) != 2 {
		t.Fatalf("%d pending", len(got))
	}
	if err := d.book.Delivered(2); err != nil {
		t.Fatal(err)
	}
	d.open()
	if got := d.book.Pending(100); len(got) != 1 || got[0] != pending[2] {
		t.Fatalf("%d pending after a restart", len(got))
	}
	raw, _ = ticket.ParseText(texts[2])
	if want, err := ticket.Digest(raw); err != nil || d.book.Last() == nil || *d.book.Last() != want {
		t.Fatalf("the last order after a restart: %x", d.book.Last())
	}
}

func TestFullOfReceiptsTakesNoMore(t *testing.T) {
	d := newDesk(t)
	d.book.state.Receipts = make([]string, mostPending)
	d.book.saved = d.book.state
	d.take(d.sign(ticket.Order{Epoch: 1, Number: 1, Upload: id.Upload{1}}), d.sign(ticket.Order{Epoch: 1, Number: 2, Upload: id.Upload{1}}))
	if d.position(1, 0); d.book.Counters() != (Counters{}) {
		t.Fatalf("%+v", d.book.Counters())
	}
	if err := d.book.Delivered(1); err != nil {
		t.Fatal(err)
	}
	d.take(d.sign(ticket.Order{Epoch: 1, Number: 1, Upload: id.Upload{1}}))
	d.position(1, 1)
}

// TestMassDeletion: half of what is there and a thousand blobs are the bounds,
// whatever pieces the orders come in.
func TestMassDeletion(t *testing.T) {
	for _, c := range []struct {
		name    string
		uploads []int // blobs in each
		orders  int   // for the first so many
		done    int64
	}{
		{"few blobs, all of them", []int{1000}, 1, 1},
		{"many, all of them", []int{1001}, 1, 0},
		{"many, but half", []int{1001, 1001}, 1, 1},
		{"just more than half", []int{1001, 1000}, 1, 0},
		{"piece by piece", []int{300, 300, 300, 300, 300, 300}, 6, 3},
		{"none held", []int{0}, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t)
			var orders []string
			for i, n := range c.uploads {
				d.fill(id.Upload{byte(i), 1}, n, 20)
				orders = append(orders, d.sign(ticket.Order{Epoch: 1, Number: int64(i + 1), Upload: id.Upload{byte(i), 1}}))
			}
			err := d.book.Take(orders[:c.orders])
			if held := c.done < int64(c.orders); errors.Is(err, ErrHeld) != held || d.book.Held() != held {
				t.Fatalf("held %v, %v", d.book.Held(), err)
			}
			d.position(1, c.done)
		})
	}
}

// TestMassDeletionByRoom: what weighs is what blobs take of the disk.
func TestMassDeletionByRoom(t *testing.T) {
	for _, c := range []struct {
		name          string
		gone, kept    int // blobs
		size, keeping int // bytes of each
		held          bool
	}{
		{"few large of many tiny", 1001, 3000, 60_000, 10, true},
		{"many tiny of few large", 3000, 50, 8, 1_000_000, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t)
			d.fill(id.Upload{1}, c.gone, c.size)
			d.fill(id.Upload{2}, c.kept, c.keeping)
			err := d.book.Take([]string{d.sign(ticket.Order{Epoch: 1, Number: 1, Upload: id.Upload{1}})})
			if errors.Is(err, ErrHeld) != c.held || !c.held && err != nil {
				t.Fatalf("have %v", err)
			}
		})
	}
}

// TestStrangersHoldNothing: what somebody brought and left, or revoked the day
// after, goes whatever its share, and does not keep others' deletions waiting.
func TestStrangersHoldNothing(t *testing.T) {
	for _, ago := range []time.Duration{-time.Minute, 0, 47 * time.Hour} {
		d := newDesk(t)
		d.fill(id.Upload{1}, 5, 100)
		d.bring(id.Upload{9}, 1100, 8, ago)
		d.take(d.sign(ticket.Order{Epoch: 1, Number: 1, Upload: id.Upload{9}}), d.sign(ticket.Order{Epoch: 1, Number: 2, Upload: id.Upload{1}}))
		if d.position(1, 2); d.book.Held() || !d.closed(id.Upload{9}) || !d.closed(id.Upload{1}) {
			t.Fatalf("brought %s ago: held", ago)
		}
	}
}

// TestMassDeletionOfOldUploads: fault 19. What has been kept for long does not go
// at one word, also when it is named blob by blob, or seems to come from the
// future since the clock was set back.
func TestMassDeletionOfOldUploads(t *testing.T) {
	for _, ago := range []time.Duration{settled, 365 * 24 * time.Hour, -25 * time.Hour} {
		for _, action := range []ticket.Action{ticket.DeleteUpload, ticket.DeleteBlobs} {
			d := newDesk(t)
			var orders []string
			for up := range 3 {
				o := ticket.Order{Epoch: 1, Number: int64(up + 1), Action: action, Upload: id.Upload{byte(up)}}
				d.bring(o.Upload, 500, 20, ago)
				for i := range 500 {
					if action == ticket.DeleteBlobs {
						o.Blobs = append(o.Blobs, storetest.Make(o.Upload, uint64(i), 20).Key.Name)
					}
				}
				orders = append(orders, d.sign(o))
			}
			d.bring(id.Upload{7}, 200, 20, 0)
			if err := d.book.Take(orders); !errors.Is(err, ErrHeld) || !d.book.Held() {
				t.Fatalf("%s old, action %d: %v", ago, action, err)
			}
			d.position(1, 2)
		}
	}
}

func TestMassDeletionOverTime(t *testing.T) {
	d := newDesk(t)
	d.fill(id.Upload{1}, 900, 20)
	d.fill(id.Upload{2}, 900, 20)
	one := d.sign(ticket.Order{Epoch: 1, Number: 1, Upload: id.Upload{1}})
	two := d.sign(ticket.Order{Epoch: 1, Number: 2, Upload: id.Upload{2}})
	d.take(one)
	d.now = d.now.Add(23 * time.Hour)
	d.open() // a restart does not forget what was deleted
	if err := d.book.Take([]string{two}); !errors.Is(err, ErrHeld) {
		t.Fatalf("within a day: %v", err)
	}
	d.now = d.now.Add(-30 * time.Hour) // nor does a clock set back
	if err := d.book.Take([]string{two}); !errors.Is(err, ErrHeld) {
		t.Fatalf("clock set back: %v", err)
	}
	d.now = d.now.Add(33 * time.Hour)
	d.take(two)
	if d.book.Held() {
		t.Fatal("still held")
	}
}

func TestOwnerReleases(t *testing.T) {
	d := newDesk(t)
	d.fill(id.Upload{1}, 1500, 20)
	order := d.sign(ticket.Order{Epoch: 1, Number: 1, Upload: id.Upload{1}})
	for range 2 {
		if err := d.book.Take([]string{order}); !errors.Is(err, ErrHeld) {
			t.Fatalf("have %v", err)
		}
	}
	if err := Release(d.dir); err != nil {
		t.Fatal(err)
	}
	d.take(order)
	if d.position(1, 1); d.book.Held() {
		t.Fatal("still held")
	}
	if _, err := os.Lstat(filepath.Join(d.dir, fileRelease)); !os.IsNotExist(err) {
		t.Fatalf("the owner's word stays: %v", err)
	}
	d.open()
	d.fill(id.Upload{2}, 1500, 20)
	d.now = d.now.Add(23 * time.Hour)
	d.take(d.sign(ticket.Order{Epoch: 1, Number: 2, Upload: id.Upload{2}})) // within the day
	d.fill(id.Upload{3}, 1500, 20)
	d.now = d.now.Add(2 * time.Hour)
	if err := d.book.Take([]string{d.sign(ticket.Order{Epoch: 1, Number: 3, Upload: id.Upload{3}})}); !errors.Is(err, ErrHeld) {
		t.Fatalf("after the day: %v", err)
	}
}

// failing is a store whose deletions fail.
type failing struct{ Store }

func (failing) CloseUpload(id.Upload) (store.Usage, error) { return store.Usage{}, store.ErrIO }

func TestFailedWorkIsNotRemembered(t *testing.T) {
	d := newDesk(t)
	good := d.store
	order := d.sign(ticket.Order{Epoch: 1, Number: 1, Upload: id.Upload{1}})
	d.store = failing{good}
	d.open()
	if err := d.book.Take([]string{order}); !errors.Is(err, store.ErrIO) {
		t.Fatalf("have %v", err)
	}
	d.position(1, 0)
	d.store = good
	d.open()
	d.take(order)
	d.position(1, 1)
}

// crashed is a store that was not closed in peace: what it says it holds is a
// guess until it has counted.
type crashed struct{ Store }

func (c crashed) Status() store.Status {
	s := c.Store.Status()
	s.Held, s.Counted = store.Usage{Blobs: 1 << 40, Bytes: 1 << 60}, false
	return s
}

// TestOrdersAfterACrash: what was missed is done before the blobs are counted, as
// far as it is no mass deletion by what the record knows; beyond that the count
// decides.
func TestOrdersAfterACrash(t *testing.T) {
	d := newDesk(t)
	for up := range 4 {
		d.fill(id.Upload{byte(up)}, 1000, 20)
	}
	order := func(n int64) string { return d.sign(ticket.Order{Epoch: 1, Number: n, Upload: id.Upload{byte(n)}}) }
	d.take() // a heartbeat, which notes how much is held
	sound := d.store
	d.store = crashed{sound}
	d.open()
	d.take(order(1)) // few
	d.take(order(2)) // many, but half
	for range 2 {
		if err := d.book.Take([]string{order(3)}); !errors.Is(err, ErrNotCounted) || d.book.Held() {
			t.Fatalf("have %v, held %v", err, d.book.Held())
		}
	}
	d.position(1, 2)
	d.open() // it crashes again
	if err := d.book.Take([]string{order(3)}); !errors.Is(err, ErrNotCounted) {
		t.Fatalf("have %v", err)
	}
	d.store = sound // counted
	d.open()
	d.fill(id.Upload{9}, 3000, 20)
	d.take(order(3))
	d.position(1, 3)
}

func TestDamagedRecordIsNotForgotten(t *testing.T) {
	d := newDesk(t)
	if err := os.WriteFile(filepath.Join(d.dir, fileState), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(d.dir, d.self, d.store, time.Now, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("began anew over a damaged record")
	}
}

// TestOnlyWhatIsSavedIsTold: the disk is full when an order's being done is to be
// remembered. Until it could be, the server hears of no progress that a power cut
// would take back.
func TestOnlyWhatIsSavedIsTold(t *testing.T) {
	d := newDesk(t)
	one := d.sign(ticket.Order{Epoch: 1, Number: 1, Upload: id.Upload{1}})
	two := d.sign(ticket.Order{Epoch: 1, Number: 2, Upload: id.Upload{2}})
	d.take(one)
	full := filepath.Join(d.dir, fileState+durable.Suffix) // no file can be written there
	if err := os.MkdirAll(filepath.Join(full, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	told := func(last int64) {
		t.Helper()
		d.position(1, last)
		if n := len(d.book.Pending(100)); n != int(last) {
			t.Fatalf("%d receipts, and %d orders are told", n, last)
		}
	}
	for range 2 {
		if err := d.book.Take([]string{two}); err == nil {
			t.Fatal("it was saved: this test sees nothing")
		}
		told(1)
	}
	lost := *d
	lost.open() // a power cut now
	lost.position(1, 1)
	if err := os.RemoveAll(full); err != nil {
		t.Fatal(err)
	}
	d.take() // with the next heartbeat
	told(2)
	d.open()
	told(2)
}

// dying calls dead at the moment of the second order.
type dying struct {
	Store
	dead func()
}

func (s dying) CloseUpload(up id.Upload) (store.Usage, error) {
	s.dead()
	return s.Store.CloseUpload(up)
}

// TestDeletedBlobsMayBeStoredAgain: fault 20. Blobs were ordered away and stored
// again, and the process dies in the middle of its orders: the order is not
// redone, since it was remembered before the next one began.
func TestDeletedBlobsMayBeStoredAgain(t *testing.T) {
	d := newDesk(t)
	d.fill(id.Upload{1}, 1, 1000)
	blob := storetest.Make(id.Upload{1}, 0, 1000)
	orders := []string{
		d.sign(ticket.Order{Epoch: 1, Number: 1, Action: ticket.DeleteBlobs, Upload: id.Upload{1}, Blobs: []id.Name{blob.Key.Name}}),
		d.sign(ticket.Order{Epoch: 1, Number: 2, Upload: id.Upload{2}}),
	}
	died := false
	next := *d
	d.store = dying{d.store, func() {
		died = true
		if err := storetest.Put(next.store, blob, roomy); err != nil {
			t.Fatal(err)
		}
		next.open()
	}}
	d.open()
	d.take(orders...)
	if !died {
		t.Fatal("it lives: this test sees nothing")
	}
	next.take(orders...)
	if _, err := next.store.Stat(blob.Key); err != nil {
		t.Fatalf("what was stored again: %v", err)
	}
}
