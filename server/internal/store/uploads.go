package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"holdfast/format/id"
	"holdfast/server/internal/placement"
	"holdfast/server/internal/upload"
)

var _ upload.Store = (*Store)(nil)

// OpenUpload implements upload.Store.
func (s *Store) OpenUpload(ctx context.Context, u upload.Upload, reserved int64, count int, quota int64) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		var drive sql.NullInt64
		if !u.Account.IsZero() {
			num, err := driveOf(ctx, tx, u.Account)
			if err == nil {
				err = reserveInDrive(ctx, tx, num, u.Budget, quota)
			}
			if err != nil {
				return err
			}
			drive = sql.NullInt64{Int64: num, Valid: true}
		}
		if err := reserve(ctx, tx, u.Budget, 1, reserved, int64(count)); err != nil {
			return err
		}
		var num int64
		err := tx.QueryRowContext(ctx, `INSERT INTO upload (id, state, secret, budget, reserved, closes_at, drive) VALUES ($1, $2, $3, $4, $4, $5, $6) RETURNING num`,
			u.ID[:], upload.Open, u.Secret[:], u.Budget, u.Closes, drive).Scan(&num)
		if err != nil {
			return fmt.Errorf("insert upload: %w", err)
		}
		return insertChains(ctx, tx, num, 0, u.Chains)
	})
}

func insertChains(ctx context.Context, tx *sql.Tx, num int64, first int, chains []placement.Chain) error {
	for c, chain := range chains {
		for place, node := range chain {
			nodeNum, err := nodeNumber(ctx, tx, node)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO upload_chain_node (upload, chain, place, node) VALUES ($1, $2, $3, $4)`,
				num, first+c, place, nodeNum); err != nil {
				return fmt.Errorf("insert chain: %w", err)
			}
		}
	}
	return reserveAt(ctx, tx, num, chains)
}

// nodeNumber is the number under which a member's id is kept.
func nodeNumber(ctx context.Context, q queryer, node id.Node) (int64, error) {
	var num int64
	if err := q.QueryRowContext(ctx, `SELECT num FROM node WHERE id = $1`, node[:]).Scan(&num); err != nil {
		return 0, fmt.Errorf("look up node %s: %w", node, err)
	}
	return num, nil
}

// Upload implements upload.Store.
func (s *Store) Upload(ctx context.Context, upload id.Upload) (u upload.Upload, err error) {
	err = s.read(ctx, func(q queryer) error {
		_, u, err = readUpload(ctx, q, upload)
		return err
	})
	return u, err
}

func readUpload(ctx context.Context, q queryer, wanted id.Upload) (num int64, u upload.Upload, err error) {
	u = upload.Upload{ID: wanted}
	var secret, account []byte
	err = q.QueryRowContext(ctx, `SELECT u.num, u.state, u.secret, u.budget, u.closes_at, u.digest, u.answer, d.account
		FROM upload u LEFT JOIN drive d ON d.num = u.drive WHERE u.id = $1`, wanted[:]).
		Scan(&num, &u.State, &secret, &u.Budget, &u.Closes, &u.Digest, &u.Answer, &account)
	if errors.Is(err, sql.ErrNoRows) || err == nil && secret == nil {
		return 0, upload.Upload{}, upload.ErrUnknown
	}
	if err != nil {
		return 0, upload.Upload{}, fmt.Errorf("read upload: %w", err)
	}
	err = fixed(u.Secret[:], secret)
	if err == nil && account != nil {
		err = fixed(u.Account[:], account)
	}
	if err != nil {
		return 0, upload.Upload{}, fmt.Errorf("read upload: %w", err)
	}
	if u.State == upload.Open {
		u.Chains, err = readChains(ctx, q, num)
	}
	return num, u, err
}

func readChains(ctx context.Context, q queryer, num int64) ([]placement.Chain, error) {
	var chains []placement.Chain
	last := -1
	err := each(ctx, q, func(scan func(...any) error) error {
		var chain int
		var node []byte
		if err := scan(&chain, &node); err != nil {
			return err
		}
		if chain != last {
			chains = append(chains, nil)
			last = chain
		}
		end := &chains[len(chains)-1]
		*end = append(*end, id.Node{})
		return fixed((*end)[len(*end)-1][:], node)
	}, `SELECT c.chain, n.id FROM upload_chain_node c JOIN node n ON n.num = c.node WHERE c.upload = $1 ORDER BY c.chain, c.place`, num)
	if err != nil {
		return nil, fmt.Errorf("read chains: %w", err)
	}
	return chains, nil
}

// chainNodes are the distinct nodes that an upload's tickets named.
func chainNodes(ctx context.Context, q queryer, num int64) ([]id.Node, error) {
	nodes, err := nodeIDs(ctx, q, `SELECT n.id FROM node n WHERE n.num IN (SELECT node FROM upload_chain_node WHERE upload = $1) ORDER BY n.num`, num)
	if err != nil {
		return nil, fmt.Errorf("read nodes of upload: %w", err)
	}
	return nodes, nil
}

// lockOpen takes the row of an upload that is open, and returns its number. Until
// the transaction ends no other one changes the upload; one that was faster is
// seen.
func lockOpen(ctx context.Context, tx *sql.Tx, wanted id.Upload) (int64, error) {
	var num int64
	err := tx.QueryRowContext(ctx, `UPDATE upload SET state = state WHERE id = $1 AND state = $2 RETURNING num`, wanted[:], upload.Open).Scan(&num)
	if err == nil {
		return num, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("take upload: %w", err)
	}
	known, err := exists(ctx, tx, `SELECT 1 FROM upload WHERE id = $1`, wanted[:])
	if err != nil {
		return 0, fmt.Errorf("read upload: %w", err)
	}
	if !known {
		return 0, upload.ErrUnknown
	}
	return 0, upload.ErrClosed
}

// AddChains implements upload.Store.
func (s *Store) AddChains(ctx context.Context, upload id.Upload, chains []placement.Chain) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		num, err := lockOpen(ctx, tx, upload)
		if err != nil {
			return err
		}
		var first int
		if err := tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(chain) + 1, 0) FROM upload_chain_node WHERE upload = $1`, num).Scan(&first); err != nil {
			return fmt.Errorf("count chains: %w", err)
		}
		return insertChains(ctx, tx, num, first, chains)
	})
}

// ExtendUpload implements upload.Store.
func (s *Store) ExtendUpload(ctx context.Context, wanted id.Upload, budget, reserved, quota int64) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		num, err := lockOpen(ctx, tx, wanted)
		if err != nil {
			return err
		}
		var have int64
		var drive sql.NullInt64
		if err := tx.QueryRowContext(ctx, `SELECT budget, drive FROM upload WHERE num = $1`, num).Scan(&have, &drive); err != nil {
			return fmt.Errorf("read budget: %w", err)
		}
		if budget <= have {
			return nil
		}
		if drive.Valid {
			if err := reserveInDrive(ctx, tx, drive.Int64, budget-have, quota); err != nil {
				return err
			}
		}
		if err := reserve(ctx, tx, budget-have, 0, reserved, math.MaxInt64); err != nil {
			return err
		}
		if err := exec(ctx, tx, "extend upload", `UPDATE upload SET budget = $2, reserved = $2 WHERE num = $1`, num, budget); err != nil {
			return err
		}
		return exec(ctx, tx, "reserve at nodes", `UPDATE node SET reserved = reserved + $1
			WHERE num IN (SELECT node FROM reservation WHERE upload = $2)`, budget-have, num)
	})
}

// StagePage implements upload.Store.
func (s *Store) StagePage(ctx context.Context, wanted id.Upload, page int, body []byte, most, all int64) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		num, err := lockOpen(ctx, tx, wanted)
		if err != nil {
			return err
		}
		var before int64
		err = tx.QueryRowContext(ctx, `SELECT COALESCE(SUM(LENGTH(body)), 0) FROM staged_page WHERE upload = $1 AND page = $2`, num, page).Scan(&before)
		if err != nil {
			return fmt.Errorf("read staged page: %w", err)
		}
		more := int64(len(body)) - before
		var total int64
		err = tx.QueryRowContext(ctx, `UPDATE upload SET staged = staged + $2 WHERE num = $1 RETURNING staged`, num, more).Scan(&total)
		if err != nil {
			return fmt.Errorf("count staged bytes: %w", err)
		}
		if total > most {
			return fmt.Errorf("%w: pages of %d bytes in all, at most %d for this upload", upload.ErrOverLimit, total, most)
		}
		counted, err := affected(tx.ExecContext(ctx, `UPDATE total SET staged = staged + $1 WHERE one = 1 AND (staged + $1 <= $2 OR $1 <= 0)`, more, all))
		if err != nil {
			return fmt.Errorf("count staged bytes: %w", err)
		}
		if counted == 0 {
			return fmt.Errorf("%w: pages of other uploads that are open now take it", upload.ErrNoCapacity)
		}
		return exec(ctx, tx, "stage page", `INSERT INTO staged_page (upload, page, body) VALUES ($1, $2, $3)
			ON CONFLICT (upload, page) DO UPDATE SET body = excluded.body`, num, page, body)
	})
}

// AbandonUpload implements upload.Store.
func (s *Store) AbandonUpload(ctx context.Context, wanted id.Upload, day int64) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		num, err := lockOpen(ctx, tx, wanted)
		if err != nil {
			return err
		}
		if err := leaveDrive(ctx, tx, num); err != nil {
			return err
		}
		if err := unstage(ctx, tx, num); err != nil {
			return err
		}
		nodes, err := chainNodes(ctx, tx, num)
		if err != nil {
			return err
		}
		if err := enqueueDelete(ctx, tx, wanted, nodes, day); err != nil {
			return err
		}
		if err := exec(ctx, tx, "drop chains", `DELETE FROM upload_chain_node WHERE upload = $1`, num); err != nil {
			return err
		}
		return exec(ctx, tx, "abandon upload", `UPDATE upload SET state = $2, closes_at = 0, closed_day = $3 WHERE num = $1`, num, upload.Abandoned, day)
	})
}

// OverdueUploads implements upload.Store.
func (s *Store) OverdueUploads(ctx context.Context, now int64, limit int) (overdue []id.Upload, err error) {
	err = s.read(ctx, func(q queryer) error {
		overdue = nil
		return each(ctx, q, func(scan func(...any) error) error {
			var raw []byte
			if err := scan(&raw); err != nil {
				return err
			}
			overdue = append(overdue, id.Upload{})
			return fixed(overdue[len(overdue)-1][:], raw)
		}, `SELECT id FROM upload WHERE state = 1 AND closes_at <= $1 ORDER BY closes_at LIMIT $2`, now, limit)
	})
	if err != nil {
		return nil, fmt.Errorf("list overdue uploads: %w", err)
	}
	return overdue, nil
}

// ForgetUploads implements upload.Store.
func (s *Store) ForgetUploads(ctx context.Context, before int64, limit int) (n int, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		nums, err := numbers(ctx, tx, `SELECT num FROM upload WHERE state <> 1 AND secret IS NOT NULL AND closed_day < $1 ORDER BY closed_day, num LIMIT $2`, before, limit)
		if err != nil {
			return fmt.Errorf("list uploads to forget: %w", err)
		}
		for _, num := range nums {
			if err := release(ctx, tx, num); err != nil { // of nodes that never answered
				return err
			}
			if err := exec(ctx, tx, "forget upload", `UPDATE upload SET secret = NULL, digest = NULL, answer = NULL WHERE num = $1`, num); err != nil {
				return err
			}
			if err := exec(ctx, tx, "forget upload", `DELETE FROM upload WHERE num = $1 AND state = $2`, num, upload.Abandoned); err != nil {
				return err
			}
		}
		n = len(nums)
		return nil
	})
	return n, err
}
