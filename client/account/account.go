// Package account signs people up and in (docs/protocol.md). It promises that a
// password, a phrase and a root key never leave the machine: what goes to the server is
// OPAQUE's messages, hashes and wraps, and whatever the server says of keys is believed
// only if it opens. Where a login is kept, the root key is in the system's keyring or in
// a file for its owner alone. It prints nothing.
package account

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

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

// codeTries is how often a code of the second factor is asked for in one call.
const codeTries = 3

// clockSlack is how far clocks may differ before it is named. Codes of a second factor
// go by half minutes, tickets of nodes by minutes.
const clockSlack = 10 * time.Minute

// Client talks to one server.
type Client struct {
	caller api.Caller
	now    func() time.Time
	// Code asks for a code of the second factor; again tells that the one before was
	// wrong. Without it a login that needs one fails with api.CodeNeeded.
	Code func(ctx context.Context, again bool) (string, error)
	// Clock is told when this machine's clock and the server's differ by much; may be nil.
	Clock func(here, server time.Time)
}

// New makes a client for the server at that base URL, without a trailing slash.
func New(server string, client *http.Client) *Client {
	return &Client{caller: api.Caller{Base: server, HTTP: client}, now: time.Now}
}

// Access is a session, and what it opens.
type Access struct {
	Root  keys.Root
	Token id.Bytes32 // as secret as the root key
}

// typed is what a person types, prepared.
func typed(name, pass string) (preparedName string, preparedPass []byte, err error) {
	preparedName, err = keys.PrepareName(name)
	if err != nil {
		return "", nil, err
	}
	p, err := password.Prepare(pass)
	return preparedName, []byte(p), err
}

// SignUp makes an account and returns its first session. Of the phrase the server has
// no copy: whoever calls has shown it before.
func (c *Client) SignUp(ctx context.Context, name, pass, label string, phrase keys.Phrase) (Access, error) {
	name, prepared, err := typed(name, pass)
	if err != nil {
		return Access{}, err
	}
	a := Access{Root: keys.NewRoot(), Token: id.New32()}
	reg, err := c.register(ctx, name, prepared, a.Root)
	if err != nil {
		return Access{}, err
	}
	_, err = api.SignUp.Call(ctx, c.caller, api.Args{}, api.SignUpRequest{
		Challenge: reg.challenge, Nonce: reg.nonce, Account: a.Root.Account, Credential: reg.credential,
		PhraseWrap: text(keys.ByPhrase(a.Root.Account, phrase).Wrap(a.Root)), PhraseHash: keys.HashAuth(phrase.Auth()),
		Identity: text(a.Root.Identity().Envelope()), Session: api.AccountSession{Token: a.Token, Label: label},
	})
	return a, err
}

// registered is a password that was registered for a name, with the work that this takes.
type registered struct {
	challenge  string
	nonce      int64
	credential api.AccountCredential
}

func (c *Client) register(ctx context.Context, name string, prepared []byte, root keys.Root) (r registered, err error) {
	step, request, err := opaque.NewRegistration(prepared)
	if err != nil {
		return r, err
	}
	got, err := api.BeginSignUp.Call(ctx, c.caller, api.Args{}, api.BeginSignUpRequest{Name: name, Request: text(request)})
	if err != nil {
		return r, err
	}
	if r.credential, err = credential(step, got.Response, root); err != nil {
		return r, err
	}
	challenge, err := raw(got.Challenge)
	if err != nil {
		return r, err
	}
	nonce, err := work.Find(challenge, got.Bits, func() error { return context.Cause(ctx) })
	r.challenge, r.nonce = got.Challenge, int64(nonce)
	return r, err
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
	defer clear(export[:])
	wrap := keys.ByPassword(root.Account, export).Wrap(root)
	return api.AccountCredential{Record: text(record), Wrap: text(wrap), Epoch: int64(root.Epoch)}, nil
}

// prove begins a login and proves the password; a server that answers anything but what
// the record was made for gets no proof.
func (c *Client) prove(ctx context.Context, name string, prepared []byte) (p api.AccountProof, export [opaque.ExportSize]byte, err error) {
	step, ke1, err := opaque.NewLogin(prepared)
	if err != nil {
		return p, export, err
	}
	got, err := api.BeginLogin.Call(ctx, c.caller, api.Args{}, api.BeginLoginRequest{Name: name, KE1: text(ke1)})
	if err != nil {
		return p, export, err
	}
	c.compareClocks(got.Time)
	ke2, err := raw(got.KE2)
	if err != nil {
		return p, export, ErrLogin
	}
	ke3, export, err := step.Finish(ke2)
	if err != nil {
		return p, export, ErrLogin
	}
	return api.AccountProof{State: got.State, KE3: text(ke3)}, export, nil
}

func (c *Client) compareClocks(server int64) {
	here, there := c.now(), time.Unix(server, 0)
	if c.Clock != nil && here.Sub(there).Abs() > clockSlack {
		c.Clock(here, there)
	}
}

// withCode calls again with a code where one is needed. Whoever asks without one
// has nothing used up.
func (c *Client) withCode(ctx context.Context, call func(code string) error) error {
	err := call("")
	for n := 0; n < codeTries && c.Code != nil && (errors.Is(err, api.CodeNeeded) || errors.Is(err, api.CodeWrong)); n++ {
		code, asked := c.Code(ctx, n > 0)
		if asked != nil {
			return asked
		}
		err = call(code)
	}
	if errors.Is(err, api.LoginFailed) {
		return ErrLogin
	}
	return err
}

// LogIn begins a session.
func (c *Client) LogIn(ctx context.Context, name, pass, label string) (Access, error) {
	name, prepared, err := typed(name, pass)
	if err != nil {
		return Access{}, err
	}
	p, export, err := c.prove(ctx, name, prepared)
	if err != nil {
		return Access{}, err
	}
	defer clear(export[:])
	token := id.Bytes32(id.New32())
	var got api.AccountAccess
	err = c.withCode(ctx, func(code string) (err error) {
		p.Code = code
		got, err = api.Login.Call(ctx, c.caller, api.Args{}, api.LoginRequest{AccountProof: p, Session: api.AccountSession{Token: token, Label: label}})
		return err
	})
	if err != nil {
		return Access{}, err
	}
	root, err := unwrap(got, keys.ByPassword(got.Account, export))
	if err != nil {
		return Access{}, err
	}
	return Access{root, token}, nil
}

// unwrap believes a server's answer if it opens, and shows the public identity that
// follows from what was opened; whatever is wrong with it is one error (threat 1).
func unwrap(got api.AccountAccess, by keys.Wrapper) (keys.Root, error) {
	wrap, err := raw(got.Wrap)
	if err != nil || got.Epoch < 1 || got.Epoch > 1<<32-1 {
		return keys.Root{}, ErrLogin
	}
	root, err := by.Unwrap(uint32(got.Epoch), wrap)
	if err != nil {
		return keys.Root{}, ErrLogin
	}
	identity, err := raw(got.Identity)
	if err != nil || !bytes.Equal(identity, root.Identity().Envelope()) {
		return keys.Root{}, ErrLogin
	}
	return root, nil
}

// Recover sets a new password by the recovery phrase; all other sessions end. The
// account's handle comes from the server, and is believed only if the phrase opens its wrap.
func (c *Client) Recover(ctx context.Context, name string, phrase keys.Phrase, pass, label string) (Access, error) {
	name, prepared, err := typed(name, pass)
	if err != nil {
		return Access{}, err
	}
	step, request, err := opaque.NewRegistration(prepared)
	if err != nil {
		return Access{}, err
	}
	var got api.RecoveryChallenge
	err = c.withCode(ctx, func(code string) (err error) {
		got, err = api.BeginRecovery.Call(ctx, c.caller, api.Args{}, api.BeginRecoveryRequest{Name: name, Auth: phrase.Auth(), Code: code, Request: text(request)})
		return err
	})
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

func args(a Access) api.Args { return api.Args{Secret: a.Token.String()} }

func text(b []byte) string { return id.Encoding.EncodeToString(b) }

func raw(s string) ([]byte, error) {
	b, err := id.Encoding.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%w: not base64url text", ErrAnswer)
	}
	return b, nil
}
