package storetest

import (
	"crypto/sha256"
	"errors"
	"reflect"

	"holdfast/format/id"
	"holdfast/server/internal/account"
)

func renamed(s *suite) {
	ctx := s.Context()
	a, b := s.made("ada"), s.made("bob")
	c := account.Credential{Key: hash("new key"), Record: []byte("new record"), Wrap: []byte("new wrap"), Epoch: 3}
	s.want(s.RenameAccount(ctx, a.ID, b.Name, c, aStep("1")), account.ErrTaken)
	s.must(s.RenameAccount(ctx, a.ID, hash("eve"), c, aStep("1"))) // what failed took no step
	s.want(s.RenameAccount(ctx, a.ID, hash("zoe"), c, aStep("1")), account.ErrStep)
	s.want(s.RenameAccount(ctx, id.New[id.Account](), hash("zoe"), c, aStep("2")), account.ErrUnknown)
	_, err := s.AccountByName(ctx, a.Name)
	s.want(err, account.ErrUnknown)
	got, err := s.AccountByName(ctx, hash("eve"))
	s.must(err)
	a.Name, a.Credential = hash("eve"), c
	if !reflect.DeepEqual(got, a) {
		s.Errorf("%+v instead of %+v", got, a)
	}
	s.must(s.RenameAccount(ctx, a.ID, hash("eve"), c, aStep("3"))) // its own name is free for it
	s.must(s.RenameAccount(ctx, b.ID, hash("ada"), c, aStep("4")))
}

func othersEnd(s *suite) {
	ctx := s.Context()
	a := s.made("ada")
	s.made("bob")
	for _, token := range []string{"1", "2"} {
		s.must(s.BeginSession(ctx, a.ID, aSession(token, someDay), aStep(token), 9))
	}
	if n, err := s.EndOthers(ctx, a.ID, hash("1")); err != nil || n != 2 {
		s.Errorf("%d ended: %v", n, err)
	}
	all, err := s.Sessions(ctx, a.ID)
	if err != nil || len(all) != 1 || all[0].Hash != hash("1") {
		s.Errorf("%+v, %v", all, err)
	}
	_, _, err = s.AccountBySession(ctx, hash("bob"), 0)
	s.must(err)
}

// factor reads an account's.
func (s *suite) factor(a id.Account) (have *account.Factor) {
	s.Helper()
	s.must(s.UseFactor(s.Context(), a, account.Once{}, func(f *account.Factor) (*account.Factor, error) {
		have = f
		return f, nil
	}))
	return have
}

func (s *suite) setFactor(a id.Account, f *account.Factor) {
	s.Helper()
	s.must(s.UseFactor(s.Context(), a, account.Once{}, func(*account.Factor) (*account.Factor, error) { return f, nil }))
}

func factorAsMade(s *suite) {
	ctx := s.Context()
	a, b := s.made("ada"), s.made("bob")
	if s.factor(a.ID) != nil {
		s.Error("a factor that nobody made")
	}
	f := &account.Factor{Secret: []byte("sealed"), Step: 7, Codes: [][sha256.Size]byte{{1}, {2}, {3}}}
	s.setFactor(a.ID, f)
	s.setFactor(b.ID, &account.Factor{Secret: []byte("other"), Step: 1, Codes: [][sha256.Size]byte{{1}}})
	if have := s.factor(a.ID); !reflect.DeepEqual(have, f) {
		s.Errorf("%+v instead of %+v", have, f)
	}
	stop := errors.New("stop")
	keep := func(f *account.Factor) (*account.Factor, error) { return f, nil }
	s.want(s.UseFactor(ctx, a.ID, aStep("1"), func(f *account.Factor) (*account.Factor, error) { f.Step = 99; return f, stop }), stop)
	s.must(s.UseFactor(ctx, a.ID, aStep("1"), keep)) // what failed took no step
	s.want(s.UseFactor(ctx, a.ID, aStep("1"), keep), account.ErrStep)
	s.want(s.UseFactor(ctx, id.New[id.Account](), account.Once{}, keep), account.ErrUnknown)
	s.want(s.UseFactor(ctx, id.New[id.Account](), account.Once{}, keep), account.ErrUnknown)
	got, err := s.AccountByName(ctx, a.Name)
	if left, e := s.CodesLeft(ctx, a.ID); err != nil || e != nil || left != 3 || !got.Factor || s.factor(a.ID).Step != 7 {
		s.Errorf("%d left, factor %v, %v, %v", left, got.Factor, err, e)
	}
	s.setFactor(a.ID, nil)
	got, err = s.AccountByName(ctx, a.Name)
	if left, e := s.CodesLeft(ctx, a.ID); err != nil || e != nil || left != 0 || got.Factor || s.factor(a.ID) != nil || s.factor(b.ID) == nil {
		s.Errorf("%d left, factor %v, %v, %v", left, got.Factor, err, e)
	}
	s.must(s.EraseAccount(ctx, b.ID)) // with its factor
}

func raceForCode(s *suite) {
	a := s.made("ada")
	s.setFactor(a.ID, &account.Factor{Secret: []byte("sealed"), Step: 7, Codes: [][sha256.Size]byte{{1}, {2}}})
	used := errors.New("used")
	in := s.race(6, func(int) error {
		return s.UseFactor(s.Context(), a.ID, account.Once{}, func(f *account.Factor) (*account.Factor, error) {
			if f.Step != 7 {
				return nil, used
			}
			f.Step, f.Codes = 8, f.Codes[1:]
			return f, nil
		})
	}, used)
	if f := s.factor(a.ID); in != 1 || f.Step != 8 || len(f.Codes) != 1 {
		s.Errorf("%d used one code, and %+v is left", in, f)
	}
}
