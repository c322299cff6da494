//go:build linux

package upload_test

import (
	"errors"
	"sync"
	"testing"

	"holdfast/format/id"
	"holdfast/server/internal/placement"
	"holdfast/server/internal/store"
	"holdfast/server/internal/storetest"
	"holdfast/server/internal/upload"
	"holdfast/server/postgrestest"
)

// TestServersDoNotPromiseTheSameRoom: of uploads that come to three servers at
// once, as many are opened as there is room for at the nodes.
func TestServersDoNotPromiseTheSameRoom(t *testing.T) {
	address := postgrestest.Start(t).URL("postgres")
	r := newRig(t, 2)
	r.fleet.Free = 1000
	var servers []*upload.Service
	for range 3 {
		s, err := store.Open(t.Context(), address)
		r.must(err)
		t.Cleanup(func() { r.must(s.Close()) })
		if len(servers) == 0 {
			storetest.Admit(t, s, r.fleet.Nodes...)
		}
		servers = append(servers, upload.New(s, r.fleet.Uploads(), r.key, limits, r.clock.Now))
		r.store = s
	}
	for round := range 5 {
		var mu sync.Mutex // guards opened
		var opened []upload.Grant
		var wg sync.WaitGroup
		for n := range 12 {
			wg.Go(func() {
				g, err := servers[n%3].Open(t.Context(), 300, 1)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					opened = append(opened, g)
				} else if !errors.Is(err, placement.ErrNoPlacement) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(opened) != 3 {
			t.Errorf("round %d: %d uploads of 300 bytes at nodes of 1000", round, len(opened))
		}
		for _, g := range opened {
			r.must(servers[0].Abandon(t.Context(), id.Upload(g.Upload), g.Secret))
		}
		r.Service = servers[0]
		r.deleted()
	}
}
