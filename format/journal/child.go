package journal

import (
	"encoding/binary"
	"fmt"

	"holdfast/format/id"
	"holdfast/format/kdf"
	"holdfast/format/seal"
	"holdfast/format/wire"
)

// sealedKey is the size of a sealed key.
const sealedKey = seal.RecordOverhead + id.Size32

// SealedKey is a small record that holds one key.
type SealedKey [sealedKey]byte

// Place is a folder in one epoch, with the keys that the present user has of it.
type Place struct {
	Folder id.Folder
	Epoch  int64
	Keys   Keys
}

// Child is what a folder's journal says of a folder in it (docs/format.md §20).
type Child struct {
	Folder id.Folder `cbor:"1,keyasint"`
	Epoch  int64     `cbor:"2,keyasint"`
	Write  PublicKey `cbor:"3,keyasint"`
	Admin  PublicKey `cbor:"4,keyasint"`
	// Parent is the parent's epoch in which the read and the write key are sealed.
	Parent      int64     `cbor:"5,keyasint"`
	SealedRead  SealedKey `cbor:"6,keyasint"`
	SealedWrite SealedKey `cbor:"7,keyasint"`
	// AdminFolder and AdminEpoch name whose admin seed seals the child's, or, where
	// SealedAdmin is nil, whose admin seed the child's is.
	AdminFolder id.Folder  `cbor:"8,keyasint"`
	AdminEpoch  int64      `cbor:"9,keyasint"`
	SealedAdmin *SealedKey `cbor:"10,keyasint,omitempty"`
}

// Anchor is what the child's journal must agree with.
func (c Child) Anchor() Anchor {
	return Anchor{Folder: c.Folder, Epoch: c.Epoch, Public: Public{Write: c.Write, Admin: c.Admin}}
}

func childAAD(by id.Folder, byEpoch int64, child id.Folder, epoch int64) []byte {
	aad := append(by[:], child[:]...)
	aad = binary.BigEndian.AppendUint32(aad, uint32(byEpoch))
	return binary.BigEndian.AppendUint32(aad, uint32(epoch))
}

// purpose derives from a seed the key under which the child's is sealed.
func purpose[K any](seed secret[K], label string, aad []byte) [32]byte {
	return kdf.Key32(seed[:], label, aad)
}

func sealKey(purpose [32]byte, kind string, aad []byte, key []byte) SealedKey {
	return SealedKey(seal.SealRecord(purpose, kind, aad, key))
}

func openKey(purpose [32]byte, kind string, aad []byte, sealed SealedKey) ([32]byte, error) {
	key, err := seal.OpenRecord(purpose, kind, aad, sealed[:], sealedKey)
	if err != nil {
		return [32]byte{}, fmt.Errorf("journal: %s: %w", kind, err)
	}
	return [32]byte(key), nil
}

// SealChild seals the keys of a child for those of its parent. A parent that has
// no admin seed cannot seal the child's: the child's admin key must then be the
// parent's, of which admin is the public half.
func SealChild(parent Place, admin PublicKey, child Place) (Child, error) {
	c := Child{Folder: child.Folder, Epoch: child.Epoch, Admin: admin, Parent: parent.Epoch, AdminFolder: parent.Folder, AdminEpoch: parent.Epoch}
	aad := childAAD(parent.Folder, parent.Epoch, child.Folder, child.Epoch)
	if !child.Keys.Admin.IsZero() {
		if parent.Keys.Admin.IsZero() {
			return Child{}, fmt.Errorf("%w: only who administers the parent gives a child an admin key of its own", ErrRight)
		}
		c.Admin = child.Keys.Admin.public()
		sealed := sealKey(purpose(parent.Keys.Admin, kdf.ChildAdmin, aad), adminType, aad, child.Keys.Admin[:])
		c.SealedAdmin = &sealed
	}
	return c, c.reseal(parent, child.Keys)
}

// Reseal seals the child's read and write key for another parent, or another
// epoch of it; who holds the admin seed stays as it is.
func (c Child) Reseal(parent Place, keys Keys) (Child, error) {
	return c, (&c).reseal(parent, keys)
}

func (c *Child) reseal(parent Place, keys Keys) error {
	if keys.Read.IsZero() || keys.Write.IsZero() || parent.Keys.Read.IsZero() || parent.Keys.Write.IsZero() {
		return fmt.Errorf("%w: sealing a folder's keys takes its own and its parent's", ErrRight)
	}
	aad := childAAD(parent.Folder, parent.Epoch, c.Folder, c.Epoch)
	c.Parent = parent.Epoch
	c.Write = keys.Write.public()
	c.SealedRead = sealKey(parent.Keys.Read, readType, aad, keys.Read[:])
	c.SealedWrite = sealKey(purpose(parent.Keys.Write, kdf.ChildWrite, aad), writeType, aad, keys.Write[:])
	return nil
}

// Open gives the child's keys as far as the parent's open them: all but the
// admin seed, which OpenAdmin gives.
func (c Child) Open(parent Place) (Keys, error) {
	if parent.Epoch != c.Parent {
		return Keys{}, fmt.Errorf("%w: epoch %d of the parent", ErrLocked, c.Parent)
	}
	aad := childAAD(parent.Folder, c.Parent, c.Folder, c.Epoch)
	read, err := openKey(parent.Keys.Read, readType, aad, c.SealedRead)
	if err != nil {
		return Keys{}, err
	}
	keys := Keys{Read: read}
	if parent.Keys.Write.IsZero() {
		return keys, nil
	}
	write, err := openKey(purpose(parent.Keys.Write, kdf.ChildWrite, aad), writeType, aad, c.SealedWrite)
	if err != nil {
		return Keys{}, err
	}
	if keys.Write = write; keys.Write.public() != c.Write {
		return Keys{}, alarm(c.Folder, Foreign, 0, wrong("the write seed is not that of the public key"))
	}
	return keys, nil
}

// OpenAdmin gives the child's admin seed; by is the folder that AdminFolder and
// AdminEpoch name.
func (c Child) OpenAdmin(by Place) (AdminSeed, error) {
	if by.Folder != c.AdminFolder || by.Epoch != c.AdminEpoch || by.Keys.Admin.IsZero() {
		return AdminSeed{}, fmt.Errorf("%w: the admin seed of folder %s in epoch %d", ErrLocked, c.AdminFolder, c.AdminEpoch)
	}
	seed := by.Keys.Admin
	if c.SealedAdmin != nil {
		aad := childAAD(c.AdminFolder, c.AdminEpoch, c.Folder, c.Epoch)
		opened, err := openKey(purpose(seed, kdf.ChildAdmin, aad), adminType, aad, *c.SealedAdmin)
		if err != nil {
			return AdminSeed{}, err
		}
		seed = opened
	}
	if seed.public() != c.Admin {
		return AdminSeed{}, alarm(c.Folder, Foreign, 0, wrong("the admin seed is not that of the public key"))
	}
	return seed, nil
}

func (c Child) check() error {
	for _, epoch := range []int64{c.Epoch, c.Parent, c.AdminEpoch} {
		if err := checkEpoch(epoch); err != nil {
			return err
		}
	}
	return nil
}

func readChild(r *wire.Reader) *Child {
	c := &Child{}
	m := r.Map()
	for m.Next() {
		switch m.Key {
		case 1:
			r.Fixed(c.Folder[:])
		case 2:
			c.Epoch = r.Uint()
		case 3:
			r.Fixed(c.Write[:])
		case 4:
			r.Fixed(c.Admin[:])
		case 5:
			c.Parent = r.Uint()
		case 6:
			r.Fixed(c.SealedRead[:])
		case 7:
			r.Fixed(c.SealedWrite[:])
		case 8:
			r.Fixed(c.AdminFolder[:])
		case 9:
			c.AdminEpoch = r.Uint()
		case 10:
			c.SealedAdmin = &SealedKey{}
			r.Fixed(c.SealedAdmin[:])
		default:
			m.Unknown()
		}
	}
	m.Need(0b11_1111_1110)
	if r.OK() {
		r.Note(c.check())
	}
	return c
}
