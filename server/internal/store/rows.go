package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"holdfast/format/id"
)

// each runs a query and calls f for every row.
func each(ctx context.Context, q queryer, f func(scan func(...any) error) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	return scanAll(rows, f)
}

func scanAll(rows *sql.Rows, f func(scan func(...any) error) error) error {
	defer rows.Close() // Err tells what went wrong
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// exec runs one statement.
func exec(ctx context.Context, tx *sql.Tx, what, query string, args ...any) error {
	if _, err := tx.ExecContext(ctx, query, args...); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// fixed copies a column of a fixed length.
func fixed(dst, column []byte) error {
	if len(column) != len(dst) {
		return fmt.Errorf("a column of %d bytes where %d are expected: the database is damaged", len(column), len(dst))
	}
	copy(dst, column)
	return nil
}

func nodeIDs(ctx context.Context, q queryer, query string, args ...any) ([]id.Node, error) {
	var nodes []id.Node
	err := each(ctx, q, func(scan func(...any) error) error {
		var raw []byte
		if err := scan(&raw); err != nil {
			return err
		}
		nodes = append(nodes, id.Node{})
		return fixed(nodes[len(nodes)-1][:], raw)
	}, query, args...)
	return nodes, err
}

// numbers are the rows of a query for one number.
func numbers(ctx context.Context, q queryer, query string, args ...any) ([]int64, error) {
	var all []int64
	err := each(ctx, q, func(scan func(...any) error) error {
		var num int64
		err := scan(&num)
		all = append(all, num)
		return err
	}, query, args...)
	return all, err
}

// rows turns a statement that inserts one row into one that inserts n.
func rows(insert string, n int) string {
	before, rest, _ := strings.Cut(insert, "VALUES (")
	row, after, _ := strings.Cut(rest, ")")
	columns := strings.Count(row, "$")
	var b strings.Builder
	b.WriteString(before + "VALUES ")
	for i := range n * columns {
		switch {
		case i == 0:
			b.WriteString("(")
		case i%columns == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", i+1)
	}
	return b.String() + ")" + after
}
