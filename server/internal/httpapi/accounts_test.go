package httpapi

import (
	"encoding/base32"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/keys"
	"holdfast/format/opaque"
	"holdfast/format/work"
)

// person is the client's half.
type person struct {
	name, password string
	root           keys.Root
	phrase         keys.Phrase
	token          id.Bytes32
}

func (p *person) args() api.Args { return api.Args{Secret: p.token.String()} }

// begun registers a password for a name and does the work.
func (r *rig) begun(p *person) (api.SignUpChallenge, uint64, api.AccountCredential) {
	r.Helper()
	step, request, err := opaque.NewRegistration([]byte(p.password))
	r.must(err)
	c, err := api.BeginSignUp.Call(r.Context(), r.call, api.Args{}, api.BeginSignUpRequest{Name: p.name, Request: text(request)})
	r.must(err)
	challenge, err := decoded(r, c.Challenge)
	r.must(err)
	nonce, err := work.Find(challenge, c.Bits, func() error { return nil })
	r.must(err)
	return c, nonce, r.credential(p, step, c.Response)
}

func (r *rig) credential(p *person, step *opaque.Registration, response string) api.AccountCredential {
	r.Helper()
	raw, err := decoded(r, response)
	r.must(err)
	record, export, err := step.Finish(raw)
	r.must(err)
	return api.AccountCredential{Record: text(record), Wrap: text(keys.ByPassword(p.root.Account, export).Wrap(p.root)), Epoch: int64(p.root.Epoch)}
}

func (r *rig) signedUp(name, password string) *person {
	r.Helper()
	p := &person{name, password, keys.NewRoot(), keys.NewPhrase(), id.New32()}
	r.must(r.signUp(p))
	return p
}

func (r *rig) signUp(p *person) error {
	r.Helper()
	c, nonce, credential := r.begun(p)
	_, err := api.SignUp.Call(r.Context(), r.call, api.Args{}, api.SignUpRequest{
		Challenge: c.Challenge, Nonce: int64(nonce), Account: p.root.Account, Credential: credential,
		PhraseWrap: text(keys.ByPhrase(p.root.Account, p.phrase).Wrap(p.root)), PhraseHash: keys.HashAuth(p.phrase.Auth()),
		Identity: text(p.root.Identity().Envelope()), Session: api.AccountSession{Token: p.token, Label: "laptop"},
	})
	return err
}

func (r *rig) proof(p *person, code string) (api.AccountProof, [opaque.ExportSize]byte) {
	r.Helper()
	step, ke1, err := opaque.NewLogin([]byte(p.password))
	r.must(err)
	begun, err := api.BeginLogin.Call(r.Context(), r.call, api.Args{}, api.BeginLoginRequest{Name: p.name, KE1: text(ke1)})
	r.must(err)
	if begun.Time != r.clock.Now().Unix() {
		r.Errorf("time %d", begun.Time)
	}
	ke2, err := decoded(r, begun.KE2)
	r.must(err)
	ke3, export, err := step.Finish(ke2)
	r.must(err)
	return api.AccountProof{State: begun.State, KE3: text(ke3), Code: code}, export
}

func (r *rig) logIn(p *person, code string) (api.AccountAccess, error) {
	r.Helper()
	proof, export := r.proof(p, code)
	in, err := api.Login.Call(r.Context(), r.call, api.Args{}, api.LoginRequest{AccountProof: proof, Session: api.AccountSession{Token: id.New32(), Label: "phone"}})
	if err != nil {
		return in, err
	}
	wrap, err := decoded(r, in.Wrap)
	r.must(err)
	root, err := keys.ByPassword(in.Account, export).Unwrap(uint32(in.Epoch), wrap)
	if err != nil || root != p.root {
		r.Errorf("another root key: %v", err)
	}
	return in, nil
}

// TestAccountOverHTTP is an account's life: every endpoint, and what it promises.
func TestAccountOverHTTP(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	p := r.signedUp("Ada", "password one")
	r.want(r.signUp(&person{"ada", "other", keys.NewRoot(), keys.NewPhrase(), id.New32()}), api.NameTaken)
	_, err := r.logIn(p, "")
	r.must(err)
	list, err := api.GetAccount.Call(ctx, r.call, p.args(), api.Empty{})
	r.must(err)
	if len(list.Sessions) != 2 {
		t.Fatalf("%+v", list)
	}
	path := map[string]string{}
	for _, one := range list.Sessions {
		if one.Current != (one.Label == "laptop") {
			t.Errorf("%+v", one)
		}
		if !one.Current {
			path["session"] = one.ID.String()
		}
	}
	_, err = api.EndSession.Call(ctx, r.call, api.Args{Path: path, Secret: p.token.String()}, api.Empty{})
	r.must(err)
	_, err = api.EndSession.Call(ctx, r.call, api.Args{Path: path, Secret: p.token.String()}, api.Empty{})
	r.want(err, api.NotFound)
	_, err = r.logIn(p, "")
	r.must(err)
	if ended, err := api.EndOthers.Call(ctx, r.call, p.args(), api.Empty{}); err != nil || ended.Ended != 1 {
		t.Errorf("%+v, %v", ended, err)
	}
	r.renamed(p, "bob")
	r.changed(p, "password two")
	r.recovered(p, "password three")
	state, err := api.GetAccount.Call(ctx, r.call, p.args(), api.Empty{})
	r.must(err)
	if state.Account != p.root.Account || state.Factor || len(state.Sessions) != 1 || state.Identity != text(p.root.Identity().Envelope()) {
		t.Errorf("%+v", state)
	}
	proof, _ := r.proof(p, "")
	all, err := api.ExportAccount.Call(ctx, r.call, p.args(), api.AccountProofRequest{Proof: proof})
	r.must(err)
	if all.Account != state.Account || all.Credential.Wrap == "" || all.PhraseHash != id.Bytes32(keys.HashAuth(p.phrase.Auth())) || all.Name == (id.Bytes32{}) {
		t.Errorf("%+v", all)
	}
	_, err = api.ExportAccount.Call(ctx, r.call, p.args(), api.AccountProofRequest{})
	r.want(err, api.StepInvalid)
	_, err = api.EraseAccount.Call(ctx, r.call, p.args(), api.EraseAccountRequest{Proof: proof, Name: "somebody"})
	r.want(err, api.BadRequest)
	_, err = api.EraseAccount.Call(ctx, r.call, p.args(), api.EraseAccountRequest{Proof: proof, Name: p.name})
	r.must(err)
	_, err = api.GetAccount.Call(ctx, r.call, p.args(), api.Empty{})
	r.want(err, api.AccountSessionOver)
}

func (r *rig) renamed(p *person, to string) {
	r.Helper()
	proof, _ := r.proof(p, "")
	p.name = to
	c, nonce, credential := r.begun(p)
	_, err := api.RenameAccount.Call(r.Context(), r.call, p.args(), api.RenameAccountRequest{Proof: proof, Challenge: c.Challenge, Nonce: int64(nonce), Credential: credential})
	r.must(err)
	_, err = r.logIn(p, "")
	r.must(err)
}

func (r *rig) changed(p *person, password string) {
	r.Helper()
	proof, _ := r.proof(p, "")
	p.password = password
	step, request, err := opaque.NewRegistration([]byte(password))
	r.must(err)
	begun, err := api.BeginPassword.Call(r.Context(), r.call, p.args(), api.BeginPasswordRequest{Request: text(request)})
	r.must(err)
	_, err = api.ChangePassword.Call(r.Context(), r.call, p.args(), api.ChangePasswordRequest{
		Proof: proof, State: begun.State, Credential: r.credential(p, step, begun.Response), EndOthers: true,
	})
	r.must(err)
	_, err = r.logIn(p, "")
	r.must(err)
}

func (r *rig) recovered(p *person, password string) {
	r.Helper()
	p.password = password
	step, request, err := opaque.NewRegistration([]byte(password))
	r.must(err)
	ask := api.BeginRecoveryRequest{Name: p.name, Auth: id.New32(), Request: text(request)}
	_, err = api.BeginRecovery.Call(r.Context(), r.call, api.Args{}, ask)
	r.want(err, api.LoginFailed)
	ask.Auth = p.phrase.Auth()
	begun, err := api.BeginRecovery.Call(r.Context(), r.call, api.Args{}, ask)
	r.must(err)
	wrap, err := decoded(r, begun.Access.Wrap)
	r.must(err)
	if root, err := keys.ByPhrase(begun.Access.Account, p.phrase).Unwrap(uint32(begun.Access.Epoch), wrap); err != nil || root != p.root {
		r.Errorf("the phrase opens another root key: %v", err)
	}
	old := p.args()
	p.token = id.New32()
	_, err = api.Recover.Call(r.Context(), r.call, api.Args{}, api.RecoverRequest{
		State: begun.State, Credential: r.credential(p, step, begun.Response), Session: api.AccountSession{Token: p.token},
	})
	r.must(err)
	_, err = api.GetAccount.Call(r.Context(), r.call, old, api.Empty{})
	r.want(err, api.AccountSessionOver)
}

func TestSecondFactorOverHTTP(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	p := r.signedUp("ada", "password one")
	secret := []byte("20 bytes of a secret")
	code := func() string {
		r.clock.Add(30 * time.Second)
		code, err := totp.GenerateCode(base32.StdEncoding.EncodeToString(secret), r.clock.Now())
		r.must(err)
		return code
	}
	proof, _ := r.proof(p, "")
	_, err := api.SetFactor.Call(ctx, r.call, p.args(), api.SetFactorRequest{Proof: proof, Secret: text(secret[:19]), Code: "000000"})
	r.want(err, api.BadRequest)
	_, err = api.SetFactor.Call(ctx, r.call, p.args(), api.SetFactorRequest{Proof: proof, Secret: text(secret), Code: "000000"})
	r.want(err, api.NewCodeWrong)
	codes, err := api.SetFactor.Call(ctx, r.call, p.args(), api.SetFactorRequest{Proof: proof, Secret: text(secret), Code: code()})
	r.must(err)
	_, err = r.logIn(p, "")
	r.want(err, api.CodeNeeded)
	_, err = r.logIn(p, codes.Codes[0])
	r.must(err)
	_, err = r.logIn(p, codes.Codes[0])
	r.want(err, api.CodeWrong)
	proof, _ = r.proof(p, code())
	more, err := api.SetCodes.Call(ctx, r.call, p.args(), api.AccountProofRequest{Proof: proof})
	r.must(err)
	proof, _ = r.proof(p, more.Codes[0])
	_, err = api.DropFactor.Call(ctx, r.call, p.args(), api.AccountProofRequest{Proof: proof})
	r.must(err)
	_, err = r.logIn(p, "")
	r.must(err)
	proof, _ = r.proof(p, "")
	_, err = api.SetCodes.Call(ctx, r.call, p.args(), api.AccountProofRequest{Proof: proof})
	r.want(err, api.NoFactor)
}

// TestAccountsLimitGuesses, and say for how long.
func TestAccountsLimitGuesses(t *testing.T) {
	r := newRig(t)
	_, ke1, err := opaque.NewLogin([]byte("guess"))
	r.must(err)
	for range 21 {
		_, err = api.BeginLogin.Call(t.Context(), r.call, api.Args{}, api.BeginLoginRequest{Name: "nobody", KE1: text(ke1)})
	}
	var p *api.Problem
	if !errors.As(err, &p) || p.Code != api.RateLimited || p.RetryAfter != 15 {
		t.Errorf("%v", err)
	}
}

func TestHostileAccounts(t *testing.T) {
	r := newRig(t)
	token := r.signedUp("ada", "password one").token.String()
	zeros := strings.Repeat("A", 43)
	r.refuses(token, map[string]hostile{
		"no name":                {"POST", "/api/v1/accounts/begin", `{"name":"","request":""}`, api.BadRequest},
		"an endless name":        {"POST", "/api/v1/logins/begin", `{"name":"` + strings.Repeat("a", 10_000) + `","ke1":""}`, api.BadRequest},
		"KE1 of junk":            {"POST", "/api/v1/logins/begin", `{"name":"ada","ke1":"a b"}`, api.BadRequest},
		"no KE1":                 {"POST", "/api/v1/logins/begin", `{"name":"ada","ke1":""}`, api.BadRequest},
		"no login":               {"POST", "/api/v1/logins", `{"state":"","ke3":"","session":{"token":"` + strings.Repeat("B", 42) + `A"}}`, api.StepInvalid},
		"no token":               {"POST", "/api/v1/logins", `{"state":"","ke3":"","session":{"token":"` + zeros + `"}}`, api.BadRequest},
		"null for everything":    {"POST", "/api/v1/accounts", `null`, api.BadRequest},
		"a nonce beyond 64 bits": {"POST", "/api/v1/accounts", `{"nonce":9223372036854775808}`, api.BadRequest},
		"a negative epoch":       {"POST", "/api/v1/accounts", `{"credential":{"epoch":-1}}`, api.BadRequest},
		"no recovery":            {"POST", "/api/v1/recoveries/begin", `{}`, api.BadRequest},
		"no state":               {"POST", "/api/v1/recoveries", `{"credential":{"epoch":1}}`, api.StepInvalid},
		"no proof":               {"POST", "/api/v1/account/password", `{"credential":{"epoch":1}}`, api.StepInvalid},
		"no session of it":       {"DELETE", "/api/v1/account/sessions/x", ``, api.NotFound},
	})
	r.refuses(zeros, map[string]hostile{"a token of nobody": {"GET", "/api/v1/account", ``, api.AccountSessionOver}})
	r.refuses("x", map[string]hostile{"a token that is none": {"GET", "/api/v1/account", ``, api.AccountSessionOver}})
}

func decoded(r *rig, text string) ([]byte, error) {
	r.Helper()
	return id.Encoding.DecodeString(text)
}
