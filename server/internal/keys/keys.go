// Package keys keeps the server's two signing keys, for tickets and for orders, and the
// key of its accounts, in files of their own beside the database and never in it: a
// copy of the database signs nothing, and lets nobody guess passwords. It promises that a key exists only once it is durable,
// and that it is readable by its owner alone.
package keys

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"holdfast/format/id"
	"holdfast/server/internal/dir"
)

var (
	// ErrKey: a key file is damaged or readable by others.
	ErrKey = errors.New("key file")
	// ErrMissing: a key file is not there.
	ErrMissing = errors.New("there are no signing keys")
)

// Keys are the server's signing keys. Nodes pin their public halves when they join.
type Keys struct{ Ticket, Order ed25519.PrivateKey }

// Names of the key files.
const (
	TicketFile = "ticket.key"
	OrderFile  = "order.key"
	// AccountsFile came with accounts: services that are older make it at their next start.
	AccountsFile = "accounts.key"
)

// Load reads the keys from folder and makes those that are not there yet.
func Load(folder string) (Keys, error) { return both(folder, load) }

// Read reads the keys from folder, or fails with ErrMissing.
func Read(folder string) (Keys, error) { return both(folder, read) }

// LoadAccounts reads the key of the accounts from folder, or makes it.
func LoadAccounts(folder string) (ed25519.PrivateKey, error) {
	return load(filepath.Join(folder, AccountsFile))
}

// ReadAccounts reads it, or fails with ErrMissing.
func ReadAccounts(folder string) (ed25519.PrivateKey, error) {
	return read(filepath.Join(folder, AccountsFile))
}

func both(folder string, get func(path string) (ed25519.PrivateKey, error)) (Keys, error) {
	ticket, err := get(filepath.Join(folder, TicketFile))
	if err != nil {
		return Keys{}, err
	}
	order, err := get(filepath.Join(folder, OrderFile))
	if err != nil {
		return Keys{}, err
	}
	return Keys{Ticket: ticket, Order: order}, nil
}

func load(path string) (ed25519.PrivateKey, error) {
	key, err := read(path)
	if errors.Is(err, ErrMissing) {
		return create(path)
	}
	return key, err
}

func read(path string) (ed25519.PrivateKey, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrMissing, path)
	}
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	if !info.Mode().IsRegular() || runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w %s: others may read it; set its mode to 0600, and make new keys if somebody did", ErrKey, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	seed, err := id.Parse32(strings.TrimSuffix(string(text), "\n"))
	if err != nil {
		return nil, fmt.Errorf("%w %s: damaged; restore it from a backup, for nodes accept no other", ErrKey, path)
	}
	return ed25519.NewKeyFromSeed(seed[:]), nil
}

// create writes a new key so that after a crash it is there whole or not at all.
func create(path string) (ed25519.PrivateKey, error) {
	seed := id.Bytes32(id.New32())
	file, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	defer os.Remove(file.Name()) // the key has its own name by then
	_, err = file.WriteString(seed.String() + "\n")
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	err = os.Link(file.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		return load(path) // another process was faster: its key counts
	}
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	if err := dir.Sync(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed[:]), nil
}
