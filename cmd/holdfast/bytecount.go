package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// byteCount is a number of bytes in a flag: 100GB, 64MiB, 1.5TB or 4096.
type byteCount int64

// units in the order in which they are tried: KiB before B.
var units = []struct {
	suffix string
	size   float64
}{
	{"KIB", 1 << 10}, {"MIB", 1 << 20}, {"GIB", 1 << 30}, {"TIB", 1 << 40}, {"PIB", 1 << 50},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"PB", 1e15}, {"B", 1}, {"", 1},
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *byteCount) UnmarshalText(text []byte) error {
	upper := strings.ToUpper(strings.TrimSpace(string(text)))
	for _, unit := range units {
		number, ok := strings.CutSuffix(upper, unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || math.IsNaN(n) || n < 0 || n*unit.size >= 1<<53 {
			break
		}
		*b = byteCount(n * unit.size)
		return nil
	}
	return fmt.Errorf("%q is not a size; write 100GB, 64MiB or a number of bytes", text)
}
