package storetest

import (
	"testing"

	"holdfast/format/id"
	"holdfast/server/internal/loop"
)

// Leases checks loop.Leases, and that work under a lost lease changes nothing.
func Leases(t *testing.T, open func(*testing.T) Store) {
	each(t, open, map[string]func(*suite){
		"one holder at a time":              oneHolder,
		"a lost lease is fenced":            lostLeaseFenced,
		"the clock is set back":             leasesSetBack,
		"leases of other names do not mind": otherLeases,
	})
}

func (s *suite) take(name string, holder id.Bytes32, at, until, want int64) {
	s.Helper()
	epoch, err := s.TakeLease(s.Context(), name, holder, at, until)
	s.must(err)
	if epoch != want {
		s.Fatalf("epoch %d, want %d", epoch, want)
	}
}

func oneHolder(s *suite) {
	ctx := s.Context()
	first, second := id.Bytes32(id.New32()), id.Bytes32(id.New32())
	s.take("sweep", first, now, now+10, 1)
	s.take("sweep", first, now+5, now+15, 1)
	_, err := s.TakeLease(ctx, "sweep", second, now+14, now+30)
	s.want(err, loop.ErrHeld)
	s.take("sweep", second, now+15, now+30, 2)
	_, err = s.TakeLease(ctx, "sweep", first, now+16, now+30)
	s.want(err, loop.ErrHeld)
	s.must(s.DropLease(ctx, "sweep", first)) // is not the holder: nothing happens
	_, err = s.TakeLease(ctx, "sweep", first, now+16, now+30)
	s.want(err, loop.ErrHeld)
	s.must(s.DropLease(ctx, "sweep", second))
	s.take("sweep", first, now+16, now+30, 3)
}

// leasesSetBack: a server died with the lease, the clock was set back by an hour,
// and the work does not stand still for as long.
func leasesSetBack(s *suite) {
	first, second := id.Bytes32(id.New32()), id.Bytes32(id.New32())
	s.take("sweep", first, now, now+10, 1)
	_, err := s.TakeLease(s.Context(), "sweep", second, now-10, now) // clocks of servers differ a little
	s.want(err, loop.ErrHeld)
	s.take("sweep", second, now-3600, now-3590, 2)
	_, err = s.TakeLease(s.Context(), "sweep", first, now-3595, now-3585)
	s.want(err, loop.ErrHeld)
}

func lostLeaseFenced(s *suite) {
	first, second := id.Bytes32(id.New32()), id.Bytes32(id.New32())
	u := s.opened(1, now)
	s.take("sweep", first, now, now+10, 1)
	late := loop.WithFence(s.Context(), loop.Fence{Lease: "sweep", Epoch: 1})
	s.take("sweep", second, now+10, now+20, 2)
	s.want(s.AbandonUpload(late, u.ID, someDay), loop.ErrFenced)
	s.want(s.AbandonUpload(loop.WithFence(s.Context(), loop.Fence{Lease: "never taken", Epoch: 1}), u.ID, someDay), loop.ErrFenced)
	s.must(s.AbandonUpload(loop.WithFence(s.Context(), loop.Fence{Lease: "sweep", Epoch: 2}), u.ID, someDay))
}

func otherLeases(s *suite) {
	s.take("one", id.New32(), now, now+10, 1)
	s.take("two", id.New32(), now, now+10, 1)
}
