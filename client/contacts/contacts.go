// Package contacts is whom an account shares with: people whose contact code its owner
// was given, with their keys pinned, and the messages between them (docs/format.md §14,
// §15, §27). It promises that a key is taken only if it is the one that the contact code
// names, that another one which a server shows later is an error that names the contact
// and ends whatever was to be sent, and that what a contact did not sign is never opened.
//
// The list is kept in the client's home, sealed under a key that follows from the root
// key. It is not yet in the account's drive: another machine has its own list.
package contacts

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"

	"holdfast/api"
	"holdfast/client/account"
	"holdfast/client/home"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/keys"
)

// Errors besides those of contact codes (keys), of the API and of the list's file.
var (
	// ErrUnknown: no contact has this name.
	ErrUnknown = errors.New("no contact has this name")
	// ErrName: not a name for a contact.
	ErrName = errors.New("a contact's name is 1 to 64 bytes of one line, without spaces at its ends")
	// ErrTaken: another contact has the name, or one that looks like it.
	ErrTaken = errors.New("another contact has this name")
	// ErrSelf: the code is the account's own.
	ErrSelf = errors.New("this is your own contact code")
	// ErrKnown: the person is a contact already.
	ErrKnown = errors.New("this contact code is in your list already")
	// ErrNobody: the server has no account of that handle.
	ErrNobody = errors.New("no account at this service has this contact code; it was erased, or is at another service")
	// ErrChanged: the server shows another key than the pinned one.
	ErrChanged = errors.New("the service shows another key for this contact than the one that you pinned")
	// ErrFull: as many contacts as a list takes.
	ErrFull = fmt.Errorf("a list takes %d contacts", MaxContacts)
)

const (
	// MaxContacts of one account: with identities of 1.5 KiB they fit a small record.
	MaxContacts = 500
	// maxName bounds names in bytes.
	maxName = 64
)

// ChangedError names the contact whose key is another.
type ChangedError struct{ Name string }

// Error says what was not done, and what may have happened.
func (e *ChangedError) Error() string {
	return fmt.Sprintf("%s: %v: nothing was sent. Either the service lies, or %[1]s has a new root key: ask for their contact code again, by another way than this service",
		descriptor.Display(e.Name), ErrChanged)
}

// Unwrap is ErrChanged.
func (e *ChangedError) Unwrap() error { return ErrChanged }

// Contact is a person with the keys that were pinned.
type Contact struct {
	Name     string // which the owner of the list gave
	Identity keys.Identity
	Verified bool // the safety numbers were compared
}

// Book is an account's list of contacts, and its letter box. Several processes may have
// one at once: every change reads the list anew.
type Book struct {
	mine   account.Access
	self   keys.Identity
	caller api.Caller
	file   file
}

// Open opens the list. It asks the server nothing.
func Open(a account.Access, dir home.Dir, caller api.Caller) (*Book, error) {
	f, err := openFile(a.Root, dir)
	if err != nil {
		return nil, err
	}
	return &Book{mine: a, self: a.Root.Identity(), caller: caller, file: f}, nil
}

// Mine is the account's own contact code.
func (b *Book) Mine() keys.Contact { return b.self.Contact() }

// All are the contacts, sorted by name.
func (b *Book) All() ([]Contact, error) {
	all, err := b.file.read()
	slices.SortFunc(all, func(x, y Contact) int { return cmp.Compare(x.Name, y.Name) })
	return all, err
}

// Find finds a contact by its name, whatever its case: ErrUnknown.
func (b *Book) Find(name string) (Contact, error) {
	all, err := b.file.read()
	if err != nil {
		return Contact{}, err
	}
	at, err := index(all, name)
	if err != nil {
		return Contact{}, err
	}
	return all[at], nil
}

func index(all []Contact, name string) (int, error) {
	at := slices.IndexFunc(all, func(c Contact) bool { return descriptor.Fold(c.Name) == descriptor.Fold(name) })
	if at < 0 {
		return at, fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	return at, nil
}

// By finds the contact of an account's handle.
func (b *Book) By(of id.Account) (Contact, bool, error) {
	all, err := b.file.read()
	if err != nil {
		return Contact{}, false, err
	}
	at := slices.IndexFunc(all, func(c Contact) bool { return c.Identity.Account == of })
	if at < 0 {
		return Contact{}, false, nil
	}
	return all[at], true, nil
}

// Members gives the signing keys of contacts and of the account itself, for the authors
// of a shared folder's entries (journal.Opener); nil for others.
func (b *Book) Members() (func(id.Account) ed25519.PublicKey, error) {
	all, err := b.file.read()
	known := map[id.Account]ed25519.PublicKey{b.self.Account: b.self.Signing}
	for _, c := range all {
		known[c.Identity.Account] = c.Identity.Signing
	}
	return func(a id.Account) ed25519.PublicKey { return known[a] }, err
}

// Add takes a person's contact code, or an address with it, and pins the key that the
// server shows if it is the one of the code: keys.ErrContact if not.
func (b *Book) Add(ctx context.Context, code, name string) (Contact, error) {
	if err := checkName(name); err != nil {
		return Contact{}, err
	}
	contact, err := keys.ParseContact(code)
	if err != nil {
		return Contact{}, err
	}
	if contact.Account == b.self.Account {
		return Contact{}, ErrSelf
	}
	identity, err := b.shown(ctx, contact.Account)
	if err == nil {
		err = contact.Check(identity)
	}
	if err != nil {
		return Contact{}, err
	}
	added := Contact{Name: name, Identity: identity}
	return added, b.file.change(func(all []Contact) ([]Contact, error) {
		if at := slices.IndexFunc(all, func(c Contact) bool { return c.Identity.Account == identity.Account }); at >= 0 {
			if all[at].Identity.Fingerprint == identity.Fingerprint {
				return nil, fmt.Errorf("%w, as %q", ErrKnown, all[at].Name)
			}
			return nil, fmt.Errorf("%w, with another key, as %q: remove that contact first if you trust the new code", ErrKnown, all[at].Name)
		}
		if err := free(all, name); err != nil {
			return nil, err
		}
		if len(all) >= MaxContacts {
			return nil, ErrFull
		}
		return append(all, added), nil
	})
}

// shown is the identity that the server shows for a handle; whoever asks compares it.
func (b *Book) shown(ctx context.Context, of id.Account) (keys.Identity, error) {
	got, err := api.GetIdentity.Call(ctx, b.caller, b.args("account", of.String()), api.Empty{})
	if errors.Is(err, api.NotFound) {
		return keys.Identity{}, ErrNobody
	}
	if err != nil {
		return keys.Identity{}, err
	}
	raw, err := id.Encoding.DecodeString(got.Identity)
	if err == nil {
		var identity keys.Identity
		if identity, err = keys.ParseIdentity(raw); err == nil {
			return identity, nil
		}
	}
	return keys.Identity{}, fmt.Errorf("%w: what the service shows is no identity (%w)", keys.ErrContact, err)
}

func (b *Book) args(name, value string) api.Args {
	return api.Args{Secret: b.mine.Token.String(), Path: map[string]string{name: value}}
}

// Current is a contact whose key the server shows as it was pinned. It fails with
// ErrUnknown, ErrNobody or a *ChangedError: before anything is sealed to somebody.
func (b *Book) Current(ctx context.Context, name string) (Contact, error) {
	c, err := b.Find(name)
	if err != nil {
		return Contact{}, err
	}
	shown, err := b.shown(ctx, c.Identity.Account)
	if errors.Is(err, keys.ErrContact) || err == nil && shown.Fingerprint != c.Identity.Fingerprint {
		return Contact{}, &ChangedError{c.Name}
	}
	return c, err
}

// SafetyNumber is what both people see, if nobody stands between them.
func (b *Book) SafetyNumber(c Contact) string { return keys.SafetyNumber(b.self, c.Identity) }

// Verify notes that the safety numbers were compared and are the same.
func (b *Book) Verify(c Contact) error {
	return b.file.change(func(all []Contact) ([]Contact, error) {
		at, err := index(all, c.Name)
		if err != nil {
			return nil, err
		}
		if all[at].Identity.Fingerprint != c.Identity.Fingerprint { // exchanged while people compared
			return nil, &ChangedError{c.Name}
		}
		all[at].Verified = true
		return all, nil
	})
}

// Rename gives a contact another name.
func (b *Book) Rename(name, next string) error {
	if err := checkName(next); err != nil {
		return err
	}
	return b.file.change(func(all []Contact) ([]Contact, error) {
		at, err := index(all, name)
		if err != nil {
			return nil, err
		}
		others := slices.Delete(slices.Clone(all), at, at+1)
		if err := free(others, next); err != nil {
			return nil, err
		}
		all[at].Name = next
		return all, nil
	})
}

// Remove forgets a contact. What was shared stays shared.
func (b *Book) Remove(name string) error {
	return b.file.change(func(all []Contact) ([]Contact, error) {
		at, err := index(all, name)
		if err != nil {
			return nil, err
		}
		return slices.Delete(all, at, at+1), nil
	})
}

func checkName(name string) error {
	if name == "" || len(name) > maxName || strings.TrimSpace(name) != name || descriptor.Display(name) != name {
		return ErrName
	}
	return nil
}

func free(all []Contact, name string) error {
	if at, err := index(all, name); err == nil {
		return fmt.Errorf("%w: %q", ErrTaken, all[at].Name)
	}
	return nil
}
