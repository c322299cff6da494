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
	"holdfast/server/internal/upload"
)

// lost tells whether the owner of a link may not read any more what it opens.
func lost(ctx context.Context, q queryer, l linkRow) (bool, error) {
	r := newDriveLinkReader(q, l)
	defer r.close()
	if l.Drive.Whole {
		f, known, err := r.driveReader.Folder(ctx, l.Drive.Folder)
		return !known || f.Role < journal.Reads, err
	}
	revisions, err := r.named(ctx)
	if err != nil {
		return false, err
	}
	for _, revision := range revisions {
		readable, err := r.Readable(ctx, revision)
		if err != nil || readable {
			return false, err
		}
	}
	return true, nil
}

// driveLinkReader implements share.Reader for links to what is in a drive, as their
// owner sees it.
type driveLinkReader struct {
	driveReader
	link linkRow
}

func newDriveLinkReader(q queryer, l linkRow) *driveLinkReader {
	return &driveLinkReader{newDriveReader(q, l.Drive.Owner), l}
}

// Tries implements share.Reader.
func (r *driveLinkReader) Tries(ctx context.Context) (int64, error) {
	return readTries(ctx, r.q, r.link.Handle)
}

// Session implements share.Reader.
func (r *driveLinkReader) Session(ctx context.Context, hash [32]byte) (int64, error) {
	return readSession(ctx, r.q, r.link.num, hash)
}

func (r *driveLinkReader) named(ctx context.Context) (ids []id.Revision, err error) {
	err = r.each(ctx, func(scan func(...any) error) error {
		var raw []byte
		if err := scan(&raw); err != nil {
			return err
		}
		ids = append(ids, id.Revision{})
		return fixed(ids[len(ids)-1][:], raw)
	}, `SELECT revision FROM link_revision WHERE link = $1 ORDER BY revision`, r.link.num)
	return ids, orNil(err, "read revisions of link")
}

// Revisions implements share.Reader.
func (r *driveLinkReader) Revisions(ctx context.Context, after int64, limit int) ([]share.Revision, error) {
	if r.link.Drive.Whole {
		return nil, fmt.Errorf("%w: revisions of a folder are asked for by their ids", share.ErrRequest)
	}
	var all []share.Revision
	err := r.each(ctx, func(scan func(...any) error) error {
		rev, err := scanRevision(scan)
		all = append(all, rev)
		return err
	}, `SELECT `+revisionColumns+` FROM link_revision k JOIN revision r ON r.id = k.revision WHERE k.link = $1 AND r.num > $2 ORDER BY r.num LIMIT $3`,
		r.link.num, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read revisions of link: %w", err)
	}
	readable := all[:0]
	for _, rev := range all {
		may, err := r.Readable(ctx, rev.ID)
		if err != nil {
			return nil, err
		}
		if may {
			readable = append(readable, rev)
		}
	}
	return readable, nil
}

// RevisionByID implements share.Source: for a file, what its owner may still read; for a
// folder, what it or one below it holds.
func (r *driveLinkReader) RevisionByID(ctx context.Context, revision id.Revision) (share.Revision, error) {
	query, owner := `SELECT `+revisionColumns+` FROM revision r JOIN link_revision k ON k.revision = r.id WHERE r.id = $1 AND k.link = $2`, r.link.num
	if r.link.Drive.Whole {
		query, owner = `WITH RECURSIVE up (num, parent) AS (
				SELECT f.num, f.parent FROM revision r JOIN folder_hold h ON h.revision = r.num JOIN folder f ON f.num = h.folder WHERE r.id = $1
				UNION SELECT f.num, f.parent FROM up JOIN folder f ON f.num = up.parent)
			SELECT `+revisionColumns+` FROM revision r WHERE r.id = $1 AND EXISTS (SELECT 1 FROM up WHERE up.num = $2)`, r.link.folder
	}
	var found []share.Revision
	err := r.each(ctx, func(scan func(...any) error) error {
		rev, err := scanRevision(scan)
		found = append(found, rev)
		return err
	}, query, revision[:], owner)
	if err != nil {
		return share.Revision{}, fmt.Errorf("read revision: %w", err)
	}
	readable := len(found) > 0
	if readable && !r.link.Drive.Whole {
		if readable, err = r.Readable(ctx, revision); err != nil {
			return share.Revision{}, err
		}
	}
	if !readable {
		return share.Revision{}, fmt.Errorf("%w: no revision %s in it", share.ErrNotFound, revision)
	}
	return found[0], nil
}

// Holders implements share.Reader. Of a folder's link none are told: that would be a
// walk over all that lies below it.
func (r *driveLinkReader) Holders(ctx context.Context) ([]id.Node, error) {
	nodes, err := nodeIDs(ctx, r.q, `SELECT n.id FROM node n WHERE n.num IN (SELECT c.node FROM link_revision k JOIN revision r ON r.id = k.revision
		JOIN extent e ON e.revision = r.num JOIN copy c ON c.blob = e.blob WHERE k.link = $1 AND c.state = $2) ORDER BY n.num`, r.link.num, copyStored)
	return nodes, orNil(err, "read holders")
}

// linkFolders implements drive.Reader for a link to a folder.
type linkFolders struct {
	driveReader
	folder int64
}

// Folder implements drive.Reader: only the link's folder and those below it are anybody's,
// and only to be read.
func (r linkFolders) Folder(ctx context.Context, wanted id.Folder) (drive.Folder, bool, error) {
	f, known, err := r.driveReader.Folder(ctx, wanted)
	if err != nil || !known {
		return drive.Folder{}, false, err
	}
	var within int
	_, err = r.one(ctx, "read folders above", []any{&within}, `WITH RECURSIVE up (num, parent, depth) AS (
			SELECT num, parent, 1 FROM folder WHERE num = $1
			UNION ALL SELECT f.num, f.parent, up.depth + 1 FROM up JOIN folder f ON f.num = up.parent WHERE up.depth <= 300)
		SELECT COUNT(*) FROM up WHERE num = $2`, f.Key, r.folder)
	f.Role = min(f.Role, journal.Reads)
	if within == 0 {
		f.Role = journal.Nobody
	}
	return f, true, err
}

// ReadLinkFolders implements drive.Store.
func (s *Store) ReadLinkFolders(ctx context.Context, handle id.Handle, f func(share.Link, share.Reader, drive.Reader) error) error {
	return s.read(ctx, func(q queryer) error {
		l, err := readLink(ctx, q, handle)
		if err != nil {
			return err
		}
		if l.Drive == nil {
			r, leave := newLinkReader(q, l)
			defer leave()
			return f(l.Link, r, nil)
		}
		r := newDriveLinkReader(q, l)
		defer r.close()
		return f(l.Link, r, linkFolders{r.driveReader, l.folder})
	})
}

// Links implements drive.Reader.
func (r driveReader) Links(ctx context.Context, limit int) (all []drive.OwnLink, err error) {
	err = r.each(ctx, func(scan func(...any) error) error {
		var handle, folder []byte
		var l drive.OwnLink
		if err := scan(&handle, &folder, &l.Own, &l.Expires, &l.Downloads, &l.Limit); err != nil {
			return err
		}
		all = append(all, l)
		last := &all[len(all)-1]
		if err := fixed(last.Handle[:], handle); err != nil {
			return err
		}
		return fixed(last.Folder[:], folder)
	}, `SELECT l.handle, f.id, k.own, l.expires, l.downloads, l.download_limit FROM drive d JOIN drive_link k ON k.drive = d.num
		JOIN link l ON l.num = k.link JOIN folder f ON f.num = k.folder WHERE d.account = $1 ORDER BY k.link DESC LIMIT $2`, r.account[:], limit)
	return all, orNil(err, "list links")
}

// AddLink implements drive.Tx.
func (t *driveTx) AddLink(ctx context.Context, own, folder int64, l drive.NewLink, most int) error {
	var num int64
	err := t.tx.QueryRowContext(ctx, `INSERT INTO link (handle, manage, state, auth, record, expires, download_limit, bytes)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0) ON CONFLICT (handle) DO NOTHING RETURNING num`,
		l.Handle[:], l.Manage[:], share.Live, l.Auth[:], l.Record, l.Expires, l.Limit).Scan(&num)
	if errors.Is(err, sql.ErrNoRows) {
		return upload.ErrLinkExists
	}
	if err != nil {
		return fmt.Errorf("add link: %w", err)
	}
	var grant any // NULL for a link to a file
	if len(l.Grant) > 0 {
		grant = l.Grant
	}
	if err := exec(ctx, t.tx, "add link", `INSERT INTO drive_link (link, drive, folder, own, body) VALUES ($1, $2, $3, $4, $5)`,
		num, own, folder, l.Own, grant); err != nil {
		return err
	}
	for _, revision := range l.Revisions {
		if err := exec(ctx, t.tx, "add revision to link", `INSERT INTO link_revision (link, revision) VALUES ($1, $2)`, num, revision[:]); err != nil {
			return err
		}
	}
	var all int
	if err := t.tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM drive_link WHERE drive = $1`, own).Scan(&all); err != nil {
		return fmt.Errorf("count links: %w", err)
	}
	if all > most {
		return fmt.Errorf("%w: links of one account, at most %d", drive.ErrOverLimit, most)
	}
	return nil
}

// Link implements drive.Tx.
func (t *driveTx) Link(ctx context.Context, handle id.Handle) (share.Link, share.Reader, error) {
	if err := exec(ctx, t.tx, "take link", `UPDATE link SET state = state WHERE handle = $1`, handle[:]); err != nil {
		return share.Link{}, nil, err
	}
	l, err := readLink(ctx, t.tx, handle)
	if err != nil {
		return share.Link{}, nil, err
	}
	r, leave := newLinkReader(t.tx, l)
	t.leave = append(t.leave, leave)
	return l.Link, r, nil
}

// forgetDriveLink forgets what a link to what is in a drive opened.
func forgetDriveLink(ctx context.Context, tx *sql.Tx, link int64) error {
	if err := exec(ctx, tx, "forget link", `DELETE FROM link_revision WHERE link = $1`, link); err != nil {
		return err
	}
	return exec(ctx, tx, "forget link", `DELETE FROM drive_link WHERE link = $1`, link)
}

// eraseLinks ends all links of a drive whose account is erased.
func eraseLinks(ctx context.Context, tx *sql.Tx, num int64) error {
	const theirs = `(SELECT link FROM drive_link WHERE drive = $1)`
	for _, query := range []string{
		`DELETE FROM link_failure WHERE handle IN (SELECT handle FROM link WHERE num IN ` + theirs + `)`,
		`DELETE FROM link_session WHERE link IN ` + theirs,
		`DELETE FROM link_revision WHERE link IN ` + theirs,
		`UPDATE link SET state = 4, auth = NULL, record = NULL, expires = 0, download_limit = 0, downloads = 0 WHERE num IN ` + theirs,
		`DELETE FROM drive_link WHERE drive = $1`,
	} {
		if err := exec(ctx, tx, "erase links", query, num); err != nil {
			return err
		}
	}
	return nil
}
