//go:build linux

package store

import (
	"context"
	"database/sql"
	"testing"

	"holdfast/format/id"
	"holdfast/server/internal/fleet/fleettest"
	"holdfast/server/internal/storetest"
)

// constructors are the databases on which every contract suite runs.
var constructors = map[string]func(*testing.T) *Store{
	"sqlite": func(t *testing.T) *Store {
		s := open(t)
		t.Cleanup(func() { s.checkCounts(t) })
		return s
	},
	"postgres": func(t *testing.T) *Store {
		s := emptied(t)
		t.Cleanup(func() { s.checkCounts(t) })
		return s
	},
}

// onEach runs a test on every kind of database.
func onEach(t *testing.T, test func(t *testing.T, open func(*testing.T) *Store)) {
	for name, open := range constructors {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

// onEachNew runs a test that changes tables, on databases of its own.
func onEachNew(t *testing.T, test func(t *testing.T, open func(*testing.T) *Store)) {
	t.Run("sqlite", func(t *testing.T) { test(t, func(t *testing.T) *Store { return open(t) }) })
	t.Run("postgres", func(t *testing.T) { test(t, func(t *testing.T) *Store { return openPostgresTest(t) }) })
}

func opened(s *Store) fleettest.Opened {
	return fleettest.Opened{Store: s, RaiseEpoch: s.RaiseEpoch, Order: func(ctx context.Context, upload id.Upload, nodes []id.Node, day int64) error {
		return s.write(ctx, func(tx *sql.Tx) error { return enqueueDelete(ctx, tx, upload, nodes, day) })
	}}
}

// checkCounts: what is counted as it changes is what there is, whatever a test did.
func (s *Store) checkCounts(t *testing.T) {
	t.Helper()
	for what, query := range map[string]string{
		"reserved bytes":          `SELECT (SELECT reserved FROM total) - (SELECT COALESCE(SUM(reserved), 0) FROM upload)`,
		"uploads that reserve":    `SELECT (SELECT uploads FROM total) - (SELECT COUNT(*) FROM upload WHERE reserved > 0)`,
		"open uploads":            `SELECT COUNT(*) FROM upload WHERE state = 1 AND reserved <> budget OR state = 2 AND reserved <> 0`,
		"staged bytes":            `SELECT (SELECT staged FROM total) - (SELECT COALESCE(SUM(LENGTH(body)), 0) FROM staged_page)`,
		"bytes reserved at nodes": `SELECT COUNT(*) FROM node WHERE reserved <> (SELECT COALESCE(SUM(u.reserved), 0) FROM reservation r JOIN upload u ON u.num = r.upload WHERE r.node = node.num)`,
		"bytes of drives": `SELECT COUNT(*) FROM drive WHERE bytes <> (SELECT COALESCE(SUM(r.length), 0) FROM revision r
			WHERE EXISTS (SELECT 1 FROM folder_hold h WHERE h.revision = r.num AND h.drive = drive.num))`,
		"bytes reserved in drives": `SELECT COUNT(*) FROM drive WHERE reserved <> (SELECT COALESCE(SUM(u.budget), 0) FROM upload u WHERE u.drive = drive.num)`,
		"uploads for drives":       `SELECT COUNT(*) FROM upload WHERE drive IS NOT NULL AND state <> 1`,
		"charges of revisions":     `SELECT COUNT(*) FROM revision WHERE charged <> (SELECT COUNT(DISTINCT h.drive) FROM folder_hold h WHERE h.revision = revision.num)`,
		"revisions of nobody":      `SELECT COUNT(*) FROM revision WHERE charged = 0 AND NOT EXISTS (SELECT 1 FROM link l WHERE l.upload = revision.upload)`,
		"uploads of nobody":        `SELECT COUNT(*) FROM upload u WHERE u.state = 2 AND NOT EXISTS (SELECT 1 FROM revision r WHERE r.upload = u.num)`,
		"drives of holds":          `SELECT COUNT(*) FROM folder_hold h JOIN folder f ON f.num = h.folder WHERE f.drive <> h.drive`,
		"kept pages":               `SELECT COUNT(*) FROM folder WHERE kept <> (SELECT COALESCE(SUM(LENGTH(p.body) + 1024), 0) FROM checkpoint_page p WHERE p.folder = folder.num)`,
		"reservations":             `SELECT COUNT(*) FROM reservation r WHERE NOT EXISTS (SELECT 1 FROM upload u WHERE u.num = r.upload AND u.reserved > 0)`,
	} {
		var off int64
		if err := s.reader.QueryRowContext(context.Background(), query).Scan(&off); err != nil || off != 0 {
			t.Errorf("%s are counted wrong by %d, %v", what, off, err)
		}
	}
}

func TestContracts(t *testing.T) {
	onEach(t, func(t *testing.T, open func(*testing.T) *Store) {
		plain := func(t *testing.T) storetest.Store { return open(t) }
		t.Run("uploads", func(t *testing.T) { storetest.Uploads(t, plain) })
		t.Run("links", func(t *testing.T) { storetest.Links(t, plain) })
		t.Run("links of drives", func(t *testing.T) { storetest.DriveLinks(t, plain) })
		t.Run("leases", func(t *testing.T) { storetest.Leases(t, plain) })
		t.Run("accounts", func(t *testing.T) { storetest.Accounts(t, plain) })
		t.Run("messages", func(t *testing.T) { storetest.Messages(t, plain) })
		t.Run("drives", func(t *testing.T) { storetest.Drives(t, plain) })
		t.Run("servers", func(t *testing.T) { storetest.Servers(t, plain) })
		t.Run("fleet", func(t *testing.T) {
			fleettest.Contract(t, func(t *testing.T) fleettest.Opened { return opened(open(t)) })
		})
	})
}
