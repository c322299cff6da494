package account_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/format/keys"
	"holdfast/format/opaque"
	"holdfast/format/work"
	"holdfast/server/internal/account"
	"holdfast/server/internal/servertest"
	"holdfast/server/internal/store"
)

// rig is two servers on one real database, which answer in turn.
type rig struct {
	*testing.T
	servers [2]*account.Service
	turn    int
	clock   *servertest.Clock
}

func newRig(t *testing.T) *rig {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "holdfast.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &rig{T: t, clock: servertest.NewClock()}
	secret := account.Secret{OPAQUE: opaque.NewSecret(), Names: id.New32()}
	for i := range r.servers {
		if r.servers[i], err = account.New(s, secret, r.clock.Now); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// any is the next server: every step may land at another one.
func (r *rig) any() *account.Service {
	r.turn++
	return r.servers[r.turn%2]
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) want(err, target error) {
	r.Helper()
	if !errors.Is(err, target) {
		r.Errorf("have %v, want %v", err, target)
	}
}

// person is the client's half.
type person struct {
	name, password string
	root           keys.Root
	phrase         keys.Phrase
	token          id.Bytes32
}

func newPerson(name, password string) *person {
	return &person{name: name, password: password, root: keys.NewRoot(), phrase: keys.NewPhrase(), token: id.New32()}
}

// prepare does all of a sign-up but its last message.
func (r *rig) prepare(p *person) account.SignUp {
	r.Helper()
	step, request, err := opaque.NewRegistration([]byte(p.password))
	r.must(err)
	c, err := r.any().BeginSignUp(r.Context(), p.name, request)
	r.must(err)
	record, export, err := step.Finish(c.Response)
	r.must(err)
	nonce, err := work.Find(c.Challenge, c.Bits, func() error { return nil })
	r.must(err)
	return account.SignUp{
		Challenge: c.Challenge, Nonce: nonce, Account: p.root.Account,
		Credential: account.Credential{Record: record, Wrap: keys.ByPassword(p.root.Account, export).Wrap(p.root), Epoch: p.root.Epoch},
		PhraseWrap: keys.ByPhrase(p.root.Account, p.phrase).Wrap(p.root), PhraseHash: keys.HashAuth(p.phrase.Auth()),
		Identity: p.root.Identity().Envelope(), Session: p.token, Label: "laptop",
	}
}

func (r *rig) signedUp(name, password string) *person {
	r.Helper()
	p := newPerson(name, password)
	r.must(r.any().SignUp(r.Context(), r.prepare(p)))
	return p
}

// logIn returns the root key that a name and a password open.
func (r *rig) logIn(name, password string, token id.Bytes32) (keys.Root, error) {
	r.Helper()
	step, ke1, err := opaque.NewLogin([]byte(password))
	r.must(err)
	ke2, state, err := r.any().BeginLogin(r.Context(), name, ke1)
	if err != nil {
		return keys.Root{}, err
	}
	ke3, export, err := step.Finish(ke2)
	if err != nil {
		return keys.Root{}, err
	}
	a, err := r.any().Login(r.Context(), state, ke3, token, "phone")
	if err != nil {
		return keys.Root{}, err
	}
	return keys.ByPassword(a.Account, export).Unwrap(a.Epoch, a.Wrap)
}

func TestSignUpAndLogIn(t *testing.T) {
	r := newRig(t)
	p := r.signedUp("Correct Horse", "password one")
	b, err := r.any().Bearer(t.Context(), p.token)
	r.must(err)
	if b.ID != p.root.Account || b.Session.Label != "laptop" {
		t.Errorf("%+v", b.Session)
	}
	for _, name := range []string{"Correct Horse", "correct horse", "CORRECT HORSE", "ｃorrect horse"} {
		token := id.Bytes32(id.New32())
		got, err := r.logIn(name, "password one", token)
		if err != nil || got != p.root {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := r.any().Bearer(t.Context(), token); err != nil {
			t.Error(err)
		}
	}
	all, err := r.any().Sessions(t.Context(), b)
	r.must(err)
	if len(all) != 5 {
		t.Errorf("%d sessions", len(all))
	}
}

func TestWrongLogins(t *testing.T) {
	r := newRig(t)
	r.signedUp("ada", "password one")
	for _, c := range [][2]string{{"ada", "password two"}, {"bob", "password one"}, {"adá", "password one"}} {
		if _, err := r.logIn(c[0], c[1], id.New32()); !errors.Is(err, opaque.ErrLogin) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

// TestThreat19UnknownNames: a name that nobody has answers as one that somebody has,
// until its tries are used up as well.
func TestThreat19UnknownNames(t *testing.T) {
	r := newRig(t)
	r.signedUp("ada", "password one")
	_, ke1, err := opaque.NewLogin([]byte("guess"))
	r.must(err)
	sizes := map[string][2]int{}
	limited := map[string]int{}
	for _, name := range []string{"ada", "nobody"} {
		for n := range 30 {
			ke2, state, err := r.any().BeginLogin(t.Context(), name, ke1)
			var wait *account.LimitedError
			if errors.As(err, &wait) {
				limited[name]++
				continue
			}
			r.must(err)
			if n == 0 {
				sizes[name] = [2]int{len(ke2), len(state)}
			}
			if _, err := r.any().Login(t.Context(), state, make([]byte, opaque.KE3Size), id.New32(), ""); !errors.Is(err, account.ErrLogin) {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	if sizes["ada"] != sizes["nobody"] {
		t.Errorf("answers of %v bytes", sizes)
	}
	if limited["ada"] != 10 || limited["nobody"] != 10 {
		t.Errorf("limited: %v", limited)
	}
	for _, name := range []string{"ada", "nobody"} {
		_, request, err := opaque.NewRegistration([]byte("new"))
		r.must(err)
		r.clock.Add(time.Hour)
		if _, err := r.any().BeginRecovery(t.Context(), name, id.New32(), request); !errors.Is(err, account.ErrLogin) {
			t.Errorf("recovery of %s: %v", name, err)
		}
	}
}

// TestThreat18LoginsAreLimited: who guesses has to wait, and who logs in has all
// tries again.
func TestThreat18LoginsAreLimited(t *testing.T) {
	r := newRig(t)
	r.signedUp("ada", "password one")
	_, ke1, err := opaque.NewLogin([]byte("guess"))
	r.must(err)
	guess := func() error {
		_, _, err := r.any().BeginLogin(t.Context(), "ada", ke1)
		return err
	}
	for range 19 {
		r.must(guess())
	}
	if _, err := r.logIn("ada", "password one", id.New32()); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		r.must(guess())
	}
	var wait *account.LimitedError
	if err := guess(); !errors.As(err, &wait) || wait.Seconds() != 15 {
		t.Fatalf("%v", err)
	}
	r.clock.Add(15 * time.Second)
	r.must(guess())
	if err := guess(); !errors.As(err, &wait) {
		t.Error("two tries came back at once")
	}
}

func TestTakenNames(t *testing.T) {
	r := newRig(t)
	r.signedUp("ada", "password one")
	r.want(r.any().SignUp(t.Context(), r.prepare(newPerson("ADA", "password two"))), account.ErrTaken)
	if _, err := r.logIn("ada", "password one", id.New32()); err != nil {
		t.Error(err)
	}
}

// TestStepsAreTakenOnce: no message of a sign-up or login can be sent again, late, or
// in another's place.
func TestStepsAreTakenOnce(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	p := newPerson("ada", "password one")
	up := r.prepare(p)
	r.must(r.any().SignUp(ctx, up))
	again := up
	again.Account = id.New[id.Account]()
	r.want(r.any().SignUp(ctx, up), account.ErrStep)

	login := func() (state, ke3 []byte) {
		step, ke1, err := opaque.NewLogin([]byte(p.password))
		r.must(err)
		ke2, state, err := r.any().BeginLogin(ctx, p.name, ke1)
		r.must(err)
		ke3, _, err = step.Finish(ke2)
		r.must(err)
		return state, ke3
	}
	state, ke3 := login()
	other, otherKE3 := login()
	if _, err := r.any().Login(ctx, state, otherKE3, id.New32(), ""); !errors.Is(err, account.ErrLogin) {
		t.Errorf("another login's KE3: %v", err)
	}
	for i := range state {
		bad := bytes.Clone(state)
		bad[i] ^= 1
		if _, err := r.any().Login(ctx, bad, ke3, id.New32(), ""); !errors.Is(err, account.ErrStep) {
			t.Fatalf("byte %d of the state: %v", i, err)
		}
	}
	if _, err := r.any().Login(ctx, up.Challenge, ke3, id.New32(), ""); !errors.Is(err, account.ErrStep) {
		t.Errorf("a sign-up's state in a login: %v", err)
	}
	_, err := r.any().Login(ctx, state, ke3, id.New32(), "")
	r.must(err)
	_, err = r.any().Login(ctx, state, ke3, id.New32(), "")
	r.want(err, account.ErrStep)
	r.clock.Add(5*time.Minute + time.Second)
	_, err = r.any().Login(ctx, other, otherKE3, id.New32(), "")
	r.want(err, account.ErrStep)
	late := r.prepare(newPerson("bob", "password"))
	r.clock.Add(5*time.Minute + time.Second)
	r.want(r.any().SignUp(ctx, late), account.ErrStep)
}

func TestSignUpsAreRefused(t *testing.T) {
	r := newRig(t)
	other := newPerson("somebody", "password")
	good := r.prepare(newPerson("ada", "password one"))
	for name, change := range map[string]struct {
		to   func(*account.SignUp)
		want error
	}{
		"no proof of work":          {func(u *account.SignUp) { u.Nonce++ }, account.ErrWork},
		"a changed challenge":       {func(u *account.SignUp) { u.Challenge = append([]byte{1}, u.Challenge[1:]...) }, account.ErrStep},
		"no token":                  {func(u *account.SignUp) { u.Session = id.Bytes32{} }, account.ErrRequest},
		"a long label":              {func(u *account.SignUp) { u.Label = strings.Repeat("x", account.MaxLabel+1) }, account.ErrRequest},
		"a record that is none":     {func(u *account.SignUp) { u.Record = make([]byte, opaque.RecordSize) }, account.ErrRequest},
		"a wrap that is none":       {func(u *account.SignUp) { u.Wrap = u.Wrap[1:] }, account.ErrRequest},
		"no phrase":                 {func(u *account.SignUp) { u.PhraseWrap = nil }, account.ErrRequest},
		"another's identity":        {func(u *account.SignUp) { u.Identity = other.root.Identity().Envelope() }, account.ErrRequest},
		"an identity that is none":  {func(u *account.SignUp) { u.Identity = u.Identity[1:] }, account.ErrRequest},
		"another epoch":             {func(u *account.SignUp) { u.Epoch = 2 }, account.ErrRequest},
		"a handle that is not ours": {func(u *account.SignUp) { u.Account = id.New[id.Account]() }, account.ErrRequest},
	} {
		bad := good
		change.to(&bad)
		if err := r.any().SignUp(t.Context(), bad); !errors.Is(err, change.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.must(r.any().SignUp(t.Context(), good)) // nothing that was refused took the step or the name
	_, request, err := opaque.NewRegistration([]byte("password"))
	r.must(err)
	for _, name := range []string{"", " ", "two  spaces", " ada", "ada ", "a\x00b", "a\u202eb", strings.Repeat("a", 257), "a\tb", "☃"} {
		if _, err := r.any().BeginSignUp(t.Context(), name, request); !errors.Is(err, account.ErrRequest) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := r.any().BeginSignUp(t.Context(), "bob", request[1:]); !errors.Is(err, account.ErrRequest) {
		t.Errorf("a request that is none: %v", err)
	}
}

// change exchanges the password of a person.
func (r *rig) change(p *person, password string, endOthers bool) error {
	r.Helper()
	b, err := r.any().Bearer(r.Context(), p.token)
	r.must(err)
	step, request, err := opaque.NewRegistration([]byte(password))
	r.must(err)
	response, state, err := r.any().BeginChange(r.Context(), b, request)
	r.must(err)
	record, export, err := step.Finish(response)
	r.must(err)
	c := account.Credential{Record: record, Wrap: keys.ByPassword(p.root.Account, export).Wrap(p.root), Epoch: p.root.Epoch}
	if err := r.any().Change(r.Context(), b, state, c, endOthers); err != nil {
		return err
	}
	r.want(r.any().Change(r.Context(), b, state, c, endOthers), account.ErrStep)
	return nil
}

func TestChangeOfPassword(t *testing.T) {
	r := newRig(t)
	p := r.signedUp("ada", "password one")
	phone := id.Bytes32(id.New32())
	_, err := r.logIn("ada", "password one", phone)
	r.must(err)
	r.must(r.change(p, "password two", false))
	if _, err := r.logIn("ada", "password one", id.New32()); !errors.Is(err, opaque.ErrLogin) {
		t.Errorf("the old password: %v", err)
	}
	_, err = r.any().Bearer(t.Context(), phone)
	r.must(err)
	r.must(r.change(p, "password three", true))
	_, err = r.any().Bearer(t.Context(), phone)
	r.want(err, account.ErrSession)
	if got, err := r.logIn("ada", "password three", id.New32()); err != nil || got != p.root {
		t.Error(err)
	}
	bob := r.signedUp("bob", "password")
	b, err := r.any().Bearer(t.Context(), bob.token)
	r.must(err)
	_, request, err := opaque.NewRegistration([]byte("x"))
	r.must(err)
	ada, err := r.any().Bearer(t.Context(), p.token)
	r.must(err)
	_, state, err := r.any().BeginChange(t.Context(), ada, request)
	r.must(err)
	r.want(r.any().Change(t.Context(), b, state, account.Credential{}, true), account.ErrStep)
}

func TestRecovery(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	p := r.signedUp("ada", "forgotten")
	step, request, err := opaque.NewRegistration([]byte("a new password"))
	r.must(err)
	_, err = r.any().BeginRecovery(ctx, "ada", keys.NewPhrase().Auth(), request)
	r.want(err, account.ErrLogin)
	got, err := r.any().BeginRecovery(ctx, "ada", p.phrase.Auth(), request)
	r.must(err)
	root, err := keys.ByPhrase(got.Account, p.phrase).Unwrap(got.Epoch, got.Wrap)
	if err != nil || root != p.root {
		t.Fatal(err)
	}
	record, export, err := step.Finish(got.Response)
	r.must(err)
	c := account.Credential{Record: record, Wrap: keys.ByPassword(root.Account, export).Wrap(root), Epoch: root.Epoch}
	wrong := c
	wrong.Epoch = 2
	r.want(r.any().Recover(ctx, got.State, wrong, id.New32(), ""), account.ErrRequest)
	token := id.Bytes32(id.New32())
	r.must(r.any().Recover(ctx, got.State, c, token, "phone"))
	r.want(r.any().Recover(ctx, got.State, c, id.New32(), "phone"), account.ErrStep)
	_, err = r.any().Bearer(ctx, token)
	r.must(err)
	_, err = r.any().Bearer(ctx, p.token)
	r.want(err, account.ErrSession)
	if root, err := r.logIn("ada", "a new password", id.New32()); err != nil || root != p.root {
		t.Error(err)
	}
}

func TestSessions(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	p, other := r.signedUp("ada", "password one"), r.signedUp("bob", "password")
	b, err := r.any().Bearer(ctx, p.token)
	r.must(err)
	stranger, err := r.any().Bearer(ctx, other.token)
	r.must(err)
	r.want(r.any().EndSession(ctx, stranger, b.Session.Hash), account.ErrSession)
	r.want(r.any().EndSession(ctx, b, sha256.Sum256(nil)), account.ErrSession)
	r.clock.Add(80 * 24 * time.Hour)
	_, err = r.any().Bearer(ctx, p.token) // noted as used
	r.must(err)
	r.clock.Add(80 * 24 * time.Hour)
	_, err = r.any().Bearer(ctx, p.token)
	r.must(err)
	_, err = r.any().Bearer(ctx, other.token)
	r.want(err, account.ErrSession)
	r.must(r.any().EndSession(ctx, b, b.Session.Hash))
	_, err = r.any().Bearer(ctx, p.token)
	r.want(err, account.ErrSession)
	if n, err := r.any().DropLeftovers(ctx, 100); err != nil || n != 3 { // two steps and bob's session
		t.Errorf("%d leftovers: %v", n, err)
	}
}

func TestErase(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	p := r.signedUp("ada", "password one")
	b, err := r.any().Bearer(ctx, p.token)
	r.must(err)
	r.want(r.any().Erase(ctx, b, "bob"), account.ErrRequest)
	r.must(r.any().Erase(ctx, b, "Ada"))
	_, err = r.any().Bearer(ctx, p.token)
	r.want(err, account.ErrSession)
	if _, err := r.logIn("ada", "password one", id.New32()); !errors.Is(err, opaque.ErrLogin) {
		t.Errorf("%v", err)
	}
	r.signedUp("ada", "another person's")
}

// TestWorkRisesWithLoad: sign-ups cost more when many come.
func TestWorkRisesWithLoad(t *testing.T) {
	r := newRig(t)
	_, request, err := opaque.NewRegistration([]byte("password"))
	r.must(err)
	bits := func() int {
		c, err := r.servers[0].BeginSignUp(t.Context(), "name", request)
		r.must(err)
		return c.Bits
	}
	if bits() != 16 {
		t.Errorf("%d bits when nobody comes", bits())
	}
	r.servers[0].Crowd(64)
	if bits() != 17 {
		t.Errorf("%d bits after 64 sign-ups", bits())
	}
	r.servers[0].Crowd(1 << 20)
	if bits() != 26 {
		t.Errorf("%d bits for a crowd", bits())
	}
	r.clock.Add(time.Hour)
	if bits() != 16 {
		t.Errorf("%d bits an hour later", bits())
	}
}

// TestThreat18RegistrationIsNoOracle: what a password comes to at login is not to be had
// where anybody may ask: an attacker with one KE2 could test as many guesses as they
// have evaluated (RFC 9807, section 10.10).
func TestThreat18RegistrationIsNoOracle(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	p := r.signedUp("ada", "password one")
	_, ke1, err := opaque.NewLogin([]byte("guess"))
	r.must(err)
	blinded := ke1[:opaque.RequestSize] // KE1 begins with what a registration's request is
	ke2, _, err := r.any().BeginLogin(ctx, "ada", ke1)
	r.must(err)
	seen := map[string]string{string(ke2[:32]): "the login"}
	note := func(what string, response []byte, err error) {
		t.Helper()
		r.must(err)
		if before, known := seen[string(response[:32])]; known {
			t.Errorf("%s evaluates as %s does", what, before)
		}
		seen[string(response[:32])] = what
	}
	for _, name := range []string{"ada", "ada", "nobody"} {
		c, err := r.any().BeginSignUp(ctx, name, blinded)
		note("a sign-up of "+name, c.Response, err)
	}
	ke2, _, err = r.any().BeginLogin(ctx, "nobody", ke1)
	note("a login of nobody", ke2, err)
	b, err := r.any().Bearer(ctx, p.token)
	r.must(err)
	response, _, err := r.any().BeginChange(ctx, b, blinded)
	note("a change of password", response, err)
	got, err := r.any().BeginRecovery(ctx, "ada", p.phrase.Auth(), blinded)
	note("a recovery", got.Response, err)
	ke2, _, err = r.any().BeginLogin(ctx, "nobody", ke1)
	r.must(err)
	if seen[string(ke2[:32])] != "a login of nobody" {
		t.Error("a name that nobody has evaluates otherwise each time")
	}
}
