package httpapi

import (
	"context"
	"math"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/server/internal/account"
)

// raw decodes fields of base64url text, and keeps the first that is none.
type raw struct{ wrong string }

func (d *raw) bytes(field, text string) []byte {
	b, err := id.Encoding.DecodeString(text)
	if err != nil && d.wrong == "" {
		d.wrong = field
	}
	return b
}

func (d *raw) err() error {
	if d.wrong == "" {
		return nil
	}
	return api.NewProblem(api.BadRequest, "The field %s is not base64url text without padding.", d.wrong)
}

func (d *raw) credential(c api.AccountCredential) account.Credential {
	if (c.Epoch < 1 || c.Epoch > math.MaxUint32) && d.wrong == "" {
		d.wrong = "epoch"
	}
	return account.Credential{Record: d.bytes("record", c.Record), Wrap: d.bytes("wrap", c.Wrap), Epoch: uint32(c.Epoch)}
}

func text(b []byte) string { return id.Encoding.EncodeToString(b) }

func (s *server) beginSignUp(ctx context.Context, _ api.Request, req api.BeginSignUpRequest) (api.SignUpChallenge, error) {
	var d raw
	request := d.bytes("request", req.Request)
	if err := d.err(); err != nil {
		return api.SignUpChallenge{}, err
	}
	c, err := s.Accounts.BeginSignUp(ctx, req.Name, request)
	if err != nil {
		return api.SignUpChallenge{}, problem(err)
	}
	return api.SignUpChallenge{Response: text(c.Response), Challenge: text(c.Challenge), Bits: c.Bits}, nil
}

func (s *server) signUp(ctx context.Context, _ api.Request, req api.SignUpRequest) (api.Empty, error) {
	var d raw
	up := account.SignUp{
		Challenge: d.bytes("challenge", req.Challenge), Nonce: uint64(req.Nonce), Account: req.Account, Credential: d.credential(req.Credential),
		PhraseWrap: d.bytes("phraseWrap", req.PhraseWrap), PhraseHash: req.PhraseHash, Identity: d.bytes("identity", req.Identity),
		Session: req.Session.Token, Label: req.Session.Label,
	}
	if err := d.err(); err != nil {
		return api.Empty{}, err
	}
	return api.Empty{}, problem(s.Accounts.SignUp(ctx, up))
}

func (s *server) beginLogin(ctx context.Context, _ api.Request, req api.BeginLoginRequest) (api.LoginChallenge, error) {
	var d raw
	ke1 := d.bytes("ke1", req.KE1)
	if err := d.err(); err != nil {
		return api.LoginChallenge{}, err
	}
	ke2, state, err := s.Accounts.BeginLogin(ctx, req.Name, ke1)
	if err != nil {
		return api.LoginChallenge{}, problem(err)
	}
	return api.LoginChallenge{KE2: text(ke2), State: text(state)}, nil
}

func access(a account.Access) api.AccountAccess {
	return api.AccountAccess{Account: a.Account, Epoch: int64(a.Epoch), Wrap: text(a.Wrap), Identity: text(a.Identity)}
}

func (s *server) login(ctx context.Context, _ api.Request, req api.LoginRequest) (api.AccountAccess, error) {
	var d raw
	state, ke3 := d.bytes("state", req.State), d.bytes("ke3", req.KE3)
	if err := d.err(); err != nil {
		return api.AccountAccess{}, err
	}
	a, err := s.Accounts.Login(ctx, state, ke3, req.Session.Token, req.Session.Label)
	if err != nil {
		return api.AccountAccess{}, problem(err)
	}
	return access(a), nil
}

func (s *server) beginRecovery(ctx context.Context, _ api.Request, req api.BeginRecoveryRequest) (api.RecoveryChallenge, error) {
	var d raw
	request := d.bytes("request", req.Request)
	if err := d.err(); err != nil {
		return api.RecoveryChallenge{}, err
	}
	r, err := s.Accounts.BeginRecovery(ctx, req.Name, req.Auth, request)
	if err != nil {
		return api.RecoveryChallenge{}, problem(err)
	}
	return api.RecoveryChallenge{Access: access(r.Access), State: text(r.State), Response: text(r.Response)}, nil
}

func (s *server) recover(ctx context.Context, _ api.Request, req api.RecoverRequest) (api.Empty, error) {
	var d raw
	state, c := d.bytes("state", req.State), d.credential(req.Credential)
	if err := d.err(); err != nil {
		return api.Empty{}, err
	}
	return api.Empty{}, problem(s.Accounts.Recover(ctx, state, c, req.Session.Token, req.Session.Label))
}

// bearer finds the account of the session whose token came along.
func (s *server) bearer(ctx context.Context, r api.Request) (account.Bearer, error) {
	token, err := id.Parse32(r.Secret)
	if err != nil {
		return account.Bearer{}, problem(account.ErrSession)
	}
	b, err := s.Accounts.Bearer(ctx, token)
	return b, problem(err)
}

func (s *server) getAccount(ctx context.Context, r api.Request, _ api.Empty) (api.AccountView, error) {
	b, err := s.bearer(ctx, r)
	if err != nil {
		return api.AccountView{}, err
	}
	all, err := s.Accounts.Sessions(ctx, b)
	if err != nil {
		return api.AccountView{}, problem(err)
	}
	view := api.AccountView{Account: b.ID, Epoch: int64(b.Epoch), Identity: text(b.Identity), Day: b.Day, Sessions: []api.AccountSessionOf{}}
	for _, one := range all {
		view.Sessions = append(view.Sessions, api.AccountSessionOf{
			ID: one.Hash, Label: one.Label, Made: one.Made, Used: one.Used, Current: one.Hash == b.Session.Hash,
		})
	}
	return view, nil
}

func (s *server) endSession(ctx context.Context, r api.Request, _ api.Empty) (api.Empty, error) {
	b, err := s.bearer(ctx, r)
	if err != nil {
		return api.Empty{}, err
	}
	session, err := id.Parse32(r.PathValue("session"))
	if err != nil {
		return api.Empty{}, api.NewProblem(api.NotFound, "No session has this id.")
	}
	return api.Empty{}, problem(s.Accounts.EndSession(ctx, b, session))
}

func (s *server) beginPassword(ctx context.Context, r api.Request, req api.BeginPasswordRequest) (api.PasswordChallenge, error) {
	b, err := s.bearer(ctx, r)
	if err != nil {
		return api.PasswordChallenge{}, err
	}
	var d raw
	request := d.bytes("request", req.Request)
	if err := d.err(); err != nil {
		return api.PasswordChallenge{}, err
	}
	response, state, err := s.Accounts.BeginChange(ctx, b, request)
	if err != nil {
		return api.PasswordChallenge{}, problem(err)
	}
	return api.PasswordChallenge{Response: text(response), State: text(state)}, nil
}

func (s *server) changePassword(ctx context.Context, r api.Request, req api.ChangePasswordRequest) (api.Empty, error) {
	b, err := s.bearer(ctx, r)
	if err != nil {
		return api.Empty{}, err
	}
	var d raw
	state, c := d.bytes("state", req.State), d.credential(req.Credential)
	if err := d.err(); err != nil {
		return api.Empty{}, err
	}
	return api.Empty{}, problem(s.Accounts.Change(ctx, b, state, c, req.EndOthers))
}

func (s *server) eraseAccount(ctx context.Context, r api.Request, req api.EraseAccountRequest) (api.Empty, error) {
	b, err := s.bearer(ctx, r)
	if err != nil {
		return api.Empty{}, err
	}
	return api.Empty{}, problem(s.Accounts.Erase(ctx, b, req.Name))
}
