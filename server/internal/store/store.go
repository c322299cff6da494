// Package store keeps the server's state in one SQL database and implements the
// store interfaces that the domains declare. It promises that every write is one
// transaction that is durable when the call returns, that what a transaction did
// is as if it had been alone, that work done under a lease is refused once the
// lease has gone to another, and, in SQLite, that what is deleted is overwritten
// in the file. It decides nothing: rules are the domains'.
//
// SQLite is inside the program. Any number of servers share one PostgreSQL. The
// SQL texts are the same for both: $n placeholders, ON CONFLICT, RETURNING,
// partial indexes; dialect has what differs.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/pressly/goose/v3"

	"holdfast/server/internal/loop"
)

// Store is one database.
type Store struct {
	// Trouble is called with what an operator has to see to: the database is away
	// or takes no writes. It is set before the store is used, or never.
	Trouble func(error)

	*dialect
	writer, reader *sql.DB
}

// dialect is what one database does otherwise than another.
type dialect struct {
	migrations goose.Dialect
	words      *strings.Replacer // exchanged in migrations
	// write and read begin transactions.
	write, read *sql.TxOptions
	// attempts at a transaction that met others.
	attempts int
	// scrub leaves nothing readable of what was deleted, as far as the database can.
	scrub func(context.Context, *sql.DB) error
	// place waits until no other server chooses places for uploads.
	place func(context.Context, *sql.DB) (leave func(), err error)
}

// queryer is what reading takes: a pool or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// Open opens the database at place and brings its tables up to date. Place is
// the path of a SQLite file, which is made if it is not there, or the address
// of a PostgreSQL database, postgres://USER@HOST/NAME.
func Open(ctx context.Context, place string) (*Store, error) {
	if isPostgres(place) {
		return openPostgres(ctx, place)
	}
	return openSQLite(ctx, "sqlite", place)
}

// Close closes the database.
func (s *Store) Close() error { return errors.Join(s.reader.Close(), s.writer.Close()) }

// write runs f in one transaction and commits it, or rolls everything back. The
// fence of ctx, if there is one, is checked first. f may run again when the
// transaction met others: it changes nothing outside of it before it returns.
func (s *Store) write(ctx context.Context, f func(tx *sql.Tx) error) error {
	return s.retry(ctx, func() error {
		tx, err := s.writer.BeginTx(ctx, s.dialect.write)
		if err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		defer tx.Rollback() // after a commit it does nothing
		if err := checkFence(ctx, tx); err != nil {
			return err
		}
		if err := f(tx); err != nil {
			return err
		}
		if err := tx.Commit(); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
		return nil
	})
}

// read runs f in one transaction that sees one state of the database.
func (s *Store) read(ctx context.Context, f func(q queryer) error) error {
	return s.retry(ctx, func() error {
		tx, err := s.reader.BeginTx(ctx, s.dialect.read)
		if err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		defer tx.Rollback() // nothing was written
		return f(tx)
	})
}

// longestWait between two attempts; before the first ones it is shorter.
const longestWait = 100 * time.Millisecond

// retry runs f again while it meets others. Between tries it waits a little,
// longer and longer and never as long as the others do.
func (s *Store) retry(ctx context.Context, f func() error) error {
	for n := 1; ; n++ {
		err := f()
		if !again(err) || n == s.attempts {
			err = named(ctx, err)
			if s.Trouble != nil && (errors.Is(err, ErrAway) || errors.Is(err, ErrReadOnly)) {
				s.Trouble(err)
			}
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(rand.N(min(time.Duration(n)*5*time.Millisecond, longestWait))):
		}
	}
}

func checkFence(ctx context.Context, tx *sql.Tx) error {
	fence, ok := loop.FenceOf(ctx)
	if !ok {
		return nil
	}
	// Changed to itself, the row stays the holder's until the transaction ends.
	held, err := affected(tx.ExecContext(ctx, `UPDATE lease SET epoch = epoch WHERE name = $1 AND epoch = $2`, fence.Lease, fence.Epoch))
	if err != nil {
		return fmt.Errorf("check lease: %w", err)
	}
	if held == 0 {
		return loop.ErrFenced
	}
	return nil
}

// Scrub leaves nothing readable of what was deleted, in SQLite: PostgreSQL
// overwrites its files in its own time.
func (s *Store) Scrub(ctx context.Context) error { return named(ctx, s.scrub(ctx, s.writer)) }

// Placing waits until no other caller, on any server, chooses places for an
// upload, and lets the next one in with leave.
func (s *Store) Placing(ctx context.Context) (leave func(), err error) {
	err = s.retry(ctx, func() error {
		leave, err = s.place(ctx, s.writer)
		return err
	})
	return leave, err
}

// Epoch is the database's epoch, within which orders are numbered.
func (s *Store) Epoch(ctx context.Context) (int64, error) {
	var epoch int64
	err := s.read(ctx, func(q queryer) (err error) {
		epoch, err = currentEpoch(ctx, q)
		return err
	})
	return epoch, err
}

func currentEpoch(ctx context.Context, q queryer) (int64, error) {
	var epoch int64
	if err := q.QueryRowContext(ctx, `SELECT epoch FROM meta WHERE one = 1`).Scan(&epoch); err != nil {
		return 0, fmt.Errorf("read epoch: %w", err)
	}
	return epoch, nil
}
