//go:build linux

package store

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"holdfast/server/internal/fleet/fleettest"
	"holdfast/server/internal/storetest"
	"holdfast/server/postgrestest"
)

func TestMain(m *testing.M) {
	code := postgrestest.Main(m) // whatever is still open ends with the database
	os.Exit(code)
}

// migrated is a database that others are made like.
var migrated struct {
	sync.Mutex
	made bool   // guarded by Mutex
	last int    // guarded by Mutex
	kept *Store // the one that emptied empties
}

// postgresURL is a new database with the present tables, or with none, and its name.
func postgresURL(t testing.TB, tables bool) (address, name string) {
	t.Helper()
	const like = "migrated"
	server := postgrestest.Shared(t)
	migrated.Lock()
	defer migrated.Unlock()
	if !migrated.made {
		s, err := Open(t.Context(), server.Create(t, like, ""))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		migrated.made = true
	}
	migrated.last++
	name = fmt.Sprintf("test%d", migrated.last)
	if tables {
		return server.Create(t, name, like), name
	}
	return server.Create(t, name, ""), name
}

func openPostgresTest(t testing.TB) *Store {
	t.Helper()
	address, _ := postgresURL(t, true)
	return openAt(t, address)
}

// emptied is one database with the present tables, in which nothing is: making a
// new one for each of the many contracts takes longer than they do.
func emptied(t *testing.T) *Store {
	t.Helper()
	if migrated.kept == nil { // tests of this package run one after another
		address, _ := postgresURL(t, true)
		s, err := Open(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		migrated.kept = s
	}
	if _, err := migrated.kept.writer.ExecContext(t.Context(), `DO $$ DECLARE name TEXT; BEGIN
		SET LOCAL session_replication_role = replica; -- no references are looked at
		FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'goose_db_version' LOOP
			EXECUTE format('DELETE FROM %I', name);
		END LOOP;
		INSERT INTO meta (one, epoch) VALUES (1, 1);
		INSERT INTO total (one, reserved, uploads, staged) VALUES (1, 0, 0, 0);
	END $$`); err != nil {
		t.Fatal(err)
	}
	return migrated.kept
}

// TestEveryStatementIsSent: no statement of the source is left out by the
// contracts, which run on every database: so every one was tried on every one.
func TestEveryStatementIsSent(t *testing.T) {
	open := func(t *testing.T) *Store {
		s, err := openSQLite(t.Context(), "recording", filepath.Join(t.TempDir(), "holdfast.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	}
	plain := func(t *testing.T) storetest.Store { return open(t) }
	storetest.Uploads(t, plain)
	storetest.Links(t, plain)
	storetest.Leases(t, plain)
	storetest.Accounts(t, plain)
	storetest.Messages(t, plain)
	storetest.Drives(t, plain)
	storetest.DriveLinks(t, plain)
	storetest.Servers(t, plain)
	fleettest.Contract(t, func(t *testing.T) fleettest.Opened { return opened(open(t)) })
	sent := 0
	for _, text := range literals(t) {
		found := false
		for statement := range recorded.seen {
			found = found || strings.HasPrefix(statement, text)
		}
		if !found {
			t.Errorf("no contract sends this statement:\n%s", text)
		}
		sent++
	}
	if sent < 50 {
		t.Fatalf("%d statements", sent)
	}
}

var verb = regexp.MustCompile(`^(SELECT|INSERT|UPDATE|DELETE|WITH) `)

// literals are the strings in this package's source that begin a statement.
func literals(t *testing.T) (texts []string) {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") || path == "postgres.go" {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil && verb.MatchString(text) {
					texts = append(texts, text)
				}
			}
			return true
		})
	}
	return texts
}
