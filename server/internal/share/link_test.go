package share

import (
	"sync"
	"testing"
	"time"

	"holdfast/format/id"
)

func TestRoundExpiry(t *testing.T) {
	now := time.Date(2031, 5, 14, 13, 27, 43, 0, time.UTC)
	for name, c := range map[string]struct {
		after time.Duration
		want  time.Time
	}{
		"one second":           {time.Second, time.Date(2031, 5, 14, 14, 0, 0, 0, time.UTC)},
		"one day":              {24 * time.Hour, time.Date(2031, 5, 15, 14, 0, 0, 0, time.UTC)},
		"just under two days":  {48*time.Hour - time.Second, time.Date(2031, 5, 16, 14, 0, 0, 0, time.UTC)},
		"two days":             {48 * time.Hour, time.Date(2031, 5, 17, 0, 0, 0, 0, time.UTC)},
		"seven days":           {7 * 24 * time.Hour, time.Date(2031, 5, 22, 0, 0, 0, 0, time.UTC)},
		"at a full day":        {time.Date(2031, 5, 20, 0, 0, 0, 0, time.UTC).Sub(now), time.Date(2031, 5, 20, 0, 0, 0, 0, time.UTC)},
		"a second after a day": {time.Date(2031, 5, 20, 0, 0, 1, 0, time.UTC).Sub(now), time.Date(2031, 5, 21, 0, 0, 0, 0, time.UTC)},
		"at a full hour":       {time.Date(2031, 5, 14, 15, 0, 0, 0, time.UTC).Sub(now), time.Date(2031, 5, 14, 15, 0, 0, 0, time.UTC)},
	} {
		t.Run(name, func(t *testing.T) {
			if have := RoundExpiry(now.Add(c.after).Unix(), now); have != c.want.Unix() {
				t.Errorf("have %s, want %s", time.Unix(have, 0).UTC(), c.want)
			}
		})
	}
}

func TestGateIsEmptyAfterwards(t *testing.T) {
	var g gate
	var wg sync.WaitGroup
	handles := []id.Handle{{1}, {2}, {3}}
	inside := make([]int, len(handles)) // each guarded by its turn
	for i := range 300 {
		wg.Go(func() {
			n := i % len(handles)
			leave := g.enter(handles[n])
			defer leave()
			inside[n]++
		})
	}
	wg.Wait()
	if len(g.busy) != 0 || inside[0]+inside[1]+inside[2] != 300 {
		t.Errorf("%d turns are left, %v passed", len(g.busy), inside)
	}
}

func TestMerged(t *testing.T) {
	for name, c := range map[string]struct{ in, want []span }{
		"nothing":     {nil, nil},
		"one":         {[]span{{0, 5}}, []span{{0, 5}}},
		"adjacent":    {[]span{{5, 9}, {0, 5}}, []span{{0, 9}}},
		"overlapping": {[]span{{0, 6}, {5, 9}}, []span{{0, 9}}},
		"inside":      {[]span{{0, 9}, {2, 3}}, []span{{0, 9}}},
		"twice":       {[]span{{2, 3}, {2, 3}}, []span{{2, 3}}},
		"apart":       {[]span{{7, 9}, {0, 5}}, []span{{0, 5}, {7, 9}}},
	} {
		t.Run(name, func(t *testing.T) {
			have := merged(c.in)
			if len(have) != len(c.want) {
				t.Fatalf("have %v, want %v", have, c.want)
			}
			for i := range have {
				if have[i] != c.want[i] {
					t.Fatalf("have %v, want %v", have, c.want)
				}
			}
		})
	}
}
