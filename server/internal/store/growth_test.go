//go:build linux

package store

import (
	"testing"

	"holdfast/server/internal/servertest"
	"holdfast/server/internal/storetest"
)

// TestGrowth measures what a file takes in the database, with all indexes, at
// 1.2 blobs a file: at most 1,000 bytes when many are sent together, and what a
// link of its own adds.
func TestGrowth(t *testing.T) {
	pattern := []int64{2 << 20, 2 << 20, 2 << 20, 2 << 20, 12 << 20}
	var many []int64
	for range 600 {
		many = append(many, pattern...)
	}
	t.Run("sent together", func(t *testing.T) {
		if perFile := grown(t, 1, many); perFile > 1000 {
			t.Errorf("%d bytes a file, at most 1000 are allowed", perFile)
		}
	})
	t.Run("each with a link", func(t *testing.T) {
		const sends = 300
		// 1,000 for the file, 500 for link, sealed record (300 of them) and upload.
		if perFile := grown(t, sends, pattern[:1]); perFile > 1500 {
			t.Errorf("%d bytes a send of one file", perFile)
		}
	})
}

// grown is by how many bytes a file the database grows.
func grown(t *testing.T, sends int, sizes []int64) int64 {
	t.Helper()
	s := open(t)
	fleet := servertest.NewFleet(t, 4)
	storetest.Admit(t, s, fleet.Nodes...)
	before := s.size(t)
	blobs := 0
	for range sends {
		send, _ := sent(t, s, fleet.Nodes, sizes...)
		blobs += len(send.Page.Blobs)
	}
	files := sends * len(sizes)
	perFile := (s.size(t) - before) / int64(files)
	t.Logf("%d files with %.1f blobs each: %d bytes a file", files, float64(blobs)/float64(files), perFile)
	return perFile
}

func (s *Store) size(t *testing.T) int64 {
	t.Helper()
	var pages, size int64
	if err := s.writer.QueryRowContext(t.Context(), `SELECT page_count, page_size FROM pragma_page_count(), pragma_page_size()`).Scan(&pages, &size); err != nil {
		t.Fatal(err)
	}
	return pages * size
}
