//go:build linux

package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"sync"

	"modernc.org/sqlite"
)

// recorder is the driver of SQLite that notes every statement it is given.
type recorder struct {
	driver.Driver
	mu       sync.Mutex // guards what follows
	seen     map[string]bool
	sequence []string // since take was called
}

var recorded = &recorder{Driver: &sqlite.Driver{}, seen: map[string]bool{}}

func init() { sql.Register("recording", recorded) }

func (r *recorder) note(statement string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[statement] = true
	r.sequence = append(r.sequence, statement)
}

// take returns the statements since it was called last, in their order.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.sequence
	r.sequence = nil
	return taken
}

func (r *recorder) Open(name string) (driver.Conn, error) {
	conn, err := r.Driver.Open(name)
	if err != nil {
		return nil, err
	}
	return recordingConn{conn.(sqliteConn), r}, nil
}

type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
}

type recordingConn struct {
	sqliteConn
	*recorder
}

func (c recordingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.note(query)
	return c.sqliteConn.PrepareContext(ctx, query)
}

func (c recordingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.note(query)
	return c.sqliteConn.ExecContext(ctx, query, args)
}

func (c recordingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.note(query)
	return c.sqliteConn.QueryContext(ctx, query, args)
}
