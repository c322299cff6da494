package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"holdfast/node/durable"
	"holdfast/node/identity"
	"holdfast/node/order"
	"holdfast/node/store"
)

// Errors of a data directory.
var (
	// ErrKeyLost: there is data, and the key that it belongs to is gone.
	ErrKeyLost = errors.New("node: the data directory has lost its key file; restore node.key from a backup, or begin with an empty directory: without the key this would be another node, and what is stored here would not count")
	// ErrForeignData: the directory is used for something else.
	ErrForeignData = errors.New("node: the data directory holds files that are not a node's; name an empty one")
	// ErrNewerData: written by a later version.
	ErrNewerData = errors.New("node: the data directory was written by another version of this program; update it")
	// ErrInUse: another process has it.
	ErrInUse = store.ErrLocked
)

const (
	fileLayout = "layout"
	fileKey    = "node.key"
	dirStore   = "store"
	layout     = "holdfast node 1\n"
)

// openData opens a data directory, or makes one:
//
//	layout       what this is and which version
//	node.key     the signing key, 0600
//	member.json  the service that was joined, and its keys
//	orders.json  orders done, and receipts to be delivered
//	store/       blobs; its lock keeps a second process out
func openData(cfg Config) (*store.Disk, *identity.Identity, error) {
	if err := durable.MkdirAll(cfg.Data); err != nil {
		return nil, nil, fmt.Errorf("node: data directory: %w", err)
	}
	if err := checkLayout(cfg.Data); err != nil {
		return nil, nil, err
	}
	disk, err := store.OpenDisk(filepath.Join(cfg.Data, dirStore), store.Options{Capacity: cfg.Capacity, Reserve: cfg.Reserve, Now: cfg.Now})
	if err != nil {
		return nil, nil, fmt.Errorf("node: %w", err)
	}
	self, err := openKey(cfg.Data)
	if err != nil {
		disk.Close()
		return nil, nil, err
	}
	return disk, self, nil
}

func checkLayout(dir string) error {
	path := filepath.Join(dir, fileLayout)
	have, err := os.ReadFile(path)
	if err == nil {
		if string(have) != layout {
			return ErrNewerData
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("node: data directory: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("node: data directory: %w", err)
	}
	for _, entry := range entries {
		// The root of a file system has lost+found; a first start that was cut short
		// leaves the layout file half written.
		if name := entry.Name(); name != "lost+found" && name != fileLayout+durable.Suffix {
			return fmt.Errorf("%w (%s)", ErrForeignData, name)
		}
	}
	return durable.WriteFile(path, []byte(layout))
}

// openKey reads the node's key, or draws one for a directory without data.
func openKey(dir string) (*identity.Identity, error) {
	path := filepath.Join(dir, fileKey)
	self, err := identity.Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return self, err
	}
	for _, trace := range []string{"member.json", "orders.json"} {
		if _, err := os.Lstat(filepath.Join(dir, trace)); err == nil {
			return nil, ErrKeyLost
		}
	}
	if blobs, err := os.ReadDir(filepath.Join(dir, dirStore, "blobs")); err != nil || len(blobs) > 0 {
		return nil, errors.Join(ErrKeyLost, err)
	}
	return identity.Create(path)
}

// Release is the owner's word that deletions which a node holds back are meant.
// The node may be running.
func Release(data string) error {
	if have, err := os.ReadFile(filepath.Join(data, fileLayout)); err != nil || string(have) != layout {
		return fmt.Errorf("node: %s is not the data directory of a node", data)
	}
	return order.Release(data)
}
