package node_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"

	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/ticket"
	"holdfast/node"
	"holdfast/node/store"
	"holdfast/node/store/storetest"
)

// pool is a client that keeps enough connections.
var pool = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10}}

// benchFleet is two nodes and a ticket for them.
func benchFleet(b *testing.B) (f *fleet, up id.Upload, text string) {
	f = newFleet(b, 0)
	for range 2 {
		f.add(b.TempDir(), func(c *node.Config) { c.Capacity, c.Log = 1<<40, nil })
	}
	up = id.New[id.Upload]()
	return f, up, f.ticket(up, 1<<50, f.places()...)
}

// BenchmarkPut stores blobs at two nodes, synced at both; clients, nodes and disk
// share this machine. A put ends when both receipts are there.
func BenchmarkPut(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20, 8 << 20} {
		for _, clients := range []int{1, 8, 32} {
			b.Run(fmt.Sprintf("%dKiB/%d", size>>10, clients), func(b *testing.B) { benchPut(b, size, clients) })
		}
	}
}

func benchPut(b *testing.B, size, clients int) {
	f, up, text := benchFleet(b)
	var number atomic.Int64
	b.SetBytes(int64(size))
	b.SetParallelism((clients + 1) / 2) // times GOMAXPROCS
	data := storetest.Make(up, 1, size).Data
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		mine := bytes.Clone(data)
		for pb.Next() {
			binary.BigEndian.PutUint64(mine, uint64(number.Add(1)))
			one := storetest.Blob{Key: store.Key{Upload: up, Name: blob.Name(mine)}, Data: mine}
			res, err := pool.Do(putRequest(b.Context(), f.nodes[0], text, 2, one, bytes.NewReader(mine)))
			if err != nil {
				b.Fatal(err)
			}
			answer, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || bytes.Count(answer, []byte(`"receipt"`)) != 2 {
				b.Fatalf("%s %v", answer, err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
	pool.CloseIdleConnections()
}

// BenchmarkGet reads whole blobs from one node.
func BenchmarkGet(b *testing.B) {
	for _, size := range []int{4 << 10, 1 << 20, 8 << 20} {
		b.Run(fmt.Sprintf("%dKiB/8", size>>10), func(b *testing.B) {
			f, up, _ := benchFleet(b)
			one := storetest.Make(up, 1, size)
			if err := storetest.Put(f.nodes[0].Store(), one, 1<<50); err != nil {
				b.Fatal(err)
			}
			q := url.Values{"v": {"1"}, "upload": {up.String()}, "ticket": {f.reads(up, ticket.Range{Name: one.Key.Name, Length: int64(size)})}}
			address := f.nodes[0].URL() + "/blobs/" + one.Key.Name.String() + "?" + q.Encode()
			b.SetBytes(int64(size))
			b.SetParallelism(4)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					res, err := pool.Get(address)
					if err != nil {
						b.Fatal(err)
					}
					n, err := io.Copy(io.Discard, res.Body)
					res.Body.Close()
					if err != nil || n != int64(size) {
						b.Fatal(n, err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "gets/s")
			pool.CloseIdleConnections()
		})
	}
}
