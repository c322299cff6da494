package cluster

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the database as it stands on disk

	"holdfast/server"
)

// nodeTimeout is the server's own, named here because operators' views take it.
const nodeTimeout = 45 * time.Second

// Server is the control plane, which can stop and start again.
type Server struct {
	tb     testing.TB
	clock  *Clock
	limits server.Limits
	dir    string
	front  front
	server *server.Server // nil while it is stopped
}

// Start starts it on its data, at its address.
func (s *Server) Start() {
	s.tb.Helper()
	var err error
	s.server, err = server.New(server.Config{DataDir: s.dir, Limits: s.limits, NodeTimeout: nodeTimeout, Software: "cluster", Now: s.clock.Now})
	if err != nil {
		s.tb.Fatal(err)
	}
	listener, err := s.front.listen()
	if err != nil {
		s.tb.Fatal(err)
	}
	s.front.serve(listener, s.server.Handler())
}

// Stop cuts all connections off and closes the data. Stopping twice does nothing.
func (s *Server) Stop() {
	s.tb.Helper()
	if s.server == nil {
		return
	}
	if err := s.front.cut(); err != nil {
		s.tb.Errorf("stop the server: %v", err)
	}
	if err := s.server.Close(); err != nil {
		s.tb.Errorf("stop the server: %v", err)
	}
	s.server = nil
}

// Step does a round of the background work.
func (s *Server) Step(ctx context.Context) error { return s.server.Step(ctx) }

// Dir is the data directory.
func (s *Server) Dir() string { return s.dir }

// Tap sees the requests.
func (s *Server) Tap() *Tap { return s.front.tap }

// States are the nodes as an operator sees them, by id.
func (s *Server) States(ctx context.Context) map[string]server.NodeState {
	s.tb.Helper()
	nodes, err := server.Nodes(ctx, server.Data{Dir: s.dir}, nodeTimeout)
	if err != nil {
		s.tb.Fatal(err)
	}
	all := map[string]server.NodeState{}
	for _, n := range nodes {
		all[n.ID] = n
	}
	return all
}

// Numbers runs a query for one row of numbers on the database, beside the server.
func (s *Server) Numbers(ctx context.Context, query string, args ...any) []int64 {
	s.tb.Helper()
	numbers, err := s.numbers(ctx, query, args...)
	if err != nil {
		s.tb.Fatalf("%s: %v", query, err)
	}
	return numbers
}

func (s *Server) numbers(ctx context.Context, query string, args ...any) ([]int64, error) {
	var numbers []int64
	err := s.rows(ctx, query, args, func(rows *sql.Rows) error {
		columns, err := rows.Columns()
		if err != nil {
			return err
		}
		numbers = make([]int64, len(columns))
		into := make([]any, len(columns))
		for i := range numbers {
			into[i] = &numbers[i]
		}
		return rows.Scan(into...)
	})
	if err == nil && numbers == nil {
		err = sql.ErrNoRows
	}
	return numbers, err
}

// Secrets runs a query for one column of byte strings.
func (s *Server) Secrets(ctx context.Context, query string, args ...any) (all [][]byte) {
	s.tb.Helper()
	err := s.rows(ctx, query, args, func(rows *sql.Rows) error {
		var b []byte
		err := rows.Scan(&b)
		all = append(all, b)
		return err
	})
	if err != nil {
		s.tb.Fatalf("%s: %v", query, err)
	}
	return all
}

func (s *Server) rows(ctx context.Context, query string, args []any, each func(*sql.Rows) error) error {
	dsn := url.URL{Scheme: "file", Path: filepath.Join(s.dir, "holdfast.db"), RawQuery: "_pragma=query_only(1)&_pragma=busy_timeout(5000)"}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return fmt.Errorf("look into the database: %w", err)
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
