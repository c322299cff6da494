package order

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/node/durable"
	"holdfast/node/store"
)

// errNotHere: an order that is understood and that this program does not do. It
// is answered as refused, and the next one is done.
var errNotHere = errors.New("orders: not done by this version")

const (
	// freely is how many blobs a day may be deleted whatever the share.
	freely = 1000
	// day is the time over which deletions are added up.
	day = 24 * time.Hour
	// settled is how long a blob must have lain here before its deletion counts.
	// A stolen server key threatens what has been kept for long; what came
	// yesterday anybody can bring and have deleted again, and a bound that
	// strangers reach would keep everybody's deletions waiting. An upload that is
	// left open is ordered away after a day; the other is for delays.
	settled = 48 * time.Hour
)

// hour is what orders deleted within one hour.
type hour struct {
	Hour  int64 `json:"hour"` // since 1970
	Blobs int64 `json:"blobs"`
	Bytes int64 `json:"bytes"`
}

// do does the work of an order durably. Doing it again does no harm.
func (b *Book) do(o ticket.Order) (store.Usage, error) {
	if o.Action == ticket.Repack {
		return store.Usage{}, errNotHere
	}
	concerned, err := b.concerned(o)
	if err != nil {
		return store.Usage{}, err
	}
	if err := b.allow(concerned); err != nil {
		return store.Usage{}, err
	}
	var gone store.Usage
	if o.Action == ticket.DeleteBlobs {
		gone, err = b.store.Remove(o.Upload, o.Blobs)
	} else {
		gone, err = b.store.CloseUpload(o.Upload)
	}
	if err == nil {
		b.deleted(concerned, gone)
	}
	return gone, err
}

// concerned is what an order would delete now of what has settled here. What
// seems to come from the future counts as well: the clock was set back.
func (b *Book) concerned(o ticket.Order) (sum store.Usage, err error) {
	named := make(map[id.Name]bool, len(o.Blobs))
	for _, name := range o.Blobs {
		named[name] = true
	}
	now := b.now()
	err = b.store.Each(o.Upload, func(name id.Name, size int64, at time.Time) {
		young := at.After(now.Add(-settled)) && !at.After(now.Add(ticket.Skew))
		if !young && (o.Action == ticket.DeleteUpload || named[name]) {
			sum = sum.Add(store.Usage{Blobs: 1, Bytes: size})
		}
	})
	return sum, err
}

// allow refuses a deletion that, with those of the last 24 hours, would take more
// than half of what was held before them. A stolen server key can then not empty
// a node in one go, and the trash holds what it did take. While the blobs are
// being counted after a crash, what the record says is held at least must do.
func (b *Book) allow(more store.Usage) error {
	status := b.store.Status()
	b.mu.Lock()
	defer b.mu.Unlock()
	held := b.state.Held
	if status.Counted {
		held = status.Held.Room()
	}
	gone := more
	for _, h := range b.recent() {
		gone = gone.Add(store.Usage{Blobs: h.Blobs, Bytes: h.Bytes})
	}
	before := held + gone.Room() - more.Room()
	if gone.Blobs <= freely || 2*gone.Room() <= before {
		return nil
	}
	if b.now().Unix() < b.state.Released {
		return nil
	}
	if released, err := b.release(); released || err != nil {
		return err
	}
	if !status.Counted {
		return ErrNotCounted
	}
	if !b.held {
		b.log.Error("orders are held back", "blobs", gone.Blobs, "room", gone.Room(), "held", before, "error", ErrHeld)
	}
	b.held = true
	return ErrHeld
}

// recent drops what is older than a day, with mu held. Hours that lie ahead,
// after the clock was set back, count.
func (b *Book) recent() []hour {
	first := b.now().Add(-day).Unix() / 3600
	var left []hour
	for _, h := range b.state.Deleted {
		if h.Hour >= first {
			left = append(left, h)
		}
	}
	b.state.Deleted = left
	return left
}

// deleted records what an order took: what counted of it, and all.
func (b *Book) deleted(gone, all store.Usage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state.Held = max(b.state.Held-all.Room(), 0)
	now := b.now().Unix() / 3600
	if n := len(b.state.Deleted); n > 0 && b.state.Deleted[n-1].Hour == now {
		b.state.Deleted[n-1].Blobs += gone.Blobs
		b.state.Deleted[n-1].Bytes += gone.Bytes
		return
	}
	b.state.Deleted = append(b.state.Deleted, hour{Hour: now, Blobs: gone.Blobs, Bytes: gone.Bytes})
}

// weigh notes how much is held, once that is known and the record is off by much,
// with mu held. Too low a number only makes a node wait for its count.
func (b *Book) weigh() {
	status := b.store.Status()
	if have := status.Held.Room(); status.Counted && (have < b.state.Held || have/2 > b.state.Held) {
		b.state.Held = have
		b.unsaved++
	}
}

// release looks for the owner's word, with mu held, and uses it up: for a day
// nothing is held back.
func (b *Book) release() (bool, error) {
	path := filepath.Join(b.dir, fileRelease)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	b.state.Released = b.now().Add(day).Unix()
	if err := b.save(); err != nil {
		return false, err
	}
	b.log.Info("the owner has released the orders")
	return true, os.Remove(path)
}

// Release is the owner's word that orders held back in this data directory are
// meant. A running node finds it when it next asks for orders.
func Release(dir string) error {
	return durable.WriteFile(filepath.Join(dir, fileRelease), nil)
}
