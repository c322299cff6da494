//go:build linux

package store

import (
	"bytes"
	"database/sql"
	"errors"
	"testing"

	"holdfast/format/id"
	"holdfast/server/internal/fleet"
	"holdfast/server/internal/share"
	"holdfast/server/internal/upload"
)

// released is the version of the tables that programs before this one made.
const released = 4

var (
	oldNodes  = []id.Node{{1}, {2}}
	oldUpload = id.Upload{3}
	oldLink   = id.Handle{4}
	oldOpen   = id.Upload{5}
)

// fixture is what a program before this one had written: two nodes, a link with a
// file of two blobs and a download that goes on, an open upload, and an order.
func fixture(t *testing.T, s *Store) {
	t.Helper()
	b := func(n byte, length int) []byte { return bytes.Repeat([]byte{n}, length) }
	for _, row := range []struct {
		query string
		args  []any
	}{
		{`INSERT INTO node (num, id, declaration, superseded, place, joined_day, seen_at, program, issued, reserved) VALUES (1, $1, $2, $3, 'https://a.example', 20000, 1900000000, 'v0', 1, 700)`,
			[]any{oldNodes[0][:], b(1, 200), []byte{}}},
		{`INSERT INTO node (num, id, declaration, superseded, place, joined_day, reserved) VALUES (2, $1, $2, $3, 'https://b.example', 20001, 700)`,
			[]any{oldNodes[1][:], b(2, 200), []byte{}}},
		{`INSERT INTO upload (num, id, state, secret, budget, closes_at, closed_day, digest, answer) VALUES (1, $1, 2, $2, 100, 0, 20002, $3, $4)`,
			[]any{oldUpload[:], b(7, 32), b(8, 32), []byte("answer")}},
		{`INSERT INTO upload (num, id, state, secret, budget, reserved, closes_at) VALUES (2, $1, 1, $2, 700, 700, 1900000000)`, []any{oldOpen[:], b(7, 32)}},
		{`UPDATE total SET reserved = 700, uploads = 1`, nil},
		{`INSERT INTO reservation (upload, node) VALUES (2, 1), (2, 2)`, nil},
		{`INSERT INTO upload_chain_node (upload, chain, place, node, holds) VALUES (1, 0, 0, 1, 1), (1, 0, 1, 2, 1), (2, 0, 0, 1, 0), (2, 0, 1, 2, 0)`, nil},
		{`INSERT INTO blob (num, upload, name, size) VALUES (1, 1, $1, 60), (2, 1, $2, 40)`, []any{b(11, 32), b(12, 32)}},
		{`INSERT INTO copy (blob, node, state) VALUES (1, 1, 1), (1, 2, 1), (2, 1, 1), (2, 2, 1), (1, 0, 2)`, nil},
		{`INSERT INTO revision (num, id, upload, release_key, commitment, root, salt, prefix, length, extents) VALUES (1, $1, 1, $2, $3, $4, $5, $6, 100, 2)`,
			[]any{b(21, 16), b(22, 32), b(23, 32), b(24, 32), b(25, 32), b(26, 7)}},
		{`INSERT INTO extent (revision, seq, blob, start, length) VALUES (1, 0, 1, 0, 60), (1, 1, 2, 0, 40)`, nil},
		{`INSERT INTO link (num, handle, manage, state, upload, auth, record, expires, download_limit, downloads, bytes) VALUES (1, $1, $2, 1, 1, $3, $4, 2000000000, 2, 1, 100)`,
			[]any{oldLink[:], b(31, 32), b(32, 32), b(33, 300)}},
		{`INSERT INTO link_session (token, link, expires) VALUES ($1, 1, 1900000500)`, []any{b(41, 32)}},
		{`INSERT INTO node_order (node, epoch, number, action, upload, day) VALUES (1, 1, 1, 1, $1, 20000)`, []any{b(51, 16)}},
	} {
		if _, err := s.writer.ExecContext(t.Context(), row.query, row.args...); err != nil {
			t.Fatalf("%s: %v", row.query, err)
		}
	}
}

// TestMigrationKeepsWhatThereIs: a database of the program before works on, with
// all that it has, back and forth.
func TestMigrationKeepsWhatThereIs(t *testing.T) { onEachNew(t, migrationKeeps) }

func migrationKeeps(t *testing.T, open func(*testing.T) *Store) {
	s := open(t)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	steps, err := s.steps()
	must(err)
	_, err = steps.DownTo(ctx, 0)
	must(err)
	_, err = steps.UpTo(ctx, released)
	must(err)
	fixture(t, s)
	must(s.migrate(ctx))
	_, err = steps.DownTo(ctx, released)
	must(err)
	must(s.migrate(ctx))

	must(s.ReadLink(ctx, oldLink, func(l share.Link, r share.Reader) error {
		if left, limited := l.Left(); !limited || left != 1 || l.Upload != oldUpload {
			t.Errorf("link %+v", l)
		}
		revisions, err := r.Revisions(ctx, 0, 10)
		if err != nil || len(revisions) != 1 || revisions[0].ReleaseKey != id.Bytes32(bytes.Repeat([]byte{22}, 32)) {
			t.Errorf("revisions %+v, %v", revisions, err)
		}
		extents, err := r.Extents(ctx, revisions[0], 0, 10)
		if err != nil || len(extents) != 2 || extents[1].Length != 40 {
			t.Errorf("extents %+v, %v", extents, err)
		}
		return nil
	}))
	u, err := s.Upload(ctx, oldOpen)
	if err != nil || u.State != upload.Open || len(u.Chains) != 1 || len(u.Chains[0]) != 2 {
		t.Errorf("open upload %+v, %v", u, err)
	}
	_, _, err = s.StartSession(ctx, oldLink, share.Session{Hash: id.New32(), Expires: 1_900_000_600}, 1_900_000_000, 10)
	must(err)
	_, _, err = s.StartSession(ctx, oldLink, share.Session{Hash: id.New32(), Expires: 1_900_000_600}, 1_900_000_000, 10)
	if !errors.Is(err, share.ErrUsedUp) {
		t.Errorf("a third download: %v", err)
	}
	must(s.EndLink(ctx, oldLink, share.Revoked, 20_003))
	must(s.AbandonUpload(ctx, oldOpen, 20_003))
	orders, err := s.Orders(ctx, oldNodes[0], fleet.Progress{Epoch: 1}, 10)
	if err != nil || len(orders) != 3 || orders[1].Upload != oldUpload || orders[2].Upload != oldOpen {
		t.Errorf("orders %+v, %v", orders, err)
	}
}

// TestNewerTables: tables of a program to come are left alone.
func TestNewerTables(t *testing.T) {
	onEachNew(t, func(t *testing.T, open func(*testing.T) *Store) {
		s := open(t)
		if err := s.write(t.Context(), func(tx *sql.Tx) error {
			return exec(t.Context(), tx, "insert", `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, $1)`, true)
		}); err != nil {
			t.Fatal(err)
		}
		if err := s.migrate(t.Context()); !errors.Is(err, ErrNewer) {
			t.Errorf("have %v", err)
		}
	})
}
