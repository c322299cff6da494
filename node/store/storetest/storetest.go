// Package storetest is the contract of store.Store as tests, which every
// implementation must pass. It knows the interface only.
package storetest

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/node/store"
)

// Opener makes an empty store with a capacity and a clock; it closes the store
// when the test ends.
type Opener func(t *testing.T, capacity int64, now func() time.Time) store.Store

const roomy = 1 << 30

// Run tests the contract.
func Run(t *testing.T, open Opener) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, open Opener)
	}{
		{"keeps what was committed", keeps},
		{"refuses sizes that no blob has", sizes},
		{"refuses bytes that differ from the announced", announced},
		{"refuses bytes that do not hash to the name", mismatch},
		{"shows nothing before the commit", uncommitted},
		{"forgets what was aborted", aborted},
		{"lets readers follow", follow},
		{"wakes followers when closed", followClosed},
		{"tells what is held already", exists},
		{"keeps uploads apart", apart},
		{"keeps within the budget", budget},
		{"keeps within the budget under a race", budgetRace},
		{"takes one blob from many writers", sameBlobRace},
		{"lists in order, page by page", list},
		{"keeps within the capacity", capacity},
		{"counts more than the bytes of small blobs", small},
		{"closes uploads for ever", closeUpload},
		{"refuses writers under way of a closed upload", closeUnderWay},
		{"removes named blobs", remove},
		{"quarantines", quarantine},
		{"forgets closed uploads in time", forget},
		{"keeps the trash for its days", trash},
		{"adds up after a storm", storm},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open) })
	}
}

// Blob is a blob for tests.
type Blob struct {
	Key  store.Key
	Data []byte
}

// Make makes n pseudo-random bytes that depend on the seed only.
func Make(upload id.Upload, seed uint64, n int) Blob {
	data := make([]byte, n)
	src := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), byte(n)})
	src.Read(data)
	return Blob{store.Key{Upload: upload, Name: blob.Name(data)}, data}
}

// Put stores b.
func Put(s store.Store, b Blob, budget int64) error {
	w, err := s.Begin(b.Key, int64(len(b.Data)), budget)
	if err != nil {
		return err
	}
	if _, err := w.Write(b.Data); err != nil {
		w.Abort(err)
		return err
	}
	return w.Commit()
}

// Get reads the whole blob.
func Get(s store.Store, key store.Key) ([]byte, error) {
	r, err := s.Open(key)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out bytes.Buffer
	_, err = r.WriteNext(&out, r.Size())
	return out.Bytes(), err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("have %v, want %v", err, target)
	}
}

func wantHeld(t *testing.T, s store.Store, b Blob) {
	t.Helper()
	got, err := Get(s, b.Key)
	if err != nil || !bytes.Equal(got, b.Data) {
		t.Fatalf("blob of %d bytes: have %d, %v", len(b.Data), len(got), err)
	}
	if size, err := s.Stat(b.Key); err != nil || size != int64(len(b.Data)) {
		t.Fatalf("size %d, %v; want %d", size, err, len(b.Data))
	}
}

func wantUsage(t *testing.T, s store.Store, u id.Upload, blobs, bytes int64) {
	t.Helper()
	got, err := s.Usage(u)
	if err != nil || got != (store.Usage{Blobs: blobs, Bytes: bytes}) {
		t.Fatalf("usage %+v (%v), want %d blobs, %d bytes", got, err, blobs, bytes)
	}
}

func keeps(t *testing.T, open Opener) {
	s := open(t, roomy, nil)
	up := id.New[id.Upload]()
	for i, n := range []int{1, 4096, 70_000, 1 << 20, blob.MaxSize} {
		b := Make(up, uint64(i), n)
		must(t, Put(s, b, roomy))
		wantHeld(t, s, b)
		r, err := s.Open(b.Key)
		must(t, err)
		part := make([]byte, n/2+1)
		if _, err := r.ReadAt(part, int64(n-len(part))); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if !bytes.Equal(part, b.Data[n-len(part):]) {
			t.Fatal("ReadAt gave other bytes")
		}
		must(t, r.Close())
	}
	_, err := s.Open(store.Key{Upload: up, Name: id.Name{1}})
	want(t, err, store.ErrUnknown)
}

func sizes(t *testing.T, open Opener) {
	s := open(t, roomy, nil)
	for _, n := range []int64{-1, 0, blob.MaxSize + 1} {
		_, err := s.Begin(store.Key{Upload: id.New[id.Upload]()}, n, roomy)
		want(t, err, store.ErrSize)
	}
}

func announced(t *testing.T, open Opener) {
	s := open(t, roomy, nil)
	b := Make(id.New[id.Upload](), 1, 5000)
	w, err := s.Begin(b.Key, 5001, roomy) // one too few come
	must(t, err)
	_, err = w.Write(b.Data)
	must(t, err)
	want(t, w.Commit(), store.ErrSize)
	w, err = s.Begin(b.Key, 4999, roomy) // one too many
	must(t, err)
	_, err = w.Write(b.Data)
	want(t, err, store.ErrSize)
	want(t, w.Commit(), store.ErrSize)
	wantUsage(t, s, b.Key.Upload, 0, 0)
	must(t, Put(s, b, roomy)) // and nothing stands in the way afterwards
}

func mismatch(t *testing.T, open Opener) {
	s := open(t, roomy, nil)
	b := Make(id.New[id.Upload](), 1, 5000)
	wrong := Blob{b.Key, bytes.Clone(b.Data)}
	wrong.Data[4999] ^= 1
	want(t, Put(s, wrong, roomy), store.ErrMismatch)
	_, err := s.Open(b.Key)
	want(t, err, store.ErrUnknown)
	wantUsage(t, s, b.Key.Upload, 0, 0)
	must(t, Put(s, b, 5000))
	wantHeld(t, s, b)
}

func uncommitted(t *testing.T, open Opener) {
	s := open(t, roomy, nil)
	b := Make(id.New[id.Upload](), 1, 5000)
	w, err := s.Begin(b.Key, 5000, roomy)
	must(t, err)
	_, err = w.Write(b.Data)
	must(t, err)
	_, err = s.Open(b.Key)
	want(t, err, store.ErrUnknown)
	_, err = s.Stat(b.Key)
	want(t, err, store.ErrUnknown)
	entries, err := s.List(b.Key.Upload, id.Name{}, 10)
	must(t, err)
	if len(entries) != 0 {
		t.Fatal("listed before the commit")
	}
	if got := s.Status(); got.Arriving != 5000 {
		t.Fatalf("%d bytes arriving, want 5000", got.Arriving)
	}
	must(t, w.Commit())
	w.Abort(nil) // does nothing now
	want(t, w.Commit(), store.ErrAborted)
	wantHeld(t, s, b)
	if got := s.Status(); got.Arriving != 0 || got.Held != (store.Usage{Blobs: 1, Bytes: 5000}) {
		t.Fatalf("status %+v", got)
	}
}

func aborted(t *testing.T, open Opener) {
	s := open(t, roomy, nil)
	b := Make(id.New[id.Upload](), 1, 5000)
	cause := errors.New("the client went away")
	w, err := s.Begin(b.Key, 5000, roomy)
	must(t, err)
	f := w.Follow()
	_, err = w.Write(b.Data[:2000])
	must(t, err)
	w.Abort(cause)
	_, err = io.ReadAll(f)
	want(t, err, cause)
	must(t, f.Close())
	want(t, w.Commit(), store.ErrAborted)
	_, err = w.Write(b.Data[:1])
	want(t, err, store.ErrSize)
	if got := s.Status(); got.Arriving != 0 || got.Held.Blobs != 0 {
		t.Fatalf("status %+v", got)
	}
}

func follow(t *testing.T, open Opener) {
	s := open(t, roomy, nil)
	b := Make(id.New[id.Upload](), 1, 300_000)
	w, err := s.Begin(b.Key, int64(len(b.Data)), roomy)
	must(t, err)
	result := make(chan []byte, 3)
	read := func(f io.ReadCloser) {
		got, err := io.ReadAll(f)
		if err != nil {
			t.Error(err)
		}
		f.Close()
		result <- got
	}
	go read(w.Follow())
	for at := 0; at < len(b.Data); at += 70_000 {
		_, err = w.Write(b.Data[at:min(at+70_000, len(b.Data))])
		must(t, err)
		if at == 70_000 {
			go read(w.Follow())
		}
	}
	late := w.Follow()
	must(t, w.Commit())
	go read(w.Follow()) // one keeps the others possible
	<-result
	must(t, late.Close())
	for range 2 {
		if got := <-result; !bytes.Equal(got, b.Data) {
			t.Fatalf("a follower got %d bytes", len(got))
		}
	}
}

func followClosed(t *testing.T, open Opener) {
	s := open(t, roomy, nil)
	b := Make(id.New[id.Upload](), 1, 1000)
	w, err := s.Begin(b.Key, 1000, roomy)
	must(t, err)
	f := w.Follow()
	result := make(chan error)
	go func() {
		_, err := f.Read(make([]byte, 10))
		result <- err
	}()
	must(t, f.Close())
	want(t, <-result, io.ErrClosedPipe)
	must(t, f.Close())
	w.Abort(nil)
}

func exists(t *testing.T, open Opener) {
	s := open(t, roomy, nil)
	b := Make(id.New[id.Upload](), 1, 5000)
	must(t, Put(s, b, 5000))
	want(t, Put(s, b, 5000), store.ErrExists)
	want(t, Put(s, b, 0), store.ErrExists) // before the budget
	wantUsage(t, s, b.Key.Upload, 1, 5000)
}

func apart(t *testing.T, open Opener) {
	s := open(t, roomy, nil)
	one := Make(id.New[id.Upload](), 1, 5000)
	two := Make(id.New[id.Upload](), 1, 5000) // the same bytes and name
	must(t, Put(s, one, roomy))
	_, err := s.Open(two.Key)
	want(t, err, store.ErrUnknown)
	must(t, Put(s, two, roomy))
	_, err = s.CloseUpload(one.Key.Upload)
	must(t, err)
	wantHeld(t, s, two)
}
