package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"holdfast/format/id"
)

// Names returns the public keys that the servers of this database sign tickets
// and orders with; zero if no server has started on it.
func (s *Store) Names(ctx context.Context) (ticket, order id.Bytes32, err error) {
	err = s.read(ctx, func(q queryer) error {
		ticket, order, err = readNames(ctx, q)
		return err
	})
	return ticket, order, err
}

// Name lets the database name these keys, unless it names others already, and
// returns those that it names.
func (s *Store) Name(ctx context.Context, ticket, order id.Bytes32) (namedTicket, namedOrder id.Bytes32, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		if err := exec(ctx, tx, "store identity", `INSERT INTO identity (one, ticket, orders) VALUES (1, $1, $2) ON CONFLICT (one) DO NOTHING`,
			ticket[:], order[:]); err != nil {
			return err
		}
		namedTicket, namedOrder, err = readNames(ctx, tx)
		return err
	})
	return namedTicket, namedOrder, err
}

// AccountsKey returns the public key of the accounts' key that the servers of this
// database share, zero if none was named yet.
func (s *Store) AccountsKey(ctx context.Context) (key id.Bytes32, err error) {
	err = s.read(ctx, func(q queryer) error {
		key, err = readAccountsKey(ctx, q)
		return err
	})
	return key, err
}

// NameAccountsKey lets the database name this key, unless it names another already, and
// returns the one that it names. The identity must have been named before.
func (s *Store) NameAccountsKey(ctx context.Context, key id.Bytes32) (named id.Bytes32, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		if err := exec(ctx, tx, "store identity", `UPDATE identity SET accounts = $1 WHERE one = 1 AND accounts IS NULL`, key[:]); err != nil {
			return err
		}
		named, err = readAccountsKey(ctx, tx)
		return err
	})
	return named, err
}

func readAccountsKey(ctx context.Context, q queryer) (key id.Bytes32, err error) {
	var raw []byte
	err = q.QueryRowContext(ctx, `SELECT accounts FROM identity WHERE one = 1`).Scan(&raw)
	if errors.Is(err, sql.ErrNoRows) || err == nil && raw == nil {
		return key, nil
	}
	if err == nil {
		err = fixed(key[:], raw)
	}
	if err != nil {
		return key, fmt.Errorf("read identity: %w", err)
	}
	return key, nil
}

func readNames(ctx context.Context, q queryer) (ticket, order id.Bytes32, err error) {
	var rawTicket, rawOrder []byte
	err = q.QueryRowContext(ctx, `SELECT ticket, orders FROM identity WHERE one = 1`).Scan(&rawTicket, &rawOrder)
	if errors.Is(err, sql.ErrNoRows) {
		return ticket, order, nil
	}
	if err == nil {
		err = errors.Join(fixed(ticket[:], rawTicket), fixed(order[:], rawOrder))
	}
	if err != nil {
		return ticket, order, fmt.Errorf("read identity: %w", err)
	}
	return ticket, order, nil
}
