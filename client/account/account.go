// Package account signs people up and in (docs/protocol.md). It promises that a
// password, a phrase and a root key never leave the machine: what goes to the server is
// OPAQUE's messages, hashes and wraps, and whatever the server says of keys is believed
// only if it opens. It prints nothing and stores nothing.
package account

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/keys"
	"holdfast/format/opaque"
	"holdfast/format/password"
	"holdfast/format/work"
)

// Errors besides those of the API.
var (
	// ErrLogin: wrong name, password or phrase, or a server that changed an answer: which
	// of them cannot be told.
	ErrLogin = errors.New("wrong name or password (or recovery phrase)")
	// ErrAnswer: the server's answer contradicts itself.
	ErrAnswer = errors.New("the server's answer does not hold together; nothing was done")
)

// Client talks to one server.
type Client struct{ caller api.Caller }

// New makes a client for the server at that base URL, without a trailing slash.
func New(server string, client *http.Client) *Client {
	return &Client{api.Caller{Base: server, HTTP: client}}
}

// Access is a session, and what it opens.
type Access struct {
	Root  keys.Root
	Token id.Bytes32
}

// SignUp makes an account and returns its first session and its recovery phrase, which
// the server has no copy of.
func (c *Client) SignUp(ctx context.Context, name, typed, label string) (Access, keys.Phrase, error) {
	a, phrase := Access{Root: keys.NewRoot(), Token: id.New32()}, keys.NewPhrase()
	prepared, err := password.Prepare(typed)
	if err != nil {
		return Access{}, keys.Phrase{}, err
	}
	step, request, err := opaque.NewRegistration([]byte(prepared))
	if err != nil {
		return Access{}, keys.Phrase{}, err
	}
	challenge, err := api.BeginSignUp.Call(ctx, c.caller, api.Args{}, api.BeginSignUpRequest{Name: name, Request: text(request)})
	if err != nil {
		return Access{}, keys.Phrase{}, err
	}
	up, err := signUp(ctx, step, challenge, a, phrase)
	if err != nil {
		return Access{}, keys.Phrase{}, err
	}
	up.Session = api.AccountSession{Token: a.Token, Label: label}
	if _, err := api.SignUp.Call(ctx, c.caller, api.Args{}, up); err != nil {
		return Access{}, keys.Phrase{}, err
	}
	return a, phrase, nil
}

// signUp is all that a sign-up tells the server, but for the session.
func signUp(ctx context.Context, step *opaque.Registration, c api.SignUpChallenge, a Access, phrase keys.Phrase) (up api.SignUpRequest, err error) {
	if up.Credential, err = credential(step, c.Response, a.Root); err != nil {
		return up, err
	}
	challenge, err := raw(c.Challenge)
	if err != nil {
		return up, err
	}
	nonce, err := work.Find(challenge, c.Bits, func() error { return context.Cause(ctx) })
	if err != nil {
		return up, err
	}
	up.Challenge, up.Nonce, up.Account = c.Challenge, int64(nonce), a.Root.Account
	up.PhraseWrap = text(keys.ByPhrase(a.Root.Account, phrase).Wrap(a.Root))
	up.PhraseHash = keys.HashAuth(phrase.Auth())
	up.Identity = text(a.Root.Identity().Envelope())
	return up, nil
}

// credential ends a registration.
func credential(step *opaque.Registration, response string, root keys.Root) (api.AccountCredential, error) {
	b, err := raw(response)
	if err != nil {
		return api.AccountCredential{}, err
	}
	record, export, err := step.Finish(b)
	if err != nil {
		return api.AccountCredential{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	wrap := keys.ByPassword(root.Account, export).Wrap(root)
	return api.AccountCredential{Record: text(record), Wrap: text(wrap), Epoch: int64(root.Epoch)}, nil
}

// LogIn begins a session.
func (c *Client) LogIn(ctx context.Context, name, typed, label string) (Access, error) {
	prepared, err := password.Prepare(typed)
	if err != nil {
		return Access{}, err
	}
	step, ke1, err := opaque.NewLogin([]byte(prepared))
	if err != nil {
		return Access{}, err
	}
	challenge, err := api.BeginLogin.Call(ctx, c.caller, api.Args{}, api.BeginLoginRequest{Name: name, KE1: text(ke1)})
	if err != nil {
		return Access{}, err
	}
	ke2, err := raw(challenge.KE2)
	if err != nil {
		return Access{}, err
	}
	ke3, export, err := step.Finish(ke2)
	if err != nil {
		return Access{}, ErrLogin
	}
	token := id.Bytes32(id.New32())
	got, err := api.Login.Call(ctx, c.caller, api.Args{}, api.LoginRequest{
		State: challenge.State, KE3: text(ke3), Session: api.AccountSession{Token: token, Label: label},
	})
	if err != nil {
		return Access{}, err
	}
	root, err := unwrap(got, keys.ByPassword(got.Account, export))
	return Access{root, token}, err
}

// unwrap believes a server's answer if it opens, and whatever is wrong with it is one
// error (threat 1).
func unwrap(got api.AccountAccess, by keys.Wrapper) (keys.Root, error) {
	wrap, err := raw(got.Wrap)
	if err != nil || got.Epoch < 1 || got.Epoch > 1<<32-1 {
		return keys.Root{}, ErrLogin
	}
	root, err := by.Unwrap(uint32(got.Epoch), wrap)
	if err != nil {
		return keys.Root{}, ErrLogin
	}
	return root, nil
}

// Recover sets a new password by the recovery phrase; all other sessions end. The
// account's handle comes from the server, and is believed only if the phrase opens its wrap.
func (c *Client) Recover(ctx context.Context, name string, phrase keys.Phrase, typed, label string) (Access, error) {
	prepared, err := password.Prepare(typed)
	if err != nil {
		return Access{}, err
	}
	step, request, err := opaque.NewRegistration([]byte(prepared))
	if err != nil {
		return Access{}, err
	}
	got, err := api.BeginRecovery.Call(ctx, c.caller, api.Args{}, api.BeginRecoveryRequest{Name: name, Auth: phrase.Auth(), Request: text(request)})
	if err != nil {
		return Access{}, err
	}
	root, err := unwrap(got.Access, keys.ByPhrase(got.Access.Account, phrase))
	if err != nil {
		return Access{}, err
	}
	fresh, err := credential(step, got.Response, root)
	if err != nil {
		return Access{}, err
	}
	a := Access{root, id.New32()}
	_, err = api.Recover.Call(ctx, c.caller, api.Args{}, api.RecoverRequest{
		State: got.State, Credential: fresh, Session: api.AccountSession{Token: a.Token, Label: label},
	})
	return a, err
}

// ChangePassword exchanges the password of a session's account.
func (c *Client) ChangePassword(ctx context.Context, a Access, typed string, endOthers bool) error {
	prepared, err := password.Prepare(typed)
	if err != nil {
		return err
	}
	step, request, err := opaque.NewRegistration([]byte(prepared))
	if err != nil {
		return err
	}
	got, err := api.BeginPassword.Call(ctx, c.caller, args(a), api.BeginPasswordRequest{Request: text(request)})
	if err != nil {
		return err
	}
	fresh, err := credential(step, got.Response, a.Root)
	if err != nil {
		return err
	}
	_, err = api.ChangePassword.Call(ctx, c.caller, args(a), api.ChangePasswordRequest{State: got.State, Credential: fresh, EndOthers: endOthers})
	return err
}

// View is what the server stores of the session's account.
func (c *Client) View(ctx context.Context, a Access) (api.AccountView, error) {
	return api.GetAccount.Call(ctx, c.caller, args(a), api.Empty{})
}

// EndSession ends one of the account's sessions, by its id.
func (c *Client) EndSession(ctx context.Context, a Access, session id.Bytes32) error {
	with := args(a)
	with.Path = map[string]string{"session": session.String()}
	_, err := api.EndSession.Call(ctx, c.caller, with, api.Empty{})
	return err
}

// Erase removes the account for good.
func (c *Client) Erase(ctx context.Context, a Access, name string) error {
	_, err := api.EraseAccount.Call(ctx, c.caller, args(a), api.EraseAccountRequest{Name: name})
	return err
}

func args(a Access) api.Args { return api.Args{Secret: a.Token.String()} }

func text(b []byte) string { return id.Encoding.EncodeToString(b) }

func raw(s string) ([]byte, error) {
	b, err := id.Encoding.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%w: not base64url text", ErrAnswer)
	}
	return b, nil
}
