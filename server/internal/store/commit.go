package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"holdfast/format/id"
	"holdfast/server/internal/share"
	"holdfast/server/internal/upload"
)

// States of a copy.
const (
	copyStored = 1
	copyWanted = 2
)

// anyNode stands for the node of a wanted copy that is not chosen yet.
const anyNode = 0

// CommitUpload implements upload.Store.
func (s *Store) CommitUpload(ctx context.Context, wanted id.Upload, f func(upload.Upload, upload.Tx) error) error {
	return s.writeIn(ctx, s.dialect.commit, func(tx *sql.Tx) error {
		// The same commit may come twice at once: the second one waits here, and then
		// sees that the upload is committed.
		if err := exec(ctx, tx, "take upload", `UPDATE upload SET state = state WHERE id = $1`, wanted[:]); err != nil {
			return err
		}
		num, u, err := readUpload(ctx, tx, wanted)
		if err != nil {
			return err
		}
		c := &commitTx{tx: tx, upload: num, nodes: map[id.Node]int64{}}
		defer c.close()
		if err := f(u, c); err != nil {
			return err
		}
		return c.flush(ctx)
	})
}

// commitTx implements upload.Tx.
type commitTx struct {
	tx     *sql.Tx
	upload int64
	blobs  []int64 // row numbers of blobs by their number in the upload
	nodes  map[id.Node]int64
	// waiting are revisions that are inserted together, each as it was when added.
	waiting []upload.Revision

	addBlob, addCopy *sql.Stmt
}

// together is how many rows are inserted at once: one by one, a large commit
// would spend its time on the way to the database and back. SQLite's driver finds
// parameters by going through all of them, so that many more take longer again.
const together = 20

// prepare makes a statement on its first use: large commits run it very often.
func (c *commitTx) prepare(ctx context.Context, stmt **sql.Stmt, query string) (err error) {
	if *stmt == nil {
		*stmt, err = c.tx.PrepareContext(ctx, query)
	}
	return err
}

func (c *commitTx) close() {
	for _, stmt := range []*sql.Stmt{c.addBlob, c.addCopy} {
		if stmt != nil {
			stmt.Close() // ends with the transaction in any case
		}
	}
}

func (c *commitTx) node(ctx context.Context, node id.Node) (int64, error) {
	if num, ok := c.nodes[node]; ok {
		return num, nil
	}
	num, err := nodeNumber(ctx, c.tx, node)
	c.nodes[node] = num
	return num, err
}

// Page implements upload.Tx.
func (c *commitTx) Page(ctx context.Context, page int) ([]byte, error) {
	var body []byte
	err := c.tx.QueryRowContext(ctx, `SELECT body FROM staged_page WHERE upload = $1 AND page = $2`, c.upload, page).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, upload.ErrPageMissing
	}
	if err != nil {
		return nil, fmt.Errorf("read staged page: %w", err)
	}
	return body, nil
}

// AddBlob implements upload.Tx.
func (c *commitTx) AddBlob(ctx context.Context, b upload.Blob) error {
	err := c.prepare(ctx, &c.addBlob, `INSERT INTO blob (upload, name, size) VALUES ($1, $2, $3) RETURNING num`)
	var num int64
	if err == nil {
		err = c.addBlob.QueryRowContext(ctx, c.upload, b.Name[:], b.Size).Scan(&num)
	}
	if unique(err) {
		return fmt.Errorf("%w: blob %s twice", upload.ErrRevision, b.Name)
	}
	if err != nil {
		return fmt.Errorf("insert blob: %w", err)
	}
	c.blobs = append(c.blobs, num)
	return nil
}

// AddCopies implements upload.Tx.
func (c *commitTx) AddCopies(ctx context.Context, blob int, nodes []id.Node, wanted int) error {
	if err := c.prepare(ctx, &c.addCopy, `INSERT INTO copy (blob, node, state) VALUES ($1, $2, $3)`); err != nil {
		return fmt.Errorf("insert copy: %w", err)
	}
	for _, node := range nodes {
		num, err := c.node(ctx, node)
		if err == nil {
			_, err = c.addCopy.ExecContext(ctx, c.blobs[blob], num, copyStored)
		}
		if err != nil {
			return fmt.Errorf("insert copy: %w", err)
		}
	}
	if wanted > 0 { // one row says that it is; how many are wanted is the policy's
		if _, err := c.addCopy.ExecContext(ctx, c.blobs[blob], anyNode, copyWanted); err != nil {
			return fmt.Errorf("insert wanted copy: %w", err)
		}
	}
	return nil
}

// AddRevision implements upload.Tx.
func (c *commitTx) AddRevision(ctx context.Context, r *upload.Revision) error {
	c.waiting = append(c.waiting, *r)
	if len(c.waiting) < together {
		return nil
	}
	return c.flush(ctx)
}

// flush inserts the revisions that wait, in their sequence.
func (c *commitTx) flush(ctx context.Context) error {
	if len(c.waiting) == 0 {
		return nil
	}
	var values []any
	for i := range c.waiting {
		r := &c.waiting[i]
		values = append(values, r.ID[:], c.upload, r.ReleaseKey[:], r.Commitment[:], r.Root[:], r.Salt[:], r.Prefix[:], r.Length, len(r.Extents))
	}
	nums := map[id.Revision]int64{}
	err := each(ctx, c.tx, func(scan func(...any) error) error {
		var num int64
		var raw []byte
		if err := scan(&num, &raw); err != nil {
			return err
		}
		var revision id.Revision
		err := fixed(revision[:], raw)
		nums[revision] = num
		return err
	}, rows(`INSERT INTO revision (id, upload, release_key, commitment, root, salt, prefix, length, extents)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING num, id`, len(c.waiting)), values...)
	if unique(err) {
		return fmt.Errorf("%w: the id of one of %d revisions from %s on is in use", upload.ErrRevision, len(c.waiting), c.waiting[0].ID)
	}
	if err != nil {
		return fmt.Errorf("insert revisions: %w", err)
	}
	if err := c.addExtents(ctx, nums); err != nil {
		return fmt.Errorf("insert extents: %w", err)
	}
	c.waiting = c.waiting[:0]
	return nil
}

func (c *commitTx) addExtents(ctx context.Context, nums map[id.Revision]int64) error {
	var values []any
	const columns = 5
	insert := func() error {
		if len(values) == 0 {
			return nil
		}
		_, err := c.tx.ExecContext(ctx, rows(`INSERT INTO extent (revision, seq, blob, start, length) VALUES ($1, $2, $3, $4, $5)`, len(values)/columns), values...)
		values = values[:0]
		return err
	}
	for i := range c.waiting {
		for seq, e := range c.waiting[i].Extents {
			values = append(values, nums[c.waiting[i].ID], seq, c.blobs[e.Blob], e.Offset, e.Length)
			if len(values) < together*columns {
				continue
			}
			if err := insert(); err != nil {
				return err
			}
		}
	}
	return insert()
}

// AddLink implements upload.Tx.
func (c *commitTx) AddLink(ctx context.Context, l share.Link) error {
	var listing []byte
	if !l.Listing.IsZero() {
		listing = l.Listing[:]
	}
	_, err := c.tx.ExecContext(ctx, `INSERT INTO link (handle, manage, state, upload, auth, record, listing, expires, download_limit, bytes)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		l.Handle[:], l.Manage[:], share.Live, c.upload, l.Auth[:], l.Record, listing, l.Expires, l.Limit, l.Bytes)
	if unique(err) {
		return upload.ErrLinkExists
	}
	if err != nil {
		return fmt.Errorf("insert link: %w", err)
	}
	return nil
}

// Close implements upload.Tx. Of the chains one row a node is left: where it
// stood matters no more.
func (c *commitTx) Close(ctx context.Context, day int64, digest, answer []byte, holders []id.Node) error {
	if err := c.flush(ctx); err != nil {
		return err
	}
	if err := leaveDrive(ctx, c.tx, c.upload); err != nil {
		return err
	}
	nodes, err := chainNodes(ctx, c.tx, c.upload)
	if err != nil {
		return err
	}
	if err := exec(ctx, c.tx, "drop chains", `DELETE FROM upload_chain_node WHERE upload = $1`, c.upload); err != nil {
		return err
	}
	for place, node := range nodes {
		num, err := c.node(ctx, node)
		if err != nil {
			return err
		}
		holds := 0
		if slices.Contains(holders, node) {
			holds = 1
		}
		if err := exec(ctx, c.tx, "note node", `INSERT INTO upload_chain_node (upload, chain, place, node, holds) VALUES ($1, 0, $2, $3, $4)`,
			c.upload, place, num, holds); err != nil {
			return err
		}
	}
	if err := unstage(ctx, c.tx, c.upload); err != nil {
		return err
	}
	if err := release(ctx, c.tx, c.upload); err != nil {
		return err
	}
	return exec(ctx, c.tx, "close upload", `UPDATE upload SET state = $2, closes_at = 0, closed_day = $3, digest = $4, answer = $5 WHERE num = $1`,
		c.upload, upload.Committed, day, digest, answer)
}
