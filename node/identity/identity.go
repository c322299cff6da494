// Package identity is a node's signing key and everything that it signs. It
// promises that the key never leaves the package, and that a receipt is signed
// for this node's name only. It does not know what is stored: whoever asks for a
// receipt vouches for that.
package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/node/durable"
)

// Errors of Load.
var (
	// ErrKeyFile: there is a key file, and it does not hold a key.
	ErrKeyFile = errors.New("identity: the key file is damaged; restore it from a backup: without it the data is another node's")
	// ErrKeyOpen: others may read the key.
	ErrKeyOpen = errors.New("identity: the key file may be read by others; chmod 600 it")
)

const header = "holdfast node key 1\n"

// Identity is a node's key.
type Identity struct {
	key ed25519.PrivateKey
	id  id.Node
}

// Load reads the key from a file. A missing file is fs.ErrNotExist.
func Load(path string) (*Identity, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s", ErrKeyOpen, path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	seed, ok := bytes.CutPrefix(raw, []byte(header))
	if !ok || len(seed) != ed25519.SeedSize {
		return nil, ErrKeyFile
	}
	return fromSeed(seed), nil
}

// Create draws a new key and writes it to a file that must not exist yet.
func Create(path string) (*Identity, error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("identity: %s is there already", path)
	}
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed) // never fails
	if err := durable.WriteFile(path, append([]byte(header), seed...)); err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	return fromSeed(seed), nil
}

func fromSeed(seed []byte) *Identity {
	key := ed25519.NewKeyFromSeed(seed)
	return &Identity{key: key, id: ticket.NodeID(key.Public().(ed25519.PublicKey))}
}

// ID is the node's id.
func (i *Identity) ID() id.Node { return i.id }

// Receipt states that these blobs are stored durably.
func (i *Identity) Receipt(upload id.Upload, blobs []ticket.Stored, now time.Time) (string, error) {
	return ticket.SignText(i.key, ticket.Receipt{Upload: upload, Node: i.id, Day: ticket.Day(now), Blobs: blobs})
}

// Declaration signs what the node says of itself; node and day are filled in.
func (i *Identity) Declaration(d ticket.Declaration, now time.Time) (string, error) {
	d.Public = [ed25519.PublicKeySize]byte(i.key.Public().(ed25519.PublicKey))
	d.Day = ticket.Day(now)
	return ticket.SignText(i.key, d)
}

// Heartbeat signs a sign of life; node, time and a fresh nonce are filled in.
func (i *Identity) Heartbeat(h ticket.Heartbeat, now time.Time) (string, error) {
	h.Node, h.Time = i.id, now.Unix()
	rand.Read(h.Nonce[:])
	return ticket.SignText(i.key, h)
}

// OrderReceipt signs what became of an order; node and day are filled in.
func (i *Identity) OrderReceipt(r ticket.OrderReceipt, now time.Time) (string, error) {
	r.Node, r.Day = i.id, ticket.Day(now)
	return ticket.SignText(i.key, r)
}
