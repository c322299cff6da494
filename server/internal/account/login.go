package account

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"

	"holdfast/format/id"
	"holdfast/format/keys"
	"holdfast/format/opaque"
)

// login is the state between the two messages of a login.
type login struct {
	Account  id.Account // zero for a name that nobody has
	Name     [sha256.Size]byte
	Expected [opaque.ExpectedSize]byte
	Expires  int64
	Drawn    [id.Size]byte
}

// BeginLogin answers OPAQUE's KE1 for a name. A name that nobody has takes the same
// steps and gets the same answer.
func (s *Service) BeginLogin(ctx context.Context, name string, ke1 []byte) (ke2, state []byte, err error) {
	hash, err := s.name(name)
	if err != nil {
		return nil, nil, fmt.Errorf("log in: %w", err)
	}
	if err := s.try(ctx, hash); err != nil {
		return nil, nil, fmt.Errorf("log in: %w", err)
	}
	a, err := s.store.AccountByName(ctx, hash)
	if err != nil && !unknown(err) {
		return nil, nil, fmt.Errorf("log in: %w", err)
	}
	key := s.strangers(hash) // made for every login, as what follows is
	if err == nil {
		key = a.Key
	}
	ke2, expected, err := s.opaque.Begin(ke1, key[:], a.Record)
	if err != nil {
		return nil, nil, fmt.Errorf("log in: %w: %w", ErrRequest, err)
	}
	return ke2, s.steps.seal("log in", login{a.ID, hash, [opaque.ExpectedSize]byte(expected), s.now().Unix() + stepLife, drawn()}), nil
}

// try uses one try of a name.
func (s *Service) try(ctx context.Context, name [sha256.Size]byte) error {
	now := s.now().Unix()
	return s.store.UseLoginTry(ctx, name, func(free int64) (int64, error) {
		if wait := tries.Wait(free, now); wait > 0 {
			return 0, &LimitedError{wait}
		}
		return tries.Used(free, now), nil
	})
}

// Access is what a session's beginning gives.
type Access struct {
	Account  id.Account
	Epoch    uint32
	Wrap     []byte
	Identity []byte
}

// Login checks KE3, begins the session whose token the client drew, and releases the
// password's wrap.
func (s *Service) Login(ctx context.Context, state, ke3 []byte, token id.Bytes32, label string) (Access, error) {
	a, err := s.finish(ctx, state, ke3, token, label)
	if err != nil {
		return Access{}, fmt.Errorf("log in: %w", err)
	}
	return a, nil
}

func (s *Service) finish(ctx context.Context, sealed, ke3 []byte, token id.Bytes32, label string) (Access, error) {
	var state login
	if err := s.steps.open("log in", sealed, &state); err != nil {
		return Access{}, err
	}
	now := s.now().Unix()
	if now > state.Expires {
		return Access{}, ErrStep
	}
	session, err := s.session(token, label)
	if err != nil {
		return Access{}, err
	}
	if s.opaque.Finish(ke3, state.Expected[:]) != nil || state.Account.IsZero() {
		return Access{}, ErrLogin
	}
	a, err := s.store.AccountByName(ctx, state.Name)
	if unknown(err) || err == nil && a.ID != state.Account {
		return Access{}, ErrLogin // erased, or renamed, meanwhile
	}
	if err != nil {
		return Access{}, err
	}
	if err := s.store.BeginSession(ctx, a.ID, session, onceOf(sealed, state.Expires), MaxSessions); err != nil {
		if unknown(err) {
			err = ErrLogin
		}
		return Access{}, err
	}
	// Who logged in made no guess: the next ones have all tries.
	if err := s.store.UseLoginTry(ctx, state.Name, func(int64) (int64, error) { return 0, nil }); err != nil {
		return Access{}, err
	}
	return Access{a.ID, a.Epoch, a.Wrap, a.Identity}, nil
}

// Recovery is what the phrase's auth value releases.
type Recovery struct {
	Access
	// State is for Recover.
	State []byte
	// Response is OPAQUE's, for a new password.
	Response []byte
}

// recovery is the state between the two messages of a recovery.
type recovery struct {
	Account id.Account
	Key     [32]byte
	Epoch   uint32
	Expires int64
	Drawn   [id.Size]byte
}

// BeginRecovery releases the phrase's wrap against its auth value, and answers OPAQUE's
// request for a new password. A name that nobody has fails as a wrong phrase does.
func (s *Service) BeginRecovery(ctx context.Context, name string, auth [32]byte, request []byte) (Recovery, error) {
	hash, err := s.name(name)
	if err == nil {
		err = s.try(ctx, hash)
	}
	if err != nil {
		return Recovery{}, fmt.Errorf("recover: %w", err)
	}
	response, key, err := s.register(request)
	if err != nil {
		return Recovery{}, fmt.Errorf("recover: %w", err)
	}
	a, err := s.store.AccountByName(ctx, hash)
	if err != nil && !unknown(err) {
		return Recovery{}, fmt.Errorf("recover: %w", err)
	}
	shown := keys.HashAuth(auth)
	if subtle.ConstantTimeCompare(shown[:], a.PhraseHash[:]) != 1 || err != nil {
		return Recovery{}, fmt.Errorf("recover: %w", ErrLogin)
	}
	state := s.steps.seal("recover", recovery{a.ID, key, a.Epoch, s.now().Unix() + stepLife, drawn()})
	return Recovery{Access: Access{a.ID, a.Epoch, a.PhraseWrap, a.Identity}, State: state, Response: response}, nil
}

// Recover sets a new password, ends all sessions, and begins one.
func (s *Service) Recover(ctx context.Context, sealed []byte, c Credential, token id.Bytes32, label string) error {
	var state recovery
	if err := s.steps.open("recover", sealed, &state); err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	if s.now().Unix() > state.Expires {
		return fmt.Errorf("recover: %w", ErrStep)
	}
	session, err := s.session(token, label)
	if err == nil {
		err = s.checkReplacement(state.Epoch, c)
	}
	if err == nil {
		err = s.store.ReplaceCredential(ctx, state.Account, c.under(state.Key), onceOf(sealed, state.Expires), true, [sha256.Size]byte{})
	}
	if err == nil {
		begin := Once{Hash: sha256.Sum256(append([]byte("session"), sealed...)), Expires: state.Expires + stepLife}
		err = s.store.BeginSession(ctx, state.Account, session, begin, MaxSessions)
	}
	if unknown(err) {
		err = ErrLogin // erased meanwhile
	}
	if err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	return nil
}

// checkReplacement refuses a credential that no login could open, or of another epoch.
func (s *Service) checkReplacement(epoch uint32, c Credential) error {
	if s.opaque.CheckRecord(c.Record) != nil || len(c.Wrap) != keys.WrapSize || c.Epoch != epoch {
		return fmt.Errorf("%w: a password record or wrap that is none of this account", ErrRequest)
	}
	return nil
}
