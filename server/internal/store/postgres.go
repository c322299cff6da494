package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

const (
	// pgConnections of one server, for reading and for writing; PostgreSQL allows
	// 100 in all unless it is told otherwise.
	pgConnections = 10
	// pgConnectionLife is how long one is kept: a new one follows a database that
	// moved, and its settings are looked at.
	pgConnectionLife = 10 * time.Minute
	pgConnect        = 10 * time.Second
	// What PostgreSQL does by itself when a server stops without ending: it holds
	// up the others no longer than this.
	pgStatement = time.Minute
	pgIdle      = 20 * time.Second
	pgLock      = 10 * time.Second
	// pgAttempts at a transaction that met others: each time at least one of those
	// that meet gets through.
	pgAttempts = 60
	// Advisory locks have numbers, which all programs on one database share.
	pgMigrating = 0x686f6c64_00000001
	pgPlacing   = 0x686f6c64_00000002
)

// postgresDialect: every writing transaction runs as if it were alone (SERIALIZABLE),
// as SQLite's do, so that one way of thinking is right for both; those that
// met another are run again. Readers see one state (docs/decisions/0008).
var postgresDialect = &dialect{
	migrations: goose.DialectPostgres,
	words:      strings.NewReplacer(),
	write:      &sql.TxOptions{Isolation: sql.LevelSerializable},
	read:       &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true},
	attempts:   pgAttempts,
	scrub:      func(context.Context, *sql.DB) error { return nil }, // its log is its own affair (docs/operating.md)
	place:      func(ctx context.Context, db *sql.DB) (func(), error) { return advisoryLock(ctx, db, pgPlacing) },
}

// isPostgres tells an address from a path.
func isPostgres(place string) bool {
	return strings.HasPrefix(place, "postgres://") || strings.HasPrefix(place, "postgresql://")
}

// openPostgres opens the database at an address such as postgres://user@host/name.
func openPostgres(ctx context.Context, address string) (*Store, error) {
	cfg, err := pgConfig(address)
	if err != nil {
		return nil, err
	}
	if err := migratePostgres(ctx, cfg); err != nil {
		return nil, fmt.Errorf("open database %s at %s: %w", cfg.Database, pgHosts(cfg), named(ctx, err))
	}
	for setting, limit := range map[string]time.Duration{
		"statement_timeout": pgStatement, "idle_in_transaction_session_timeout": pgIdle, "lock_timeout": pgLock,
	} {
		if cfg.RuntimeParams[setting] == "" {
			cfg.RuntimeParams[setting] = fmt.Sprint(limit.Milliseconds())
		}
	}
	s := &Store{dialect: postgresDialect, writer: pgPool(cfg, true), reader: pgPool(cfg, false)}
	return s, nil
}

// pgPool is a pool of connections, to write or only to read.
func pgPool(cfg *pgx.ConnConfig, write bool) *sql.DB {
	db := stdlib.OpenDB(*cfg, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		err := checkSettings(ctx, conn, write)
		if err != nil {
			err = errors.Join(err, conn.Close(ctx))
		}
		return err
	}))
	db.SetMaxOpenConns(pgConnections)
	db.SetMaxIdleConns(pgConnections)
	db.SetConnMaxLifetime(pgConnectionLife)
	return db
}

// pgConfig reads an address. Errors never quote it: it may hold a password.
func pgConfig(address string) (*pgx.ConnConfig, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%w: it cannot be read; it is written postgres://USER@HOST:PORT/NAME, with %%-escapes for special characters", ErrAddress)
	}
	q := u.Query()
	mode := q.Get("sslmode")
	if mode == "" {
		mode = os.Getenv("PGSSLMODE")
	}
	host := cmp.Or(q.Get("host"), u.Hostname(), os.Getenv("PGHOST"))
	if mode == "" && !here(host) {
		q.Set("sslmode", "verify-full") // release keys travel there
		u.RawQuery = q.Encode()
	}
	if (mode == "allow" || mode == "prefer") && !here(host) {
		return nil, fmt.Errorf("%w: sslmode=%s gives up encryption without a word; say verify-full, or disable where the network is your own", ErrAddress, mode)
	}
	cfg, err := pgx.ParseConfig(u.String())
	if err != nil {
		return nil, fmt.Errorf("%w: PostgreSQL's driver does not take it; it is written postgres://USER@HOST:PORT/NAME?sslmode=verify-full, and files that it names have to be there", ErrAddress)
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = pgConnect
	}
	cfg.RuntimeParams = maps.Clone(cfg.RuntimeParams)
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "holdfast"
	}
	return cfg, nil
}

// here tells whether a host is this machine: loopback, or a socket's folder.
func here(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || host == "localhost" || strings.HasPrefix(host, "/") || ip != nil && ip.IsLoopback()
}

// pgHosts names where the database is looked for.
func pgHosts(cfg *pgx.ConnConfig) string {
	hosts := []string{pgHost(cfg.Host, cfg.Port)}
	for _, f := range cfg.Fallbacks {
		if h := pgHost(f.Host, f.Port); h != hosts[len(hosts)-1] {
			hosts = append(hosts, h)
		}
	}
	return strings.Join(hosts, ", ")
}

func pgHost(host string, port uint16) string {
	if strings.HasPrefix(host, "/") {
		return filepath.Join(host, fmt.Sprintf(".s.PGSQL.%d", port))
	}
	return net.JoinHostPort(host, fmt.Sprint(port))
}

// migratePostgres migrates, one server at a time and without the time limits of
// other work.
func migratePostgres(ctx context.Context, cfg *pgx.ConnConfig) (err error) {
	s := &Store{dialect: postgresDialect, writer: pgPool(cfg, true)}
	defer func() { err = errors.Join(err, s.writer.Close()) }()
	leave, err := advisoryLock(ctx, s.writer, pgMigrating)
	if err != nil {
		return err
	}
	defer leave()
	return s.migrate(ctx)
}

// advisoryLock waits for a lock that one caller of all servers has at a time. It
// ends with the result, or with the connection.
func advisoryLock(ctx context.Context, db *sql.DB, number int64) (leave func(), err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("take lock: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, number); err != nil {
		return nil, errors.Join(fmt.Errorf("take lock: %w", err), tx.Rollback())
	}
	return func() { tx.Rollback() }, nil // a connection that is cut has let go as well
}

// checkSettings refuses a connection to a database that may lose what it says it
// wrote, or that is to write and takes no writes. What it does not know is not held against it.
func checkSettings(ctx context.Context, conn *pgx.Conn, write bool) error {
	var unsafe, readOnly *string
	err := conn.QueryRow(ctx, `SELECT (SELECT string_agg(name, ', ') FROM (VALUES ('fsync'), ('full_page_writes'), ('synchronous_commit')) s (name)
		WHERE current_setting(name, true) = 'off'), current_setting('transaction_read_only', true)`).Scan(&unsafe, &readOnly)
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	if unsafe != nil {
		return fmt.Errorf("%w: %s is off, so that a crash could lose what was acknowledged; set it on (ALTER SYSTEM SET … = on; SELECT pg_reload_conf())", ErrSettings, *unsafe)
	}
	if write && readOnly != nil && *readOnly == "on" {
		return fmt.Errorf("%w: it is a standby, or default_transaction_read_only is on; name the primary, or set it off", ErrReadOnly)
	}
	return nil
}
