package storetest

import (
	"sync"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/server/internal/upload"
)

// Servers checks what several servers on one store share besides leases.
func Servers(t *testing.T, open func(*testing.T) Store) {
	each(t, open, map[string]func(*suite){
		"the first identity stays":           identityStays,
		"the first accounts key stays":       accountsKeyStays,
		"uploads are opened at a rate":       openedAtARate,
		"one at a time chooses places":       onePlaces,
		"a rate holds for many at once":      rateHolds,
		"the clock is set back with a count": rateSetBack,
	})
}

func identityStays(s *suite) {
	ctx := s.Context()
	ticket, order, err := s.Names(ctx)
	s.must(err)
	if ticket != (id.Bytes32{}) || order != (id.Bytes32{}) {
		s.Fatal("a new store names keys")
	}
	first, second := id.Bytes32(id.New32()), id.Bytes32(id.New32())
	for _, mine := range [][2]id.Bytes32{{first, second}, {second, first}} {
		ticket, order, err := s.Name(ctx, mine[0], mine[1])
		s.must(err)
		if ticket != first || order != second {
			s.Error("another server's keys took the place of the first one's")
		}
	}
	ticket, order, err = s.Names(ctx)
	s.must(err)
	if ticket != first || order != second {
		s.Error("the store names other keys than it was told")
	}
}

func accountsKeyStays(s *suite) {
	ctx := s.Context()
	first, second := id.Bytes32(id.New32()), id.Bytes32(id.New32())
	_, _, err := s.Name(ctx, first, second)
	s.must(err)
	named := func(want id.Bytes32) {
		s.Helper()
		if key, err := s.AccountsKey(ctx); err != nil || key != want {
			s.Errorf("%s instead of %s: %v", key, want, err)
		}
	}
	named(id.Bytes32{}) // as after an upgrade
	for _, mine := range []id.Bytes32{first, second} {
		if key, err := s.NameAccountsKey(ctx, mine); err != nil || key != first {
			s.Errorf("%s: %v", key, err)
		}
	}
	named(first)
}

// tenth allows three at once and then one every tenth of a second.
var tenth = upload.Opens{Every: 100 * time.Millisecond, Burst: 3}

func (s *suite) takes(at time.Time, want time.Duration) {
	s.Helper()
	wait, err := s.TakeOpen(s.Context(), at, tenth)
	s.must(err)
	if wait != want {
		s.Errorf("wait %s, want %s", wait, want)
	}
}

func openedAtARate(s *suite) {
	at := time.Unix(now, 0)
	for range 3 {
		s.takes(at, 0)
	}
	s.takes(at, tenth.Every)
	s.takes(at.Add(60*time.Millisecond), 40*time.Millisecond)
	s.takes(at.Add(tenth.Every), 0)
	s.takes(at.Add(tenth.Every), tenth.Every)
	for range 3 {
		s.takes(at.Add(time.Hour), 0)
	}
	s.takes(at.Add(time.Hour), tenth.Every)
}

// rateSetBack: nobody waits for the hour to come again.
func rateSetBack(s *suite) {
	at := time.Unix(now, 0)
	s.takes(at, 0)
	for range 3 {
		s.takes(at.Add(-time.Hour), 0)
	}
	s.takes(at.Add(-time.Hour), tenth.Every)
}

func rateHolds(s *suite) {
	var wg sync.WaitGroup
	var mu sync.Mutex // guards taken
	taken := 0
	for range 20 {
		wg.Go(func() {
			wait, err := s.TakeOpen(s.Context(), time.Unix(now, 0), tenth)
			if err != nil {
				s.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if wait == 0 {
				taken++
			}
		})
	}
	wg.Wait()
	if taken != tenth.Burst {
		s.Errorf("%d were opened, %d may be", taken, tenth.Burst)
	}
}

// onePlaces: whoever chooses may use the store meanwhile, and lets the next one in.
func onePlaces(s *suite) {
	for range 3 {
		leave, err := s.Placing(s.Context())
		s.must(err)
		s.opened(1, now)
		leave()
	}
}
