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

var _ account.Store = (*Store)(nil)

const accountColumns = `a.num, a.id, a.name, a.credential, a.record, a.password_wrap, a.phrase_wrap, a.phrase_hash, a.identity, a.epoch, a.day,
	(SELECT COUNT(*) FROM account_factor f WHERE f.account = a.num)`

func scanAccount(scan func(...any) error, more ...any) (num int64, a account.Account, err error) {
	var raw, name, key, hash []byte
	var factors int
	columns := []any{&num, &raw, &name, &key, &a.Record, &a.Wrap, &a.PhraseWrap, &hash, &a.Identity, &a.Epoch, &a.Day, &factors}
	if err := scan(append(columns, more...)...); err != nil {
		return 0, account.Account{}, err
	}
	a.Factor = factors > 0
	return num, a, errors.Join(fixed(a.ID[:], raw), fixed(a.Name[:], name), fixed(a.Key[:], key), fixed(a.PhraseHash[:], hash))
}

// CreateAccount implements account.Store.
func (s *Store) CreateAccount(ctx context.Context, a account.Account, first account.Session, step account.Once) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if err := takeStep(ctx, tx, step); err != nil {
			return err
		}
		if err := free(ctx, tx, account.ErrTaken, `SELECT COUNT(*) FROM account WHERE name = $1`, a.Name[:]); err != nil {
			return err
		}
		if err := free(ctx, tx, account.ErrExists, `SELECT COUNT(*) FROM account WHERE id = $1`, a.ID[:]); err != nil {
			return err
		}
		var num int64
		err := tx.QueryRowContext(ctx, `INSERT INTO account (id, name, credential, record, password_wrap, phrase_wrap, phrase_hash, identity, epoch, day)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING num`,
			a.ID[:], a.Name[:], a.Key[:], a.Record, a.Wrap, a.PhraseWrap, a.PhraseHash[:], a.Identity, a.Epoch, a.Day).Scan(&num)
		if err != nil {
			return fmt.Errorf("create account: %w", err)
		}
		return insertSession(ctx, tx, num, first)
	})
}

// free returns taken if the query counts anything.
func free(ctx context.Context, tx *sql.Tx, taken error, query string, key []byte) error {
	var n int
	if err := tx.QueryRowContext(ctx, query, key).Scan(&n); err != nil {
		return fmt.Errorf("create account: %w", err)
	}
	if n > 0 {
		return taken
	}
	return nil
}

func takeStep(ctx context.Context, tx *sql.Tx, step account.Once) error {
	n, err := affected(tx.ExecContext(ctx, `INSERT INTO account_step (step, expires) VALUES ($1, $2) ON CONFLICT (step) DO NOTHING`, step.Hash[:], step.Expires))
	if err != nil {
		return fmt.Errorf("take step: %w", err)
	}
	if n == 0 {
		return account.ErrStep
	}
	return nil
}

func insertSession(ctx context.Context, tx *sql.Tx, num int64, s account.Session) error {
	return exec(ctx, tx, "start session", `INSERT INTO account_session (token, account, label, made, used) VALUES ($1, $2, $3, $4, $5)`,
		s.Hash[:], num, s.Label, s.Made, s.Used)
}

// AccountByName implements account.Store.
func (s *Store) AccountByName(ctx context.Context, name [sha256.Size]byte) (a account.Account, err error) {
	err = s.read(ctx, func(q queryer) error {
		_, a, err = scanAccount(q.QueryRowContext(ctx, `SELECT `+accountColumns+` FROM account a WHERE a.name = $1`, name[:]).Scan)
		return orUnknown(err, account.ErrUnknown)
	})
	return a, err
}

// orUnknown names a row that is not there.
func orUnknown(err, unknown error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return unknown
	}
	if err != nil {
		return fmt.Errorf("read account: %w", err)
	}
	return nil
}

// IdentityOf implements account.Store.
func (s *Store) IdentityOf(ctx context.Context, a id.Account) (identity []byte, err error) {
	err = s.read(ctx, func(q queryer) error {
		return orUnknown(q.QueryRowContext(ctx, `SELECT identity FROM account WHERE id = $1`, a[:]).Scan(&identity), account.ErrUnknown)
	})
	return identity, err
}

// AccountBySession implements account.Store.
func (s *Store) AccountBySession(ctx context.Context, session [sha256.Size]byte, since int64) (a account.Account, of account.Session, err error) {
	err = s.read(ctx, func(q queryer) error {
		of = account.Session{Hash: session}
		row := q.QueryRowContext(ctx, `SELECT `+accountColumns+`, s.label, s.made, s.used
			FROM account_session s JOIN account a ON a.num = s.account WHERE s.token = $1 AND s.used >= $2`, session[:], since)
		_, a, err = scanAccount(row.Scan, &of.Label, &of.Made, &of.Used)
		return orUnknown(err, account.ErrSession)
	})
	return a, of, err
}

// accountNum is the row of an account, held until the transaction ends.
func accountNum(ctx context.Context, tx *sql.Tx, a id.Account) (num int64, err error) {
	err = tx.QueryRowContext(ctx, `UPDATE account SET num = num WHERE id = $1 RETURNING num`, a[:]).Scan(&num)
	return num, orUnknown(err, account.ErrUnknown)
}

// BeginSession implements account.Store.
func (s *Store) BeginSession(ctx context.Context, a id.Account, session account.Session, step account.Once, keep int) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if err := takeStep(ctx, tx, step); err != nil {
			return err
		}
		num, err := accountNum(ctx, tx, a)
		if err != nil {
			return err
		}
		if err := exec(ctx, tx, "end oldest sessions", `DELETE FROM account_session WHERE account = $1 AND token NOT IN
			(SELECT token FROM account_session WHERE account = $1 ORDER BY used DESC, made DESC, token LIMIT $2)`, num, keep-1); err != nil {
			return err
		}
		return insertSession(ctx, tx, num, session)
	})
}

// UseSession implements account.Store.
func (s *Store) UseSession(ctx context.Context, session [sha256.Size]byte, day int64) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		return exec(ctx, tx, "use session", `UPDATE account_session SET used = $2 WHERE token = $1 AND used < $2`, session[:], day)
	})
}

// Sessions implements account.Store.
func (s *Store) Sessions(ctx context.Context, a id.Account) (all []account.Session, err error) {
	err = s.read(ctx, func(q queryer) error {
		all = nil
		return each(ctx, q, func(scan func(...any) error) error {
			var one account.Session
			var raw []byte
			if err := scan(&raw, &one.Label, &one.Made, &one.Used); err != nil {
				return err
			}
			if err := fixed(one.Hash[:], raw); err != nil {
				return err
			}
			all = append(all, one)
			return nil
		}, `SELECT s.token, s.label, s.made, s.used FROM account_session s JOIN account a ON a.num = s.account
			WHERE a.id = $1 ORDER BY s.used DESC, s.made DESC, s.token`, a[:])
	})
	return all, err
}

// EndSession implements account.Store.
func (s *Store) EndSession(ctx context.Context, a id.Account, session [sha256.Size]byte) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		n, err := affected(tx.ExecContext(ctx, `DELETE FROM account_session WHERE token = $1 AND account = (SELECT num FROM account WHERE id = $2)`, session[:], a[:]))
		if err != nil {
			return fmt.Errorf("end session: %w", err)
		}
		if n == 0 {
			return account.ErrSession
		}
		return nil
	})
}

// ReplaceCredential implements account.Store.
func (s *Store) ReplaceCredential(ctx context.Context, a id.Account, c account.Credential, step account.Once, endOthers bool, but [sha256.Size]byte) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if err := takeStep(ctx, tx, step); err != nil {
			return err
		}
		num, err := accountNum(ctx, tx, a)
		if err != nil {
			return err
		}
		if err := exec(ctx, tx, "replace credential", `UPDATE account SET credential = $2, record = $3, password_wrap = $4, epoch = $5 WHERE num = $1`,
			num, c.Key[:], c.Record, c.Wrap, c.Epoch); err != nil || !endOthers {
			return err
		}
		return exec(ctx, tx, "end sessions", `DELETE FROM account_session WHERE account = $1 AND token <> $2`, num, but[:])
	})
}

// RenameAccount implements account.Store.
func (s *Store) RenameAccount(ctx context.Context, a id.Account, name [sha256.Size]byte, c account.Credential, step account.Once) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if err := takeStep(ctx, tx, step); err != nil {
			return err
		}
		num, err := accountNum(ctx, tx, a)
		if err != nil {
			return err
		}
		var others int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM account WHERE name = $1 AND num <> $2`, name[:], num).Scan(&others); err != nil {
			return fmt.Errorf("rename account: %w", err)
		}
		if others > 0 {
			return account.ErrTaken
		}
		return exec(ctx, tx, "rename account", `UPDATE account SET name = $2, credential = $3, record = $4, password_wrap = $5, epoch = $6 WHERE num = $1`,
			num, name[:], c.Key[:], c.Record, c.Wrap, c.Epoch)
	})
}

// EndOthers implements account.Store.
func (s *Store) EndOthers(ctx context.Context, a id.Account, but [sha256.Size]byte) (ended int, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		n, err := affected(tx.ExecContext(ctx, `DELETE FROM account_session WHERE account = (SELECT num FROM account WHERE id = $1) AND token <> $2`, a[:], but[:]))
		if err != nil {
			return fmt.Errorf("end sessions: %w", err)
		}
		ended = int(n)
		return nil
	})
	return ended, err
}

// eraseWith is what goes with an account, before its own row: whoever keeps more for
// accounts in this database adds a function that removes it, in the same transaction.
var eraseWith = []func(ctx context.Context, tx *sql.Tx, num int64) error{
	dropFactor,
	dropMessagesOf,
	eraseDrive,
	func(ctx context.Context, tx *sql.Tx, num int64) error {
		return exec(ctx, tx, "erase sessions", `DELETE FROM account_session WHERE account = $1`, num)
	},
}

// EraseAccount implements account.Store.
func (s *Store) EraseAccount(ctx context.Context, a id.Account) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		num, err := accountNum(ctx, tx, a)
		if err != nil {
			return err
		}
		for _, erase := range eraseWith {
			if err := erase(ctx, tx, num); err != nil {
				return err
			}
		}
		return exec(ctx, tx, "erase account", `DELETE FROM account WHERE num = $1`, num)
	})
}

// UseLoginTry implements account.Store.
func (s *Store) UseLoginTry(ctx context.Context, name [sha256.Size]byte, next func(free int64) (int64, error)) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		// Written first, so that of two at once the second one sees what the first one left.
		var free int64
		if err := tx.QueryRowContext(ctx, `INSERT INTO account_try (name, free) VALUES ($1, 0)
			ON CONFLICT (name) DO UPDATE SET free = account_try.free RETURNING free`, name[:]).Scan(&free); err != nil {
			return fmt.Errorf("use try: %w", err)
		}
		free, err := next(free)
		if err != nil {
			return err
		}
		return exec(ctx, tx, "use try", `UPDATE account_try SET free = $2 WHERE name = $1`, name[:], free)
	})
}

// DropAccountLeftovers implements account.Store.
func (s *Store) DropAccountLeftovers(ctx context.Context, now, since int64, limit int) (dropped int, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		dropped = 0
		for _, d := range []struct {
			query  string
			before int64
		}{
			{`DELETE FROM account_step WHERE step IN (SELECT step FROM account_step WHERE expires < $1 LIMIT $2)`, now},
			{`DELETE FROM account_try WHERE name IN (SELECT name FROM account_try WHERE free < $1 LIMIT $2)`, now},
			{`DELETE FROM account_session WHERE token IN (SELECT token FROM account_session WHERE used < $1 LIMIT $2)`, since},
		} {
			n, err := affected(tx.ExecContext(ctx, d.query, d.before, limit))
			if err != nil {
				return fmt.Errorf("drop leftovers of accounts: %w", err)
			}
			dropped += int(n)
		}
		return nil
	})
	return dropped, err
}
