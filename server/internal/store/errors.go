package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	sqlitedriver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Errors that say something about the database and nothing about what was asked.
var (
	// ErrBusy: it stayed locked by others for too long.
	ErrBusy = errors.New("the database is busy")
	// ErrAway: it cannot be reached. What was being written may have been written.
	ErrAway = errors.New("the database cannot be reached")
	// ErrReadOnly: it takes no writes.
	ErrReadOnly = errors.New("the database takes no writes: its disk is full, or it is set to read only")
	// ErrNewer: a newer program made it.
	ErrNewer = errors.New("the database was made by a newer holdfast")
	// ErrAddress: it is not an address of a database.
	ErrAddress = errors.New("address of the database")
	// ErrSettings: the database may lose what it said it wrote.
	ErrSettings = errors.New("settings of the database")
)

// SQLSTATEs of PostgreSQL, appendix A of its manual.
const (
	pgSerialization = "40001"
	pgDeadlock      = "40P01"
	pgLockTimeout   = "55P03"
	pgUnique        = "23505"
	pgCanceled      = "57014" // by statement_timeout, if our own context did not end
	pgIdleTooLong   = "25P03" // idle_in_transaction_session_timeout
	pgReadOnly      = "25006"
	pgFull          = "53100"
	pgTooMany       = "53300"
)

// sqliteCode is SQLite's code, and its low byte; the others say more precisely why.
func sqliteCode(err error) (code, primary int) {
	var e *sqlitedriver.Error
	if !errors.As(err, &e) {
		return 0, 0
	}
	return e.Code(), e.Code() & 0xff
}

func pgCode(err error) string {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return ""
	}
	return e.Code
}

// again tells whether a transaction failed only because others ran beside it.
func again(err error) bool {
	switch pgCode(err) {
	case pgSerialization, pgDeadlock:
		return true
	}
	_, primary := sqliteCode(err)
	return primary == sqlite3.SQLITE_BUSY || primary == sqlite3.SQLITE_LOCKED
}

// unique tells whether err is a second row for something that may be there once.
func unique(err error) bool {
	code, _ := sqliteCode(err)
	return pgCode(err) == pgUnique || code == sqlite3.SQLITE_CONSTRAINT_UNIQUE || code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
}

// named gives an error that the database itself caused its name.
func named(ctx context.Context, err error) error {
	kind := trouble(err)
	switch {
	case kind == nil:
		return err
	case ctx.Err() != nil: // a connection whose caller went away is cut, which is no trouble
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	case errors.Is(err, kind):
		return err
	}
	return fmt.Errorf("%w: %w", kind, err)
}

func trouble(err error) error {
	if err == nil {
		return nil
	}
	_, primary := sqliteCode(err)
	switch code := pgCode(err); {
	case again(err), code == pgCanceled, code == pgLockTimeout, code == pgIdleTooLong:
		return ErrBusy
	case code == pgReadOnly, code == pgFull, primary == sqlite3.SQLITE_FULL, primary == sqlite3.SQLITE_READONLY:
		return ErrReadOnly
	case strings.HasPrefix(code, "08"), strings.HasPrefix(code, "57P"), code == pgTooMany:
		return ErrAway
	case code == "" && cut(err):
		return ErrAway
	}
	return nil
}

// cut tells whether the connection was not made, or broke.
func cut(err error) bool {
	var op *net.OpError
	var name *net.DNSError
	var connect *pgconn.ConnectError
	return errors.As(err, &op) || errors.As(err, &name) || errors.As(err, &connect) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err)
}
