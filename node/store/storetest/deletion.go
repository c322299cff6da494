package storetest

import (
	"bytes"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/node/store"
)

func closeUpload(t *testing.T, open Opener) {
	s := open(t, roomy, nil)
	up := id.New[id.Upload]()
	a, b := Make(up, 1, 3000), Make(up, 2, 4000)
	must(t, Put(s, a, roomy))
	must(t, Put(s, b, roomy))
	reader, err := s.Open(a.Key)
	must(t, err)
	for range 2 { // a repeated order says the same
		got, err := s.CloseUpload(up)
		must(t, err)
		if got != (store.Usage{Blobs: 2, Bytes: 7000}) {
			t.Fatalf("closed %+v", got)
		}
	}
	_, err = s.Open(b.Key)
	want(t, err, store.ErrUnknown)
	_, err = s.Stat(a.Key)
	want(t, err, store.ErrUnknown)
	want(t, Put(s, a, roomy), store.ErrClosed)
	entries, err := s.List(up, id.Name{}, 10)
	must(t, err)
	if len(entries) != 0 {
		t.Fatal("a closed upload lists blobs")
	}
	var out bytes.Buffer
	if _, err := reader.WriteNext(&out, reader.Size()); err != nil || !bytes.Equal(out.Bytes(), a.Data) {
		t.Fatalf("the open reader: %v", err)
	}
	must(t, reader.Close())
	if got := s.Status(); got.Held != (store.Usage{}) || got.Trash != (store.Usage{Blobs: 2, Bytes: 7000}) || got.Used() != 7000+2*store.Overhead {
		t.Fatalf("status %+v", got)
	}
	never := id.New[id.Upload]() // an upload of which nothing ever came
	if got, err := s.CloseUpload(never); err != nil || got != (store.Usage{}) {
		t.Fatalf("unknown upload: %+v, %v", got, err)
	}
	want(t, Put(s, Make(never, 1, 10), roomy), store.ErrClosed)
}

func closeUnderWay(t *testing.T, open Opener) {
	s := open(t, roomy, nil)
	b := Make(id.New[id.Upload](), 1, 3000)
	w, err := s.Begin(b.Key, 3000, roomy)
	must(t, err)
	_, err = w.Write(b.Data)
	must(t, err)
	_, err = s.CloseUpload(b.Key.Upload)
	must(t, err)
	want(t, w.Commit(), store.ErrClosed)
	_, err = s.Open(b.Key)
	want(t, err, store.ErrUnknown)
	if got := s.Status(); got.Held != (store.Usage{}) || got.Arriving != 0 {
		t.Fatalf("status %+v", got)
	}
}

func remove(t *testing.T, open Opener) {
	s := open(t, roomy, nil)
	up := id.New[id.Upload]()
	a, b, c := Make(up, 1, 3000), Make(up, 2, 4000), Make(up, 3, 5000)
	for _, x := range []Blob{a, b, c} {
		must(t, Put(s, x, 12_000))
	}
	got, err := s.Remove(up, []id.Name{a.Key.Name, c.Key.Name, a.Key.Name, {9}})
	must(t, err)
	if got != (store.Usage{Blobs: 2, Bytes: 8000}) {
		t.Fatalf("removed %+v", got)
	}
	got, err = s.Remove(up, []id.Name{a.Key.Name})
	must(t, err)
	if got != (store.Usage{}) {
		t.Fatalf("removed again %+v", got)
	}
	_, err = s.Open(a.Key)
	want(t, err, store.ErrUnknown)
	wantHeld(t, s, b)
	wantUsage(t, s, up, 1, 4000)
	must(t, Put(s, a, 7000)) // the upload is still open, and the budget freed
	got, err = s.Remove(up, []id.Name{a.Key.Name})
	must(t, err)
	if got != (store.Usage{Blobs: 1, Bytes: 3000}) || s.Status().Trash != (store.Usage{Blobs: 3, Bytes: 11_000}) {
		t.Fatalf("removed %+v, trash %+v", got, s.Status().Trash)
	}
}

func quarantine(t *testing.T, open Opener) {
	now := time.Date(2026, 5, 1, 23, 0, 0, 0, time.UTC)
	s := open(t, roomy, func() time.Time { return now })
	b := Make(id.New[id.Upload](), 1, 3000)
	want(t, s.Quarantine(b.Key), store.ErrUnknown)
	must(t, Put(s, b, roomy))
	must(t, s.Quarantine(b.Key))
	_, err := s.Open(b.Key)
	want(t, err, store.ErrUnknown)
	wantUsage(t, s, b.Key.Upload, 0, 0)
	one := store.Usage{Blobs: 1, Bytes: 3000}
	if got := s.Status(); got.Held != (store.Usage{}) || got.Trash != (store.Usage{}) || got.Quarantine != one || got.Used() != one.Room() {
		t.Fatalf("status %+v", got)
	}
	must(t, Put(s, b, 3000)) // a good copy may come again
	wantHeld(t, s, b)
	must(t, s.Quarantine(b.Key)) // and be damaged again
	must(t, Put(s, b, 3000))
	if got := s.Status().Quarantine; got != one {
		t.Fatalf("in quarantine: %+v", got)
	}
	// It goes with the trash of its day.
	for _, want := range []store.Usage{{}, one, {}} {
		got, err := s.EmptyTrash(now)
		must(t, err)
		if got != want {
			t.Fatalf("emptied %+v, want %+v", got, want)
		}
		now = now.Add(2 * time.Hour) // the next day
	}
	if got := s.Status(); got.Quarantine != (store.Usage{}) || got.Held != one {
		t.Fatalf("status %+v", got)
	}
	wantHeld(t, s, b)
}

func forget(t *testing.T, open Opener) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := open(t, roomy, func() time.Time { return now })
	old, young := Make(id.New[id.Upload](), 1, 3000), Make(id.New[id.Upload](), 2, 3000)
	must(t, Put(s, old, roomy))
	for _, b := range []Blob{old, young} {
		_, err := s.CloseUpload(b.Key.Upload)
		must(t, err)
		now = now.Add(time.Hour)
	}
	for _, c := range []struct {
		before time.Duration
		want   int
	}{{-2 * time.Hour, 0}, {-time.Hour, 1}, {-time.Hour, 0}} {
		got, err := s.ForgetClosed(now.Add(c.before))
		must(t, err)
		if got != c.want {
			t.Fatalf("forgot %d, want %d", got, c.want)
		}
		want(t, Put(s, young, roomy), store.ErrClosed)
	}
	must(t, Put(s, old, roomy))
	wantHeld(t, s, old)
	_, err := s.CloseUpload(old.Key.Upload) // as a new one
	must(t, err)
	want(t, Put(s, old, roomy), store.ErrClosed)
}

func trash(t *testing.T, open Opener) {
	day := time.Date(2026, 5, 1, 23, 0, 0, 0, time.UTC)
	now := day
	s := open(t, roomy, func() time.Time { return now })
	up := id.New[id.Upload]()
	must(t, Put(s, Make(up, 1, 3000), roomy))
	_, err := s.CloseUpload(up)
	must(t, err)
	got, err := s.EmptyTrash(day) // not on the day itself
	must(t, err)
	if got != (store.Usage{}) {
		t.Fatalf("emptied %+v too early", got)
	}
	now = day.Add(2 * time.Hour) // the next day
	other := id.New[id.Upload]()
	must(t, Put(s, Make(other, 1, 4000), roomy))
	_, err = s.CloseUpload(other)
	must(t, err)
	for _, want := range []store.Usage{{Blobs: 1, Bytes: 3000}, {}} {
		got, err = s.EmptyTrash(now)
		must(t, err)
		if got != want {
			t.Fatalf("emptied %+v, want %+v", got, want)
		}
	}
	if left := s.Status().Trash; left != (store.Usage{Blobs: 1, Bytes: 4000}) {
		t.Fatalf("left in the trash: %+v", left)
	}
}
