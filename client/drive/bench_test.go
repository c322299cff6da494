package drive

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// many is a folder of n files, at a server of its own.
func many(b *testing.B, n int) (*fake, *device) {
	b.Helper()
	f := newFake(b)
	d := f.device(someAccount())
	for i := 0; i < n; i += MaxFiles {
		var all []NewFile
		for j := i; j < min(n, i+MaxFiles); j++ {
			about := file(fmt.Sprintf("holiday photograph %d.jpeg", j))
			about.MediaType = "image/jpeg"
			about.SetTime(time.Unix(1_700_000_000+int64(j), 0))
			all = append(all, NewFile{"/many", about})
		}
		if _, err := d.Put(context.Background(), all, nil); err != nil {
			b.Fatal(err)
		}
	}
	return f, d
}

func lists(b *testing.B, d *device, n int) {
	b.Helper()
	all, err := d.List(context.Background(), "/many")
	if err != nil || len(all) != n {
		b.Fatalf("%d entries, %v", len(all), err)
	}
}

// BenchmarkListing is row B1: a folder of 100,000 entries is listed by a program that
// was just started, with a cache (warm) and without (cold); and gets one entry more.
func BenchmarkListing(b *testing.B) {
	const entries = 100_000
	f, d := many(b, entries)
	b.Run("warm", func(b *testing.B) {
		for b.Loop() {
			lists(b, f.deviceAt(d.access, d.home), entries)
		}
		b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/listing")
	})
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			lists(b, f.device(d.access), entries)
		}
		b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/listing")
	})
	b.Run("add", func(b *testing.B) {
		bytes := 0
		for b.Loop() {
			d.put("/many/" + fmt.Sprint("another ", time.Now().UnixNano()))
			bytes = 0
			for _, n := range f.sizes {
				bytes += n
			}
		}
		b.ReportMetric(float64(bytes), "bytes/entry")
	})
}
