package contacts

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"holdfast/client/home"
	"holdfast/format/keys"
	"holdfast/format/link"
	"holdfast/format/seal"
	"holdfast/format/wire"
)

// ErrDamaged: the list's file is not what this account wrote.
var ErrDamaged = errors.New("the list of contacts is damaged, or another account's")

const recordType = "contacts"

// file is the list on disk: a small record of type contacts under the account's
// settings key, so that nobody but the account's owner reads or changes it.
type file struct {
	path string
	key  link.Secret
	aad  []byte
}

// listed is the plaintext: {1: array of {1: name, 2: identity, 3?: verified}}.
type listed struct {
	Contacts []listedContact `cbor:"1,keyasint" most:"500"`
}

type listedContact struct {
	Name     string `cbor:"1,keyasint"`
	Identity []byte `cbor:"2,keyasint"`
	Verified bool   `cbor:"3,keyasint,omitempty"`
}

func openFile(r keys.Root, dir home.Dir) (file, error) {
	sub, err := dir.Sub("contacts")
	if err != nil {
		return file{}, err
	}
	return file{
		path: filepath.Join(sub, r.Account.String()), key: r.Settings(),
		aad: binary.BigEndian.AppendUint32(r.Account[:], r.Epoch),
	}, nil
}

// read is the list; none is one without contacts.
func (f file) read() ([]Contact, error) {
	info, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && info.Size() > seal.MaxRecord {
		return nil, fmt.Errorf("%w: %d bytes in %s", ErrDamaged, info.Size(), f.path)
	}
	var sealed []byte
	if err == nil {
		sealed, err = os.ReadFile(f.path)
	}
	if err != nil {
		return nil, fmt.Errorf("contacts: %w", err)
	}
	all, err := f.open(sealed)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, f.path, err)
	}
	return all, nil
}

func (f file) open(sealed []byte) ([]Contact, error) {
	plain, err := seal.OpenRecord(f.key, recordType, f.aad, sealed, seal.MaxRecord)
	if err != nil {
		return nil, err
	}
	var l listed
	if err := wire.Unmarshal(plain, seal.MaxRecord, &l); err != nil {
		return nil, err
	}
	all := make([]Contact, len(l.Contacts))
	for i, c := range l.Contacts {
		identity, err := keys.ParseIdentity(c.Identity)
		if err == nil {
			err = checkName(c.Name)
		}
		if err != nil {
			return nil, err
		}
		all[i] = Contact{c.Name, identity, c.Verified}
	}
	return all, nil
}

// change replaces the list by what do makes of it, or leaves it if do fails; two
// processes do not do so at once.
func (f file) change(do func([]Contact) ([]Contact, error)) (err error) {
	lock, err := home.OpenLocked(f.path + ".lock")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	all, err := f.read()
	if err != nil {
		return err
	}
	if all, err = do(all); err != nil {
		return err
	}
	l := listed{Contacts: make([]listedContact, len(all))}
	for i, c := range all {
		l.Contacts[i] = listedContact{c.Name, c.Identity.Envelope(), c.Verified}
	}
	return home.WriteFile(f.path, seal.SealRecord(f.key, recordType, f.aad, wire.Marshal(l)))
}
