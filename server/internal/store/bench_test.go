//go:build linux

package store

import (
	"testing"

	"holdfast/server/internal/servertest"
	"holdfast/server/internal/storetest"
)

// BenchmarkSend opens and commits sends of one small file, one after the other:
// two transactions each. What durability costs is the difference to SQLite that
// syncs nothing, which no service runs on.
func BenchmarkSend(b *testing.B) {
	for _, kind := range []struct {
		name string
		open func(testing.TB) *Store
	}{{"sqlite", open}, {"sqlite-not-synced", openUnsynced}, {"postgres", openPostgresTest}} {
		b.Run(kind.name, func(b *testing.B) {
			s := kind.open(b)
			fleet := servertest.NewFleet(b, 3)
			storetest.Admit(b, s, fleet.Nodes...)
			for b.Loop() {
				sent(b, s, fleet.Nodes, 4000)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sends/s")
		})
	}
}

func openUnsynced(t testing.TB) *Store {
	t.Helper()
	s := open(t)
	if _, err := s.writer.ExecContext(t.Context(), `PRAGMA synchronous = OFF`); err != nil {
		t.Fatal(err)
	}
	return s
}
