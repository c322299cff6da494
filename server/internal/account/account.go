// Package account keeps people's accounts: names that are only hashes here, passwords
// that never come here (OPAQUE, format/opaque), the wraps of root keys, and sessions. It
// promises that one name is one account, that a wrap is released to nobody but who
// knows the password or the recovery phrase, that an unknown name looks like a known
// one, and that every step of a login works once. It knows no keys of people, and no
// SQL and no HTTP.
package account

import (
	"crypto/sha256"
	"errors"

	"holdfast/format/id"
)

// Errors of the domain.
var (
	// ErrTaken: somebody has the name. Only signing up says so.
	ErrTaken = errors.New("somebody has this name; choose another one")
	// ErrExists: there is an account of this handle.
	ErrExists = errors.New("there is an account of this handle")
	// ErrLogin is the one answer to a wrong name, password or phrase.
	ErrLogin = errors.New("wrong name or password")
	// ErrSession: no session has this token, or it ended.
	ErrSession = errors.New("the session has ended; log in again")
	// ErrStep: a step of a login or sign-up that came too late, twice, or was changed.
	ErrStep = errors.New("this step is no longer good; begin again")
	// ErrWork: the proof of work is missing or wrong.
	ErrWork = errors.New("the proof of work is wrong")
	// ErrRequest: a request that no client of ours makes.
	ErrRequest = errors.New("request")
	// ErrCodeNeeded: the account has a second factor.
	ErrCodeNeeded = errors.New("a code of the second factor is needed")
	// ErrCode: a code that is none, or was used before.
	ErrCode = errors.New("the code is wrong, or was used already")
	// ErrNewCode: a code that is none of the second factor that is to be set.
	ErrNewCode = errors.New("the code is none of the new second factor")
	// ErrNoFactor: the account has no second factor.
	ErrNoFactor = errors.New("there is no second factor")
	// ErrNoAccount: nobody's account has the handle that was asked for.
	ErrNoAccount = errors.New("no account has this handle")
	// ErrUnknown is for the store's callers in this package alone.
	ErrUnknown = errors.New("no such account")
)

// Limits of what is stored.
const (
	// MaxLabel bounds the label that a client gives its session, in bytes.
	MaxLabel = 64
	// MaxSessions of one account; the one that was used longest ago ends beyond it.
	MaxSessions = 100
)

// Account is what is stored of one.
type Account struct {
	ID id.Account
	// Name is a keyed hash of the prepared name.
	Name [sha256.Size]byte
	Credential
	// PhraseWrap is the root key under the recovery phrase, PhraseHash what a phrase's
	// auth value is held against.
	PhraseWrap []byte
	PhraseHash [sha256.Size]byte
	// Identity is the signed public identity.
	Identity []byte
	// Day it was made, since 1970-01-01 UTC.
	Day int64
	// Factor tells whether there is a second factor.
	Factor bool
}

// Credential is what changes with the password.
type Credential struct {
	// Key names OPAQUE's OPRF key: drawn by the server for every registration, and never
	// used for another. Otherwise whoever begins to register a name that somebody has
	// could have guesses at that one's password evaluated, as many as they like.
	Key [32]byte
	// Record is OPAQUE's, Wrap the root key under its export key.
	Record, Wrap []byte
	// Epoch is the identity epoch that the wraps are of.
	Epoch uint32
}

// Session lets its bearer act for an account.
type Session struct {
	// Hash of the token, which only its bearer knows.
	Hash [sha256.Size]byte
	// Label that the client chose.
	Label string
	// Made and Used are days since 1970-01-01 UTC.
	Made, Used int64
}

// Once is a step that may be taken once, until it expires (Unix seconds).
type Once struct {
	Hash    [sha256.Size]byte
	Expires int64
}
