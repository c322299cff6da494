package ticket

import (
	"crypto/sha256"

	"holdfast/format/id"
)

// MaxOrdered bounds the blobs that one order names, and the extents that it keeps.
const MaxOrdered = 1024

// Action is what an order wants done.
type Action int64

// The actions; every other number is refused.
const (
	// DeleteUpload deletes all blobs of the upload and accepts none for it again.
	DeleteUpload Action = 1
	// DeleteBlobs deletes the named blobs.
	DeleteBlobs Action = 2
	// Repack makes of one blob a new one of the extents to keep, joined.
	Repack Action = 3
)

// Order is a numbered instruction of the server to one node. Numbers grow by
// one within an epoch of the server's database.
type Order struct {
	Node   id.Node   `cbor:"1,keyasint"`
	Epoch  int64     `cbor:"2,keyasint"`
	Number int64     `cbor:"3,keyasint"`
	Action Action    `cbor:"4,keyasint"`
	Upload id.Upload `cbor:"5,keyasint"`
	Blobs  []id.Name `cbor:"6,keyasint,omitempty"`
	Keep   []Range   `cbor:"7,keyasint,omitempty"`
	Day    int64     `cbor:"8,keyasint"`
}

func (Order) kind() string            { return "order" }
func (Order) signer() (id.Node, bool) { return id.Node{}, false }

// Check implements Payload.
func (o Order) Check() error {
	if err := checkUints(o.Epoch, o.Number, o.Day); err != nil {
		return err
	}
	if o.Epoch < 1 || o.Number < 1 {
		return refuse("order %d of epoch %d: both count from 1", o.Number, o.Epoch)
	}
	switch o.Action {
	case DeleteUpload:
		if o.Blobs != nil || o.Keep != nil {
			return refuse("deleting an upload takes no blobs and no extents")
		}
		return nil
	case DeleteBlobs:
		if o.Keep != nil {
			return refuse("deleting blobs takes no extents")
		}
		return o.checkBlobs()
	case Repack:
		return o.checkRepack()
	}
	return refuse("action %d", o.Action)
}

func (o Order) checkBlobs() error {
	if err := checkCount("blobs", len(o.Blobs), MaxOrdered); err != nil {
		return err
	}
	seen := make(map[id.Name]bool, len(o.Blobs))
	for _, name := range o.Blobs {
		if seen[name] {
			return refuse("blob %s twice", name)
		}
		seen[name] = true
	}
	return nil
}

// checkRepack wants the extents in the order in which they lie in the blob and
// apart from each other, so that every node makes the same new blob and it is
// no larger than the old one.
func (o Order) checkRepack() error {
	if len(o.Blobs) != 1 {
		return refuse("repacking takes one blob, not %d", len(o.Blobs))
	}
	if err := checkCount("extents", len(o.Keep), MaxOrdered); err != nil {
		return err
	}
	var end int64
	for _, r := range o.Keep {
		if err := r.Check(); err != nil {
			return err
		}
		if r.Name != o.Blobs[0] {
			return refuse("an extent of another blob than the one repacked")
		}
		if r.Offset < end {
			return refuse("extents overlap or are out of order at %d", r.Offset)
		}
		end = r.Offset + r.Length
	}
	return nil
}

// Outcome is what became of an order.
type Outcome int64

// The outcomes; every other number is refused.
const (
	Done    Outcome = 1
	Refused Outcome = 2
)

// OrderReceipt is a node's answer to an order.
type OrderReceipt struct {
	Node    id.Node           `cbor:"1,keyasint"`
	Epoch   int64             `cbor:"2,keyasint"`
	Number  int64             `cbor:"3,keyasint"`
	Outcome Outcome           `cbor:"4,keyasint"`
	Blobs   int64             `cbor:"5,keyasint"` // how many were concerned
	Bytes   int64             `cbor:"6,keyasint"` // their sizes, summed
	Day     int64             `cbor:"7,keyasint"`
	Order   [sha256.Size]byte `cbor:"8,keyasint"` // Digest of the order's envelope
}

func (OrderReceipt) kind() string              { return "order-receipt" }
func (r OrderReceipt) signer() (id.Node, bool) { return r.Node, true }

// Check implements Payload.
func (r OrderReceipt) Check() error {
	if r.Outcome != Done && r.Outcome != Refused {
		return refuse("outcome %d", r.Outcome)
	}
	return checkUints(r.Epoch, r.Number, r.Blobs, r.Bytes, r.Day)
}

// Answers tells whether r answers the order o whose envelope has that digest.
func (r OrderReceipt) Answers(o Order, digest [sha256.Size]byte) bool {
	return r.Node == o.Node && r.Epoch == o.Epoch && r.Number == o.Number && r.Order == digest
}
