package server

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"holdfast/format/id"
	"holdfast/server/internal/account"
	"holdfast/server/internal/keys"
	"holdfast/server/internal/store"
)

// openStore opens the database, and says what to do where it cannot.
func openStore(ctx context.Context, d Data) (*store.Store, error) {
	s, err := store.Open(ctx, d.database())
	switch {
	case errors.Is(err, store.ErrAddress):
		err = fmt.Errorf("%w: %w", ErrConfig, err)
	case errors.Is(err, store.ErrAway):
		err = fmt.Errorf("%w; start it, or check host, port and network", err)
	}
	return s, err
}

// troubleEvery is how often the log says that the database fails, which every
// request meets.
const troubleEvery = 5 * time.Second

func troubleLog(log *slog.Logger) func(error) {
	limit := rate.Sometimes{Interval: troubleEvery}
	return func(err error) {
		limit.Do(func() { log.Error("the database fails; callers are asked to come back", "error", err) })
	}
}

// identify returns the keys of this server, which are those that the database
// names: all servers of one database sign alike, and nodes pin what they join
// with. The first server makes them; others are given copies.
func identify(ctx context.Context, s *store.Store, d Data) (keys.Keys, error) {
	named, _, err := s.Names(ctx)
	if err != nil {
		return keys.Keys{}, err
	}
	get := keys.Load
	if named != (id.Bytes32{}) {
		get = keys.Read
	}
	mine, err := get(d.Dir)
	if errors.Is(err, keys.ErrMissing) {
		return keys.Keys{}, fmt.Errorf("%w: %w, and the database belongs to a service that has some: %s", ErrConfig, err, copyKeys)
	}
	if err != nil {
		return keys.Keys{}, err
	}
	ticket, order, err := s.Name(ctx, public(mine.Ticket), public(mine.Order))
	if err != nil {
		return keys.Keys{}, err
	}
	if ticket != public(mine.Ticket) || order != public(mine.Order) {
		return keys.Keys{}, fmt.Errorf("%w: the signing keys in %s are not those of the service that the database belongs to: %s", ErrConfig, d.Dir, copyKeys)
	}
	return mine, nil
}

// accountsSecret returns the secret that the service's accounts rest on. The first
// server to have accounts makes it; others are given copies.
func accountsSecret(ctx context.Context, s *store.Store, d Data) (account.Secret, error) {
	named, err := s.AccountsKey(ctx)
	if err != nil {
		return account.Secret{}, err
	}
	get := keys.LoadAccounts
	if named != (id.Bytes32{}) {
		get = keys.ReadAccounts
	}
	mine, err := get(d.Dir)
	if errors.Is(err, keys.ErrMissing) {
		return account.Secret{}, fmt.Errorf("%w: %w, and the database belongs to a service that has accounts: %s", ErrConfig, err, copyAccounts)
	}
	if err != nil {
		return account.Secret{}, err
	}
	if named, err = s.NameAccountsKey(ctx, public(mine)); err != nil {
		return account.Secret{}, err
	}
	if named != public(mine) {
		return account.Secret{}, fmt.Errorf("%w: the key of accounts in %s is not that of the service that the database belongs to: %s", ErrConfig, d.Dir, copyAccounts)
	}
	return account.SecretOf([32]byte(mine.Seed())), nil
}

const copyAccounts = "copy " + keys.AccountsFile + " from the data directory of one of its servers, or from the backup; with another one nobody can log in"

const copyKeys = "copy " + keys.TicketFile + " and " + keys.OrderFile + " from the data directory of one of its servers, or from the backup; nodes accept no other"

func public(key ed25519.PrivateKey) id.Bytes32 { return id.Bytes32(key.Public().(ed25519.PublicKey)) }
