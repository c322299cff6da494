package store_test

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"

	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/node/store"
	"holdfast/node/store/storetest"
)

// BenchmarkDisk stores blobs in one upload, synced, from 32 writers: what a node
// could do without network, tickets and receipts.
func BenchmarkDisk(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20, 8 << 20} {
		b.Run(fmt.Sprintf("%dKiB/32", size>>10), func(b *testing.B) {
			d, err := store.OpenDisk(b.TempDir(), store.Options{Capacity: 1 << 40, Reserve: -1})
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			up := id.New[id.Upload]()
			data := storetest.Make(up, 1, size).Data
			var number atomic.Int64
			b.SetBytes(int64(size))
			b.SetParallelism(16)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				mine := append([]byte{}, data...)
				for pb.Next() {
					binary.BigEndian.PutUint64(mine, uint64(number.Add(1)))
					one := storetest.Blob{Key: store.Key{Upload: up, Name: blob.Name(mine)}, Data: mine}
					if err := storetest.Put(d, one, 1<<40); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
		})
	}
}
