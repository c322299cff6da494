package httpapi

import (
	"context"

	"holdfast/api"
	"holdfast/server/internal/account"
)

// What the bearer of a session does with a proof of the password.

// proven finds the bearer and decodes the proof and, with more, what else is in the body.
func (s *server) proven(ctx context.Context, r api.Request, p api.AccountProof, more func(*raw)) (account.Bearer, account.Proof, error) {
	b, err := s.bearer(ctx, r)
	if err != nil {
		return b, account.Proof{}, err
	}
	var d raw
	proof := d.proof(p)
	if more != nil {
		more(&d)
	}
	return b, proof, d.err()
}

func (s *server) changePassword(ctx context.Context, r api.Request, req api.ChangePasswordRequest) (api.Empty, error) {
	var state []byte
	var c account.Credential
	b, p, err := s.proven(ctx, r, req.Proof, func(d *raw) { state, c = d.bytes("state", req.State), d.credential(req.Credential) })
	if err != nil {
		return api.Empty{}, err
	}
	return api.Empty{}, problem(s.Accounts.Change(ctx, b, p, state, c, req.EndOthers))
}

func (s *server) renameAccount(ctx context.Context, r api.Request, req api.RenameAccountRequest) (api.Empty, error) {
	var challenge []byte
	var c account.Credential
	b, p, err := s.proven(ctx, r, req.Proof, func(d *raw) { challenge, c = d.bytes("challenge", req.Challenge), d.credential(req.Credential) })
	if err != nil {
		return api.Empty{}, err
	}
	return api.Empty{}, problem(s.Accounts.Rename(ctx, b, p, challenge, uint64(req.Nonce), c))
}

func (s *server) setFactor(ctx context.Context, r api.Request, req api.SetFactorRequest) (api.RecoveryCodes, error) {
	var secret []byte
	b, p, err := s.proven(ctx, r, req.Proof, func(d *raw) { secret = d.bytes("secret", req.Secret) })
	if err != nil {
		return api.RecoveryCodes{}, err
	}
	if len(secret) != len(account.FactorSecret{}) {
		return api.RecoveryCodes{}, api.NewProblem(api.BadRequest, "The secret of a second factor has %d bytes.", len(account.FactorSecret{}))
	}
	codes, err := s.Accounts.SetFactor(ctx, b, p, account.FactorSecret(secret), req.Code)
	return api.RecoveryCodes{Codes: codes}, problem(err)
}

func (s *server) setCodes(ctx context.Context, r api.Request, req api.AccountProofRequest) (api.RecoveryCodes, error) {
	b, p, err := s.proven(ctx, r, req.Proof, nil)
	if err != nil {
		return api.RecoveryCodes{}, err
	}
	codes, err := s.Accounts.SetCodes(ctx, b, p)
	return api.RecoveryCodes{Codes: codes}, problem(err)
}

func (s *server) dropFactor(ctx context.Context, r api.Request, req api.AccountProofRequest) (api.Empty, error) {
	b, p, err := s.proven(ctx, r, req.Proof, nil)
	if err != nil {
		return api.Empty{}, err
	}
	return api.Empty{}, problem(s.Accounts.DropFactor(ctx, b, p))
}

func (s *server) exportAccount(ctx context.Context, r api.Request, req api.AccountProofRequest) (api.AccountExport, error) {
	b, p, err := s.proven(ctx, r, req.Proof, nil)
	if err != nil {
		return api.AccountExport{}, err
	}
	a, err := s.Accounts.Export(ctx, b, p)
	if err != nil {
		return api.AccountExport{}, problem(err)
	}
	return api.AccountExport{
		AccountView: viewOf(a, b), Name: a.Name, PhraseWrap: text(a.PhraseWrap), PhraseHash: a.PhraseHash,
		Credential: api.AccountCredential{Record: text(a.Record), Wrap: text(a.Wrap), Epoch: int64(a.Epoch)},
	}, nil
}

func (s *server) eraseAccount(ctx context.Context, r api.Request, req api.EraseAccountRequest) (api.Empty, error) {
	b, p, err := s.proven(ctx, r, req.Proof, nil)
	if err != nil {
		return api.Empty{}, err
	}
	return api.Empty{}, problem(s.Accounts.Erase(ctx, b, p, req.Name))
}
