package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/server/internal/drive"
	"holdfast/server/internal/share"
)

// ReadDrive implements drive.Store.
func (s *Store) ReadDrive(ctx context.Context, account id.Account, f func(drive.Reader) error) error {
	return s.read(ctx, func(q queryer) error {
		r := newDriveReader(q, account)
		defer r.close()
		return f(r)
	})
}

// driveReader implements drive.Reader, for an account.
type driveReader struct {
	revisionReader
	account id.Account
}

func newDriveReader(q queryer, account id.Account) driveReader {
	return driveReader{newRevisionReader(q), account}
}

// one is a query for one row at most, with a statement that is prepared once.
func (r driveReader) one(ctx context.Context, what string, into []any, query string, args ...any) (found bool, err error) {
	err = r.each(ctx, func(scan func(...any) error) error {
		found = true
		return scan(into...)
	}, query, args...)
	if err != nil {
		return false, fmt.Errorf("%s: %w", what, err)
	}
	return found, nil
}

// Folder implements drive.Reader.
func (r driveReader) Folder(ctx context.Context, wanted id.Folder) (f drive.Folder, known bool, err error) {
	var parent sql.NullInt64
	var hash, write, admin, owner []byte
	f.Chain.Folder = wanted
	known, err = r.one(ctx, "read folder", []any{&f.Key, &f.Drive, &parent, &f.Height, &f.Chain.Epoch, &f.Chain.Seq, &hash, &write, &admin, &owner},
		`SELECT f.num, f.drive, f.parent, f.height, f.epoch, f.seq, f.hash, f.write_key, f.admin_key, d.account
			FROM folder f LEFT JOIN drive d ON d.num = f.drive WHERE f.id = $1`, wanted[:])
	if err != nil || !known {
		return drive.Folder{}, false, err
	}
	f.Parent = parent.Int64
	if err := errors.Join(fixed(f.Chain.Hash[:], hash), fixed(f.Chain.Keys.Write[:], write), fixed(f.Chain.Keys.Admin[:], admin)); err != nil {
		return drive.Folder{}, false, fmt.Errorf("read folder: %w", err)
	}
	f.Depth, f.Role, err = r.above(ctx, f.Key)
	if f.Depth == 0 {
		f.Role = journal.Nobody
	} else if string(owner) == string(r.account[:]) {
		f.Role = journal.Admins
	}
	return f, true, err
}

// above goes from a folder up to its root: how many levels that is, 0 if it comes to
// none, and the highest role that grants give on the way. It goes no further than one
// folder more than may lie above one another (drive.MaxLevels).
func (r driveReader) above(ctx context.Context, folder int64) (depth int, role journal.Role, err error) {
	var rooted int
	_, err = r.one(ctx, "read folders above", []any{&depth, &rooted, &role}, `WITH RECURSIVE up (num, parent, state, depth) AS (
			SELECT num, parent, state, 1 FROM folder WHERE num = $1
			UNION ALL SELECT f.num, f.parent, f.state, up.depth + 1 FROM up JOIN folder f ON f.num = up.parent WHERE up.depth <= 300)
		SELECT COALESCE(MAX(up.depth), 0), COALESCE(MAX(CASE WHEN up.state = 1 THEN 1 ELSE 0 END), 0), COALESCE(MAX(g.role), 0)
			FROM up LEFT JOIN folder_grant g ON g.folder = up.num AND g.account = $2`, folder, r.account[:])
	if rooted == 0 {
		depth = 0
	}
	return depth, role, err
}

// Depth implements drive.Tx.
func (r driveReader) Depth(ctx context.Context, folder int64) (int, error) {
	depth, _, err := r.above(ctx, folder)
	return depth, err
}

// Answer implements drive.Reader.
func (r driveReader) Answer(ctx context.Context, key id.Commit) (a drive.Answer, known bool, err error) {
	known, err = r.one(ctx, "read answer", []any{&a.Digest, &a.Answer},
		`SELECT a.digest, a.answer FROM drive_answer a JOIN drive d ON d.num = a.drive WHERE d.account = $1 AND a.key = $2`, r.account[:], key[:])
	return a, known, err
}

// entriesAtOnce bounds how many entries one answer has.
const entriesAtOnce = 1 << 14

// Entries implements drive.Reader. Lengths come first: a database would send bodies
// that are not wanted.
func (r driveReader) Entries(ctx context.Context, f drive.Folder, after, room int64, must bool) ([][]byte, error) {
	last, full := after, false
	err := r.each(ctx, func(scan func(...any) error) error {
		var seq, length int64
		if err := scan(&seq, &length); err != nil || full {
			return err
		}
		if must && last == after {
			last = seq
			return nil
		}
		if full = length > room; !full {
			room -= length
			last = seq
		}
		return nil
	}, `SELECT seq, LENGTH(body) FROM folder_entry WHERE folder = $1 AND seq > $2 ORDER BY seq LIMIT $3`, f.Key, after, entriesAtOnce)
	if err != nil {
		return nil, fmt.Errorf("read entries: %w", err)
	}
	bodies, err := r.bodies(ctx, `SELECT body FROM folder_entry WHERE folder = $1 AND seq > $2 AND seq <= $3 ORDER BY seq`, f.Key, after, last)
	if err != nil {
		return nil, fmt.Errorf("read entries: %w", err)
	}
	return bodies, nil
}

func (r driveReader) bodies(ctx context.Context, query string, args ...any) (all [][]byte, err error) {
	err = r.each(ctx, func(scan func(...any) error) error {
		var body []byte
		err := scan(&body)
		all = append(all, body)
		return err
	}, query, args...)
	return all, err
}

// Checkpoint implements drive.Reader.
func (r driveReader) Checkpoint(ctx context.Context, f drive.Folder) (seq int64, pages []journal.Hash, err error) {
	var raw []byte
	known, err := r.one(ctx, "read checkpoint", []any{&seq, &raw}, `SELECT seq, pages FROM folder_checkpoint WHERE folder = $1`, f.Key)
	if err != nil || !known {
		return 0, nil, err
	}
	for ; len(raw) > 0; raw = raw[len(journal.Hash{}):] {
		if len(raw) < len(journal.Hash{}) {
			return 0, nil, errors.New("read checkpoint: part of a hash: the database is damaged")
		}
		pages = append(pages, journal.Hash(raw))
	}
	return seq, pages, nil
}

// Page implements drive.Reader.
func (r driveReader) Page(ctx context.Context, f drive.Folder, hash journal.Hash) (body []byte, err error) {
	known, err := r.one(ctx, "read page", []any{&body}, `SELECT body FROM checkpoint_page WHERE folder = $1 AND hash = $2 AND named = 1`, f.Key, hash[:])
	if err == nil && !known {
		err = fmt.Errorf("%w: a page of the checkpoint", drive.ErrNotFound)
	}
	return body, err
}

// Grants implements drive.Reader.
func (r driveReader) Grants(ctx context.Context, f drive.Folder, limit int) ([][]byte, error) {
	bodies, err := r.bodies(ctx, `SELECT body FROM folder_grant WHERE folder = $1 AND role > 0 ORDER BY account LIMIT $2`, f.Key, limit)
	if err != nil {
		return nil, fmt.Errorf("read grants: %w", err)
	}
	return bodies, nil
}

// Granted implements drive.Reader.
func (r driveReader) Granted(ctx context.Context, limit int) ([]drive.Granted, error) {
	var all []drive.Granted
	var keys []int64
	err := r.each(ctx, func(scan func(...any) error) error {
		var key int64
		var raw []byte
		var g drive.Granted
		if err := scan(&key, &raw, &g.Grant); err != nil {
			return err
		}
		keys, all = append(keys, key), append(all, g)
		return fixed(all[len(all)-1].Folder[:], raw)
	}, `SELECT f.num, f.id, g.body FROM folder_grant g JOIN folder f ON f.num = g.folder JOIN drive d ON d.num = f.drive
		WHERE g.account = $1 AND g.role > 0 AND (d.account IS NULL OR d.account <> $1) ORDER BY g.num DESC LIMIT $2`, r.account[:], limit)
	if err != nil {
		return nil, fmt.Errorf("read grants to account: %w", err)
	}
	standing := all[:0]
	for i, key := range keys {
		depth, err := r.Depth(ctx, key)
		if err != nil {
			return nil, err
		}
		if depth > 0 {
			standing = append(standing, all[i])
		}
	}
	return standing, nil
}

// Usage implements drive.Reader.
func (r driveReader) Usage(ctx context.Context) (u drive.Usage, err error) {
	_, err = r.one(ctx, "read usage", []any{&u.Bytes, &u.Reserved}, `SELECT bytes, reserved FROM drive WHERE account = $1`, r.account[:])
	return u, err
}

// Revisions implements drive.Reader.
func (r driveReader) Revisions(f drive.Folder) share.Source {
	return folderRevisions{r.revisionReader, f.Key}
}

// folderRevisions implements share.Source.
type folderRevisions struct {
	revisionReader
	folder int64
}

// RevisionByID implements share.Source.
func (r folderRevisions) RevisionByID(ctx context.Context, revision id.Revision) (share.Revision, error) {
	var found []share.Revision
	err := r.each(ctx, func(scan func(...any) error) error {
		rev, err := scanRevision(scan)
		found = append(found, rev)
		return err
	}, `SELECT `+revisionColumns+` FROM revision r JOIN folder_hold h ON h.revision = r.num AND h.folder = $2 WHERE r.id = $1`, revision[:], r.folder)
	if err != nil {
		return share.Revision{}, fmt.Errorf("read revision: %w", err)
	}
	if len(found) == 0 {
		return share.Revision{}, fmt.Errorf("%w: the folder holds no revision %s", drive.ErrNotFound, revision)
	}
	return found[0], nil
}
