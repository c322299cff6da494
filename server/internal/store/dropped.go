package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"holdfast/format/journal"
)

// DropFolders implements drive.Store. Folders are taken one at a time, each in a
// transaction of its own.
func (s *Store) DropFolders(ctx context.Context, day int64, limit int) (done int, err error) {
	for done < limit {
		n := 0
		err := s.writeIn(ctx, s.dialect.commit, func(tx *sql.Tx) (err error) {
			n, err = dropOne(ctx, tx, day, limit-done)
			return err
		})
		if err != nil {
			return done, fmt.Errorf("drop folders: %w", err)
		}
		if n == 0 {
			break
		}
		done += n
	}
	return done, nil
}

// dropOne removes up to limit parts of a folder that was dropped: first what lies in it
// is dropped as well, then what it holds is released, then its journal goes.
func dropOne(ctx context.Context, tx *sql.Tx, day int64, limit int) (int, error) {
	var folder, num int64
	err := tx.QueryRowContext(ctx, `SELECT num, drive FROM folder WHERE state = 3 ORDER BY num LIMIT 1`).Scan(&folder, &num)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("find dropped folder: %w", err)
	}
	if err := holdDrives(ctx, tx, []int64{num}); err != nil {
		return 0, err
	}
	done := 0
	for _, step := range []func(ctx context.Context, tx *sql.Tx, folder, num, day int64, limit int) (int, error){
		dropChildren, dropHeld, dropEntries, dropCheckpoint, dropGrants,
	} {
		n, err := step(ctx, tx, folder, num, day, limit-done)
		if err != nil {
			return 0, err
		}
		if done += n; done >= limit {
			return done, nil // the rest comes next time
		}
	}
	none := make([]byte, len(journal.Hash{}))
	if err := exec(ctx, tx, "forget folder", `UPDATE folder SET state = $2, drive = 0, height = 0, epoch = 0, seq = 0, hash = $3, write_key = $3, admin_key = $3
		WHERE num = $1`, folder, folderGone, none); err != nil {
		return 0, err
	}
	return done + 1, forgetDrive(ctx, tx, num)
}

// forgetDrive forgets the drive of an account that was erased, once nothing is left in it.
func forgetDrive(ctx context.Context, tx *sql.Tx, num int64) error {
	return exec(ctx, tx, "forget drive", `DELETE FROM drive WHERE num = $1 AND account IS NULL
		AND NOT EXISTS (SELECT 1 FROM folder WHERE drive = $1) AND NOT EXISTS (SELECT 1 FROM upload WHERE drive = $1)`, num)
}

func dropChildren(ctx context.Context, tx *sql.Tx, folder, _, _ int64, limit int) (int, error) {
	n, err := affected(tx.ExecContext(ctx, `UPDATE folder SET parent = NULL, state = $2
		WHERE num IN (SELECT num FROM folder WHERE parent = $1 LIMIT $3)`, folder, folderDropped, limit))
	return int(n), orNil(err, "drop folders below")
}

func dropHeld(ctx context.Context, tx *sql.Tx, folder, num, day int64, limit int) (int, error) {
	var held []heldRow
	err := each(ctx, tx, func(scan func(...any) error) error {
		row := heldRow{charged: true}
		err := scan(&row.num, &row.length, &row.upload)
		held = append(held, row)
		return err
	}, `SELECT r.num, r.length, r.upload FROM folder_hold h JOIN revision r ON r.num = h.revision WHERE h.folder = $1 ORDER BY r.num LIMIT $2`, folder, limit)
	if err != nil {
		return 0, fmt.Errorf("read what a folder holds: %w", err)
	}
	loose, freed := map[int64][]int64{}, int64(0)
	for chunk := range slices.Chunk(held, together) {
		less, err := releaseRows(ctx, tx, num, folder, chunk, loose)
		if err != nil {
			return 0, err
		}
		freed += less
	}
	if err := destroyLoose(ctx, tx, loose, day); err != nil {
		return 0, err
	}
	return len(held), exec(ctx, tx, "discharge drive", `UPDATE drive SET bytes = bytes - $2 WHERE num = $1`, num, freed)
}

func dropEntries(ctx context.Context, tx *sql.Tx, folder, num, _ int64, limit int) (int, error) {
	var n, bytes int64
	err := tx.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(SUM(length), 0) FROM
		(SELECT LENGTH(body) AS length FROM folder_entry WHERE folder = $1 ORDER BY seq LIMIT $2) AS first`, folder, limit).Scan(&n, &bytes)
	if err != nil {
		return 0, fmt.Errorf("measure entries: %w", err)
	}
	if n == 0 {
		return 0, nil
	}
	if err := exec(ctx, tx, "drop entries", `DELETE FROM folder_entry WHERE folder = $1 AND seq IN
		(SELECT seq FROM folder_entry WHERE folder = $1 ORDER BY seq LIMIT $2)`, folder, limit); err != nil {
		return 0, err
	}
	return int(n), exec(ctx, tx, "discharge drive", `UPDATE drive SET journals = journals - $2 WHERE num = $1`, num, bytes)
}

// dropCheckpoint removes pages one at a time, some of which may be 1 MiB.
func dropCheckpoint(ctx context.Context, tx *sql.Tx, folder, num, _ int64, limit int) (done int, err error) {
	if err := exec(ctx, tx, "drop checkpoint", `DELETE FROM folder_checkpoint WHERE folder = $1`, folder); err != nil {
		return 0, err
	}
	return dropPages(ctx, tx, `SELECT folder, hash, LENGTH(body) FROM checkpoint_page WHERE folder = $1 LIMIT $2`, folder, limit)
}

// dropPages removes the pages that a query names, and counts them out.
func dropPages(ctx context.Context, tx *sql.Tx, query string, args ...any) (int, error) {
	type page struct {
		folder, length int64
		hash           []byte
	}
	var pages []page
	err := each(ctx, tx, func(scan func(...any) error) error {
		var p page
		err := scan(&p.folder, &p.hash, &p.length)
		pages = append(pages, p)
		return err
	}, query, args...)
	if err != nil {
		return 0, fmt.Errorf("find pages: %w", err)
	}
	for _, p := range pages {
		for _, step := range []struct {
			query string
			args  []any
		}{
			{`DELETE FROM checkpoint_page WHERE folder = $1 AND hash = $2`, []any{p.folder, p.hash}},
			{`UPDATE folder SET kept = kept - $2 WHERE num = $1`, []any{p.folder, p.length + pageRow}},
			{`UPDATE drive SET journals = journals - $2 WHERE num = (SELECT drive FROM folder WHERE num = $1)`, []any{p.folder, p.length + pageRow}},
		} {
			if err := exec(ctx, tx, "drop page", step.query, step.args...); err != nil {
				return 0, err
			}
		}
	}
	return len(pages), nil
}

func dropGrants(ctx context.Context, tx *sql.Tx, folder, _, _ int64, limit int) (int, error) {
	n, err := affected(tx.ExecContext(ctx, `DELETE FROM folder_grant WHERE num IN (SELECT num FROM folder_grant WHERE folder = $1 LIMIT $2)`, folder, limit))
	return int(n), orNil(err, "drop grants")
}

// DropPages implements drive.Store. Rows of drives are taken before others of theirs, so
// that a commit that names a page meanwhile is waited for.
func (s *Store) DropPages(ctx context.Context, before int64, limit int) (done int, err error) {
	err = s.writeIn(ctx, s.dialect.commit, func(tx *sql.Tx) error {
		const waiting = `FROM checkpoint_page p JOIN folder f ON f.num = p.folder WHERE p.named = 0 AND p.day < $1 ORDER BY p.day LIMIT $2`
		drives, err := numbers(ctx, tx, `SELECT f.drive `+waiting, before, limit)
		if err != nil {
			return fmt.Errorf("find pages: %w", err)
		}
		if err := holdDrives(ctx, tx, drives); err != nil {
			return err
		}
		done, err = dropPages(ctx, tx, `SELECT p.folder, p.hash, LENGTH(p.body) `+waiting, before, limit)
		return err
	})
	return done, err
}

// eraseDrive drops an account's roots, of which the sweep removes what lies in them.
func eraseDrive(ctx context.Context, tx *sql.Tx, account int64) error {
	if err := exec(ctx, tx, "erase grants", `DELETE FROM folder_grant WHERE account = (SELECT id FROM account WHERE num = $1)`, account); err != nil {
		return err
	}
	var num int64
	err := tx.QueryRowContext(ctx, `UPDATE drive SET account = NULL WHERE account = (SELECT id FROM account WHERE num = $1) RETURNING num`, account).Scan(&num)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("erase drive: %w", err)
	}
	if err := eraseLinks(ctx, tx, num); err != nil {
		return err
	}
	for _, query := range []string{
		`UPDATE folder SET state = 3 WHERE drive = $1 AND state = 1`,
		`UPDATE upload SET closes_at = 0 WHERE drive = $1 AND state = 1`,
		`DELETE FROM drive_answer WHERE drive = $1`,
	} {
		if err := exec(ctx, tx, "erase drive", query, num); err != nil {
			return err
		}
	}
	return forgetDrive(ctx, tx, num)
}
