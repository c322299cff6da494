package seal

import (
	"errors"
	"testing"

	"holdfast/format/blob"
	"holdfast/format/internal/golden"
	"holdfast/format/pad"

	"pgregory.net/rapid"
)

type sizeVector struct {
	golden.Name
	TrueSize     *int64 `json:"trueSize,omitempty"`
	Padded       int64  `json:"padded,omitempty"`
	Segments     int64  `json:"segments,omitempty"`
	StreamLength int64  `json:"streamLength"`
	Pieces       int    `json:"pieces,omitempty"`
	Fail         string `json:"fail,omitempty"`
}

// largest is the greatest true size whose stream the format holds: Padmé
// lengths below 2^43 are multiples of 2^36, and tags take 2^29 and 40 bytes.
const largest = 1<<43 - 1<<36

func sizeVectors() []sizeVector {
	var out []sizeVector
	good := func(name string, n int64) {
		p := pad.Length(n)
		s := StreamLength(p)
		out = append(out, sizeVector{golden.Name{Name: name}, &n, p, SegmentCount(p), s, blob.Pieces(s), ""})
	}
	bad := func(name string, stream int64) {
		out = append(out, sizeVector{Name: golden.Name{Name: name}, StreamLength: stream, Fail: "length"})
	}
	good("empty", 0)
	good("one byte", 1)
	good("1 KiB", 1024)
	good("1 KiB and a byte", 1025)
	good("2 KiB", 2048)
	good("2 KiB and a byte", 2049)
	good("10,000 bytes", 10000)
	good("64 KiB and a byte", 65537)
	good("longest in one segment", 258048)
	good("shortest in two segments", 258049)
	good("longest in a pack", 1<<20-1<<14)
	good("1 MiB", 1<<20)
	good("longest in one piece", 8<<20-1<<17)
	good("shortest in two pieces", 8<<20-1<<17+1)
	good("8 MiB", 8<<20)
	good("8 MiB and a byte", 8<<20+1)
	good("1 GiB", 1<<30)
	good("10 GiB and a byte", 10<<30+1)
	good("1 TiB less a byte", 1<<40-1)
	good("the largest", largest)
	bad("zero", 0)
	bad("header alone", 40)
	bad("no plaintext", 56)
	bad("one byte less than the least", 1079)
	bad("one byte more than the least", 1081)
	bad("1025 bytes not padded", StreamLength(1025))
	bad("full first segment, not a padded length", StreamLength(262088))
	bad("a tag of its own after a full first segment", StreamLength(262088)+16)
	bad("between two segments", StreamLength(262088)+8)
	bad("one full segment too many", StreamLength(262144)+SegmentSize)
	bad("beyond the largest", StreamLength(1<<43))
	return out
}

func TestSizeVectors(t *testing.T) {
	for _, c := range golden.Sync(t, "pad.json", "Padded lengths and stream lengths (docs/format.md §3, §4)", sizeVectors()) {
		t.Run(c.CaseName(), func(t *testing.T) {
			if c.Fail != "" {
				if ValidStreamLength(c.StreamLength) {
					t.Fatal("accepted")
				}
				return
			}
			p := pad.Length(*c.TrueSize)
			s, err := PaddedStreamLength(*c.TrueSize)
			if err != nil || p != c.Padded || s != c.StreamLength || SegmentCount(p) != c.Segments || blob.Pieces(s) != c.Pieces {
				t.Fatalf("padded %d, stream %d, %d segments, %d pieces, %v", p, s, SegmentCount(p), blob.Pieces(s), err)
			}
			if !ValidStreamLength(s) {
				t.Fatal("refused")
			}
		})
	}
}

func TestTooLarge(t *testing.T) {
	for _, n := range []int64{-1, largest + 1, 1 << 43, 1<<53 - 1, 1 << 62, 1<<63 - 1} {
		if _, err := PaddedStreamLength(n); !errors.Is(err, ErrLength) {
			t.Errorf("%d: %v", n, err)
		}
	}
	for _, n := range []int64{-1, -1 << 63, 1<<63 - 1, 1 << 62} {
		if ValidStreamLength(n) {
			t.Errorf("%d is valid", n)
		}
	}
}

func TestSizeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.Int64Range(1, 1<<rapid.IntRange(10, 42).Draw(t, "bits")).Draw(t, "plaintext")
		s, n := StreamLength(p), SegmentCount(p)
		if back, ok := PlainLength(s); !ok || back != p {
			t.Fatalf("PlainLength(%d) = %d, %v", s, back, ok)
		}
		if last := s - (n-1)*SegmentSize; last <= TagSize || last > SegmentSize {
			t.Fatalf("last segment has %d bytes", last)
		}
		off := rapid.Int64Range(0, p-1).Draw(t, "offset")
		seg, within := Locate(off)
		if segmentStart(seg)+within != off || within >= int64(plainSize(seg)) || seg >= n {
			t.Fatalf("Locate(%d) = %d, %d", off, seg, within)
		}
		length := rapid.Int64Range(1, p-off).Draw(t, "length")
		sp, err := Cover(s, off, length)
		if err != nil || sp.From < HeaderSize || sp.To > s || sp.To-sp.From > length+2*SegmentSize+TagSize*sp.Count {
			t.Fatalf("%+v, %v", sp, err)
		}
		held := sp.To - sp.From - TagSize*sp.Count
		if sp.First != seg || sp.Skip != within || held < sp.Skip+length {
			t.Fatalf("%+v holds %d bytes", sp, held)
		}
	})
}

func TestCoverRefuses(t *testing.T) {
	s := StreamLength(262144)
	for name, r := range map[string][3]int64{
		"nothing": {s, 0, 0}, "before": {s, -1, 2}, "behind": {s, 262144, 1}, "beyond": {s, 0, 262145},
		"overflow": {s, 1, 1<<63 - 1}, "not a stream": {s + SegmentSize - 60, 0, 1}, "negative": {s, 5, -1},
	} {
		if _, err := Cover(r[0], r[1], r[2]); !errors.Is(err, ErrLength) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
