package ticket

import "holdfast/format/id"

// MaxStored bounds the blobs of one receipt.
const MaxStored = 1024

// Stored is a blob that a node holds.
type Stored struct {
	_    struct{} `cbor:",toarray"`
	Name id.Name
	Size int64
}

// Receipt is a node's statement that it has durably stored these blobs for an
// upload: hashes checked, data and directories fsynced. No blob is named twice,
// so that sizes can be summed.
type Receipt struct {
	Upload id.Upload `cbor:"1,keyasint"`
	Node   id.Node   `cbor:"2,keyasint"`
	Day    int64     `cbor:"3,keyasint"`
	Blobs  []Stored  `cbor:"4,keyasint"`
}

func (Receipt) kind() string              { return "receipt" }
func (r Receipt) signer() (id.Node, bool) { return r.Node, true }

// Check implements Payload.
func (r Receipt) Check() error {
	if err := checkUints(r.Day); err != nil {
		return err
	}
	if err := checkCount("blobs", len(r.Blobs), MaxStored); err != nil {
		return err
	}
	seen := make(map[id.Name]bool, len(r.Blobs))
	for _, b := range r.Blobs {
		if b.Size < 1 || b.Size > MaxBlob {
			return refuse("a blob of %d bytes", b.Size)
		}
		if seen[b.Name] {
			return refuse("blob %s twice", b.Name)
		}
		seen[b.Name] = true
	}
	return nil
}
