package storetest

import (
	"bytes"
	"errors"
	"sync"
	"testing"

	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/node/store"
)

func budget(t *testing.T, open Opener) {
	s := open(t, roomy, nil)
	up := id.New[id.Upload]()
	one, two, three := Make(up, 1, 4000), Make(up, 2, 5000), Make(up, 3, 1000)
	must(t, Put(s, one, 10_000))
	w, err := s.Begin(two.Key, 5000, 10_000)
	must(t, err)
	_, err = s.Begin(three.Key, 1001, 10_000)
	want(t, err, store.ErrBudget)
	again, err := s.Begin(two.Key, 5000, 10_000) // a name counts once
	must(t, err)
	_, err = s.Begin(two.Key, 6001, 10_000) // unless it claims to be larger
	want(t, err, store.ErrBudget)
	w.Abort(nil)
	_, err = s.Begin(three.Key, 1001, 10_000) // again still counts
	want(t, err, store.ErrBudget)
	again.Abort(nil)
	must(t, Put(s, two, 10_000))
	must(t, Put(s, three, 10_000))
	_, err = s.Begin(Make(up, 4, 1).Key, 1, 10_000)
	want(t, err, store.ErrBudget)
	must(t, Put(s, Make(up, 4, 1), 10_001)) // raised by extendUpload
	must(t, Put(s, Make(id.New[id.Upload](), 4, 1000), 1000))
}

func budgetRace(t *testing.T, open Opener) {
	s := open(t, roomy, nil)
	up := id.New[id.Upload]()
	const size, fit, tries = 3000, 7, 40
	var all sync.WaitGroup
	results := make([]error, tries)
	for i := range tries {
		all.Go(func() { results[i] = Put(s, Make(up, uint64(i), size), fit*size+size-1) })
	}
	all.Wait()
	stored := 0
	for _, err := range results {
		switch {
		case err == nil:
			stored++
		case !errors.Is(err, store.ErrBudget):
			t.Fatal(err)
		}
	}
	if stored > fit || stored == 0 {
		t.Fatalf("%d blobs were stored, %d fit", stored, fit)
	}
	wantUsage(t, s, up, int64(stored), int64(stored)*size)
}

func sameBlobRace(t *testing.T, open Opener) {
	s := open(t, roomy, nil)
	for round := range 10 {
		b := Make(id.New[id.Upload](), uint64(round), 20_000)
		wrong := Blob{b.Key, make([]byte, len(b.Data))}
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				if i == 0 { // somebody who lies does not stand in the way
					if err := Put(s, wrong, 20_000); !errors.Is(err, store.ErrMismatch) && !errors.Is(err, store.ErrExists) {
						t.Error(err)
					}
					return
				}
				if err := Put(s, b, 20_000); err != nil && !errors.Is(err, store.ErrExists) {
					t.Error(err)
				}
				if _, err := s.Open(b.Key); err != nil {
					t.Error("acknowledged and not there:", err)
				}
			})
		}
		all.Wait()
		wantHeld(t, s, b)
		wantUsage(t, s, b.Key.Upload, 1, 20_000)
	}
	if got := s.Status().Held; got != (store.Usage{Blobs: 10, Bytes: 200_000}) {
		t.Fatalf("held %+v", got)
	}
}

func list(t *testing.T, open Opener) {
	s := open(t, roomy, nil)
	up := id.New[id.Upload]()
	const n = 57
	sizes := map[id.Name]int64{}
	for i := range n {
		b := Make(up, uint64(i), 10+i)
		must(t, Put(s, b, roomy))
		sizes[b.Key.Name] = int64(len(b.Data))
	}
	for _, page := range []int{1, 10, 56, 57, 58, 1024} {
		var after id.Name
		seen := 0
		for {
			entries, err := s.List(up, after, page)
			must(t, err)
			if len(entries) == 0 {
				break
			}
			for _, e := range entries {
				if bytes.Compare(e.Name[:], after[:]) <= 0 {
					t.Fatal("out of order")
				}
				if sizes[e.Name] != e.Size {
					t.Fatalf("size %d, want %d", e.Size, sizes[e.Name])
				}
				after = e.Name
				seen++
			}
		}
		if seen != n {
			t.Fatalf("pages of %d: %d blobs, want %d", page, seen, n)
		}
	}
	for _, limit := range []int{0, -1} {
		if entries, err := s.List(up, id.Name{}, limit); err != nil || len(entries) != 0 {
			t.Fatalf("limit %d: %d entries, %v", limit, len(entries), err)
		}
	}
	if entries, err := s.List(id.New[id.Upload](), id.Name{}, 10); err != nil || len(entries) != 0 {
		t.Fatalf("another upload: %d entries, %v", len(entries), err)
	}
}

func capacity(t *testing.T, open Opener) {
	const most = 100_000 + 2*store.Overhead
	s := open(t, most, nil)
	up := id.New[id.Upload]()
	if got := s.Status(); got.Reason != store.Writable || got.Capacity != most {
		t.Fatalf("empty: %+v", got)
	}
	must(t, Put(s, Make(up, 1, 60_000), roomy))
	w, err := s.Begin(Make(up, 2, 30_000).Key, 30_000, roomy)
	must(t, err)
	_, err = s.Begin(Make(up, 3, 10_001).Key, 10_001, roomy) // what arrives counts
	want(t, err, store.ErrFull)
	w.Abort(nil)
	must(t, Put(s, Make(up, 2, 40_000), roomy))
	if got := s.Status(); got.Reason != store.Full {
		t.Fatalf("full: %+v", got)
	}
	want(t, Put(s, Make(up, 4, 1), roomy), store.ErrFull)
	wantHeld(t, s, Make(up, 1, 60_000)) // old data intact
}

// small fills budget and capacity with blobs of one byte: each takes an inode and
// a block.
func small(t *testing.T, open Opener) {
	const budget = 1 << 20
	s := open(t, 400*store.Overhead, nil)
	up := id.New[id.Upload]()
	fill := func(up id.Upload, budget int64) (n int64, err error) {
		for ; err == nil && n < 1000; n++ {
			err = Put(s, Blob{store.Key{Upload: up, Name: blob.Name([]byte{byte(n), byte(n >> 8)})}, []byte{byte(n), byte(n >> 8)}}, budget)
		}
		return n - 1, err
	}
	n, err := fill(up, budget)
	want(t, err, store.ErrBudget)
	if most := (budget+budget/32)/store.Overhead + 64; n > int64(most) || n < 64 {
		t.Fatalf("%d blobs of two bytes under a budget of 1 MiB", n)
	}
	more, err := fill(id.New[id.Upload](), roomy)
	want(t, err, store.ErrFull)
	if n+more > 400 {
		t.Fatalf("%d blobs in a store of room for 400", n+more)
	}
	if got := s.Status(); got.Reason != store.Full {
		t.Fatalf("status %+v", got)
	}
}

func storm(t *testing.T, open Opener) {
	s := open(t, roomy, nil)
	var all sync.WaitGroup
	const workers, rounds, size = 8, 12, 2000
	uploads := []id.Upload{id.New[id.Upload](), id.New[id.Upload](), id.New[id.Upload]()}
	for i := range workers {
		all.Go(func() {
			for n := range rounds {
				b := Make(uploads[(i+n)%2], uint64(n), size+n) // every blob by several workers
				if err := Put(s, b, roomy); err != nil && !errors.Is(err, store.ErrExists) {
					t.Error(err)
				}
				c := Make(uploads[2], uint64(i*rounds+n), size) // closed under their feet
				if err := Put(s, c, roomy); err != nil && !errors.Is(err, store.ErrClosed) {
					t.Error(err)
				}
				if i == 0 && n == rounds/2 {
					if _, err := s.CloseUpload(uploads[2]); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	var sum store.Usage
	for _, up := range uploads[:2] {
		got, err := s.Usage(up)
		must(t, err)
		sum = sum.Add(got)
		entries, err := s.List(up, id.Name{}, 1000)
		must(t, err)
		if int64(len(entries)) != got.Blobs {
			t.Fatalf("%d listed, %d counted", len(entries), got.Blobs)
		}
	}
	wantUsage(t, s, uploads[2], 0, 0)
	if got := s.Status(); got.Held != sum || got.Arriving != 0 {
		t.Fatalf("held %+v, arriving %d; the uploads hold %+v", got.Held, got.Arriving, sum)
	}
}
