package account

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"holdfast/format/id"
)

// Bearer is who shows a session's token.
type Bearer struct {
	Account
	Session Session
}

// Bearer finds the account of a token, and notes the day on which it was used: ErrSession
// if there is none.
func (s *Service) Bearer(ctx context.Context, token id.Bytes32) (Bearer, error) {
	today := s.today()
	a, session, err := s.store.AccountBySession(ctx, tokenHash(token), today-idleDays)
	if err != nil {
		return Bearer{}, fmt.Errorf("session: %w", err)
	}
	if session.Used < today {
		if err := s.store.UseSession(ctx, session.Hash, today); err != nil {
			return Bearer{}, fmt.Errorf("session: %w", err)
		}
	}
	return Bearer{a, session}, nil
}

// IdentityOf is the signed public identity of an account: ErrNoAccount if there is none.
func (s *Service) IdentityOf(ctx context.Context, of id.Account) ([]byte, error) {
	identity, err := s.store.IdentityOf(ctx, of)
	if errors.Is(err, ErrUnknown) {
		err = ErrNoAccount
	}
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	return identity, nil
}

// Sessions of the bearer's account, the ones used last first.
func (s *Service) Sessions(ctx context.Context, b Bearer) ([]Session, error) {
	all, err := s.store.Sessions(ctx, b.ID)
	if err != nil {
		return nil, fmt.Errorf("sessions: %w", err)
	}
	return all, nil
}

// EndSession ends a session of the bearer's account: ErrSession if it has none of that hash.
func (s *Service) EndSession(ctx context.Context, b Bearer, session [sha256.Size]byte) error {
	if err := s.store.EndSession(ctx, b.ID, session); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return nil
}

// EndOthers ends all sessions of the bearer's account but the bearer's, and returns how many.
func (s *Service) EndOthers(ctx context.Context, b Bearer) (int, error) {
	n, err := s.store.EndOthers(ctx, b.ID, b.Session.Hash)
	if err != nil {
		return 0, fmt.Errorf("end other sessions: %w", err)
	}
	return n, nil
}

// change is the state between the two messages of a change of password.
type change struct {
	Account id.Account
	Key     [32]byte
	Epoch   uint32
	Expires int64
	Drawn   [id.Size]byte
}

// BeginChange answers OPAQUE's request for the bearer's new password.
func (s *Service) BeginChange(_ context.Context, b Bearer, request []byte) (response, state []byte, err error) {
	response, key, err := s.register(request)
	if err != nil {
		return nil, nil, fmt.Errorf("change password: %w", err)
	}
	return response, s.steps.seal("change password", change{b.ID, key, b.Epoch, s.now().Unix() + stepLife, drawn()}), nil
}

// Change sets a new password, for who proves the old one; endOthers ends all sessions
// but the bearer's.
func (s *Service) Change(ctx context.Context, b Bearer, p Proof, sealed []byte, c Credential, endOthers bool) error {
	var state change
	_, err := s.prove(ctx, b, p) // good for nothing more once the password is another
	if err == nil {
		err = s.steps.open("change password", sealed, &state)
	}
	if err == nil && (state.Account != b.ID || s.now().Unix() > state.Expires) {
		err = ErrStep
	}
	if err == nil {
		err = s.checkReplacement(state.Epoch, c)
	}
	if err == nil {
		err = s.store.ReplaceCredential(ctx, b.ID, c.under(state.Key), onceOf(sealed, state.Expires), endOthers, b.Session.Hash)
	}
	if err != nil {
		return fmt.Errorf("change password: %w", err)
	}
	return nil
}

// Rename gives the account another name, for who proves the password, with the
// password registered under that name: challenge and nonce are a sign-up's.
func (s *Service) Rename(ctx context.Context, b Bearer, p Proof, challenge []byte, nonce uint64, c Credential) error {
	_, err := s.prove(ctx, b, p) // good for nothing more once the name is another
	var state signUp
	if err == nil {
		state, err = s.worked(challenge, nonce)
	}
	if err == nil {
		err = s.checkReplacement(b.Epoch, c)
	}
	if err == nil {
		err = s.store.RenameAccount(ctx, b.ID, state.Name, c.under(state.Key), onceOf(challenge, state.Expires))
	}
	if err != nil {
		return fmt.Errorf("rename account: %w", err)
	}
	return nil
}

// Erase removes the bearer's account, which must be named once more, for who proves
// the password.
func (s *Service) Erase(ctx context.Context, b Bearer, p Proof, name string) error {
	hash, err := s.name(name)
	if err == nil && hash != b.Name {
		err = fmt.Errorf("%w: this is not the account's name", ErrRequest)
	}
	if err == nil {
		_, err = s.prove(ctx, b, p)
	}
	if err == nil {
		err = s.store.EraseAccount(ctx, b.ID)
	}
	if err != nil {
		return fmt.Errorf("erase account: %w", err)
	}
	return nil
}

// Stored is all that is kept of an account.
type Stored struct {
	Account
	Sessions  []Session
	CodesLeft int
}

// Export is Stored with what only a password releases.
func (s *Service) Export(ctx context.Context, b Bearer, p Proof) (Stored, error) {
	if _, err := s.prove(ctx, b, p); err != nil {
		return Stored{}, fmt.Errorf("export account: %w", err)
	}
	return s.Stored(ctx, b)
}

// Stored is what the service keeps of the bearer's account.
func (s *Service) Stored(ctx context.Context, b Bearer) (Stored, error) {
	all, err := s.store.Sessions(ctx, b.ID)
	if err != nil {
		return Stored{}, fmt.Errorf("account: %w", err)
	}
	left, err := s.store.CodesLeft(ctx, b.ID)
	if err != nil {
		return Stored{}, fmt.Errorf("account: %w", err)
	}
	return Stored{b.Account, all, left}, nil
}

// DropLeftovers removes what has expired, for the background loop.
func (s *Service) DropLeftovers(ctx context.Context, limit int) (int, error) {
	return s.store.DropAccountLeftovers(ctx, s.now().Unix(), s.today()-idleDays, limit)
}
