package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"holdfast/format/id"
	"holdfast/server/internal/placement"
	"holdfast/server/internal/upload"
)

// Limits are held by the statements that count: they change a row only if what
// comes of it is allowed, so that of two transactions at once one sees what the
// other did, whatever the database isolates. Rows are taken in one sequence
// everywhere: the upload's, total, those of nodes.

// reserve counts bytes more, and uploads more, if they are within both limits.
func reserve(ctx context.Context, tx *sql.Tx, bytes, uploads, mostBytes, mostUploads int64) error {
	changed, err := affected(tx.ExecContext(ctx, `UPDATE total SET reserved = reserved + $1, uploads = uploads + $2
		WHERE one = 1 AND reserved + $1 <= $3 AND uploads + $2 <= $4`, bytes, uploads, mostBytes, mostUploads))
	if err != nil {
		return fmt.Errorf("reserve: %w", err)
	}
	if changed == 0 {
		return fmt.Errorf("%w: uploads that are open now, or were given up a moment ago, reserve it", upload.ErrNoCapacity)
	}
	return nil
}

// reserveAt counts an upload's bytes at the nodes at which its chains expect
// them, once at each.
func reserveAt(ctx context.Context, tx *sql.Tx, num int64, chains []placement.Chain) error {
	for _, node := range placement.Expected(chains) {
		nodeNum, err := nodeNumber(ctx, tx, node)
		if err != nil {
			return err
		}
		added, err := affected(tx.ExecContext(ctx, `INSERT INTO reservation (upload, node) VALUES ($1, $2) ON CONFLICT (upload, node) DO NOTHING`, num, nodeNum))
		if err != nil {
			return fmt.Errorf("reserve at node: %w", err)
		}
		if added == 0 {
			continue
		}
		if err := exec(ctx, tx, "reserve at node", `UPDATE node SET reserved = reserved + (SELECT reserved FROM upload WHERE num = $2) WHERE num = $1`, nodeNum, num); err != nil {
			return err
		}
	}
	return nil
}

// release ends what an upload reserves, here and at nodes.
func release(ctx context.Context, tx *sql.Tx, num int64) error {
	var bytes int64
	if err := tx.QueryRowContext(ctx, `SELECT reserved FROM upload WHERE num = $1`, num).Scan(&bytes); err != nil {
		return fmt.Errorf("read reservation: %w", err)
	}
	if bytes == 0 {
		return nil
	}
	if err := exec(ctx, tx, "end reservation", `UPDATE total SET reserved = reserved - $1, uploads = uploads - 1 WHERE one = 1`, bytes); err != nil {
		return err
	}
	if err := exec(ctx, tx, "end reservation", `UPDATE node SET reserved = reserved - $1
		WHERE num IN (SELECT node FROM reservation WHERE upload = $2)`, bytes, num); err != nil {
		return err
	}
	if err := exec(ctx, tx, "end reservation", `DELETE FROM reservation WHERE upload = $1`, num); err != nil {
		return err
	}
	return exec(ctx, tx, "end reservation", `UPDATE upload SET reserved = 0 WHERE num = $1`, num)
}

// unstage drops an upload's staged pages.
func unstage(ctx context.Context, tx *sql.Tx, num int64) error {
	if err := exec(ctx, tx, "count staged bytes", `UPDATE total SET staged = staged - (SELECT staged FROM upload WHERE num = $1) WHERE one = 1`, num); err != nil {
		return err
	}
	if err := exec(ctx, tx, "count staged bytes", `UPDATE upload SET staged = 0 WHERE num = $1`, num); err != nil {
		return err
	}
	return exec(ctx, tx, "drop pages", `DELETE FROM staged_page WHERE upload = $1`, num)
}

// Reserved implements upload.Store.
func (s *Store) Reserved(ctx context.Context) (sum int64, err error) {
	err = s.read(ctx, func(q queryer) error {
		return q.QueryRowContext(ctx, `SELECT reserved FROM total WHERE one = 1`).Scan(&sum)
	})
	if err != nil {
		return 0, fmt.Errorf("read reservations: %w", err)
	}
	return sum, nil
}

// ReservedAt implements upload.Store.
func (s *Store) ReservedAt(ctx context.Context) (map[id.Node]int64, error) {
	all := map[id.Node]int64{}
	err := s.read(ctx, func(q queryer) error {
		clear(all)
		return each(ctx, q, func(scan func(...any) error) error {
			var raw []byte
			var bytes int64
			if err := scan(&raw, &bytes); err != nil {
				return err
			}
			var node id.Node
			err := fixed(node[:], raw)
			all[node] = bytes
			return err
		}, `SELECT id, reserved FROM node WHERE reserved > 0`)
	})
	if err != nil {
		return nil, fmt.Errorf("read reservations at nodes: %w", err)
	}
	return all, nil
}

// ReleaseUploads implements upload.Store.
func (s *Store) ReleaseUploads(ctx context.Context, limit int) (n int, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		nums, err := numbers(ctx, tx, `SELECT u.num FROM upload u WHERE u.state = 3 AND u.reserved > 0
			AND NOT EXISTS (SELECT 1 FROM node_order o JOIN node n ON n.num = o.node WHERE o.upload = u.id AND o.outcome = 0 AND n.state = $1)
			ORDER BY u.num LIMIT $2`, nodeMember, limit)
		if err != nil {
			return fmt.Errorf("list uploads to release: %w", err)
		}
		for _, num := range nums {
			if err := release(ctx, tx, num); err != nil {
				return err
			}
		}
		n = len(nums)
		return nil
	})
	return n, err
}

// TakeOpen implements upload.Store.
func (s *Store) TakeOpen(ctx context.Context, now time.Time, opens upload.Opens) (wait time.Duration, err error) {
	at, every, all := now.UnixMicro(), opens.Every.Microseconds(), opens.Every.Microseconds()*int64(opens.Burst)
	err = s.write(ctx, func(tx *sql.Tx) error {
		// What lies further ahead than it can was stored before the clock was set back.
		taken, err := affected(tx.ExecContext(ctx, `UPDATE total SET opens_free = CASE WHEN opens_free > $1 AND opens_free - $1 <= $3 THEN opens_free ELSE $1 END + $2
			WHERE one = 1 AND (opens_free + $2 - $1 <= $3 OR opens_free - $1 > $3)`, at, every, all))
		if err != nil {
			return fmt.Errorf("count upload: %w", err)
		}
		wait = 0
		if taken > 0 {
			return nil
		}
		var free int64
		if err := tx.QueryRowContext(ctx, `SELECT opens_free FROM total WHERE one = 1`).Scan(&free); err != nil {
			return fmt.Errorf("count upload: %w", err)
		}
		wait = max(time.Duration(free+every-at-all)*time.Microsecond, time.Microsecond)
		return nil
	})
	return wait, err
}
