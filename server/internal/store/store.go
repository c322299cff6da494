// Package store keeps the server's state in one SQL database and implements the
// store interfaces that the domains declare. It promises that every write is one
// transaction that is durable when the call returns, that work done under a
// lease is refused once the lease has gone to another, and that what is deleted
// is overwritten in the file. It decides nothing: rules are the domains'.
//
// SQLite is inside the program. The SQL texts keep to what PostgreSQL takes as
// well: $n placeholders, ON CONFLICT, RETURNING, partial indexes.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"holdfast/server/internal/loop"
)

// ErrBusy: the database stayed locked by another process for too long.
var ErrBusy = errors.New("the database is busy")

const (
	// readers bounds the pool of reading connections; each has a page cache of
	// its own (2 MB), and more would only wait for the same two or four cores.
	readers = 8
	// busyTimeout is how long SQLite itself waits for another process's lock.
	busyTimeout = 5 * time.Second
	// attempts at a transaction that met a lock all the same.
	attempts = 5
)

// Store is one database.
type Store struct {
	writer *sql.DB // one connection: SQLite has one writer, and queueing here is fair
	reader *sql.DB
}

// queryer is what reading takes: a pool or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// Open opens the database at path, makes it if it is not there, and brings its
// tables up to date.
func Open(ctx context.Context, path string) (*Store, error) { return openWith(ctx, "sqlite", path) }

// openWith is Open with the driver of that name, which speaks to SQLite.
func openWith(ctx context.Context, driver, path string) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	// Made here so that nobody else may read it; SQLite gives its other files the same mode.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := file.Close(); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	s := &Store{}
	if s.writer, err = sql.Open(driver, dsn(path, false)); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	s.writer.SetMaxOpenConns(1)
	if s.reader, err = sql.Open(driver, dsn(path, true)); err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), s.writer.Close())
	}
	s.reader.SetMaxOpenConns(readers)
	if err := s.migrate(ctx, path); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// dsn names the database with everything that each connection must be set to.
func dsn(path string, readOnly bool) string {
	pragmas := []string{
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"journal_mode(WAL)",
		"synchronous(FULL)", // a commit that was answered survives a power cut
		"foreign_keys(1)",
		"secure_delete(1)", // a release key that was destroyed is not left in the file
		"journal_size_limit(67108864)",
	}
	q := url.Values{"_pragma": pragmas, "_txlock": {"immediate"}}
	if readOnly {
		q = url.Values{"_pragma": append(pragmas, "query_only(1)"), "_txlock": {"deferred"}}
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: q.Encode()}).String()
}

// Close closes the database.
func (s *Store) Close() error { return errors.Join(s.reader.Close(), s.writer.Close()) }

// write runs f in one transaction and commits it, or rolls everything back. The
// fence of ctx, if there is one, is checked first. f may run again when the
// database was busy: it changes nothing outside of the transaction before it
// returns.
func (s *Store) write(ctx context.Context, f func(tx *sql.Tx) error) error {
	return retry(ctx, func() error {
		tx, err := s.writer.BeginTx(ctx, nil)
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
	return retry(ctx, func() error {
		tx, err := s.reader.BeginTx(ctx, nil)
		if err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		defer tx.Rollback() // nothing was written
		return f(tx)
	})
}

// retry runs f again while the database is busy. Between tries it waits a
// little longer each time.
func retry(ctx context.Context, f func() error) error {
	for n := 1; ; n++ {
		err := f()
		if !busy(err) {
			return err
		}
		if n == attempts {
			return fmt.Errorf("%w: %w", ErrBusy, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(time.Duration(n) * 20 * time.Millisecond):
		}
	}
}

func busy(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	primary := e.Code() & 0xff // the low byte; the others say more precisely why
	return primary == sqlite3.SQLITE_BUSY || primary == sqlite3.SQLITE_LOCKED
}

// unique tells whether err is a second row for something that may be there once.
func unique(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
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

// Scrub moves what was written into the database file and empties the
// write-ahead log, so that nothing deleted stays readable in it.
func (s *Store) Scrub(ctx context.Context) error {
	var blocked, frames, moved int64
	if err := s.writer.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&blocked, &frames, &moved); err != nil {
		return fmt.Errorf("empty the write-ahead log: %w", err)
	}
	if blocked != 0 {
		return fmt.Errorf("empty the write-ahead log: %w", ErrBusy)
	}
	return nil
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
