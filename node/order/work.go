package order

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

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
	if !b.store.Status().Counted {
		return store.Usage{}, ErrNotCounted
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
		b.deleted(concerned)
	}
	return gone, err
}

// concerned is what an order would delete now.
func (b *Book) concerned(o ticket.Order) (sum store.Usage, err error) {
	if o.Action == ticket.DeleteUpload {
		return b.store.Usage(o.Upload)
	}
	for _, name := range o.Blobs {
		size, err := b.store.Stat(store.Key{Upload: o.Upload, Name: name})
		if errors.Is(err, store.ErrUnknown) {
			continue
		}
		if err != nil {
			return sum, err
		}
		sum = sum.Add(store.Usage{Blobs: 1, Bytes: size})
	}
	return sum, nil
}

// allow refuses a deletion that, with those of the last 24 hours, would take more
// than half of what was held before them. A stolen server key can then not empty
// a node in one go, and the trash holds what it did take.
func (b *Book) allow(more store.Usage) error {
	held := b.store.Status().Held
	b.mu.Lock()
	defer b.mu.Unlock()
	gone := more
	for _, h := range b.recent() {
		gone = gone.Add(store.Usage{Blobs: h.Blobs, Bytes: h.Bytes})
	}
	before := held.Add(gone).Sub(more)
	if gone.Blobs <= freely || 2*gone.Blobs <= before.Blobs && 2*gone.Bytes <= before.Bytes {
		return nil
	}
	if b.now().Unix() < b.state.Released {
		return nil
	}
	if released, err := b.release(); released || err != nil {
		return err
	}
	if !b.held {
		b.log.Error("orders are held back", "blobs", gone.Blobs, "held", before.Blobs, "error", ErrHeld)
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

func (b *Book) deleted(gone store.Usage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now().Unix() / 3600
	if n := len(b.state.Deleted); n > 0 && b.state.Deleted[n-1].Hour == now {
		b.state.Deleted[n-1].Blobs += gone.Blobs
		b.state.Deleted[n-1].Bytes += gone.Bytes
		return
	}
	b.state.Deleted = append(b.state.Deleted, hour{Hour: now, Blobs: gone.Blobs, Bytes: gone.Bytes})
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
