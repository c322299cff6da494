package bucket

import (
	"testing"
	"time"
)

func TestBucket(t *testing.T) {
	b := Bucket{Burst: 10, Refill: 10}
	const now = int64(2_000_000_000)
	free := int64(0)
	for n := range b.Burst {
		if w := b.Wait(free, now); w != 0 {
			t.Fatalf("try %d waits %s", n, w)
		}
		free = b.Used(free, now)
	}
	for at, want := range map[int64]time.Duration{now: 10 * time.Second, now + 9: time.Second, now + 10: 0, now + 1000: 0} {
		if w := b.Wait(free, at); w != want {
			t.Errorf("%d s later: %s instead of %s", at-now, w, want)
		}
	}
	if b.Wait(free, now-3600) < time.Hour {
		t.Error("a clock that was set back frees tries")
	}
}
