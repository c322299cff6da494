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
