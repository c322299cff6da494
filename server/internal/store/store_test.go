//go:build linux

package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/server/internal/placement"
	"holdfast/server/internal/servertest"
	"holdfast/server/internal/share"
	"holdfast/server/internal/storetest"
	"holdfast/server/internal/upload"
)

// open makes a database on disk for one test.
func open(t testing.TB) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "holdfast.db"))
}

func openAt(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path)
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

func TestOpenSettings(t *testing.T) {
	s := open(t)
	for name, db := range map[string]*sql.DB{"writer": s.writer, "reader": s.reader} {
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "secure_delete": "1", "busy_timeout": "5000",
			"query_only": map[string]string{"writer": "0", "reader": "1"}[name],
		} {
			var have string
			if err := db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&have); err != nil || have != want {
				t.Errorf("%s: %s is %s, %v; want %s", name, pragma, have, err, want)
			}
		}
	}
}

func TestPathsWithOddCharacters(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?c#d%20e&f")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	openAt(t, filepath.Join(dir, "holdfast.db"))
	for _, name := range []string{"holdfast.db", "holdfast.db-wal"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s", name, info.Mode())
		}
	}
}

func TestOpenAgainAndAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "holdfast.db")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s, err := Open(t.Context(), path)
			if err != nil {
				t.Error(err)
				return
			}
			if epoch, err := s.Epoch(t.Context()); err != nil || epoch != 1 {
				t.Errorf("epoch %d, %v", epoch, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestOpenFails(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(t.Context(), filepath.Join(dir, "missing", "holdfast.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
	path := filepath.Join(dir, "junk.db")
	if err := os.WriteFile(path, bytes.Repeat([]byte("junk"), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(t.Context(), path); err == nil {
		s.Close()
		t.Error("a file that is no database was opened")
	}
}

func TestWriteRollsBack(t *testing.T) { onEach(t, writeRollsBack) }

func writeRollsBack(t *testing.T, open func(*testing.T) *Store) {
	s := open(t)
	stop := errors.New("stop")
	insert := func(tx *sql.Tx) error {
		return exec(t.Context(), tx, "insert", `INSERT INTO lease (name, epoch, holder, until) VALUES ('x', 1, $1, 0)`, []byte{1})
	}
	if err := s.write(t.Context(), func(tx *sql.Tx) error { return errors.Join(insert(tx), stop) }); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		s.write(t.Context(), func(tx *sql.Tx) error {
			if err := insert(tx); err != nil {
				t.Error(err)
			}
			panic("fault")
		})
	}()
	var n int
	if err := s.reader.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM lease`).Scan(&n); err != nil || n != 0 {
		t.Fatalf("%d rows, %v", n, err)
	}
	if err := s.write(t.Context(), insert); err != nil {
		t.Fatal("after a rollback:", err)
	}
}

// TestReadSeesOneState: what is written meanwhile is not seen by a running read.
func TestReadSeesOneState(t *testing.T) { onEach(t, readSeesOneState) }

func readSeesOneState(t *testing.T, open func(*testing.T) *Store) {
	s := open(t)
	count := func(q queryer) (n int) {
		if err := q.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM lease`).Scan(&n); err != nil {
			t.Error(err)
		}
		return n
	}
	err := s.read(t.Context(), func(q queryer) error {
		before := count(q)
		if _, err := s.TakeLease(t.Context(), "x", id.New32(), 1, 2); err != nil {
			return err
		}
		if after := count(q); after != before {
			t.Errorf("%d rows, then %d", before, after)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestBusy: another process that holds the database for long is waited for, and
// then named as the reason.
func TestBusy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "holdfast.db")
	s := openAt(t, path)
	other, err := sql.Open("sqlite", dsn(path, false))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := s.writer.ExecContext(t.Context(), `PRAGMA busy_timeout(1)`); err != nil {
		t.Fatal(err)
	}
	held, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.TakeLease(t.Context(), "x", id.New32(), 1, 2); !errors.Is(err, ErrBusy) {
		t.Errorf("have %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.TakeLease(ctx, "x", id.New32(), 1, 2); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("have %v", err)
	}
	if err := held.Rollback(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.TakeLease(t.Context(), "x", id.New32(), 1, 2); err != nil {
		t.Error(err)
	}
}

// TestFull: a file that may not grow is named as the reason, and is whole when it may.
func TestFull(t *testing.T) {
	s := open(t)
	limit := func(pages string) {
		t.Helper()
		if _, err := s.writer.ExecContext(t.Context(), "PRAGMA max_page_count = "+pages); err != nil {
			t.Fatal(err)
		}
	}
	limit("1") // that is, as many as there are
	var err error
	taken := 0
	for ; err == nil && taken < 10_000; taken++ {
		_, err = s.TakeLease(t.Context(), fmt.Sprint(taken), id.New32(), 1, 2)
	}
	if !errors.Is(err, ErrReadOnly) {
		t.Fatalf("after %d leases: %v", taken, err)
	}
	limit("1000000")
	if _, err := s.TakeLease(t.Context(), "x", id.New32(), 1, 2); err != nil {
		t.Error("afterwards:", err)
	}
}

// sent commits files of these sizes with their link.
func sent(t testing.TB, s *Store, nodes []*servertest.Node, sizes ...int64) (*servertest.Send, id.Upload) {
	t.Helper()
	ctx := t.Context()
	u := upload.Upload{ID: id.New[id.Upload](), State: upload.Open, Budget: 1 << 50, Secret: id.New32(), Chains: []placement.Chain{{}}}
	var holders []id.Node
	for _, n := range nodes {
		u.Chains[0] = append(u.Chains[0], n.ID)
		holders = append(holders, n.ID)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.OpenUpload(ctx, u, 1<<60, 1<<30, 1<<50))
	now := time.Unix(1_900_000_000, 0)
	send := servertest.NewSend(t, u.ID, now, nil, sizes...)
	must(s.CommitUpload(ctx, u.ID, func(_ upload.Upload, tx upload.Tx) error {
		for n, b := range send.Page.Blobs {
			must(tx.AddBlob(ctx, b))
			must(tx.AddCopies(ctx, n, holders[:2], 1))
		}
		for i := range send.Page.Revisions {
			must(tx.AddRevision(ctx, &send.Page.Revisions[i]))
		}
		l, err := send.Link.Link(u.ID, send.Bytes(), share.Limits{Days: 30, Downloads: 10}, now)
		must(err)
		must(tx.AddLink(ctx, l))
		return tx.Close(ctx, 1, []byte("digest"), []byte("answer"), holders[:2])
	}))
	return send, u.ID
}

// TestDestroyedKeysAreGone: once a link has ended and the log was emptied, no
// file of the database holds its release key, record or auth hash any more.
func TestDestroyedKeysAreGone(t *testing.T) {
	dir := t.TempDir()
	s := openAt(t, filepath.Join(dir, "holdfast.db"))
	fleet := servertest.NewFleet(t, 2)
	storetest.Admit(t, s, fleet.Nodes...)
	send, _ := sent(t, s, fleet.Nodes, 5000, 6000)
	other, _ := sent(t, s, fleet.Nodes, 5000)
	planted := map[string][]byte{
		"release key": send.Page.Revisions[1].ReleaseKey[:], "record": send.Link.Record[:64], "auth hash": send.Link.Auth[:],
		"blob name": send.Page.Blobs[0].Name[:],
	}
	if err := s.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	for what, bytes := range planted {
		if !onDisk(t, dir, bytes) {
			t.Fatalf("the %s is not there while the link lives: this test sees nothing", what)
		}
	}
	if err := s.EndLink(t.Context(), send.Link.Handle, share.Revoked, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	delete(planted, "record") // both links have the same in this test
	for what, bytes := range planted {
		if onDisk(t, dir, bytes) {
			t.Errorf("the %s is still on disk", what)
		}
	}
	if !onDisk(t, dir, other.Page.Revisions[0].ReleaseKey[:]) {
		t.Error("another link's release key went with it")
	}
}

func onDisk(t *testing.T, dir string, what []byte) bool {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, what) {
			return true
		}
	}
	return false
}

// TestMigrationsAreNeutral: no migration has words that only one database knows,
// besides those that are exchanged.
func TestMigrationsAreNeutral(t *testing.T) {
	paths, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%v, %v", paths, err)
	}
	for _, path := range paths {
		text, err := fs.ReadFile(migrations, path)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"AUTOINCREMENT", "WITHOUT ROWID", "INTEGER PRIMARY KEY", " BLOB,", " BLOB NOT", "INSERT OR", "DATETIME", "SERIAL"} {
			if strings.Contains(strings.ToUpper(string(text)), word) {
				t.Errorf("%s says %q", path, word)
			}
		}
	}
}

// TestInterrupted: what its caller no longer waits for ends, and says why.
func TestInterrupted(t *testing.T) { onEach(t, interrupted) }

func interrupted(t *testing.T, open func(*testing.T) *Store) {
	s := open(t)
	const endless = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n`
	var max int64
	for name, run := range map[string]func(context.Context) error{
		"read": func(ctx context.Context) error {
			return s.read(ctx, func(q queryer) error { return q.QueryRowContext(ctx, endless).Scan(&max) })
		},
		"write": func(ctx context.Context) error {
			return s.write(ctx, func(tx *sql.Tx) error { return tx.QueryRowContext(ctx, endless).Scan(&max) })
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		if err := run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
	if _, err := s.TakeLease(t.Context(), "x", id.New32(), 1, 2); err != nil {
		t.Error("afterwards:", err)
	}
}

func TestDamagedColumn(t *testing.T) {
	var v [16]byte
	if err := fixed(v[:], make([]byte, 15)); err == nil {
		t.Error("a column of another length was taken")
	}
}
