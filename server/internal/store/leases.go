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

// TakeLease implements loop.Leases.
func (s *Store) TakeLease(ctx context.Context, name string, holder id.Bytes32, now, until int64) (epoch int64, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		var have []byte
		var end int64
		err := tx.QueryRowContext(ctx, `SELECT epoch, holder, until FROM lease WHERE name = $1`, name).Scan(&epoch, &have, &end)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			epoch = 1
			return exec(ctx, tx, "add lease", `INSERT INTO lease (name, epoch, holder, until) VALUES ($1, $2, $3, $4)`, name, epoch, holder[:], until)
		case err != nil:
			return fmt.Errorf("read lease: %w", err)
		// Nobody takes a lease for so long: it was taken before the clock was set
		// back, and fences keep its holder out.
		case string(have) != string(holder[:]) && end > now && end-now <= 2*(until-now):
			return loop.ErrHeld
		case string(have) != string(holder[:]):
			epoch++
		}
		return exec(ctx, tx, "take lease", `UPDATE lease SET epoch = $2, holder = $3, until = $4 WHERE name = $1`, name, epoch, holder[:], until)
	})
	return epoch, err
}

// DropLease implements loop.Leases.
func (s *Store) DropLease(ctx context.Context, name string, holder id.Bytes32) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		return exec(ctx, tx, "drop lease", `UPDATE lease SET until = 0 WHERE name = $1 AND holder = $2`, name, holder[:])
	})
}
