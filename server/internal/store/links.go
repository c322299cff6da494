package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"holdfast/format/id"
	"holdfast/server/internal/share"
)

var _ share.Store = (*Store)(nil)

const linkColumns = `l.num, l.state, l.manage, u.id, l.auth, l.record, l.listing, l.expires, l.download_limit, l.downloads, l.bytes, l.ended_day, l.upload, k.folder, f.id, d.account, k.body IS NOT NULL`

const linkTables = `link l LEFT JOIN upload u ON u.num = l.upload LEFT JOIN drive_link k ON k.link = l.num
	LEFT JOIN folder f ON f.num = k.folder LEFT JOIN drive d ON d.num = k.drive`

// linkRow is a link with its row numbers.
type linkRow struct {
	share.Link
	num, upload int64
	folder      int64 // of a link to what is in a drive
}

func readLink(ctx context.Context, q queryer, handle id.Handle) (linkRow, error) {
	l := linkRow{Link: share.Link{Handle: handle}}
	var manage, upload, auth, listing, folder, owner []byte
	var uploadNum, folderNum sql.NullInt64
	var whole bool
	err := q.QueryRowContext(ctx, `SELECT `+linkColumns+` FROM `+linkTables+` WHERE l.handle = $1`, handle[:]).
		Scan(&l.num, &l.State, &manage, &upload, &auth, &l.Record, &listing, &l.Expires, &l.Limit, &l.Downloads, &l.Bytes, &l.EndedDay, &uploadNum,
			&folderNum, &folder, &owner, &whole)
	if errors.Is(err, sql.ErrNoRows) {
		return linkRow{}, share.ErrNotFound
	}
	if err == nil {
		err = fixed(l.Manage[:], manage)
	}
	if err == nil && l.State == share.Live {
		err = fixed(l.Auth[:], auth)
	}
	if err == nil && uploadNum.Valid {
		err = fixed(l.Upload[:], upload)
		l.upload = uploadNum.Int64
	}
	if err == nil && listing != nil {
		err = fixed(l.Listing[:], listing)
	}
	if err == nil && folderNum.Valid {
		l.folder, l.Drive = folderNum.Int64, &share.InDrive{Whole: whole}
		err = errors.Join(fixed(l.Drive.Folder[:], folder), fixed(l.Drive.Owner[:], owner))
	}
	if err != nil {
		return linkRow{}, fmt.Errorf("read link: %w", err)
	}
	if l.Drive != nil {
		if l.Drive.Lost, err = lost(ctx, q, l); err != nil {
			return linkRow{}, err
		}
	}
	return l, nil
}

// ReadLink implements share.Store.
func (s *Store) ReadLink(ctx context.Context, handle id.Handle, f func(share.Link, share.Reader) error) error {
	return s.read(ctx, func(q queryer) error {
		l, err := readLink(ctx, q, handle)
		if err != nil {
			return err
		}
		r, leave := newLinkReader(q, l)
		defer leave()
		return f(l.Link, r)
	})
}

func newLinkReader(q queryer, l linkRow) (r share.Reader, leave func()) {
	if l.Drive != nil {
		r := newDriveLinkReader(q, l)
		return r, r.close
	}
	plain := &linkReader{revisionReader: newRevisionReader(q), link: l}
	return plain, plain.close
}

// linkReader implements share.Reader.
type linkReader struct {
	revisionReader
	link linkRow
}

// Tries implements share.Reader.
func (r *linkReader) Tries(ctx context.Context) (int64, error) {
	return readTries(ctx, r.q, r.link.Handle)
}

func readTries(ctx context.Context, q queryer, handle id.Handle) (free int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT free FROM link_failure WHERE handle = $1`, handle[:]).Scan(&free)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("read tries: %w", err)
	}
	return free, nil
}

// Session implements share.Reader.
func (r *linkReader) Session(ctx context.Context, hash [32]byte) (int64, error) {
	return readSession(ctx, r.q, r.link.num, hash)
}

// readSession returns when a session of the link ends, 0 if there is none.
func readSession(ctx context.Context, q queryer, link int64, hash [32]byte) (ends int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT expires FROM link_session WHERE token = $1 AND link = $2`, hash[:], link).Scan(&ends)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("read session: %w", err)
	}
	return ends, nil
}

// Revisions implements share.Reader.
func (r *linkReader) Revisions(ctx context.Context, after int64, limit int) ([]share.Revision, error) {
	var out []share.Revision
	err := each(ctx, r.q, func(scan func(...any) error) error {
		rev, err := scanRevision(scan)
		out = append(out, rev)
		return err
	}, `SELECT `+revisionColumns+` FROM revision r WHERE r.upload = $1 AND r.num > $2 ORDER BY r.num LIMIT $3`, r.link.upload, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read revisions: %w", err)
	}
	return out, nil
}

// RevisionByID implements share.Reader.
func (r *linkReader) RevisionByID(ctx context.Context, revision id.Revision) (share.Revision, error) {
	row := r.q.QueryRowContext(ctx, `SELECT `+revisionColumns+` FROM revision r WHERE r.id = $1 AND r.upload = $2`, revision[:], r.link.upload)
	rev, err := scanRevision(row.Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return share.Revision{}, fmt.Errorf("%w: no revision %s in it", share.ErrNotFound, revision)
	}
	if err != nil {
		return share.Revision{}, fmt.Errorf("read revision: %w", err)
	}
	return rev, nil
}

// Holders implements share.Reader.
func (r *linkReader) Holders(ctx context.Context) ([]id.Node, error) {
	nodes, err := nodeIDs(ctx, r.q, `SELECT n.id FROM upload_chain_node c JOIN node n ON n.num = c.node WHERE c.upload = $1 AND c.holds = 1 ORDER BY n.num`, r.link.upload)
	if err != nil {
		return nil, fmt.Errorf("read holders: %w", err)
	}
	return nodes, nil
}

// FailLink implements share.Store.
func (s *Store) FailLink(ctx context.Context, handle id.Handle, change func(int64) (int64, error)) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		var free int64 // read by a change of the row, so that nobody else reads the same
		err := tx.QueryRowContext(ctx, `INSERT INTO link_failure (handle, free) VALUES ($1, 0)
			ON CONFLICT (handle) DO UPDATE SET free = link_failure.free RETURNING free`, handle[:]).Scan(&free)
		if err != nil {
			return fmt.Errorf("read tries: %w", err)
		}
		if free, err = change(free); err != nil {
			return err
		}
		return exec(ctx, tx, "count failure", `UPDATE link_failure SET free = $2 WHERE handle = $1`, handle[:], free)
	})
}

// StartSession implements share.Store.
func (s *Store) StartSession(ctx context.Context, handle id.Handle, session share.Session, now int64, most int) (l share.Link, ends int64, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		row, err := readLink(ctx, tx, handle)
		if err != nil {
			return err
		}
		if err := row.Stands(now); err != nil {
			return err
		}
		added, err := addSession(ctx, tx, row.num, session, now)
		if err != nil {
			return err
		}
		if added {
			err = countDownload(ctx, tx, row.num, now)
		}
		if err == nil && added {
			err = endOldest(ctx, tx, row.num, session, now, most)
		}
		if err != nil {
			return err
		}
		if row, err = readLink(ctx, tx, handle); err != nil {
			return err
		}
		l = row.Link
		ends, err = readSession(ctx, tx, row.num, session.Hash)
		return err
	})
	return l, ends, err
}

// addSession adds a session, unless it was started before and lives: then the
// answer was lost, or its owner goes on.
func addSession(ctx context.Context, tx *sql.Tx, link int64, session share.Session, now int64) (added bool, err error) {
	changed, err := affected(tx.ExecContext(ctx, `INSERT INTO link_session (token, link, expires) VALUES ($1, $2, $3)
		ON CONFLICT (token) DO UPDATE SET expires = excluded.expires WHERE link_session.expires <= $4`, session.Hash[:], link, session.Expires, now))
	if err != nil {
		return false, fmt.Errorf("add session: %w", err)
	}
	return changed > 0, nil
}

// countDownload counts a download if the link, as it stands when it is counted,
// has one left.
func countDownload(ctx context.Context, tx *sql.Tx, link, now int64) error {
	counted, err := affected(tx.ExecContext(ctx, `UPDATE link SET downloads = downloads + 1
		WHERE num = $1 AND state = $2 AND (expires = 0 OR expires > $3) AND (download_limit = 0 OR downloads < download_limit)`, link, share.Live, now))
	if err != nil {
		return fmt.Errorf("count download: %w", err)
	}
	if counted == 1 {
		return nil
	}
	l := share.Link{}
	if err := tx.QueryRowContext(ctx, `SELECT state, expires FROM link WHERE num = $1`, link).Scan(&l.State, &l.Expires); err != nil {
		return fmt.Errorf("read link: %w", err)
	}
	if err := l.Stands(now); err != nil {
		return err
	}
	return share.ErrUsedUp
}

// endOldest ends the oldest of a link's living sessions beyond most, of which
// the one that was just added is one. The link's row was changed before, so that
// nobody adds another meanwhile.
func endOldest(ctx context.Context, tx *sql.Tx, link int64, added share.Session, now int64, most int) error {
	return exec(ctx, tx, "end oldest sessions", `DELETE FROM link_session WHERE token IN (
		SELECT token FROM link_session WHERE link = $1 AND expires > $2 AND token <> $3 ORDER BY expires DESC LIMIT $4 OFFSET $5)`,
		link, now, added.Hash[:], math.MaxInt32, most-1)
}

// EndLink implements share.Store.
func (s *Store) EndLink(ctx context.Context, handle id.Handle, state share.State, day int64) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		l, err := readLink(ctx, tx, handle)
		if err != nil || l.State != share.Live {
			return err
		}
		// First the link's own row: who starts a download is seen, or sees the end.
		ended, err := affected(tx.ExecContext(ctx, `UPDATE link SET state = $2, ended_day = $3, upload = NULL, auth = NULL, record = NULL, listing = NULL,
			expires = 0, download_limit = 0, downloads = 0, bytes = 0 WHERE num = $1 AND state = $4`, l.num, state, day, share.Live))
		if err != nil {
			return fmt.Errorf("end link: %w", err)
		}
		if ended == 0 {
			return nil // somebody was faster, with a reason that stays
		}
		if err := exec(ctx, tx, "destroy sessions", `DELETE FROM link_session WHERE link = $1`, l.num); err != nil {
			return err
		}
		if err := exec(ctx, tx, "destroy tries", `DELETE FROM link_failure WHERE handle = $1`, handle[:]); err != nil {
			return err
		}
		if l.Drive != nil {
			return forgetDriveLink(ctx, tx, l.num) // nothing is destroyed: folders hold it
		}
		return destroyUnheld(ctx, tx, l.upload, day)
	})
}

// destroyUnheld destroys what an upload brought whose link ended, but for revisions that
// folders hold, and orders it away when that is everything.
func destroyUnheld(ctx context.Context, tx *sql.Tx, num, day int64) error {
	// Held, so that of two who release the last revision and end the link at once the
	// second sees what the first left.
	if err := exec(ctx, tx, "take upload", `UPDATE upload SET state = state WHERE num = $1`, num); err != nil {
		return err
	}
	for _, step := range []struct{ what, query string }{
		{"destroy extents", `DELETE FROM extent WHERE revision IN (SELECT num FROM revision WHERE upload = $1 AND charged = 0)`},
		{"destroy revisions", `DELETE FROM revision WHERE upload = $1 AND charged = 0`},
	} {
		if err := exec(ctx, tx, step.what, step.query, num); err != nil {
			return err
		}
	}
	return orderAwayEmpty(ctx, tx, num, day)
}

// destroyUpload destroys a committed upload with all that it brought.
func destroyUpload(ctx context.Context, tx *sql.Tx, num int64) error {
	for _, step := range []struct{ what, query string }{
		{"destroy extents", `DELETE FROM extent WHERE revision IN (SELECT num FROM revision WHERE upload = $1)`},
		{"destroy revisions", `DELETE FROM revision WHERE upload = $1`},
		{"destroy copies", `DELETE FROM copy WHERE blob IN (SELECT num FROM blob WHERE upload = $1)`},
		{"destroy blobs", `DELETE FROM blob WHERE upload = $1`},
		{"destroy chains", `DELETE FROM upload_chain_node WHERE upload = $1`},
		{"destroy upload", `DELETE FROM upload WHERE num = $1`},
	} {
		if err := exec(ctx, tx, step.what, step.query, num); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) handles(ctx context.Context, query string, args ...any) (out []id.Handle, err error) {
	err = s.read(ctx, func(q queryer) error {
		out = nil
		return each(ctx, q, func(scan func(...any) error) error {
			var raw []byte
			if err := scan(&raw); err != nil {
				return err
			}
			out = append(out, id.Handle{})
			return fixed(out[len(out)-1][:], raw)
		}, query, args...)
	})
	return out, err
}

// ExpiredLinks implements share.Store.
func (s *Store) ExpiredLinks(ctx context.Context, now int64, limit int) ([]id.Handle, error) {
	return s.handles(ctx, `SELECT handle FROM link WHERE state = 1 AND expires > 0 AND expires <= $1 ORDER BY expires LIMIT $2`, now, limit)
}

// SpentLinks implements share.Store.
func (s *Store) SpentLinks(ctx context.Context, now int64, limit int) ([]id.Handle, error) {
	return s.handles(ctx, `SELECT l.handle FROM link l WHERE l.state = 1 AND l.download_limit > 0 AND l.downloads >= l.download_limit
		AND NOT EXISTS (SELECT 1 FROM link_session s WHERE s.link = l.num AND s.expires > $1) ORDER BY l.num LIMIT $2`, now, limit)
}

// DropSessions implements share.Store.
func (s *Store) DropSessions(ctx context.Context, now int64, limit int) (int, error) {
	return s.drop(ctx, "drop sessions",
		`DELETE FROM link_session WHERE token IN (SELECT token FROM link_session WHERE expires <= $1 LIMIT $2)`, now, limit)
}

// DropTries implements share.Store.
func (s *Store) DropTries(ctx context.Context, now int64, limit int) (int, error) {
	return s.drop(ctx, "drop tries",
		`DELETE FROM link_failure WHERE handle IN (SELECT handle FROM link_failure WHERE free <= $1 LIMIT $2)`, now, limit)
}

func (s *Store) drop(ctx context.Context, what, query string, args ...any) (n int, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		dropped, err := result.RowsAffected()
		n = int(dropped)
		return err
	})
	return n, err
}
