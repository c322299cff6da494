//go:build unix

package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	osexec "os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"holdfast/format/id"
	"holdfast/server/internal/fleet/fleettest"
	"holdfast/server/internal/storetest"
)

// postgresBin is where Debian's package postgresql puts its programs.
const postgresBin = "/usr/lib/postgresql/15/bin"

// TestPostgreSQL: PostgreSQL takes the migrations, and every statement that the
// contracts make this package send. No statement of the source is left out.
func TestPostgreSQL(t *testing.T) {
	open := func(t *testing.T) *Store {
		s, err := openWith(t.Context(), "recording", filepath.Join(t.TempDir(), "holdfast.db"))
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
	fleettest.Contract(t, func(t *testing.T) fleettest.Opened {
		s := open(t)
		return fleettest.Opened{Store: s, RaiseEpoch: s.RaiseEpoch, Order: func(ctx context.Context, upload id.Upload, nodes []id.Node, day int64) error {
			return s.write(ctx, func(tx *sql.Tx) error { return enqueueDelete(ctx, tx, upload, nodes, day) })
		}}
	})
	var script strings.Builder
	up, down := migrationTexts(t)
	script.WriteString(up + "\n\n")
	for i, statement := range executed(t) {
		fmt.Fprintf(&script, "PREPARE s%d AS %s;\n\n", i, statement)
	}
	// What must fail shows that failures are seen.
	script.WriteString("PREPARE bad AS UPDATE node_order SET outcome = $1 WHERE number = $2 AND $1 = $3;\n\n" + down)
	failures := postgres(t, script.String())
	if len(failures) == 0 || !strings.Contains(failures[len(failures)-1], "PREPARE bad") {
		t.Fatalf("a statement with types that clash is taken: this test sees nothing\n%s", strings.Join(failures, "\n"))
	}
	for _, failure := range failures[:len(failures)-1] {
		t.Error(failure)
	}
}

// executed are the statements that were recorded for the texts in the source.
func executed(t *testing.T) (all []string) {
	t.Helper()
	known := map[string]bool{}
	for _, text := range literals(t) {
		found := false
		for statement := range recorded.seen {
			if strings.HasPrefix(statement, text) && !strings.Contains(statement, "goose_db_version") {
				found = true
				if !known[statement] {
					known[statement] = true
					all = append(all, statement)
				}
			}
		}
		if !found {
			t.Errorf("no contract sends this statement:\n%s", text)
		}
	}
	if len(all) < 50 {
		t.Fatalf("%d statements", len(all))
	}
	return all
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
		if strings.HasSuffix(path, "_test.go") {
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

// migrationTexts are all migrations forth, and back.
func migrationTexts(t *testing.T) (up, down string) {
	t.Helper()
	paths, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := fs.ReadFile(migrations, path)
		if err != nil {
			t.Fatal(err)
		}
		_, text, _ = bytes.Cut(text, []byte("-- +goose Up\n"))
		forth, back, ok := bytes.Cut(text, []byte("-- +goose Down\n"))
		if !ok {
			t.Fatalf("%s has no way forth and back", path)
		}
		up, down = up+string(forth), string(back)+down
	}
	return up, down
}

// postgres runs a script in a new database, a statement to each paragraph, and
// returns what failed. The server runs for this one script, without a socket.
func postgres(t *testing.T, script string) (failures []string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(postgresBin, "initdb")); err != nil {
		t.Fatalf("PostgreSQL 15 is missing; install the Debian package postgresql: %v", err)
	}
	dir := t.TempDir()
	who := &syscall.SysProcAttr{}
	if os.Geteuid() == 0 { // it refuses root
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		who.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(dir, int(uid), int(gid)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil {
			t.Fatal(err)
		}
	}
	run := func(program, stdin string, args ...string) string {
		t.Helper()
		cmd := osexec.CommandContext(t.Context(), filepath.Join(postgresBin, program), args...)
		cmd.Dir, cmd.SysProcAttr, cmd.Stdin = dir, who, strings.NewReader(stdin)
		cmd.Env = []string{"LC_ALL=C", "PATH=/usr/bin:/bin"}
		var problems bytes.Buffer
		cmd.Stderr = &problems
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s: %v\n%s", program, err, problems.String())
		}
		return problems.String()
	}
	data := filepath.Join(dir, "data")
	run("initdb", "", "-D", data, "--no-sync", "--locale=C", "--encoding=UTF8", "--auth=reject")
	log := run("postgres", script, "--single", "-j", "-F", "-D", data, "-c", "log_line_prefix=", "-c", "log_min_messages=error", "postgres")
	for _, failure := range strings.Split("\n"+log, "\nERROR:")[1:] {
		failures = append(failures, strings.TrimSpace(failure))
	}
	return failures
}
