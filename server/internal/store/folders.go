package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/server/internal/drive"
)

// AddFolder implements drive.Tx.
func (t *driveTx) AddFolder(ctx context.Context, num int64, folder id.Folder) (key int64, err error) {
	none := make([]byte, len(journal.Hash{}))
	err = t.tx.QueryRowContext(ctx, `INSERT INTO folder (id, drive, state, hash, write_key, admin_key) VALUES ($1, $2, $3, $4, $4, $4)
		ON CONFLICT (id) DO NOTHING RETURNING num`, folder[:], num, folderRoot, none).Scan(&key)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("%w: folder %s", drive.ErrFolderExists, folder)
	}
	return key, orNil(err, "add folder")
}

// PlaceFolder implements drive.Tx.
func (t *driveTx) PlaceFolder(ctx context.Context, folder, parent int64) error {
	var height int
	err := t.tx.QueryRowContext(ctx, `UPDATE folder SET parent = $2, state = $3 WHERE num = $1 RETURNING height`, folder, parent, folderInside).Scan(&height)
	if err != nil {
		return fmt.Errorf("place folder: %w", err)
	}
	// Upwards until one is high enough, and no further than a way may be long: what
	// goes round in a circle is refused by whoever looks at its depth.
	above := sql.NullInt64{Int64: parent, Valid: true}
	for range drive.MaxLevels + 1 {
		height++
		err := t.tx.QueryRowContext(ctx, `UPDATE folder SET height = $2 WHERE num = $1 AND height < $2 RETURNING parent`, above, height).Scan(&above)
		if errors.Is(err, sql.ErrNoRows) || err == nil && !above.Valid {
			return nil
		}
		if err != nil {
			return fmt.Errorf("raise folder: %w", err)
		}
	}
	return nil
}

// DropFolder implements drive.Tx.
func (t *driveTx) DropFolder(ctx context.Context, folder int64) error {
	return exec(ctx, t.tx, "drop folder", `UPDATE folder SET parent = NULL, state = $2 WHERE num = $1`, folder, folderDropped)
}

// Append implements drive.Tx.
func (t *driveTx) Append(ctx context.Context, folder int64, raw []byte, next journal.Chain) error {
	if err := exec(ctx, t.tx, "append entry", `INSERT INTO folder_entry (folder, seq, body) VALUES ($1, $2, $3)`, folder, next.Seq, raw); err != nil {
		return err
	}
	return exec(ctx, t.tx, "move head", `UPDATE folder SET seq = $2, hash = $3, epoch = $4, write_key = $5, admin_key = $6 WHERE num = $1`,
		folder, next.Seq, next.Hash[:], next.Epoch, next.Keys.Write[:], next.Keys.Admin[:])
}

// pageRow is what a page counts for beside its bytes, so that many small ones cost as well.
const pageRow = 1 << 10

// KeepPages implements drive.Tx.
func (t *driveTx) KeepPages(ctx context.Context, folder int64, pages map[journal.Hash][]byte, day, most int64) (added int64, err error) {
	for hash, body := range pages {
		n, err := affected(t.tx.ExecContext(ctx, `INSERT INTO checkpoint_page (folder, hash, day, body) VALUES ($1, $2, $3, $4)
			ON CONFLICT (folder, hash) DO NOTHING`, folder, hash[:], day, body))
		if err != nil {
			return 0, fmt.Errorf("keep page: %w", err)
		}
		if n > 0 {
			added += int64(len(body)) + pageRow
			continue
		}
		if err := exec(ctx, t.tx, "keep page", `UPDATE checkpoint_page SET day = $3 WHERE folder = $1 AND hash = $2`, folder, hash[:], day); err != nil {
			return 0, err
		}
	}
	var kept int64
	err = t.tx.QueryRowContext(ctx, `UPDATE folder SET kept = kept + $2 WHERE num = $1 RETURNING kept`, folder, added).Scan(&kept)
	if err == nil && kept > most {
		err = fmt.Errorf("%w: pages of %d bytes in all, at most %d in a folder", drive.ErrOverLimit, kept, most)
	}
	return added, orNil(err, "keep pages")
}

// NameCheckpoint implements drive.Tx.
func (t *driveTx) NameCheckpoint(ctx context.Context, folder, seq int64, pages []journal.Hash) (gone int64, err error) {
	if err := exec(ctx, t.tx, "replace checkpoint", `UPDATE checkpoint_page SET named = 2 WHERE folder = $1 AND named = 1`, folder); err != nil {
		return 0, err
	}
	var all []byte
	for _, hash := range pages {
		n, err := affected(t.tx.ExecContext(ctx, `UPDATE checkpoint_page SET named = 1 WHERE folder = $1 AND hash = $2`, folder, hash[:]))
		if err != nil {
			return 0, fmt.Errorf("name page: %w", err)
		}
		if n == 0 {
			return 0, fmt.Errorf("%w: folder %d, page %x", drive.ErrPageMissing, folder, hash)
		}
		all = append(all, hash[:]...)
	}
	err = t.tx.QueryRowContext(ctx, `SELECT COALESCE(SUM(LENGTH(body) + $2), 0) FROM checkpoint_page WHERE folder = $1 AND named = 2`, folder, pageRow).Scan(&gone)
	if err != nil {
		return 0, fmt.Errorf("measure checkpoint: %w", err)
	}
	for _, step := range []struct {
		query string
		args  []any
	}{
		{`DELETE FROM checkpoint_page WHERE folder = $1 AND named = 2`, []any{folder}},
		{`UPDATE folder SET kept = kept - $2 WHERE num = $1`, []any{folder, gone}},
		{`INSERT INTO folder_checkpoint (folder, seq, pages) VALUES ($1, $2, $3)
			ON CONFLICT (folder) DO UPDATE SET seq = excluded.seq, pages = excluded.pages`, []any{folder, seq, all}},
	} {
		if err := exec(ctx, t.tx, "replace checkpoint", step.query, step.args...); err != nil {
			return 0, err
		}
	}
	return gone, nil
}

// SetGrant implements drive.Tx.
func (t *driveTx) SetGrant(ctx context.Context, folder int64, g drive.Grant, most int) error {
	n, err := affected(t.tx.ExecContext(ctx, `INSERT INTO folder_grant (folder, account, role, edition, body) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (folder, account) DO UPDATE SET role = excluded.role, edition = excluded.edition, body = excluded.body
		WHERE folder_grant.edition < excluded.edition`, folder, g.Account[:], int64(g.Role), g.Serial, g.Raw))
	if err != nil {
		return fmt.Errorf("set grant: %w", err)
	}
	if n == 0 {
		return fmt.Errorf("%w: one of the same or a later serial than %d is there", drive.ErrGrant, g.Serial)
	}
	var all int
	if err := t.tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM folder_grant WHERE folder = $1`, folder).Scan(&all); err != nil {
		return fmt.Errorf("count grants: %w", err)
	}
	if all > most {
		return fmt.Errorf("%w: grants on one folder, at most %d", drive.ErrOverLimit, most)
	}
	return nil
}

// sorted are the ids in order, as bytes: rows are taken in one sequence everywhere.
func sorted[T ~[id.Size]byte](ids []T) []T {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(a, b T) int { return bytes.Compare(a[:], b[:]) })
	return ids
}
