package upload_test

import (
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/server/internal/servertest"
	"holdfast/server/internal/share"
	"holdfast/server/internal/store"
	"holdfast/server/internal/storetest"
	"holdfast/server/internal/upload"
)

// BenchmarkLargeBundle stages, commits, reads and ends a send of 100,000 small
// files: what one caller can keep the database busy with.
func BenchmarkLargeBundle(b *testing.B) {
	const files, perPage = 100_000, 8000
	for range b.N {
		s, err := store.Open(b.Context(), filepath.Join(b.TempDir(), "holdfast.db"))
		if err != nil {
			b.Fatal(err)
		}
		fleet, clock := servertest.NewFleet(b, 3), servertest.NewClock()
		storetest.Admit(b, s, fleet.Nodes...)
		key := fleet.Nodes[0].Key // any will do
		limits := upload.Limits{UploadBytes: 1 << 40, DefaultDays: 7, Days: 30, Downloads: 1, ReservedBytes: 1 << 40}
		uploads := upload.New(s, fleet.Uploads(), key, limits, clock.Now)
		links := share.New(s, fleet.Links(), key, clock.Now)
		g, err := uploads.Open(b.Context(), 1<<34, 7)
		if err != nil {
			b.Fatal(err)
		}
		send := servertest.NewSend(b, g.Upload, clock.Now(), fleet.Nodes[:2], slices.Repeat([]int64{4000}, files)...)
		step := func(what string, f func() error) {
			b.Helper()
			start := time.Now()
			if err := f(); err != nil {
				b.Fatal(what, err)
			}
			b.ReportMetric(time.Since(start).Seconds(), what+"-s")
		}
		step("stage", func() error {
			for revisions := range slices.Chunk(send.Page.Revisions, perPage) {
				if err := uploads.Stage(b.Context(), g.Upload, g.Secret, send.Commit.Pages, &upload.Page{Revisions: revisions}); err != nil {
					return err
				}
				send.Commit.Pages++
			}
			return nil
		})
		send.Page.Revisions = nil
		step("commit", func() error {
			_, _, err := uploads.Commit(b.Context(), g.Upload, g.Secret, &send.Commit)
			return err
		})
		step("download", func() error {
			key := share.Key{Auth: send.Auth, Session: id.Bytes32(id.New32()).String()}
			_, err := links.Start(b.Context(), send.Link.Handle, key)
			for cursor := ""; err == nil; {
				var p *share.Page
				if p, err = links.Revisions(b.Context(), send.Link.Handle, key.Session, nil, cursor); err == nil {
					if cursor = p.Next; cursor == "" {
						return nil
					}
				}
			}
			return err
		})
		step("end", func() error { return links.Revoke(b.Context(), send.Link.Handle, send.Manage.Reveal()) })
		step("scrub", func() error { return s.Scrub(b.Context()) })
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.Sys>>20), "sys-MiB")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
