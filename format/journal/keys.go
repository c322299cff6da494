package journal

import (
	"crypto/ed25519"
	"fmt"

	"holdfast/format/id"
	"holdfast/format/wire"
)

// PublicKey is an Ed25519 public key.
type PublicKey [ed25519.PublicKeySize]byte

// ID is the key id that stands in an envelope.
func (k PublicKey) ID() id.Key { return wire.KeyID(k[:]) }

// Public are the keys by which an epoch's entries are verified.
type Public struct {
	Write PublicKey
	Admin PublicKey
}

// Keys are a folder's keys in one epoch, as far as their holder has them: a
// reader has Read only, a writer no Admin. Those that are not there are zero.
type Keys struct {
	Read  ReadKey
	Write WriteSeed
	Admin AdminSeed
}

// NewKeys draws the keys of a new epoch.
func NewKeys() Keys {
	return Keys{Read: ReadKey(id.New32()), Write: WriteSeed(id.New32()), Admin: AdminSeed(id.New32())}
}

// Public are the public keys of k, which must hold both seeds.
func (k Keys) Public() Public { return Public{Write: k.Write.public(), Admin: k.Admin.public()} }

// Anchor is what one knows of a folder before one has seen any of its journal:
// from the parent's journal, an invitation, a link or the root key.
type Anchor struct {
	Folder id.Folder
	Epoch  int64
	Public Public
}

func checkEpoch(epoch int64) error {
	if epoch < 1 || epoch > MaxEpoch {
		return fmt.Errorf("%w: epoch %d, 1 to %d allowed", ErrEncoding, epoch, MaxEpoch)
	}
	return nil
}
