package account

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"holdfast/format/id"
	"holdfast/format/keys"
	"holdfast/format/opaque"
	"holdfast/format/work"
	"holdfast/server/internal/bucket"
)

const (
	day = 24 * 60 * 60
	// idleDays end a session that nobody used.
	idleDays = 90
)

// tries of one name: every beginning of a login is a guess, whether it ends or not.
var tries = bucket.Bucket{Burst: 20, Refill: 15}

// Secret is what the service must keep to know its accounts again: OPAQUE's, and a
// key of which names and states get theirs.
type Secret struct {
	OPAQUE opaque.Secret
	Names  [32]byte
}

// SecretOf derives it all from 32 random bytes.
func SecretOf(seed [32]byte) Secret {
	return Secret{OPAQUE: opaque.DeriveSecret([32]byte(subkey(seed, "opaque"))), Names: [32]byte(subkey(seed, "names and steps"))}
}

// Service answers sign-ups, logins and what a session may do. Make one with New.
type Service struct {
	store   Store
	opaque  *opaque.Server
	names   []byte
	unknown []byte
	steps   sealer
	now     func() time.Time

	mu     sync.Mutex // guards what follows
	signed []int64    // when accounts were made in the last hour
}

// New fails for a secret that is none.
func New(store Store, secret Secret, now func() time.Time) (*Service, error) {
	server, err := opaque.NewServer(secret.OPAQUE)
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	return &Service{
		store: store, opaque: server, now: now,
		names: subkey(secret.Names, "names"), unknown: subkey(secret.Names, "unknown names"), steps: newSealer([32]byte(subkey(secret.Names, "steps"))),
	}, nil
}

func subkey(secret [32]byte, use string) []byte {
	key, err := hkdf.Key(sha256.New, secret[:], nil, "holdfast/v1/accounts\x00"+use, 32)
	if err != nil {
		panic("account: " + err.Error()) // only a greater length fails
	}
	return key
}

// name prepares a name (docs/format.md §14) and hashes it under the service's key.
func (s *Service) name(typed string) (hash [sha256.Size]byte, err error) {
	prepared, err := keys.PrepareName(typed)
	if err != nil {
		return hash, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	mac := hmac.New(sha256.New, s.names)
	mac.Write([]byte(prepared))
	return [sha256.Size]byte(mac.Sum(nil)), nil
}

func (s *Service) today() int64 { return s.now().Unix() / day }

// Challenge is what a sign-up has to answer.
type Challenge struct {
	Response  []byte // OPAQUE's
	Challenge []byte
	Bits      int
}

// signUp is the state between the two messages of a sign-up.
type signUp struct {
	Name    [sha256.Size]byte
	Key     [32]byte
	Expires int64
	Bits    int64
	Drawn   [id.Size]byte
}

// BeginSignUp answers OPAQUE's request for a name. Whether somebody has it is told
// only to who did the work.
func (s *Service) BeginSignUp(_ context.Context, name string, request []byte) (Challenge, error) {
	hash, err := s.name(name)
	if err != nil {
		return Challenge{}, fmt.Errorf("sign up: %w", err)
	}
	response, key, err := s.register(request)
	if err != nil {
		return Challenge{}, fmt.Errorf("sign up: %w", err)
	}
	want := bitsFor(s.signUps(false))
	state := signUp{hash, key, s.now().Unix() + stepLife, int64(want), drawn()}
	return Challenge{Response: response, Challenge: s.steps.seal("sign up", state), Bits: want}, nil
}

// signUps counts those of the last hour, and with add one more.
func (s *Service) signUps(add bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now().Unix()
	for len(s.signed) > 0 && s.signed[0] <= now-3600 {
		s.signed = s.signed[1:]
	}
	if add {
		s.signed = append(s.signed, now)
	}
	return len(s.signed)
}

// SignUp is what a client sends to end a sign-up.
type SignUp struct {
	Challenge []byte
	Nonce     uint64
	Account   id.Account
	Credential
	PhraseWrap []byte
	PhraseHash [sha256.Size]byte
	Identity   []byte
	Session    id.Bytes32 // a token that the client drew
	Label      string
}

// SignUp makes the account and its first session.
func (s *Service) SignUp(ctx context.Context, r SignUp) error {
	var state signUp
	if err := s.steps.open("sign up", r.Challenge, &state); err != nil {
		return fmt.Errorf("sign up: %w", err)
	}
	now := s.now().Unix()
	if now > state.Expires {
		return fmt.Errorf("sign up: %w", ErrStep)
	}
	if !work.Check(r.Challenge, r.Nonce, int(state.Bits)) {
		return fmt.Errorf("sign up: %w", ErrWork)
	}
	session, err := s.session(r.Session, r.Label)
	if err == nil {
		err = s.checkCredential(r.Account, r.Credential, r.Identity)
	}
	if err == nil && len(r.PhraseWrap) != keys.WrapSize {
		err = fmt.Errorf("%w: a wrap of %d bytes", ErrRequest, len(r.PhraseWrap))
	}
	if err != nil {
		return fmt.Errorf("sign up: %w", err)
	}
	a := Account{
		ID: r.Account, Name: state.Name, Credential: r.Credential.under(state.Key), PhraseWrap: r.PhraseWrap, PhraseHash: r.PhraseHash,
		Identity: r.Identity, Day: s.today(),
	}
	if err := s.store.CreateAccount(ctx, a, session, onceOf(r.Challenge, state.Expires)); err != nil {
		return fmt.Errorf("sign up: %w", err)
	}
	s.signUps(true)
	return nil
}

// register answers a registration under an OPRF key of its own.
func (s *Service) register(request []byte) (response []byte, key [32]byte, err error) {
	key = id.New32()
	response, err = s.opaque.Register(request, key[:])
	if err != nil {
		return nil, key, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return response, key, nil
}

// under is the credential with the key that the server drew, whatever the client says.
func (c Credential) under(key [32]byte) Credential {
	c.Key = key
	return c
}

// strangers is the OPRF key's name for a name that nobody has: the same one always.
func (s *Service) strangers(name [sha256.Size]byte) [32]byte {
	mac := hmac.New(sha256.New, s.unknown)
	mac.Write(name[:])
	return [32]byte(mac.Sum(nil))
}

// checkCredential refuses what no later login could open, and an identity that is not
// the account's of that epoch.
func (s *Service) checkCredential(account id.Account, c Credential, identity []byte) error {
	if s.opaque.CheckRecord(c.Record) != nil {
		return fmt.Errorf("%w: a password record that is none", ErrRequest)
	}
	if len(c.Wrap) != keys.WrapSize {
		return fmt.Errorf("%w: a wrap of %d bytes", ErrRequest, len(c.Wrap))
	}
	i, err := keys.ParseIdentity(identity)
	if err != nil || i.Account != account || i.Epoch != c.Epoch {
		return fmt.Errorf("%w: an identity that is not this account's", ErrRequest)
	}
	return nil
}

// session makes a session of a client's token.
func (s *Service) session(token id.Bytes32, label string) (Session, error) {
	if token == (id.Bytes32{}) || len(label) > MaxLabel {
		return Session{}, fmt.Errorf("%w: a session without a token, or with a label of more than %d bytes", ErrRequest, MaxLabel)
	}
	return Session{Hash: tokenHash(token), Label: label, Made: s.today(), Used: s.today()}, nil
}

// tokenHash is what is stored of a session's token.
func tokenHash(token id.Bytes32) [sha256.Size]byte {
	return sha256.Sum256(append([]byte("holdfast/v1/account-session\x00"), token[:]...))
}

// unknown tells an account that is not there from a store that failed.
func unknown(err error) bool { return errors.Is(err, ErrUnknown) }
