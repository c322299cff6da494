package store

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"holdfast/format/id"
	"holdfast/server/internal/fleet"
)

var _ fleet.Store = (*Store)(nil)

// States of rows of node.
const (
	nodeMember  = 1
	nodeRemoved = 2
)

// Members implements fleet.Store.
func (s *Store) Members(ctx context.Context) ([]fleet.Member, error) {
	var members []fleet.Member
	err := s.read(ctx, func(q queryer) error {
		members = nil
		return each(ctx, q, func(scan func(...any) error) error {
			m, err := scanMember(scan)
			members = append(members, m)
			return err
		}, `SELECT id, state, declaration, superseded, place, joined_day, wiped_day,
			seen_at, told_at, used, capacity, read_only, held, program, done_epoch, done_number, done_at FROM node ORDER BY num`)
	})
	if err != nil {
		return nil, fmt.Errorf("read nodes: %w", err)
	}
	return members, nil
}

func scanMember(scan func(...any) error) (fleet.Member, error) {
	var m fleet.Member
	var node, superseded []byte
	var state int
	err := scan(&node, &state, &m.Declaration, &superseded, &m.Place, &m.JoinedDay, &m.WipedDay,
		&m.Beat.SeenAt, &m.Beat.ToldAt, &m.Beat.Used, &m.Beat.Capacity, &m.Beat.ReadOnly, &m.Beat.Held, &m.Beat.Program, &m.Done.Epoch, &m.Done.Number, &m.DoneAt)
	if err != nil {
		return m, err
	}
	if err := fixed(m.Node[:], node); err != nil {
		return m, err
	}
	m.Beat.Node = m.Node
	m.Removed = state == nodeRemoved
	for ; len(superseded) > 0; superseded = superseded[sha256.Size:] {
		if len(superseded) < sha256.Size {
			return m, fixed(make([]byte, sha256.Size), superseded)
		}
		m.Superseded = append(m.Superseded, [sha256.Size]byte(superseded))
	}
	return m, nil
}

func joined(digests [][sha256.Size]byte) []byte {
	all := []byte{} // not nil, which would be NULL
	for _, d := range digests {
		all = append(all, d[:]...)
	}
	return all
}

// AddInvite implements fleet.Store.
func (s *Store) AddInvite(ctx context.Context, invite fleet.Invitation, now time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if err := exec(ctx, tx, "forget invites", `DELETE FROM invite WHERE expires <= $1`, now.Unix()); err != nil {
			return err
		}
		return exec(ctx, tx, "store invite", `INSERT INTO invite (hash, expires) VALUES ($1, $2)`, invite.Hash[:], invite.Expires.Unix())
	})
}

// AdmitNode implements fleet.Store.
func (s *Store) AdmitNode(ctx context.Context, m fleet.Member, invite [sha256.Size]byte, now time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		known, err := exists(ctx, tx, `SELECT 1 FROM node WHERE id = $1`, m.Node[:])
		if err != nil {
			return fmt.Errorf("admit node: %w", err)
		}
		if known {
			return fleet.ErrKnown
		}
		if err := useInvite(ctx, tx, invite, now); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO node (id, declaration, superseded, place, joined_day) VALUES ($1, $2, $3, $4, $5)`,
			m.Node[:], m.Declaration, joined(m.Superseded), m.Place, m.JoinedDay)
		return placeError("admit node", err)
	})
}

// useInvite deletes the invite with that hash. It compares with every invite
// that there is, so that the time it takes says nothing about any of them.
func useInvite(ctx context.Context, tx *sql.Tx, invite [sha256.Size]byte, now time.Time) error {
	found := 0
	err := each(ctx, tx, func(scan func(...any) error) error {
		var hash []byte
		if err := scan(&hash); err != nil {
			return err
		}
		found |= subtle.ConstantTimeCompare(hash, invite[:])
		return nil
	}, `SELECT hash FROM invite WHERE expires > $1`, now.Unix())
	if err != nil {
		return fmt.Errorf("read invites: %w", err)
	}
	if found == 0 {
		return fleet.ErrInvite
	}
	deleted, err := affected(tx.ExecContext(ctx, `DELETE FROM invite WHERE hash = $1`, invite[:]))
	if err != nil {
		return fmt.Errorf("use invite: %w", err)
	}
	if deleted != 1 {
		return fleet.ErrInvite // another transaction was first
	}
	return nil
}

// RenewNode implements fleet.Store.
func (s *Store) RenewNode(ctx context.Context, m fleet.Member, before []byte) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		changed, err := affected(tx.ExecContext(ctx, `UPDATE node SET declaration = $1, superseded = $2, place = $3
			WHERE id = $4 AND state = $5 AND declaration = $6`, m.Declaration, joined(m.Superseded), m.Place, m.Node[:], nodeMember, before))
		if err := placeError("renew node", err); err != nil {
			return err
		}
		if changed == 1 {
			return nil
		}
		member, err := exists(ctx, tx, `SELECT 1 FROM node WHERE id = $1 AND state = $2`, m.Node[:], nodeMember)
		if err != nil {
			return fmt.Errorf("renew node: %w", err)
		}
		if !member {
			return fleet.ErrUnknownNode
		}
		return fleet.ErrChanged
	})
}

// placeError tells a URL that is taken from other errors: of what a node's row
// holds, only its id, which was looked up before, and its place are unique.
func placeError(operation string, err error) error {
	switch {
	case err == nil:
		return nil
	case unique(err):
		return fleet.ErrPlaceTaken
	}
	return fmt.Errorf("%s: %w", operation, err)
}

// RemoveNode implements fleet.Store.
func (s *Store) RemoveNode(ctx context.Context, node id.Node) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		changed, err := affected(tx.ExecContext(ctx, `UPDATE node SET state = $1 WHERE id = $2 AND state = $3`, nodeRemoved, node[:], nodeMember))
		if err != nil {
			return fmt.Errorf("remove node: %w", err)
		}
		if changed == 0 {
			return fleet.ErrUnknownNode
		}
		return exec(ctx, tx, "drop orders", `DELETE FROM node_order WHERE node IN (SELECT num FROM node WHERE id = $1)`, node[:])
	})
}

// SaveBeats implements fleet.Store.
func (s *Store) SaveBeats(ctx context.Context, beats []fleet.Beat, now time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		for _, b := range beats {
			if err := exec(ctx, tx, "store heartbeat", `UPDATE node SET seen_at = $1, told_at = $2, used = $3, capacity = $4, read_only = $5, held = $6, program = $7
				WHERE id = $8 AND (seen_at <= $1 OR seen_at > $9)`,
				b.SeenAt, b.ToldAt, b.Used, b.Capacity, number(b.ReadOnly), number(b.Held), b.Program, b.Node[:], now.Unix()); err != nil {
				return err
			}
		}
		return nil
	})
}

// number is a truth as a SMALLINT.
func number(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

func exists(ctx context.Context, tx *sql.Tx, query string, args ...any) (bool, error) {
	var one int
	err := tx.QueryRowContext(ctx, query, args...).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func affected(result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
