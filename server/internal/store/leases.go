package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"holdfast/format/id"
	"holdfast/server/internal/loop"
)

var _ loop.Leases = (*Store)(nil)

// TakeLease implements loop.Leases. One statement looks and takes: of two that
// come at once the second one looks at what the first one left. Nobody takes a
// lease for twice as long as its holders do: such a one was taken before the clock
// was set back, and fences keep its holder out.
func (s *Store) TakeLease(ctx context.Context, name string, holder id.Bytes32, now, until int64) (epoch int64, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `INSERT INTO lease (name, epoch, holder, until) VALUES ($1, 1, $2, $3)
			ON CONFLICT (name) DO UPDATE SET epoch = CASE WHEN lease.holder = excluded.holder THEN lease.epoch ELSE lease.epoch + 1 END,
				holder = excluded.holder, until = excluded.until
			WHERE lease.holder = excluded.holder OR lease.until <= $4 OR lease.until > $5 RETURNING epoch`, name, holder[:], until, now, now+2*(until-now)).Scan(&epoch)
		if errors.Is(err, sql.ErrNoRows) {
			return loop.ErrHeld
		}
		if err != nil {
			return fmt.Errorf("take lease: %w", err)
		}
		return nil
	})
	return epoch, err
}

// DropLease implements loop.Leases.
func (s *Store) DropLease(ctx context.Context, name string, holder id.Bytes32) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		return exec(ctx, tx, "drop lease", `UPDATE lease SET until = 0 WHERE name = $1 AND holder = $2`, name, holder[:])
	})
}
