package account

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zalando/go-keyring"

	"holdfast/client/home"
	"holdfast/format/id"
	"holdfast/format/keys"
)

// fakeRing is a keyring; broken is what it answers where it is set.
type fakeRing struct {
	all    map[string]string
	broken error
}

func (f *fakeRing) Set(user, secret string) error {
	if f.broken == nil {
		f.all[user] = secret
	}
	return f.broken
}

func (f *fakeRing) Get(user string) (string, error) {
	secret, ok := f.all[user]
	if f.broken == nil && !ok {
		return "", keyring.ErrNotFound
	}
	return secret, f.broken
}

func (f *fakeRing) Delete(user string) error {
	if _, ok := f.all[user]; f.broken == nil && !ok {
		return keyring.ErrNotFound
	}
	if f.broken == nil {
		delete(f.all, user)
	}
	return f.broken
}

func newKeeper(t *testing.T) (Keeper, *fakeRing, string) {
	t.Helper()
	path := t.TempDir()
	dir, err := home.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeRing{all: map[string]string{}}
	return Keeper{Dir: dir, ring: f}, f, filepath.Join(path, "account", "login.json")
}

func someLogin() Kept {
	return Kept{Access{keys.NewRoot(), id.New32()}, "https://somewhere.example", "ada"}
}

func (k Keeper) kept(t *testing.T, l Kept) (where string, fell error) {
	t.Helper()
	where, fell, err := k.Save(l)
	if err != nil {
		t.Fatal(err)
	}
	got, err := k.Load()
	if err != nil || got != l {
		t.Fatalf("another login came back: %v", err)
	}
	return where, fell
}

func content(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	return string(raw)
}

func TestKeptInTheKeyring(t *testing.T) {
	k, ring, path := newKeeper(t)
	if _, err := k.Load(); !errors.Is(err, ErrLoggedOut) {
		t.Errorf("before: %v", err)
	}
	l := someLogin()
	where, fell := k.kept(t, l)
	text := content(t, path)
	if fell != nil || !strings.Contains(where, "keyring") || strings.Contains(text, l.Token.String()) || strings.Contains(text, l.Root.Key.Reveal()) {
		t.Errorf("in %s (%v): %s", where, fell, text)
	}
	next := someLogin() // another account: the keys of the first do not stay
	k.kept(t, next)
	if len(ring.all) != 1 {
		t.Errorf("%d secrets in the keyring", len(ring.all))
	}
	ring.broken = errors.New("locked")
	if _, err := k.Load(); !errors.Is(err, ErrKeyring) {
		t.Errorf("locked: %v", err)
	}
	if err := k.Forget(); !errors.Is(err, ErrKeyring) {
		t.Errorf("forgotten while locked: %v", err)
	}
	ring.broken = nil
	delete(ring.all, next.Root.Account.String())
	if _, err := k.Load(); !errors.Is(err, ErrLoggedOut) {
		t.Errorf("gone from the keyring: %v", err)
	}
	for range 2 {
		if err := k.Forget(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the file is left")
	}
}

func TestKeptInAFile(t *testing.T) {
	for name, set := range map[string]func(*Keeper, *fakeRing){
		"nobody wants a keyring": func(k *Keeper, _ *fakeRing) { k.NoKeyring = true },
		"there is none":          func(_ *Keeper, f *fakeRing) { f.broken = errors.New("no such thing") },
	} {
		t.Run(name, func(t *testing.T) {
			k, ring, path := newKeeper(t)
			set(&k, ring)
			l := someLogin()
			where, fell := k.kept(t, l)
			text := content(t, path)
			if where != path || (fell == nil) != k.NoKeyring || !strings.Contains(text, "WITH ITS KEYS") || len(ring.all) != 0 {
				t.Errorf("in %s (%v): %s", where, fell, text)
			}
			if err := k.Forget(); err != nil {
				t.Error(err)
			}
			if _, err := k.Load(); !errors.Is(err, ErrLoggedOut) {
				t.Errorf("forgotten: %v", err)
			}
		})
	}
}

func TestDamagedLogins(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "no JSON": "{", "no token": `{"secret":{"root":"x","epoch":1}}`, "no epoch": `{"secret":{}}`, "too long": strings.Repeat(" ", maxLogin+1) + "{}",
	} {
		k, _, path := newKeeper(t)
		if _, _, err := k.Save(someLogin()); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Load(); err == nil || errors.Is(err, ErrLoggedOut) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
