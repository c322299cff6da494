// Package keys holds an account's keys: the root key and what follows from it, the
// wraps under which a server keeps it, the recovery phrase, the public identity with
// its contact code and safety number, and messages to other people
// (docs/format.md §14, §15). It promises that whatever a server keeps or hands out
// opens only as what its owner stored. It knows no network, no disk and no clock.
package keys

import (
	"crypto/ed25519"
	"crypto/hpke"
	"encoding/binary"
	"math"

	"holdfast/format/id"
	"holdfast/format/kdf"
	"holdfast/format/link"
)

// Root is what an account is: its handle, and the root key of an identity epoch.
// Whoever has it has everything.
type Root struct {
	Account id.Account
	Epoch   uint32 // from 1
	Key     link.Secret
}

// NewRoot draws the first root key of a new account.
func NewRoot() Root {
	return Root{Account: id.New[id.Account](), Epoch: 1, Key: id.New32()}
}

// Next draws the root key of the next epoch: what was wrapped or derived before
// opens nothing of it. It panics after 2^32-2 epochs.
func (r Root) Next() Root {
	if r.Epoch == math.MaxUint32 {
		panic("keys: no epoch is left")
	}
	return Root{Account: r.Account, Epoch: r.Epoch + 1, Key: id.New32()}
}

// ids are what everything derived or wrapped is bound to: account and epoch.
func (r Root) ids() []byte {
	return binary.BigEndian.AppendUint32(r.Account[:], r.Epoch)
}

func (r Root) derive(label string, n int) []byte {
	return kdf.Derive(r.Key[:], nil, kdf.Info(label, r.ids()), n)
}

func (r Root) derive32(label string) link.Secret { return link.Secret(r.derive(label, 32)) }

// SigningKey is the account's Ed25519 key.
func (r Root) SigningKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(r.derive(kdf.IdentitySign, ed25519.SeedSize))
}

// decryptionKey is the account's X-Wing key (draft-connolly-cfrg-xwing-kem).
func (r Root) decryptionKey() hpke.PrivateKey {
	k, err := hpke.MLKEM768X25519().NewPrivateKey(r.derive(kdf.IdentityBox, 32))
	if err != nil {
		panic("keys: " + err.Error()) // only a seed of another length fails
	}
	return k
}

// Settings is the purpose key of the account's settings.
func (r Root) Settings() link.Secret { return r.derive32(kdf.Settings) }

// Folder is a folder's id and its keys of one folder epoch.
type Folder struct {
	ID        id.Folder
	Read      link.Secret
	WriteSeed link.Secret // Ed25519
	AdminSeed link.Secret // Ed25519
}

// RootFolder is the account's root folder in folder epoch 1.
func (r Root) RootFolder() Folder {
	return Folder{
		ID:        id.Folder(r.derive(kdf.RootFolder, id.Size)),
		Read:      r.derive32(kdf.RootRead),
		WriteSeed: r.derive32(kdf.RootWrite),
		AdminSeed: r.derive32(kdf.RootAdmin),
	}
}

// Heads is the journal of what the account last saw of its folders.
func (r Root) Heads() Folder {
	return Folder{
		ID:        id.Folder(r.derive(kdf.HeadsFolder, id.Size)),
		Read:      r.derive32(kdf.HeadsRead),
		WriteSeed: r.derive32(kdf.HeadsWrite),
		AdminSeed: r.derive32(kdf.HeadsAdmin),
	}
}
