package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/server/internal/fleet"
)

// enqueueDelete gives every node that is named the order to delete the upload,
// with the next number of each in the present epoch, within the caller's
// transaction. Nodes that were removed get none: nobody would fetch it.
func enqueueDelete(ctx context.Context, tx *sql.Tx, upload id.Upload, nodes []id.Node, day int64) error {
	epoch, err := currentEpoch(ctx, tx)
	if err != nil {
		return fmt.Errorf("order deletion: %w", err)
	}
	// In one sequence everywhere, so that two transactions never wait for each other's rows.
	nodes = slices.Clone(nodes)
	slices.SortFunc(nodes, func(a, b id.Node) int { return bytes.Compare(a[:], b[:]) })
	for _, node := range slices.Compact(nodes) {
		var num, number int64
		var state int
		err := tx.QueryRowContext(ctx, `UPDATE node SET issued = CASE WHEN state = $1 THEN issued + 1 ELSE issued END
			WHERE id = $2 RETURNING num, state, issued`, nodeMember, node[:]).Scan(&num, &state, &number)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("order deletion: node %s: %w", node, fleet.ErrUnknownNode)
		}
		if err != nil {
			return fmt.Errorf("order deletion: %w", err)
		}
		if state != nodeMember {
			continue
		}
		if err := exec(ctx, tx, "order deletion", `INSERT INTO node_order (node, epoch, number, action, upload, day) VALUES ($1, $2, $3, $4, $5, $6)`,
			num, epoch, number, int64(ticket.DeleteUpload), upload[:], day); err != nil {
			return err
		}
	}
	return nil
}

// RaiseEpoch begins a new epoch above the one named and the present one, and
// returns it. It is for a database that was restored from a backup: nodes may
// have done orders that it does not know, whose numbers it would give again.
// Orders that no receipt answered get new numbers in the new epoch; a node that
// had done one does it again, which changes nothing.
func (s *Store) RaiseEpoch(ctx context.Context, above int64) (int64, error) {
	var epoch int64
	err := s.write(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, `UPDATE meta SET epoch = CASE WHEN epoch > $1 THEN epoch + 1 ELSE $1 + 1 END WHERE one = 1 RETURNING epoch`, above).Scan(&epoch); err != nil {
			return err
		}
		for _, statement := range []string{
			`INSERT INTO node_order (node, epoch, number, action, upload, day)
				SELECT node, $1, ROW_NUMBER() OVER (PARTITION BY node ORDER BY epoch, number), action, upload, day
				FROM node_order WHERE outcome = 0`,
			`DELETE FROM node_order WHERE outcome = 0 AND epoch < $1`,
			`UPDATE node SET issued = (SELECT COUNT(*) FROM node_order WHERE node_order.node = node.num AND node_order.epoch = $1)`,
		} {
			if err := exec(ctx, tx, "give orders new numbers", statement, epoch); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("raise epoch: %w", err)
	}
	return epoch, nil
}

// Issued implements fleet.Store.
func (s *Store) Issued(ctx context.Context, node id.Node) (fleet.Progress, error) {
	var last fleet.Progress
	err := s.read(ctx, func(q queryer) error {
		err := q.QueryRowContext(ctx, `SELECT m.epoch, n.issued FROM meta m CROSS JOIN node n WHERE n.id = $1`, node[:]).Scan(&last.Epoch, &last.Number)
		if errors.Is(err, sql.ErrNoRows) {
			return fleet.ErrUnknownNode
		}
		return err
	})
	if err != nil {
		return last, fmt.Errorf("read last order: %w", err)
	}
	return last, nil
}

// Orders implements fleet.Store.
func (s *Store) Orders(ctx context.Context, node id.Node, after fleet.Progress, limit int) ([]fleet.Order, error) {
	var orders []fleet.Order
	err := s.read(ctx, func(q queryer) error {
		orders = nil
		return eachOrder(ctx, q, func(o fleet.Order) { orders = append(orders, o) },
			` AND o.epoch = $2 AND o.number > $3 ORDER BY o.number LIMIT $4`, node[:], after.Epoch, after.Number, limit)
	})
	if err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	return orders, nil
}

// OrdersAt implements fleet.Store.
func (s *Store) OrdersAt(ctx context.Context, node id.Node, at []fleet.Progress) (map[fleet.Progress]fleet.Order, error) {
	found := make(map[fleet.Progress]fleet.Order, len(at))
	err := s.read(ctx, func(q queryer) error {
		clear(found)
		for _, p := range at {
			if err := eachOrder(ctx, q, func(o fleet.Order) { found[p] = o }, ` AND o.epoch = $2 AND o.number = $3`, node[:], p.Epoch, p.Number); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	return found, nil
}

// eachOrder calls f for every order of the node $1 that the condition names.
func eachOrder(ctx context.Context, q queryer, f func(fleet.Order), condition string, args ...any) error {
	return each(ctx, q, func(scan func(...any) error) error {
		var o fleet.Order
		var upload []byte
		if err := scan(&o.Epoch, &o.Number, &o.Action, &upload, &o.Day, &o.Outcome); err != nil {
			return err
		}
		if err := fixed(o.Upload[:], upload); err != nil {
			return err
		}
		f(o)
		return nil
	}, `SELECT o.epoch, o.number, o.action, o.upload, o.day, o.outcome FROM node_order o JOIN node n ON n.num = o.node WHERE n.id = $1`+condition, args...)
}

// SaveReport implements fleet.Store.
func (s *Store) SaveReport(ctx context.Context, r fleet.Report) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		var num int64
		err := tx.QueryRowContext(ctx, `UPDATE node SET wiped_day = CASE WHEN wiped_day = 0 THEN $1 ELSE wiped_day END WHERE id = $2 RETURNING num`,
			r.WipedDay, r.Node[:]).Scan(&num)
		if errors.Is(err, sql.ErrNoRows) {
			return fleet.ErrUnknownNode
		}
		if err != nil {
			return fmt.Errorf("store report: %w", err)
		}
		if err := exec(ctx, tx, "store progress", `UPDATE node SET done_epoch = $1, done_number = $2, done_at = $3
			WHERE num = $4 AND (done_epoch < $1 OR done_epoch = $1 AND done_number < $2)`, r.Done.Epoch, r.Done.Number, r.DoneAt, num); err != nil {
			return err
		}
		for _, a := range r.Receipts {
			over := int64(0) // the outcome that this one replaces, beside none
			if a.Outcome == ticket.Done {
				over = int64(ticket.Refused)
			}
			if err := exec(ctx, tx, "store receipt", `UPDATE node_order SET outcome = $1, receipt = $2
				WHERE node = $3 AND epoch = $4 AND number = $5 AND outcome IN (0, $6)`,
				int64(a.Outcome), a.Receipt, num, a.Epoch, a.Number, over); err != nil {
				return err
			}
		}
		return nil
	})
}

// ForgetOrders implements fleet.Store.
func (s *Store) ForgetOrders(ctx context.Context, before int64, limit int) (int, error) {
	var gone int64
	err := s.write(ctx, func(tx *sql.Tx) (err error) {
		gone, err = affected(tx.ExecContext(ctx, `DELETE FROM node_order WHERE (node, epoch, number) IN (
			SELECT o.node, o.epoch, o.number FROM node_order o JOIN node n ON n.num = o.node
			WHERE o.outcome <> 0 AND o.day < $1 AND NOT (o.epoch = n.done_epoch AND o.number = n.done_number) LIMIT $2)`, before, limit))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("forget orders: %w", err)
	}
	return int(gone), nil
}
