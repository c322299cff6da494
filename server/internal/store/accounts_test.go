//go:build linux

package store

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/format/keys"
	"holdfast/format/opaque"
	"holdfast/format/work"
	"holdfast/server/internal/account"
)

// TestThreat19SameStatements: a login and a recovery that fail make the database do
// the same things in the same order whether anybody has the name or not, with a second
// factor and without, and answer in messages of the same lengths.
func TestThreat19SameStatements(t *testing.T) {
	ctx := t.Context()
	s, err := openSQLite(ctx, "recording", filepath.Join(t.TempDir(), "accounts.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	service, err := account.New(s, account.SecretOf([32]byte{1}), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	signUp := func(name string) id.Account {
		root, phrase := keys.NewRoot(), keys.NewPhrase()
		step, request, err := opaque.NewRegistration([]byte("right"))
		must(err)
		c, err := service.BeginSignUp(ctx, name, request)
		must(err)
		record, export, err := step.Finish(c.Response)
		must(err)
		nonce, err := work.Find(c.Challenge, c.Bits, func() error { return nil })
		must(err)
		must(service.SignUp(ctx, account.SignUp{
			Challenge: c.Challenge, Nonce: nonce, Account: root.Account, Session: id.New32(), Identity: root.Identity().Envelope(),
			Credential: account.Credential{Record: record, Wrap: keys.ByPassword(root.Account, export).Wrap(root), Epoch: root.Epoch},
			PhraseWrap: keys.ByPhrase(root.Account, phrase).Wrap(root), PhraseHash: keys.HashAuth(phrase.Auth()),
		}))
		return root.Account
	}
	signUp("ada")
	factored := signUp("bob")
	must(s.UseFactor(ctx, factored, account.Once{}, func(*account.Factor) (*account.Factor, error) { return &account.Factor{Secret: []byte("sealed")}, nil }))

	_, ke1, err := opaque.NewLogin([]byte("guess"))
	must(err)
	_, request, err := opaque.NewRegistration([]byte("guess"))
	must(err)
	var first [][]string
	var lengths [2]int
	for range 2 { // stable over repeats
		for _, name := range []string{"ada", "bob", "nobody"} {
			recorded.take()
			ke2, state, err := service.BeginLogin(ctx, name, ke1)
			must(err)
			begun := recorded.take()
			_, err = service.Login(ctx, account.Proof{State: state, KE3: make([]byte, opaque.KE3Size), Code: "123456"}, id.New32(), "")
			if !errors.Is(err, account.ErrLogin) {
				t.Fatalf("%s: %v", name, err)
			}
			ended := recorded.take()
			if _, err := service.BeginRecovery(ctx, name, id.New32(), "123456", request); !errors.Is(err, account.ErrLogin) {
				t.Fatalf("%s: %v", name, err)
			}
			did, long := [][]string{begun, ended, recorded.take()}, [2]int{len(ke2), len(state)}
			if first == nil {
				first, lengths = did, long
				if len(begun) < 3 || len(did[2]) < 3 {
					t.Fatalf("this test sees nothing: %q", did)
				}
			}
			for n, what := range []string{"the beginning of a login", "its end", "a recovery"} {
				if !slices.Equal(did[n], first[n]) {
					t.Errorf("%s, %s:\n%q instead of\n%q", name, what, did[n], first[n])
				}
			}
			if long != lengths {
				t.Errorf("%s: %v bytes instead of %v", name, long, lengths)
			}
		}
	}
}
