package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"holdfast/format/id"
	"holdfast/server/internal/account"
	"holdfast/server/internal/message"
)

var _ message.Store = (*Store)(nil)

// KeepMessage implements message.Store.
func (s *Store) KeepMessage(ctx context.Context, m message.Message, most int) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		num, err := accountNum(ctx, tx, m.To) // held, so that no two count at once
		if errors.Is(err, account.ErrUnknown) {
			return message.ErrUnknown
		}
		if err != nil {
			return err
		}
		var same, waiting int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(CASE WHEN id = $2 THEN 1 END), COUNT(*) FROM message WHERE account = $1`, num, m.ID[:]).Scan(&same, &waiting); err != nil {
			return fmt.Errorf("keep message: %w", err)
		}
		if same > 0 {
			return nil
		}
		if waiting >= most {
			return message.ErrFull
		}
		return exec(ctx, tx, "keep message", `INSERT INTO message (account, id, sealed, day) VALUES ($1, $2, $3, $4)`, num, m.ID[:], m.Sealed, m.Day)
	})
}

// Messages implements message.Store.
func (s *Store) Messages(ctx context.Context, to id.Account) (all []message.Message, err error) {
	err = s.read(ctx, func(q queryer) error {
		all = nil
		return each(ctx, q, func(scan func(...any) error) error {
			m := message.Message{To: to}
			var raw []byte
			if err := scan(&raw, &m.Sealed, &m.Day); err != nil {
				return err
			}
			if err := fixed(m.ID[:], raw); err != nil {
				return err
			}
			all = append(all, m)
			return nil
		}, `SELECT m.id, m.sealed, m.day FROM message m JOIN account a ON a.num = m.account WHERE a.id = $1 ORDER BY m.num`, to[:])
	})
	return all, err
}

// DropMessage implements message.Store.
func (s *Store) DropMessage(ctx context.Context, to id.Account, one id.Message) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		return exec(ctx, tx, "drop message", `DELETE FROM message WHERE account = (SELECT num FROM account WHERE id = $1) AND id = $2`, to[:], one[:])
	})
}

// DropMessages implements message.Store.
func (s *Store) DropMessages(ctx context.Context, before int64, limit int) (dropped int, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		n, err := affected(tx.ExecContext(ctx, `DELETE FROM message WHERE num IN (SELECT num FROM message WHERE day < $1 LIMIT $2)`, before, limit))
		if err != nil {
			return fmt.Errorf("drop messages: %w", err)
		}
		dropped = int(n)
		return nil
	})
	return dropped, err
}

func dropMessagesOf(ctx context.Context, tx *sql.Tx, num int64) error {
	return exec(ctx, tx, "erase messages", `DELETE FROM message WHERE account = $1`, num)
}
