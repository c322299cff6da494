package store

import (
	"context"
	"database/sql"
	"fmt"

	"holdfast/format/id"
	"holdfast/server/internal/share"
)

// revisionReader is the half of a share.Source that is the same for links and folders.
type revisionReader struct {
	q queryer
	// prepared are statements that a page of revisions runs thousands of times.
	prepared map[string]*sql.Stmt
}

func newRevisionReader(q queryer) revisionReader {
	return revisionReader{q: q, prepared: map[string]*sql.Stmt{}}
}

func (r revisionReader) close() {
	for _, stmt := range r.prepared {
		stmt.Close() // ends with the transaction in any case
	}
}

// each is each with a statement that is prepared once.
func (r revisionReader) each(ctx context.Context, f func(scan func(...any) error) error, query string, args ...any) error {
	stmt := r.prepared[query]
	if stmt == nil {
		var err error
		if stmt, err = r.q.PrepareContext(ctx, query); err != nil {
			return err
		}
		r.prepared[query] = stmt
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	return scanAll(rows, f)
}

const revisionColumns = `r.num, r.id, r.release_key, r.commitment, r.root, r.salt, r.prefix, r.length, r.extents`

func scanRevision(scan func(...any) error) (share.Revision, error) {
	var r share.Revision
	var raw [6][]byte
	if err := scan(&r.Position, &raw[0], &raw[1], &raw[2], &raw[3], &raw[4], &raw[5], &r.Length, &r.Count); err != nil {
		return share.Revision{}, err
	}
	for i, dst := range [][]byte{r.ID[:], r.ReleaseKey[:], r.Commitment[:], r.Root[:], r.Salt[:], r.Prefix[:]} {
		if err := fixed(dst, raw[i]); err != nil {
			return share.Revision{}, err
		}
	}
	return r, nil
}

// Extents implements share.Source.
func (r revisionReader) Extents(ctx context.Context, rev share.Revision, from, limit int) ([]share.Extent, error) {
	var out []share.Extent
	err := r.each(ctx, func(scan func(...any) error) error {
		var e share.Extent
		var upload, name []byte
		if err := scan(&e.Offset, &e.Length, &e.Blob.Key, &upload, &name, &e.Blob.Size); err != nil {
			return err
		}
		if err := fixed(e.Blob.Upload[:], upload); err != nil {
			return err
		}
		err := fixed(e.Blob.Name[:], name)
		out = append(out, e)
		return err
	}, `SELECT e.start, e.length, b.num, u.id, b.name, b.size FROM extent e JOIN blob b ON b.num = e.blob JOIN upload u ON u.num = b.upload
		WHERE e.revision = $1 AND e.seq >= $2 ORDER BY e.seq LIMIT $3`, rev.Position, from, limit)
	if err != nil {
		return nil, fmt.Errorf("read extents: %w", err)
	}
	return out, nil
}

// Copies implements share.Source.
func (r revisionReader) Copies(ctx context.Context, b share.Blob) ([]id.Node, error) {
	nodes, err := nodeIDs(ctx, r.q, `SELECT n.id FROM copy c JOIN node n ON n.num = c.node WHERE c.blob = $1 AND c.state = $2 ORDER BY n.num`, b.Key, copyStored)
	if err != nil {
		return nil, fmt.Errorf("read copies: %w", err)
	}
	return nodes, nil
}
