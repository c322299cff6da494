package pad

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// slow is the definition of the paper, in whole numbers of any size.
func slow(n int64) int64 {
	if n < Min {
		n = Min
	}
	e := int64(big.NewInt(n).BitLen() - 1)
	s := int64(big.NewInt(e).BitLen())
	unit := new(big.Int).Lsh(big.NewInt(1), uint(e-s))
	q, r := new(big.Int).QuoRem(big.NewInt(n), unit, new(big.Int))
	if r.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	return q.Mul(q, unit).Int64()
}

func TestLength(t *testing.T) {
	for _, c := range []struct{ n, want int64 }{
		{0, 1024}, {1, 1024}, {1023, 1024}, {1024, 1024}, {1025, 1088}, {1088, 1088}, {1089, 1152},
		{2047, 2048}, {2048, 2048}, {2049, 2176}, {10240, 10240}, {10241, 10752}, {65536, 65536}, {65537, 67584},
		{258049, 262144}, {1 << 20, 1 << 20}, {1<<20 + 1, 1<<20 + 1<<15},
		{10 << 30, 10 << 30}, {10<<30 + 1, 10<<30 + 1<<27}, {1<<53 - 1, 1 << 53},
	} {
		if got := Length(c.n); got != c.want {
			t.Errorf("Length(%d) = %d, want %d", c.n, got, c.want)
		}
	}
}

func TestIsLength(t *testing.T) {
	for n, want := range map[int64]bool{-1: false, 0: false, 1023: false, 1024: true, 1025: false, 1088: true, 1 << 40: true, 1<<40 + 1: false, 1<<53 - 1: false, 1 << 53: false} {
		if IsLength(n) != want {
			t.Errorf("IsLength(%d) = %v", n, !want)
		}
	}
}

func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 1<<rapid.IntRange(0, 53).Draw(t, "bits")-1).Draw(t, "n")
		p := Length(n)
		switch {
		case p != slow(n):
			t.Fatalf("Length(%d) = %d, by definition %d", n, p, slow(n))
		case p < n || p < Min:
			t.Fatalf("Length(%d) = %d is too short", n, p)
		case n > Min && (p-n)*100 > n*12:
			t.Fatalf("Length(%d) = %d adds more than 12 %%", n, p)
		case Length(p) != p:
			t.Fatalf("Length(%d) = %d is not its own length", n, p)
		case p <= Max && !IsLength(p):
			t.Fatalf("%d is no length", p)
		case n > Min && n < Max && Length(n+1) < p:
			t.Fatalf("not monotonic at %d", n)
		}
	})
}
