package account

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/zalando/go-keyring"

	"holdfast/client/home"
	"holdfast/format/id"
	"holdfast/format/keys"
	"holdfast/format/link"
)

// ErrLoggedOut: this machine is logged in nowhere.
var ErrLoggedOut = errors.New("not logged in on this machine")

// ErrKeyring: the login's keys are in a keyring that does not give them out.
var ErrKeyring = errors.New("the keyring of this system is locked or away, and the login's keys are in it")

const (
	loginFile = "login.json"
	// keyringService is how the system's keyring names what is ours.
	keyringService = "holdfast"
	// keyringTime bounds waiting for a keyring, which may ask its owner to unlock it.
	keyringTime = 30 * time.Second
	maxLogin    = 16 << 10
)

// Kept is a login as this machine keeps it.
type Kept struct {
	Access
	Server, Name string
}

// Keeper keeps the one login of a client's home: its keys in the system's keyring, or,
// where there is none or nobody wants it, in a file for its owner alone.
type Keeper struct {
	Dir home.Dir
	// NoKeyring keeps everything in the file.
	NoKeyring bool

	ring ring // nil for the system's
}

// ring is a keyring.
type ring interface {
	Set(user, secret string) error
	Get(user string) (string, error)
	Delete(user string) error
}

// systemRing is the one of the system.
type systemRing struct{}

func (systemRing) Set(user, secret string) error {
	_, err := timely(func() (string, error) { return "", keyring.Set(keyringService, user, secret) })
	return err
}

func (systemRing) Get(user string) (string, error) {
	return timely(func() (string, error) { return keyring.Get(keyringService, user) })
}

func (systemRing) Delete(user string) error {
	_, err := timely(func() (string, error) { return "", keyring.Delete(keyringService, user) })
	return err
}

// timely gives up on a keyring that answers nothing.
func timely(call func() (string, error)) (string, error) {
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := call()
		answers <- answer{text, err}
	}()
	limit := time.NewTimer(keyringTime)
	defer limit.Stop()
	select {
	case a := <-answers:
		return a.text, a.err
	case <-limit.C:
		return "", errors.New("no answer")
	}
}

func (k Keeper) system() ring {
	if k.ring != nil {
		return k.ring
	}
	return systemRing{}
}

// stored is the file. Where Secret is there it holds all that the login opens.
type stored struct {
	About   string     `json:"about"`
	Server  string     `json:"server"`
	Name    string     `json:"name"`
	Account id.Account `json:"account"`
	Secret  *secret    `json:"secret,omitempty"`
}

// secret is what stands in a keyring, or in the file.
type secret struct {
	Token string `json:"token"`
	Root  string `json:"root"`
	Epoch uint32 `json:"epoch"`
}

const (
	aboutRing = "A login of Holdfast. Its keys are in this system's keyring, under the service holdfast."
	aboutFile = "A login of Holdfast WITH ITS KEYS: whoever reads this file reads and changes everything in the account. holdfast logout ends it."
)

// Save keeps a login in place of the one before. where says where its keys are; fell
// is why not in the keyring, nil if they are there or nobody wanted it.
func (k Keeper) Save(l Kept) (where string, fell, err error) {
	path, err := k.path()
	if err != nil {
		return "", nil, err
	}
	if err := k.forgetRing(path, l.Root.Account); err != nil {
		return "", nil, err
	}
	file := stored{About: aboutFile, Server: l.Server, Name: l.Name, Account: l.Root.Account}
	s := &secret{Token: l.Token.String(), Root: l.Root.Key.Reveal(), Epoch: l.Root.Epoch}
	where = path
	file.Secret = s
	if !k.NoKeyring {
		raw, err := json.Marshal(s)
		if err != nil {
			return "", nil, fmt.Errorf("keep the login: %w", err)
		}
		if fell = k.system().Set(l.Root.Account.String(), string(raw)); fell == nil {
			where, file.About, file.Secret = "the keyring of this system", aboutRing, nil
		}
	}
	raw, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return "", nil, fmt.Errorf("keep the login: %w", err)
	}
	return where, fell, home.WriteFile(path, append(raw, '\n'))
}

func (k Keeper) path() (string, error) {
	dir, err := k.Dir.Sub("account")
	return filepath.Join(dir, loginFile), err
}

// forgetRing takes the keys of the login that was kept before out of the keyring, if it
// is another account's.
func (k Keeper) forgetRing(path string, next id.Account) error {
	before, err := read(path)
	if errors.Is(err, ErrLoggedOut) {
		return nil
	}
	if err != nil {
		return err
	}
	if before.Secret != nil || before.Account == next {
		return nil
	}
	if err := k.system().Delete(before.Account.String()); err != nil && !errors.Is(err, keyring.ErrNotFound) {
		return fmt.Errorf("%w: %w", ErrKeyring, err)
	}
	return nil
}

func read(path string) (stored, error) {
	var s stored
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, ErrLoggedOut
	}
	if err == nil && info.Size() > maxLogin {
		err = fmt.Errorf("%d bytes", info.Size())
	}
	var raw []byte
	if err == nil {
		raw, err = os.ReadFile(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return s, ErrLoggedOut
	}
	if err == nil {
		err = json.Unmarshal(raw, &s)
	}
	if err != nil {
		return s, fmt.Errorf("read the login in %s: %w", path, err)
	}
	return s, nil
}

// Load is the login that is kept, or ErrLoggedOut.
func (k Keeper) Load() (Kept, error) {
	path, err := k.path()
	if err != nil {
		return Kept{}, err
	}
	file, err := read(path)
	if err != nil {
		return Kept{}, err
	}
	s := file.Secret
	if s == nil {
		text, err := k.system().Get(file.Account.String())
		if errors.Is(err, keyring.ErrNotFound) {
			return Kept{}, fmt.Errorf("%w: its keys are no longer in the keyring; log in again", ErrLoggedOut)
		}
		if err != nil {
			return Kept{}, fmt.Errorf("%w: %w", ErrKeyring, err)
		}
		s = &secret{}
		if err := json.Unmarshal([]byte(text), s); err != nil {
			return Kept{}, fmt.Errorf("read the login in the keyring: %w", err)
		}
	}
	token, err := id.Parse32(s.Token)
	root, rootErr := link.ParseSecret(s.Root)
	if err = errors.Join(err, rootErr); err != nil || s.Epoch == 0 {
		return Kept{}, fmt.Errorf("read the login: it is damaged; log out and in again")
	}
	return Kept{Access{keys.Root{Account: file.Account, Epoch: s.Epoch, Key: root}, token}, file.Server, file.Name}, nil
}

// Forget forgets the login; where there is none it does nothing.
func (k Keeper) Forget() error {
	path, err := k.path()
	if err != nil {
		return err
	}
	if err := k.forgetRing(path, id.Account{}); err != nil {
		return err
	}
	return home.Remove(path)
}
