//go:build linux

package store

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"holdfast/format/id"
	"holdfast/server/internal/loop"
	"holdfast/server/internal/placement"
	"holdfast/server/internal/servertest"
	"holdfast/server/internal/share"
	"holdfast/server/internal/storetest"
	"holdfast/server/internal/upload"
)

// TestLimitsHoldForWhoLookedBefore: what a transaction read before another one
// ended does not count; the statements that change rows look again. One writer
// at a time, as here, hides that; a database with several does not.
func TestLimitsHoldForWhoLookedBefore(t *testing.T) { onEach(t, limitsHold) }

func limitsHold(t *testing.T, open func(*testing.T) *Store) {
	s := open(t)
	fleet := servertest.NewFleet(t, 2)
	storetest.Admit(t, s, fleet.Nodes...)
	ctx := t.Context()
	send, _ := sent(t, s, fleet.Nodes, 5000)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	in := func(want error, f func(tx *sql.Tx) error) {
		t.Helper()
		if err := s.write(ctx, f); !errors.Is(err, want) {
			t.Errorf("have %v, want %v", err, want)
		}
	}
	row, err := readLink(ctx, s.reader, send.Link.Handle)
	must(err)
	_, err = s.writer.ExecContext(ctx, `UPDATE link SET download_limit = 1 WHERE num = $1`, row.num)
	must(err)
	session := share.Session{Hash: id.New32(), Expires: 100}
	_, _, err = s.StartSession(ctx, send.Link.Handle, session, 1, 10)
	must(err)
	in(share.ErrUsedUp, func(tx *sql.Tx) error { return countDownload(ctx, tx, row.num, 1) })
	in(share.ErrExpired, func(tx *sql.Tx) error { return countDownload(ctx, tx, row.num, row.Expires) })
	in(nil, func(tx *sql.Tx) error {
		added, err := addSession(ctx, tx, row.num, session, 1)
		if added {
			t.Error("a session that lives was added again")
		}
		return err
	})
	must(s.EndLink(ctx, send.Link.Handle, share.Revoked, 1))
	in(share.ErrRevoked, func(tx *sql.Tx) error { return countDownload(ctx, tx, row.num, 1) })

	u := upload.Upload{ID: id.New[id.Upload](), Budget: 10, Secret: id.New32(), Chains: []placement.Chain{fleet.IDs()}}
	must(s.OpenUpload(ctx, u, 10, 1, 1<<50))
	in(upload.ErrNoCapacity, func(tx *sql.Tx) error { return reserve(ctx, tx, 1, 0, 10, 1) })
	in(upload.ErrNoCapacity, func(tx *sql.Tx) error { return reserve(ctx, tx, 0, 1, 10, 1) })
	in(nil, func(tx *sql.Tx) error { return reserve(ctx, tx, 0, 0, 10, 1) })
	must(s.AbandonUpload(ctx, u.ID, 1))
	in(upload.ErrClosed, func(tx *sql.Tx) error { _, err := lockOpen(ctx, tx, u.ID); return err })

	first, second := id.Bytes32(id.New32()), id.Bytes32(id.New32())
	_, err = s.TakeLease(ctx, "sweep", first, 1, 10)
	must(err)
	_, err = s.TakeLease(ctx, "sweep", second, 10, 20)
	must(err)
	late := loop.WithFence(context.WithoutCancel(ctx), loop.Fence{Lease: "sweep", Epoch: 1})
	in(loop.ErrFenced, func(tx *sql.Tx) error { return checkFence(late, tx) })
}

// TestCountsOfADatabaseFromBefore: a database that had uploads when it learned to
// count them counts them.
func TestCountsOfADatabaseFromBefore(t *testing.T) { onEachNew(t, countsFromBefore) }

func countsFromBefore(t *testing.T, open func(*testing.T) *Store) {
	s := open(t)
	fleet := servertest.NewFleet(t, 3)
	storetest.Admit(t, s, fleet.Nodes...)
	ctx, ids := t.Context(), fleet.IDs()
	steps, err := s.steps()
	if err != nil {
		t.Fatal(err)
	}
	var all []upload.Upload
	for n, chains := range [][]placement.Chain{{{ids[0], ids[1], ids[2]}}, {{ids[0], ids[1]}, {ids[1], ids[2]}}, {{ids[0], ids[1]}}} {
		u := upload.Upload{ID: id.New[id.Upload](), Budget: int64(100 << n), Secret: id.New32(), Chains: chains}
		if err := s.OpenUpload(ctx, u, 1<<40, 100, 1<<50); err != nil {
			t.Fatal(err)
		}
		all = append(all, u)
	}
	if err := s.StagePage(ctx, all[1].ID, 0, []byte("page"), 100, 100); err != nil {
		t.Fatal(err)
	}
	if err := s.AbandonUpload(ctx, all[2].ID, 1); err != nil { // by the old program: it reserves nothing
		t.Fatal(err)
	}
	if _, err := steps.DownTo(ctx, 2); err != nil {
		t.Fatal(err)
	}
	if _, err := steps.Up(ctx); err != nil {
		t.Fatal(err)
	}
	at, err := s.ReservedAt(ctx)
	if err != nil || at[ids[0]] != 300 || at[ids[1]] != 300 || at[ids[2]] != 200 {
		t.Errorf("at nodes %v, %v", at, err)
	}
	var reserved, uploads, staged int64
	if err := s.reader.QueryRowContext(ctx, `SELECT reserved, uploads, staged FROM total`).Scan(&reserved, &uploads, &staged); err != nil || reserved != 300 || uploads != 2 || staged != 4 {
		t.Errorf("%d bytes of %d uploads, %d staged, %v", reserved, uploads, staged, err)
	}
}
