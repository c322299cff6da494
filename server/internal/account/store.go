package account

import (
	"context"
	"crypto/sha256"

	"holdfast/format/id"
)

// Store keeps accounts. Every write is one transaction that is durable when the call
// returns. Steps that were taken (Once) are remembered at least until they expire.
type Store interface {
	// CreateAccount makes an account and its first session, and takes the step. It
	// fails with ErrStep if the step was taken, ErrTaken if the name is, and ErrExists
	// if the handle is, and then changes nothing.
	CreateAccount(ctx context.Context, a Account, first Session, step Once) error
	// AccountByName fails with ErrUnknown.
	AccountByName(ctx context.Context, name [sha256.Size]byte) (Account, error)
	// IdentityOf is the signed public identity of an account, or ErrUnknown.
	IdentityOf(ctx context.Context, account id.Account) ([]byte, error)
	// AccountBySession returns the account of a session that was used on or after the
	// day since, or ErrSession.
	AccountBySession(ctx context.Context, session [sha256.Size]byte, since int64) (Account, Session, error)
	// BeginSession takes the step and adds a session; the oldest go where there are more
	// than keep. It fails with ErrStep, or ErrUnknown if the account is gone.
	BeginSession(ctx context.Context, account id.Account, s Session, step Once, keep int) error
	// UseSession notes the day.
	UseSession(ctx context.Context, session [sha256.Size]byte, day int64) error
	// Sessions of an account, the ones used last first.
	Sessions(ctx context.Context, account id.Account) ([]Session, error)
	// EndSession ends one of the account's sessions, or with ErrSession none.
	EndSession(ctx context.Context, account id.Account, session [sha256.Size]byte) error
	// ReplaceCredential exchanges what goes with the password, takes the step, and ends
	// all sessions but one, if endOthers is set. It fails with ErrStep or ErrUnknown.
	ReplaceCredential(ctx context.Context, account id.Account, c Credential, step Once, endOthers bool, but [sha256.Size]byte) error
	// RenameAccount exchanges name and credential and takes the step. It fails with
	// ErrStep, ErrUnknown, or ErrTaken if another account has the name.
	RenameAccount(ctx context.Context, account id.Account, name [sha256.Size]byte, c Credential, step Once) error
	// EndOthers ends all sessions of an account but one, and returns how many.
	EndOthers(ctx context.Context, account id.Account, but [sha256.Size]byte) (int, error)
	// UseFactor takes the step, unless it is zero, and replaces the account's second
	// factor by what use makes of it; either may be nil, for none. Nothing happens in
	// between, and nothing if use fails. It fails with ErrStep or ErrUnknown.
	UseFactor(ctx context.Context, account id.Account, step Once, use func(*Factor) (*Factor, error)) error
	// CodesLeft is how many recovery codes of the account were not used.
	CodesLeft(ctx context.Context, account id.Account) (int, error)
	// EraseAccount removes the account and all that is its.
	EraseAccount(ctx context.Context, account id.Account) error

	// UseLoginTry sets when all tries of a name are free again to what next makes of it
	// (Unix seconds; 0 if nothing is known of the name), unless next fails.
	UseLoginTry(ctx context.Context, name [sha256.Size]byte, next func(free int64) (int64, error)) error
	// DropAccountLeftovers removes at most limit each of: steps and tries that expired
	// before now, and sessions last used before the day since. It returns how many went.
	DropAccountLeftovers(ctx context.Context, now, since int64, limit int) (int, error)
}
