package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"holdfast/format/id"
	"holdfast/server/internal/drive"
)

// heldRow is a revision as counting needs it.
type heldRow struct {
	num, length, upload int64
	// charged: the drive in question holds it already.
	charged bool
}

// Placeholders for as many as are looked at together, from the first on and from the second.
const (
	someOf   = `($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`
	someMore = `($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)`
)

// withIDs are fixed arguments, then the ids' bytes, of which the last is repeated up to
// the number of a whole chunk: so there is one text for all.
func withIDs(chunk []id.Revision, fixed ...any) []any {
	args := fixed
	for i := range together {
		args = append(args, chunk[min(i, len(chunk)-1)][:])
	}
	return args
}

// withNums is withIDs for row numbers.
func withNums(chunk []int64, fixed ...any) []any {
	args := fixed
	for i := range together {
		args = append(args, chunk[min(i, len(chunk)-1)])
	}
	return args
}

const (
	findRevisions = `SELECT r.num, r.length, r.upload, EXISTS (SELECT 1 FROM folder_hold h WHERE h.revision = r.num AND h.drive = $1)
		FROM revision r WHERE r.id IN ` + someMore
	findHeld = `SELECT r.num, r.length, r.upload, TRUE FROM revision r JOIN folder_hold h ON h.revision = r.num AND h.folder = $1
		WHERE r.id IN ` + someMore
	chargeRevisions    = `UPDATE revision SET charged = charged + 1 WHERE num IN ` + someOf
	dischargeRevisions = `UPDATE revision SET charged = charged - 1 WHERE num IN ` + someOf + ` RETURNING num, charged, upload`
	dropHolds          = `DELETE FROM folder_hold WHERE folder = $1 AND revision IN ` + someMore
	stillCharged       = `SELECT DISTINCT revision FROM folder_hold WHERE drive = $1 AND revision IN ` + someMore
)

func (r driveReader) heldRows(ctx context.Context, query string, chunk []id.Revision, key int64) ([]heldRow, error) {
	var all []heldRow
	err := r.each(ctx, func(scan func(...any) error) error {
		var row heldRow
		err := scan(&row.num, &row.length, &row.upload, &row.charged)
		all = append(all, row)
		return err
	}, query, withIDs(chunk, key)...)
	if err != nil {
		return nil, fmt.Errorf("read revisions: %w", err)
	}
	return all, nil
}

// flush inserts what uploads of this transaction brought.
func (t *driveTx) flush(ctx context.Context) error {
	for _, u := range t.uploads {
		if err := u.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Hold implements drive.Tx.
func (t *driveTx) Hold(ctx context.Context, num, folder int64, revisions []id.Revision) (charged int64, err error) {
	if err := t.flush(ctx); err != nil {
		return 0, err
	}
	for chunk := range slices.Chunk(sorted(revisions), together) {
		rows, err := t.heldRows(ctx, findRevisions, chunk, num)
		if err != nil {
			return 0, err
		}
		if len(rows) != len(chunk) {
			return 0, fmt.Errorf("%w: one of %d from %s on", drive.ErrRevisionUnknown, len(chunk), chunk[0])
		}
		more, err := t.chargeNew(ctx, rows)
		if err != nil {
			return 0, err
		}
		charged += more
		if err := t.addHolds(ctx, num, folder, rows); err != nil {
			return 0, err
		}
	}
	return charged, nil
}

// chargeNew counts the drive at the revisions that it does not hold yet. Who destroys
// them waits for this, or was faster.
func (t *driveTx) chargeNew(ctx context.Context, rows []heldRow) (bytes int64, err error) {
	var nums []int64
	for _, row := range rows {
		if !row.charged {
			nums = append(nums, row.num)
			bytes += row.length
		}
	}
	if len(nums) == 0 {
		return 0, nil
	}
	n, err := affected(t.tx.ExecContext(ctx, chargeRevisions, withNums(nums)...))
	if err != nil {
		return 0, fmt.Errorf("charge revisions: %w", err)
	}
	if n != int64(len(nums)) {
		return 0, fmt.Errorf("%w: it was destroyed meanwhile", drive.ErrRevisionUnknown)
	}
	return bytes, nil
}

func (t *driveTx) addHolds(ctx context.Context, num, folder int64, held []heldRow) error {
	var values []any
	for _, row := range held {
		values = append(values, folder, row.num, num)
	}
	n, err := affected(t.tx.ExecContext(ctx, rows(`INSERT INTO folder_hold (folder, revision, drive) VALUES ($1, $2, $3) ON CONFLICT (folder, revision) DO NOTHING`, len(held)), values...))
	if err != nil {
		return fmt.Errorf("hold revisions: %w", err)
	}
	if n != int64(len(held)) {
		return fmt.Errorf("%w: the folder holds a revision already that it adds", drive.ErrEntry)
	}
	return nil
}

// Holds implements drive.Tx.
func (t *driveTx) Holds(ctx context.Context, folder int64, revisions []id.Revision) (bool, error) {
	for chunk := range slices.Chunk(revisions, together) {
		rows, err := t.heldRows(ctx, findHeld, chunk, folder)
		if err != nil || len(rows) != len(chunk) {
			return false, err
		}
	}
	return true, nil
}

// Release implements drive.Tx.
func (t *driveTx) Release(ctx context.Context, num, folder int64, revisions []id.Revision, day int64) (freed int64, err error) {
	loose := map[int64][]int64{} // revisions that nobody is charged for any more, by upload
	for chunk := range slices.Chunk(sorted(revisions), together) {
		rows, err := t.heldRows(ctx, findHeld, chunk, folder)
		if err != nil {
			return 0, err
		}
		if len(rows) != len(chunk) {
			return 0, fmt.Errorf("%w: the folder does not hold a revision that it drops", drive.ErrEntry)
		}
		less, err := releaseRows(ctx, t.tx, num, folder, rows, loose)
		if err != nil {
			return 0, err
		}
		freed += less
	}
	return freed, destroyLoose(ctx, t.tx, loose, day)
}

// releaseRows takes up to together revisions from a folder.
func releaseRows(ctx context.Context, tx *sql.Tx, num, folder int64, rows []heldRow, loose map[int64][]int64) (freed int64, err error) {
	lengths := map[int64]int64{}
	for _, row := range rows {
		lengths[row.num] = row.length
	}
	nums := slices.Sorted(maps.Keys(lengths))
	if err := exec(ctx, tx, "release revisions", dropHolds, withNums(nums, folder)...); err != nil {
		return 0, err
	}
	still, err := numbers(ctx, tx, stillCharged, withNums(nums, num)...)
	if err != nil {
		return 0, fmt.Errorf("read charges: %w", err)
	}
	nums = slices.DeleteFunc(nums, func(n int64) bool { return slices.Contains(still, n) })
	if len(nums) == 0 {
		return 0, nil
	}
	err = each(ctx, tx, func(scan func(...any) error) error {
		var revision, charged, upload int64
		if err := scan(&revision, &charged, &upload); err != nil {
			return err
		}
		freed += lengths[revision]
		if charged == 0 {
			loose[upload] = append(loose[upload], revision)
		}
		return nil
	}, dischargeRevisions, withNums(nums)...)
	return freed, orNil(err, "discharge revisions")
}

// destroyLoose destroys revisions that nobody is charged for, by their uploads, unless
// a link opens them; and uploads of which none is left.
func destroyLoose(ctx context.Context, tx *sql.Tx, loose map[int64][]int64, day int64) error {
	for _, num := range slices.Sorted(maps.Keys(loose)) {
		// Held, so that of two who destroy the last revisions, or end the link, at once
		// the second sees what the first left.
		if err := exec(ctx, tx, "take upload", `UPDATE upload SET state = state WHERE num = $1`, num); err != nil {
			return err
		}
		linked, err := exists(ctx, tx, `SELECT 1 FROM link WHERE upload = $1`, num)
		if err != nil {
			return fmt.Errorf("read link of upload: %w", err)
		}
		if linked {
			continue
		}
		for _, revision := range loose[num] {
			if err := exec(ctx, tx, "destroy extents", `DELETE FROM extent WHERE revision = $1`, revision); err != nil {
				return err
			}
			if err := exec(ctx, tx, "destroy revision", `DELETE FROM revision WHERE num = $1 AND charged = 0`, revision); err != nil {
				return err
			}
		}
		if err := orderAwayEmpty(ctx, tx, num, day); err != nil {
			return err
		}
	}
	return nil
}

// orderAwayEmpty destroys an upload without revisions, and orders it away at its nodes.
func orderAwayEmpty(ctx context.Context, tx *sql.Tx, num, day int64) error {
	left, err := exists(ctx, tx, `SELECT 1 FROM revision WHERE upload = $1 LIMIT 1`, num)
	if err != nil {
		return fmt.Errorf("read revisions of upload: %w", err)
	}
	if left {
		return nil
	}
	var raw []byte
	var upload id.Upload
	if err := tx.QueryRowContext(ctx, `SELECT id FROM upload WHERE num = $1`, num).Scan(&raw); err != nil {
		return fmt.Errorf("read upload: %w", err)
	}
	if err := fixed(upload[:], raw); err != nil {
		return err
	}
	nodes, err := chainNodes(ctx, tx, num)
	if err != nil {
		return err
	}
	if err := enqueueDelete(ctx, tx, upload, nodes, day); err != nil {
		return err
	}
	return destroyUpload(ctx, tx, num)
}

// Readable implements drive.Tx. From the folders that hold the revision it goes up to
// roots of the account's own and to folders that it was granted, which must lie in one.
func (r driveReader) Readable(ctx context.Context, revision id.Revision) (bool, error) {
	readable := false
	var granted []int64
	err := r.each(ctx, func(scan func(...any) error) error {
		var num int64
		var own bool
		if err := scan(&num, &own); err != nil {
			return err
		}
		readable = readable || own
		granted = append(granted, num)
		return nil
	}, `WITH RECURSIVE up (num, parent) AS (
			SELECT f.num, f.parent FROM revision r JOIN folder_hold h ON h.revision = r.num JOIN folder f ON f.num = h.folder WHERE r.id = $1
			UNION SELECT f.num, f.parent FROM up JOIN folder f ON f.num = up.parent)
		SELECT f.num, f.state = 1 AND d.num IS NOT NULL FROM up JOIN folder f ON f.num = up.num
			LEFT JOIN drive d ON d.num = f.drive AND d.account = $2 LEFT JOIN folder_grant g ON g.folder = f.num AND g.account = $2
			WHERE g.role > 0 OR f.state = 1 AND d.num IS NOT NULL`, revision[:], r.account[:])
	if err != nil {
		return false, fmt.Errorf("look for revision: %w", err)
	}
	for _, folder := range granted {
		if readable {
			break
		}
		depth, err := r.Depth(ctx, folder)
		if err != nil {
			return false, err
		}
		readable = depth > 0
	}
	return readable, nil
}
