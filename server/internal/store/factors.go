package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"

	"holdfast/format/id"
	"holdfast/server/internal/account"
)

// UseFactor implements account.Store.
func (s *Store) UseFactor(ctx context.Context, a id.Account, step account.Once, use func(*account.Factor) (*account.Factor, error)) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if step != (account.Once{}) {
			if err := takeStep(ctx, tx, step); err != nil {
				return err
			}
		}
		num, err := accountNum(ctx, tx, a) // held, so that of two at once the second one sees what the first one used
		if err != nil {
			return err
		}
		f, err := readFactor(ctx, tx, num)
		if err != nil {
			return err
		}
		if f, err = use(f); err != nil {
			return err
		}
		if err := dropFactor(ctx, tx, num); err != nil || f == nil {
			return err
		}
		if err := exec(ctx, tx, "store second factor", `INSERT INTO account_factor (account, secret, step) VALUES ($1, $2, $3)`, num, f.Secret, f.Step); err != nil {
			return err
		}
		for _, hash := range f.Codes {
			if err := exec(ctx, tx, "store code", `INSERT INTO account_code (account, hash) VALUES ($1, $2)`, num, hash[:]); err != nil {
				return err
			}
		}
		return nil
	})
}

func readFactor(ctx context.Context, q queryer, num int64) (*account.Factor, error) {
	f := &account.Factor{}
	err := q.QueryRowContext(ctx, `SELECT secret, step FROM account_factor WHERE account = $1`, num).Scan(&f.Secret, &f.Step)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read second factor: %w", err)
	}
	err = each(ctx, q, func(scan func(...any) error) error {
		var raw []byte
		if err := scan(&raw); err != nil {
			return err
		}
		f.Codes = append(f.Codes, [sha256.Size]byte{})
		return fixed(f.Codes[len(f.Codes)-1][:], raw)
	}, `SELECT hash FROM account_code WHERE account = $1 ORDER BY hash`, num)
	if err != nil {
		return nil, fmt.Errorf("read codes: %w", err)
	}
	return f, nil
}

func dropFactor(ctx context.Context, tx *sql.Tx, num int64) error {
	if err := exec(ctx, tx, "drop codes", `DELETE FROM account_code WHERE account = $1`, num); err != nil {
		return err
	}
	return exec(ctx, tx, "drop second factor", `DELETE FROM account_factor WHERE account = $1`, num)
}

// CodesLeft implements account.Store.
func (s *Store) CodesLeft(ctx context.Context, a id.Account) (left int, err error) {
	err = s.read(ctx, func(q queryer) error {
		if err := q.QueryRowContext(ctx, `SELECT COUNT(*) FROM account_code WHERE account = (SELECT num FROM account WHERE id = $1)`, a[:]).Scan(&left); err != nil {
			return fmt.Errorf("count codes: %w", err)
		}
		return nil
	})
	return left, err
}
