// Package order does what the server orders, once and in sequence
// (docs/protocol.md, "Orders"). It promises that an order is done only if the
// pinned key signed it for this node and it is the next of its epoch, that its
// number is remembered only after the work is durable and told only after it is
// remembered, and that no series of orders deletes most of what the node has held
// for long within a day unless the owner says so. It talks to nobody: orders come in and receipts go out through its caller.
package order

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/node/durable"
	"holdfast/node/identity"
	"holdfast/node/store"
)

// Errors of Take.
var (
	// ErrHeld: the orders would delete too much; the owner has to release them.
	ErrHeld = errors.New("orders: held back: they would delete more than half of what this node holds within a day; look into it, and run `holdfast node release` if it is meant")
	// ErrNotCounted: after a crash nothing is deleted that might be too much before
	// it is known how much is held.
	ErrNotCounted = errors.New("orders: waiting until the blobs are counted")
)

const (
	fileState   = "orders.json"
	fileRelease = "release-orders"
	// saveEvery is how many orders to delete uploads are done between two savings:
	// redoing them after a crash changes nothing. Others are saved one by one.
	saveEvery = 64
	// mostPending is how many receipts may wait for delivery before further orders
	// are left alone.
	mostPending = 8192
)

// Store is what orders work on.
type Store interface {
	store.Store
	// Each calls f for every blob that an upload holds, with its size and the time
	// at which it was stored.
	Each(upload id.Upload, f func(name id.Name, size int64, at time.Time)) error
}

// Counters tell what came that was not done.
type Counters struct {
	// Invalid: damaged, or not signed by the pinned key. Foreign: for another node.
	// Old: a number or epoch that is over. Gap: a number beyond the next.
	Invalid, Foreign, Old, Gap int64
}

// Book is the durable record of the orders done.
type Book struct {
	dir   string
	self  *identity.Identity
	store Store
	now   func() time.Time
	log   *slog.Logger

	step sync.Mutex // one Take at a time

	mu    sync.Mutex // guards what follows
	key   ed25519.PublicKey
	state state
	// saved is the state that a crash leaves. The server is told of nothing else: a
	// node that later knew less than it had told would count as wiped.
	saved    state
	unsaved  int // changes of state since the last saving
	held     bool
	counters Counters
}

// state is the content of the file.
type state struct {
	Epoch int64 `json:"epoch"`
	// Last is the last order done in the epoch.
	Last int64 `json:"last"`
	// Order is the digest of that order, 32 bytes; empty if it is not known.
	Order []byte `json:"order,omitempty"`
	// Receipts wait for delivery.
	Receipts []string `json:"receipts,omitempty"`
	// Deleted is what orders deleted of late, by the hour.
	Deleted []hour `json:"deleted,omitempty"`
	// Held is the room, in bytes, that blobs took when this was last saved: a bound
	// from below, for only orders take anything away.
	Held int64 `json:"held,omitempty"`
	// Released lets orders delete anything until then (Unix seconds).
	Released int64 `json:"released,omitempty"`
}

// Open reads the record from a directory, or starts one in the given epoch.
func Open(dir string, self *identity.Identity, s Store, now func() time.Time, log *slog.Logger) (*Book, error) {
	b := &Book{dir: dir, self: self, store: s, now: now, log: log}
	raw, err := os.ReadFile(filepath.Join(dir, fileState))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return b, nil
	case err != nil:
		return nil, fmt.Errorf("orders: %w", err)
	}
	if err := json.Unmarshal(raw, &b.state); err != nil {
		return nil, fmt.Errorf("orders: %s is damaged; restore it from a backup: without it old orders could be done again: %w", fileState, err)
	}
	b.saved = b.state
	return b, nil
}

// Pin sets the server's order key, and the epoch that it named when this node
// joined. Later epochs are believed only from signed orders.
func (b *Book) Pin(key id.Bytes32, epoch int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.key = ed25519.PublicKey(key[:])
	if b.state.Epoch < epoch {
		b.state.begin(epoch)
		b.saved.begin(epoch) // whoever pins has it on the disk
	}
}

// begin makes an epoch the highest, of which no order is done.
func (s *state) begin(epoch int64) { s.Epoch, s.Last, s.Order = epoch, 0, nil }

// Position is the highest epoch seen and the last order done in it, as a crash
// would leave them.
func (b *Book) Position() (epoch, last int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.saved.Epoch, b.saved.Last
}

// Last is the digest of the order last done, as a crash would leave it; nil if
// there is none or it is not known.
func (b *Book) Last() *[sha256.Size]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.saved.Order) != sha256.Size {
		return nil
	}
	digest := [sha256.Size]byte(b.saved.Order)
	return &digest
}

// Held tells whether orders wait for the owner.
func (b *Book) Held() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held
}

// Counters tells what was ignored since the start.
func (b *Book) Counters() Counters {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counters
}

// Pending returns up to limit receipts that were not delivered yet, of orders
// whose being done was saved.
func (b *Book) Pending(limit int) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string{}, b.saved.Receipts[:min(limit, len(b.saved.Receipts))]...)
}

// Delivered forgets the first n receipts, which the server has now.
func (b *Book) Delivered(n int) error {
	if n == 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state.Receipts, b.saved.Receipts = b.state.Receipts[n:], b.saved.Receipts[n:]
	return b.save()
}

// save writes the state, with mu held.
func (b *Book) save() error {
	raw, err := json.Marshal(b.state)
	if err != nil {
		return fmt.Errorf("orders: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(b.dir, fileState), raw); err != nil {
		return fmt.Errorf("orders: %w", err)
	}
	// Receipts are only added behind and taken from the front, so that both may
	// share them.
	b.saved, b.unsaved = b.state, 0
	return nil
}

// errWait stops a Take without being a failure: receipts must go out first.
var errWait = errors.New("orders: too many receipts wait for delivery")

// Take does the orders that are next, in sequence, and ignores those that are not
// to be done. It stops at the first that cannot be done now.
func (b *Book) Take(texts []string) error {
	b.step.Lock()
	defer b.step.Unlock()
	var failed error
	for _, text := range texts {
		if failed = b.one(text); failed != nil {
			break
		}
		if err := b.flush(saveEvery); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.weigh()
	if err := b.flushed(1); err != nil {
		return err
	}
	if b.held = errors.Is(failed, ErrHeld); !b.held && errors.Is(failed, errWait) {
		return nil
	}
	return failed
}

// flush saves the state if at least that many changes wait.
func (b *Book) flush(least int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.flushed(least)
}

// flushed is flush with mu held.
func (b *Book) flushed(least int) error {
	if b.unsaved < least {
		return nil
	}
	return b.save()
}

// one does an order if it is the next.
func (b *Book) one(text string) error {
	order, digest, next := b.accept(text)
	if !next {
		return nil
	}
	if b.full() {
		return errWait
	}
	receipt := ticket.OrderReceipt{Epoch: order.Epoch, Number: order.Number, Outcome: ticket.Done, Order: digest}
	usage, err := b.do(order)
	switch {
	case errors.Is(err, errNotHere):
		receipt.Outcome = ticket.Refused
	case err != nil:
		return fmt.Errorf("order %d of epoch %d: %w", order.Number, order.Epoch, err)
	}
	receipt.Blobs, receipt.Bytes = usage.Blobs, usage.Bytes
	signed, err := b.self.OrderReceipt(receipt, b.now())
	if err != nil {
		return fmt.Errorf("order %d of epoch %d: %w", order.Number, order.Epoch, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state.Last, b.state.Order = order.Number, digest[:]
	b.state.Receipts = append(b.state.Receipts, signed)
	b.unsaved++
	if order.Action != ticket.DeleteUpload {
		// Done again it would take what was stored again meanwhile, which nobody
		// can do with an upload that is closed.
		b.unsaved = saveEvery
	}
	return nil
}

func (b *Book) full() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.state.Receipts) >= mostPending
}

// accept checks an order and tells whether it is the next to be done.
func (b *Book) accept(text string) (ticket.Order, [32]byte, bool) {
	var none [32]byte
	b.mu.Lock()
	defer b.mu.Unlock()
	raw, err := ticket.ParseText(text)
	var order ticket.Order
	if err == nil {
		order, err = ticket.Open[ticket.Order](b.key, raw)
	}
	if err != nil {
		b.counters.Invalid++
		b.log.Warn("an order that does not hold was ignored", "error", err)
		return order, none, false
	}
	if order.Node != b.self.ID() {
		b.counters.Foreign++
		b.log.Warn("an order for another node was ignored", "node", order.Node)
		return order, none, false
	}
	if order.Epoch > b.state.Epoch {
		b.state.begin(order.Epoch) // which counts from 1 again
		b.unsaved++
	}
	switch {
	case order.Epoch < b.state.Epoch, order.Number <= b.state.Last:
		b.counters.Old++
		return order, none, false
	case order.Number > b.state.Last+1:
		b.counters.Gap++
		b.log.Warn("an order is missing before this one", "number", order.Number, "last", b.state.Last)
		return order, none, false
	}
	digest, err := ticket.Digest(raw)
	return order, digest, err == nil
}
