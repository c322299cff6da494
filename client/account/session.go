package account

import (
	"context"

	"holdfast/api"
	"holdfast/format/id"
	"holdfast/format/opaque"
	"holdfast/format/password"
)

// View is what the server stores of the session's account, but for what only a
// password releases.
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

// EndOthers ends all of the account's sessions but this one, and returns how many.
func (c *Client) EndOthers(ctx context.Context, a Access) (int, error) {
	got, err := api.EndOthers.Call(ctx, c.caller, args(a), api.Empty{})
	return got.Ended, err
}

// LogOut ends the session itself.
func (c *Client) LogOut(ctx context.Context, a Access) error {
	view, err := c.View(ctx, a)
	if err != nil {
		return err
	}
	for _, s := range view.Sessions {
		if s.Current {
			return c.EndSession(ctx, a, s.ID)
		}
	}
	return ErrAnswer
}

// Owner is who knows the account's password: what changes the account asks for it again.
type Owner struct {
	Access
	Name, Password string
}

// as calls with a proof of the owner's password, and with a code where one is needed.
func (c *Client) as(ctx context.Context, o Owner, call func(api.AccountProof) error) error {
	name, prepared, err := typed(o.Name, o.Password)
	if err != nil {
		return err
	}
	p, export, err := c.prove(ctx, name, prepared)
	if err != nil {
		return err
	}
	clear(export[:])
	return c.withCode(ctx, func(code string) error {
		p.Code = code
		return call(p)
	})
}

// ChangePassword exchanges the password.
func (c *Client) ChangePassword(ctx context.Context, o Owner, pass string, endOthers bool) error {
	prepared, err := password.Prepare(pass)
	if err != nil {
		return err
	}
	return c.as(ctx, o, func(p api.AccountProof) error {
		step, request, err := opaque.NewRegistration([]byte(prepared))
		if err != nil {
			return err
		}
		got, err := api.BeginPassword.Call(ctx, c.caller, args(o.Access), api.BeginPasswordRequest{Request: text(request)})
		if err != nil {
			return err
		}
		fresh, err := credential(step, got.Response, o.Root)
		if err != nil {
			return err
		}
		_, err = api.ChangePassword.Call(ctx, c.caller, args(o.Access), api.ChangePasswordRequest{Proof: p, State: got.State, Credential: fresh, EndOthers: endOthers})
		return err
	})
}

// Rename gives the account another name; the password stays.
func (c *Client) Rename(ctx context.Context, o Owner, name string) error {
	name, prepared, err := typed(name, o.Password)
	if err != nil {
		return err
	}
	reg, err := c.register(ctx, name, prepared, o.Root)
	if err != nil {
		return err
	}
	return c.as(ctx, o, func(p api.AccountProof) error {
		_, err := api.RenameAccount.Call(ctx, c.caller, args(o.Access), api.RenameAccountRequest{
			Proof: p, Challenge: reg.challenge, Nonce: reg.nonce, Credential: reg.credential,
		})
		return err
	})
}

// SetFactor sets a second factor, of whose secret a device has shown a code, and returns
// the recovery codes.
func (c *Client) SetFactor(ctx context.Context, o Owner, secret FactorSecret, code string) (codes []string, err error) {
	err = c.as(ctx, o, func(p api.AccountProof) error {
		got, err := api.SetFactor.Call(ctx, c.caller, args(o.Access), api.SetFactorRequest{Proof: p, Secret: text(secret[:]), Code: code})
		codes = got.Codes
		return err
	})
	return codes, err
}

// SetCodes replaces the recovery codes.
func (c *Client) SetCodes(ctx context.Context, o Owner) (codes []string, err error) {
	err = c.as(ctx, o, func(p api.AccountProof) error {
		got, err := api.SetCodes.Call(ctx, c.caller, args(o.Access), api.AccountProofRequest{Proof: p})
		codes = got.Codes
		return err
	})
	return codes, err
}

// DropFactor takes the second factor away.
func (c *Client) DropFactor(ctx context.Context, o Owner) error {
	return c.as(ctx, o, func(p api.AccountProof) error {
		_, err := api.DropFactor.Call(ctx, c.caller, args(o.Access), api.AccountProofRequest{Proof: p})
		return err
	})
}

// Export is all that the server stores of the account.
func (c *Client) Export(ctx context.Context, o Owner) (all api.AccountExport, err error) {
	err = c.as(ctx, o, func(p api.AccountProof) error {
		all, err = api.ExportAccount.Call(ctx, c.caller, args(o.Access), api.AccountProofRequest{Proof: p})
		return err
	})
	return all, err
}

// Erase removes the account for good.
func (c *Client) Erase(ctx context.Context, o Owner) error {
	return c.as(ctx, o, func(p api.AccountProof) error {
		_, err := api.EraseAccount.Call(ctx, c.caller, args(o.Access), api.EraseAccountRequest{Proof: p, Name: o.Name})
		return err
	})
}

// Caller makes calls of the account's server.
func (c *Client) Caller() api.Caller { return c.caller }
