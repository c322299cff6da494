package storetest

import (
	"crypto/sha256"
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"

	"holdfast/format/id"
	"holdfast/server/internal/account"
)

// Accounts checks account.Store.
func Accounts(t *testing.T, open func(*testing.T) Store) {
	each(t, open, map[string]func(*suite){
		"one name, one account":             oneName,
		"an account is as it was made":      asMade,
		"steps are taken once":              stepsOnce,
		"sessions end":                      sessionsEnd,
		"the oldest sessions go":            oldestGo,
		"a new password ends others":        newCredential,
		"an erased account leaves nothing":  erased,
		"an account gets another name":      renamed,
		"other sessions end":                othersEnd,
		"a second factor is as it was made": factorAsMade,
		"of many with one code one is in":   raceForCode,
		"tries are counted one by one":      loginTriesCounted,
		"leftovers are dropped":             leftovers,
		"of many who want a name one is in": raceForName,
		"of many with one step one is in":   raceForStep,
	})
}

func hash(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }

func anAccount(name string) account.Account {
	return account.Account{
		ID: id.New[id.Account](), Name: hash(name), Credential: account.Credential{Key: hash("key of " + name), Record: []byte("record of " + name), Wrap: []byte("wrap"), Epoch: 3},
		PhraseWrap: []byte("phrase wrap"), PhraseHash: hash("phrase of " + name), Identity: []byte("identity"), Day: someDay,
	}
}

func aSession(token string, day int64) account.Session {
	return account.Session{Hash: hash(token), Label: "label of " + token, Made: someDay, Used: day}
}

func aStep(text string) account.Once { return account.Once{Hash: hash(text), Expires: now} }

// made makes an account with a session of the same name.
func (s *suite) made(name string) account.Account {
	s.Helper()
	a := anAccount(name)
	s.must(s.CreateAccount(s.Context(), a, aSession(name, someDay), aStep("make "+name)))
	return a
}

func oneName(s *suite) {
	a := s.made("ada")
	again := anAccount("ada")
	s.want(s.CreateAccount(s.Context(), again, aSession("other", someDay), aStep("2")), account.ErrTaken)
	again = anAccount("bob")
	again.ID = a.ID
	s.want(s.CreateAccount(s.Context(), again, aSession("other", someDay), aStep("2")), account.ErrExists)
	_, _, err := s.AccountBySession(s.Context(), hash("other"), 0)
	s.want(err, account.ErrSession)
	s.must(s.CreateAccount(s.Context(), anAccount("bob"), aSession("other", someDay), aStep("2"))) // what failed took no step
	_, err = s.AccountByName(s.Context(), hash("nobody"))
	s.want(err, account.ErrUnknown)
}

func asMade(s *suite) {
	a := s.made("ada")
	s.made("bob")
	got, err := s.AccountByName(s.Context(), a.Name)
	s.must(err)
	if !reflect.DeepEqual(got, a) {
		s.Errorf("%+v instead of %+v", got, a)
	}
	got, session, err := s.AccountBySession(s.Context(), hash("ada"), someDay)
	s.must(err)
	if !reflect.DeepEqual(got, a) || session != aSession("ada", someDay) {
		s.Errorf("%+v of %+v", session, got)
	}
	_, _, err = s.AccountBySession(s.Context(), hash("ada"), someDay+1)
	s.want(err, account.ErrSession)
	if identity, err := s.IdentityOf(s.Context(), a.ID); err != nil || string(identity) != string(a.Identity) {
		s.Errorf("identity %q, %v", identity, err)
	}
	_, err = s.IdentityOf(s.Context(), id.New[id.Account]())
	s.want(err, account.ErrUnknown)
}

func stepsOnce(s *suite) {
	a := s.made("ada")
	ctx := s.Context()
	s.want(s.CreateAccount(ctx, anAccount("bob"), aSession("bob", someDay), aStep("make ada")), account.ErrStep)
	s.must(s.BeginSession(ctx, a.ID, aSession("1", someDay), aStep("log in"), 9))
	s.want(s.BeginSession(ctx, a.ID, aSession("2", someDay), aStep("log in"), 9), account.ErrStep)
	s.want(s.ReplaceCredential(ctx, a.ID, account.Credential{}, aStep("log in"), true, hash("1")), account.ErrStep)
	_, err := s.AccountByName(ctx, hash("bob"))
	s.want(err, account.ErrUnknown)
	all, err := s.Sessions(ctx, a.ID)
	s.must(err)
	if len(all) != 2 {
		s.Errorf("%d sessions", len(all))
	}
	s.want(s.BeginSession(ctx, id.New[id.Account](), aSession("3", someDay), aStep("nobody's"), 9), account.ErrUnknown)
	s.must(s.BeginSession(ctx, a.ID, aSession("3", someDay), aStep("nobody's"), 9)) // what failed took no step
}

func sessionsEnd(s *suite) {
	a, b := s.made("ada"), s.made("bob")
	ctx := s.Context()
	s.must(s.BeginSession(ctx, a.ID, aSession("phone", someDay+5), aStep("1"), 9))
	s.must(s.UseSession(ctx, hash("ada"), someDay+7))
	s.must(s.UseSession(ctx, hash("phone"), someDay)) // never back
	all, err := s.Sessions(ctx, a.ID)
	s.must(err)
	want := []account.Session{aSession("ada", someDay+7), aSession("phone", someDay+5)}
	if !slices.Equal(all, want) {
		s.Errorf("%+v", all)
	}
	s.want(s.EndSession(ctx, b.ID, hash("ada")), account.ErrSession) // not bob's to end
	s.must(s.EndSession(ctx, a.ID, hash("ada")))
	s.want(s.EndSession(ctx, a.ID, hash("ada")), account.ErrSession)
	_, _, err = s.AccountBySession(ctx, hash("ada"), 0)
	s.want(err, account.ErrSession)
	_, _, err = s.AccountBySession(ctx, hash("phone"), 0)
	s.must(err)
}

func oldestGo(s *suite) {
	a, b := s.made("ada"), s.made("bob")
	for i, token := range []string{"1", "2", "3"} {
		s.must(s.BeginSession(s.Context(), a.ID, aSession(token, someDay+1+int64(i)), aStep(token), 2))
	}
	all, err := s.Sessions(s.Context(), a.ID)
	s.must(err)
	if len(all) != 2 || all[0].Hash != hash("3") || all[1].Hash != hash("2") {
		s.Errorf("%+v", all)
	}
	if all, err := s.Sessions(s.Context(), b.ID); err != nil || len(all) != 1 {
		s.Errorf("another's: %+v %v", all, err)
	}
}

func newCredential(s *suite) {
	a, b := s.made("ada"), s.made("bob")
	ctx := s.Context()
	s.must(s.BeginSession(ctx, a.ID, aSession("phone", someDay), aStep("1"), 9))
	fresh := account.Credential{Key: hash("fresh"), Record: []byte("fresh"), Wrap: []byte("fresh wrap"), Epoch: 4}
	s.must(s.ReplaceCredential(ctx, a.ID, fresh, aStep("2"), false, hash("ada")))
	got, err := s.AccountByName(ctx, a.Name)
	s.must(err)
	a.Credential = fresh
	if !reflect.DeepEqual(got, a) {
		s.Errorf("%+v", got)
	}
	_, _, err = s.AccountBySession(ctx, hash("phone"), 0)
	s.must(err)
	s.must(s.ReplaceCredential(ctx, a.ID, fresh, aStep("3"), true, hash("ada")))
	_, _, err = s.AccountBySession(ctx, hash("phone"), 0)
	s.want(err, account.ErrSession)
	_, _, err = s.AccountBySession(ctx, hash("ada"), 0)
	s.must(err)
	if got, err := s.AccountByName(ctx, b.Name); err != nil || !reflect.DeepEqual(got, b) {
		s.Errorf("another's account is changed: %+v %v", got, err)
	}
	s.want(s.ReplaceCredential(ctx, id.New[id.Account](), fresh, aStep("4"), true, hash("ada")), account.ErrUnknown)
}

func erased(s *suite) {
	a, b := s.made("ada"), s.made("bob")
	s.must(s.EraseAccount(s.Context(), a.ID))
	s.want(s.EraseAccount(s.Context(), a.ID), account.ErrUnknown)
	_, err := s.AccountByName(s.Context(), a.Name)
	s.want(err, account.ErrUnknown)
	_, _, err = s.AccountBySession(s.Context(), hash("ada"), 0)
	s.want(err, account.ErrSession)
	_, err = s.AccountByName(s.Context(), b.Name)
	s.must(err)
	s.must(s.CreateAccount(s.Context(), anAccount("ada"), aSession("ada", someDay), aStep("again")))
}

func loginTriesCounted(s *suite) {
	stop := errors.New("stop")
	s.must(s.UseLoginTry(s.Context(), hash("ada"), func(free int64) (int64, error) { return free + 5, nil }))
	s.want(s.UseLoginTry(s.Context(), hash("ada"), func(int64) (int64, error) { return 99, stop }), stop)
	s.must(s.UseLoginTry(s.Context(), hash("bob"), func(free int64) (int64, error) { return free + 70, nil }))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if err := s.UseLoginTry(s.Context(), hash("ada"), func(free int64) (int64, error) { return free + 1, nil }); err != nil {
				s.Error(err)
			}
		})
	}
	group.Wait()
	s.must(s.UseLoginTry(s.Context(), hash("ada"), func(free int64) (int64, error) {
		if free != 13 {
			s.Errorf("%d", free)
		}
		return free, nil
	}))
}

func leftovers(s *suite) {
	a := s.made("ada") // its step expires at now
	ctx := s.Context()
	s.must(s.BeginSession(ctx, a.ID, aSession("phone", someDay+5), account.Once{Hash: hash("1"), Expires: now + 10}, 9))
	s.must(s.UseLoginTry(ctx, hash("ada"), func(int64) (int64, error) { return now, nil }))
	s.must(s.UseLoginTry(ctx, hash("bob"), func(int64) (int64, error) { return now + 10, nil }))
	drop := func(at, since int64, limit, want int) {
		s.Helper()
		if n, err := s.DropAccountLeftovers(ctx, at, since, limit); err != nil || n != want {
			s.Errorf("%d dropped instead of %d: %v", n, want, err)
		}
	}
	drop(now, someDay, 10, 0)
	drop(now+1, someDay+1, 10, 3) // a step, a try, a session
	_, _, err := s.AccountBySession(ctx, hash("ada"), 0)
	s.want(err, account.ErrSession)
	_, _, err = s.AccountBySession(ctx, hash("phone"), 0)
	s.must(err)
	s.want(s.BeginSession(ctx, a.ID, aSession("2", someDay), aStep("1"), 9), account.ErrStep)
	drop(now+11, someDay+1, 10, 2)
}

// race runs so many at once and returns how many got in; all others must fail with one
// of the errors.
func (s *suite) race(n int, run func(i int) error, allowed ...error) (in int) {
	s.Helper()
	var group sync.WaitGroup
	results := make([]error, n)
	for i := range n {
		group.Go(func() { results[i] = run(i) })
	}
	group.Wait()
	for _, err := range results {
		if err == nil {
			in++
		} else if !slices.ContainsFunc(allowed, func(target error) bool { return errors.Is(err, target) }) {
			s.Error(err)
		}
	}
	return in
}

func raceForName(s *suite) {
	steps := []string{"a", "b", "c", "d", "e", "f"}
	in := s.race(len(steps), func(i int) error {
		return s.CreateAccount(s.Context(), anAccount("ada"), aSession(steps[i], someDay), aStep(steps[i]))
	}, account.ErrTaken)
	if in != 1 {
		s.Errorf("%d accounts of one name", in)
	}
}

func raceForStep(s *suite) {
	a := s.made("ada")
	tokens := []string{"a", "b", "c", "d", "e", "f"}
	in := s.race(len(tokens), func(i int) error {
		return s.BeginSession(s.Context(), a.ID, aSession(tokens[i], someDay), aStep("log in"), 9)
	}, account.ErrStep)
	if all, err := s.Sessions(s.Context(), a.ID); err != nil || in != 1 || len(all) != 2 {
		s.Errorf("%d logins of one step, %d sessions: %v", in, len(all), err)
	}
}
