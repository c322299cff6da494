package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"holdfast/format/id"
	"holdfast/server/internal/drive"
	"holdfast/server/internal/upload"
)

var _ drive.Store = (*Store)(nil)

// States of a folder.
const (
	folderRoot    = 1
	folderInside  = 2
	folderDropped = 3
	folderGone    = 4
)

// CommitDrive implements drive.Store. Who writes holds the rows of all drives that the
// commit is about, so that they stay as they are: nothing in a drive is written
// without. What several drives share, a revision's row and its upload's, is held
// while it is counted. So no more than that is asked of the database.
func (s *Store) CommitDrive(ctx context.Context, account id.Account, f func(drive.Tx) error) error {
	return s.writeIn(ctx, s.dialect.commit, func(tx *sql.Tx) error {
		t := &driveTx{driveReader: newDriveReader(tx, account), tx: tx}
		defer t.close()
		return f(t)
	})
}

// driveTx implements drive.Tx.
type driveTx struct {
	driveReader
	tx      *sql.Tx
	uploads []*commitTx
	leave   []func() // of readers of links
}

func (t *driveTx) close() {
	t.driveReader.close()
	for _, u := range t.uploads {
		u.close()
	}
	for _, leave := range t.leave {
		leave()
	}
}

// driveOf is the number of an account's drive, which is made if need be; it is not held yet.
func driveOf(ctx context.Context, tx *sql.Tx, account id.Account) (num int64, err error) {
	const find = `SELECT num FROM drive WHERE account = $1`
	err = tx.QueryRowContext(ctx, find, account[:]).Scan(&num)
	if !errors.Is(err, sql.ErrNoRows) {
		return num, orNil(err, "find drive")
	}
	if _, err := accountNum(ctx, tx, account); err != nil {
		return 0, err
	}
	if err := exec(ctx, tx, "make drive", `INSERT INTO drive (account) VALUES ($1) ON CONFLICT (account) DO NOTHING`, account[:]); err != nil {
		return 0, err
	}
	return num, orNil(tx.QueryRowContext(ctx, find, account[:]).Scan(&num), "make drive")
}

// orNil says what was done when err is one.
func orNil(err error, what string) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// holdDrives takes rows of drives until the transaction ends, in one sequence everywhere.
func holdDrives(ctx context.Context, tx *sql.Tx, nums []int64) error {
	slices.Sort(nums)
	for _, num := range slices.Compact(nums) {
		if err := exec(ctx, tx, "take drive", `UPDATE drive SET bytes = bytes WHERE num = $1`, num); err != nil {
			return err
		}
	}
	return nil
}

// Take implements drive.Tx.
func (t *driveTx) Take(ctx context.Context, folders []id.Folder) (own int64, found map[id.Folder]drive.Folder, err error) {
	if own, err = driveOf(ctx, t.tx, t.account); err != nil {
		return 0, nil, err
	}
	nums := []int64{own}
	for _, folder := range folders {
		err := t.each(ctx, func(scan func(...any) error) error {
			var num int64
			err := scan(&num)
			nums = append(nums, num)
			return err
		}, `SELECT drive FROM folder WHERE id = $1`, folder[:])
		if err != nil {
			return 0, nil, fmt.Errorf("find drives: %w", err)
		}
	}
	if err := holdDrives(ctx, t.tx, nums); err != nil {
		return 0, nil, err
	}
	if own, err = driveOf(ctx, t.tx, t.account); err != nil { // that it was not erased meanwhile
		return 0, nil, err
	}
	found = make(map[id.Folder]drive.Folder, len(folders))
	for _, folder := range folders {
		f, known, err := t.Folder(ctx, folder)
		if err != nil {
			return 0, nil, err
		}
		if known {
			found[folder] = f
		}
	}
	return own, found, nil
}

// Upload implements drive.Tx.
func (t *driveTx) Upload(ctx context.Context, wanted id.Upload) (upload.Upload, upload.Tx, error) {
	num, err := lockOpen(ctx, t.tx, wanted)
	if err != nil {
		return upload.Upload{}, nil, err
	}
	_, u, err := readUpload(ctx, t.tx, wanted)
	if err != nil {
		return upload.Upload{}, nil, err
	}
	c := &commitTx{tx: t.tx, upload: num, nodes: map[id.Node]int64{}}
	t.uploads = append(t.uploads, c)
	return u, c, nil
}

// Done implements drive.Tx.
func (t *driveTx) Done(ctx context.Context, key id.Commit, a drive.Answer, day int64) error {
	return exec(ctx, t.tx, "keep answer", `INSERT INTO drive_answer (drive, key, day, digest, answer)
		SELECT num, $2, $3, $4, $5 FROM drive WHERE account = $1`, t.account[:], key[:], day, a.Digest, a.Answer)
}

// Charge implements drive.Tx.
func (t *driveTx) Charge(ctx context.Context, num, bytes, journals, quota, most int64) error {
	var all, kept int64
	err := t.tx.QueryRowContext(ctx, `UPDATE drive SET bytes = bytes + $2, journals = journals + $3 WHERE num = $1 RETURNING bytes + reserved, journals`,
		num, bytes, journals).Scan(&all, &kept)
	switch {
	case err != nil:
		return fmt.Errorf("charge drive: %w", err)
	case bytes > 0 && all > quota:
		return fmt.Errorf("%w: %d bytes in all, at most %d", drive.ErrQuota, all, quota)
	case journals > 0 && kept > most:
		return fmt.Errorf("%w: journals of %d bytes in all, at most %d", drive.ErrOverLimit, kept, most)
	}
	return nil
}

// reserveInDrive counts what an upload for a drive reserves there.
func reserveInDrive(ctx context.Context, tx *sql.Tx, num, bytes, quota int64) error {
	counted, err := affected(tx.ExecContext(ctx, `UPDATE drive SET reserved = reserved + $2 WHERE num = $1 AND bytes + reserved + $2 <= $3`, num, bytes, quota))
	if err != nil {
		return fmt.Errorf("reserve in drive: %w", err)
	}
	if counted == 0 {
		return fmt.Errorf("%w: %d bytes more, %d in all", upload.ErrQuota, bytes, quota)
	}
	return nil
}

// leaveDrive ends what an upload that closes reserves in its drive, if it is for one.
func leaveDrive(ctx context.Context, tx *sql.Tx, upload int64) error {
	if err := exec(ctx, tx, "end reservation in drive", `UPDATE drive SET reserved = reserved - (SELECT budget FROM upload WHERE num = $1)
		WHERE num = (SELECT drive FROM upload WHERE num = $1)`, upload); err != nil {
		return err
	}
	return exec(ctx, tx, "end reservation in drive", `UPDATE upload SET drive = NULL WHERE num = $1`, upload)
}

// ForgetAnswers implements drive.Store.
func (s *Store) ForgetAnswers(ctx context.Context, before int64, limit int) (int, error) {
	return s.drop(ctx, "forget answers", `DELETE FROM drive_answer WHERE (drive, key) IN (SELECT drive, key FROM drive_answer WHERE day < $1 LIMIT $2)`, before, limit)
}
