package account_test

import (
	"encoding/base32"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"holdfast/format/id"
	"holdfast/format/keys"
	"holdfast/format/opaque"
	"holdfast/server/internal/account"
	"holdfast/server/internal/bucket"
)

var device = account.FactorSecret{1, 2, 3, 4, 5}

// code is what the device shows at the time of the clock plus off.
func (r *rig) code(off time.Duration) string {
	r.Helper()
	code, err := totp.GenerateCode(base32.StdEncoding.EncodeToString(device[:]), r.clock.Now().Add(off))
	r.must(err)
	return code
}

func (r *rig) bearer(p *person) account.Bearer {
	r.Helper()
	b, err := r.any().Bearer(r.Context(), p.token)
	r.must(err)
	return b
}

// factored is somebody with a second factor, one step of time after it was made.
func (r *rig) factored(name, password string) (p *person, codes []string) {
	r.Helper()
	p = r.signedUp(name, password)
	_, err := r.any().SetFactor(r.Context(), r.bearer(p), r.proof(name, password), device, "000000")
	r.want(err, account.ErrNewCode)
	codes, err = r.any().SetFactor(r.Context(), r.bearer(p), r.proof(name, password), device, r.code(0))
	r.must(err)
	if len(codes) != account.RecoveryCodes {
		r.Fatalf("%d codes", len(codes))
	}
	r.clock.Add(30 * time.Second)
	return p, codes
}

// enter logs in with a code.
func (r *rig) enter(name, password, code string) error {
	r.Helper()
	p := r.proof(name, password)
	_, err := r.any().Login(r.Context(), account.Proof{State: p.State, KE3: p.KE3, Code: code}, id.New32(), "")
	return err
}

func TestSecondFactor(t *testing.T) {
	r := newRig(t)
	p, codes := r.factored("ada", "password one")
	if !r.bearer(p).Factor {
		t.Error("the account does not show that it has a second factor")
	}
	for code, want := range map[string]error{
		"": account.ErrCodeNeeded, "12345": account.ErrCode, r.code(24 * time.Hour): account.ErrCode, r.code(-30 * time.Second): account.ErrCode, "not-a-code-at-all": account.ErrCode,
	} {
		r.want(r.enter("ada", "password one", code), want)
	}
	// A login that lacked a code goes on with one.
	proof := r.proof("ada", "password one")
	_, err := r.any().Login(t.Context(), account.Proof{State: proof.State, KE3: proof.KE3}, id.New32(), "")
	r.want(err, account.ErrCodeNeeded)
	got, err := r.any().Login(t.Context(), account.Proof{State: proof.State, KE3: proof.KE3, Code: r.code(0)}, id.New32(), "")
	r.must(err)
	if got.Account != p.root.Account || len(got.Wrap) != keys.WrapSize {
		t.Errorf("%+v", got)
	}
	r.want(r.enter("ada", "password one", r.code(0)), account.ErrCode) // used
	r.must(r.enter("ada", "password one", r.code(30*time.Second)))     // a device that is ahead
	r.must(r.enter("ada", "password one", codes[3]))
	r.want(r.enter("ada", "password one", codes[3]), account.ErrCode)
	stored, err := r.any().Stored(t.Context(), r.bearer(p))
	if err != nil || stored.CodesLeft != account.RecoveryCodes-1 {
		t.Errorf("%d codes left, %v", stored.CodesLeft, err)
	}
	r.clock.Add(time.Hour) // tries come back
	more, err := r.any().SetCodes(t.Context(), r.bearer(p), withCode(r.proof("ada", "password one"), r.code(0)))
	r.must(err)
	r.want(r.enter("ada", "password one", codes[0]), account.ErrCode) // an old one
	r.must(r.enter("ada", "password one", more[0]))
}

func withCode(p account.Proof, code string) account.Proof {
	p.Code = code
	return p
}

// TestCodesWorkOnce, also where many use one at once.
func TestCodesWorkOnce(t *testing.T) {
	r := newRig(t)
	_, codes := r.factored("ada", "password one")
	for _, code := range []string{r.code(0), codes[0]} {
		var proofs []account.Proof
		for range 3 { // fewer than are limited
			proofs = append(proofs, r.proof("ada", "password one"))
		}
		results := make([]error, len(proofs))
		var group sync.WaitGroup
		for i, p := range proofs {
			s := r.any()
			group.Go(func() {
				_, results[i] = s.Login(t.Context(), account.Proof{State: p.State, KE3: p.KE3, Code: code}, id.New32(), "")
			})
		}
		group.Wait()
		in := 0
		for _, err := range results {
			if err == nil {
				in++
			} else if !errors.Is(err, account.ErrCode) {
				t.Error(err)
			}
		}
		if in != 1 {
			t.Errorf("%d logins with one code", in)
		}
		r.clock.Add(time.Hour)
	}
}

// TestThreat18CodesAreLimited: who has the password cannot guess codes for long.
func TestThreat18CodesAreLimited(t *testing.T) {
	r := newRig(t)
	r.factored("ada", "password one")
	for range 5 {
		r.want(r.enter("ada", "password one", "000000"), account.ErrCode)
	}
	var wait *bucket.LimitedError
	for _, code := range []string{"000000", r.code(0)} {
		if err := r.enter("ada", "password one", code); !errors.As(err, &wait) || wait.Seconds() != 300 {
			t.Errorf("%s: %v", code, err)
		}
	}
	r.clock.Add(5 * time.Minute)
	r.must(r.enter("ada", "password one", r.code(0)))
}

// TestFactorGatesAll: the phrase, and whatever needs the password, need a code too.
func TestFactorGatesAll(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	p, codes := r.factored("ada", "password one")
	_, request, err := opaque.NewRegistration([]byte("x"))
	r.must(err)
	_, err = r.any().BeginRecovery(ctx, "ada", p.phrase.Auth(), "", request)
	r.want(err, account.ErrCodeNeeded)
	_, err = r.any().BeginRecovery(ctx, "ada", p.phrase.Auth(), "999999", request)
	r.want(err, account.ErrCode)
	_, err = r.any().BeginRecovery(ctx, "ada", keys.NewPhrase().Auth(), codes[1], request)
	r.want(err, account.ErrLogin)
	got, err := r.any().BeginRecovery(ctx, "ada", p.phrase.Auth(), codes[1], request) // not used up by the wrong phrase
	if err != nil || len(got.Wrap) != keys.WrapSize {
		t.Errorf("%v", err)
	}
	b := r.bearer(p)
	for what, do := range map[string]func(account.Proof) error{
		"set":    func(p account.Proof) error { _, err := r.any().SetFactor(ctx, b, p, device, r.code(0)); return err },
		"codes":  func(p account.Proof) error { _, err := r.any().SetCodes(ctx, b, p); return err },
		"drop":   func(p account.Proof) error { return r.any().DropFactor(ctx, b, p) },
		"erase":  func(p account.Proof) error { return r.any().Erase(ctx, b, p, "ada") },
		"change": func(p account.Proof) error { return r.any().Change(ctx, b, p, nil, account.Credential{}, false) },
		"rename": func(p account.Proof) error { return r.any().Rename(ctx, b, p, nil, 0, account.Credential{}) },
	} {
		if err := do(r.proof("ada", "password one")); !errors.Is(err, account.ErrCodeNeeded) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = r.any().SetCodes(ctx, r.bearer(r.signedUp("bob", "pw")), r.proof("bob", "pw"))
	r.want(err, account.ErrNoFactor)
	proof := withCode(r.proof("ada", "password one"), codes[2])
	r.must(r.any().DropFactor(ctx, b, proof))
	r.want(r.any().DropFactor(ctx, b, proof), account.ErrStep)
	r.must(r.enter("ada", "password one", ""))
}

// rename does what a client does.
func (r *rig) rename(p *person, to string) error {
	r.Helper()
	next := &person{to, p.password, p.root, p.phrase, p.token}
	up := r.prepare(next)
	err := r.any().Rename(r.Context(), r.bearer(p), r.proof(p.name, p.password), up.Challenge, up.Nonce, up.Credential)
	if err == nil {
		p.name = to
	}
	return err
}

func TestRename(t *testing.T) {
	r := newRig(t)
	p := r.signedUp("ada", "password one")
	r.signedUp("bob", "password two")
	r.want(r.rename(p, "Bob"), account.ErrTaken)
	up := r.prepare(newPerson("eve", "password one"))
	r.want(r.any().Rename(t.Context(), r.bearer(p), r.proof("ada", "password one"), up.Challenge, up.Nonce+1, up.Credential), account.ErrWork)
	r.must(r.rename(p, "eve"))
	if got, err := r.logIn("eve", "password one", id.New32()); err != nil || got != p.root {
		t.Errorf("under the new name: %v", err)
	}
	if _, err := r.logIn("ada", "password one", id.New32()); !errors.Is(err, opaque.ErrLogin) {
		t.Errorf("under the old one: %v", err)
	}
	r.signedUp("ada", "somebody else's")
}

// TestOtherSessions are ended by one of them.
func TestOtherSessions(t *testing.T) {
	r := newRig(t)
	p := r.signedUp("ada", "password one")
	other := id.Bytes32(id.New32())
	_, err := r.logIn("ada", "password one", other)
	r.must(err)
	n, err := r.any().EndOthers(t.Context(), r.bearer(p))
	if err != nil || n != 1 {
		t.Errorf("%d ended, %v", n, err)
	}
	_, err = r.any().Bearer(t.Context(), other)
	r.want(err, account.ErrSession)
	r.bearer(p)
}

// TestLostAnswers: the same request again is answered as before.
func TestLostAnswers(t *testing.T) {
	r := newRig(t)
	p := newPerson("ada", "password one")
	up := r.prepare(p)
	r.must(r.any().SignUp(t.Context(), up))
	r.must(r.any().SignUp(t.Context(), up))
	up.Session = id.New32()
	r.want(r.any().SignUp(t.Context(), up), account.ErrStep)
	proof, token := r.proof("ada", "password one"), id.Bytes32(id.New32())
	for range 2 {
		if a, err := r.any().Login(t.Context(), account.Proof{State: proof.State, KE3: proof.KE3}, token, ""); err != nil || a.Account != p.root.Account {
			t.Fatal(err)
		}
	}
	if all, err := r.any().Sessions(t.Context(), r.bearer(p)); err != nil || len(all) != 2 {
		t.Errorf("%d sessions, %v", len(all), err)
	}
}
