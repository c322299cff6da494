package upload

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"holdfast/format/id"
	"holdfast/format/pad"
)

// stream is the length of the stream over a padded plaintext, counted segment by
// segment as docs/format.md §4 has it.
func stream(padded int64) int64 {
	n := int64(1)
	for left := padded - 262_088; left > 0; left -= 262_128 {
		n++
	}
	return 40 + padded + 16*n
}

func TestValidLength(t *testing.T) {
	valid := map[int64]bool{}
	var last int64
	for n := int64(0); n < 5<<20; n = n + 1 + n/50 {
		valid[stream(pad.Length(n))] = true
		last = stream(pad.Length(n))
	}
	for _, edge := range []int64{262_088, 262_089, 262_088 + 262_128, 8 << 20, 1 << 40, 1 << 52} {
		if length := stream(pad.Length(min(edge, 1<<30))); !ValidLength(length) {
			t.Errorf("stream of %d bytes is refused", length)
		}
	}
	for length := range valid {
		if !ValidLength(length) {
			t.Errorf("%d is the length of a stream", length)
		}
	}
	for length := range last {
		if ValidLength(length) && !valid[length] && !padded(length) {
			t.Errorf("%d is the length of no stream", length)
		}
	}
	for _, length := range []int64{-1, 0, 40, 1079, 1 << 53, 1<<63 - 1, -1 << 63} {
		if ValidLength(length) {
			t.Errorf("%d is the length of no stream", length)
		}
	}
}

// padded finds out by trying whether some padded plaintext makes that length.
func padded(length int64) bool {
	for segments := int64(1); segments <= length/262_144+1; segments++ {
		if p := length - 40 - 16*segments; pad.IsLength(p) && stream(p) == length {
			return true
		}
	}
	return false
}

func good() Revision {
	return Revision{
		ID: id.New[id.Revision](), ReleaseKey: id.New32(), Commitment: id.New32(), Root: id.New32(), Salt: id.New32(),
		Length: 1080, Extents: []Extent{{Blob: 0, Offset: 0, Length: 1000}, {Blob: 1, Offset: 5, Length: 80}},
	}
}

func TestRevisionCheck(t *testing.T) {
	r := good()
	if err := r.check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Revision){
		"no id":             func(r *Revision) { r.ID = id.Revision{} },
		"no release key":    func(r *Revision) { r.ReleaseKey = id.Bytes32{} },
		"no commitment":     func(r *Revision) { r.Commitment = id.Bytes32{} },
		"no root":           func(r *Revision) { r.Root = id.Bytes32{} },
		"no salt":           func(r *Revision) { r.Salt = id.Bytes32{} },
		"no extents":        func(r *Revision) { r.Extents = nil },
		"unpadded length":   func(r *Revision) { r.Length++; r.Extents[0].Length++ },
		"sum too small":     func(r *Revision) { r.Extents[0].Length-- },
		"sum too large":     func(r *Revision) { r.Extents[0].Length++ },
		"empty extent":      func(r *Revision) { r.Extents = append(r.Extents, Extent{}) },
		"negative length":   func(r *Revision) { r.Extents[0].Length = -1 },
		"negative offset":   func(r *Revision) { r.Extents[0].Offset = -1 },
		"negative blob":     func(r *Revision) { r.Extents[0].Blob = -1 },
		"blob far away":     func(r *Revision) { r.Extents[0].Blob = maxBlobs },
		"beyond any blob":   func(r *Revision) { r.Extents[0].Offset = 8<<20 - 999 },
		"overflowing end":   func(r *Revision) { r.Extents[0].Offset = 1<<63 - 1 },
		"overflowing sum":   func(r *Revision) { r.Extents = slices.Repeat([]Extent{{Length: 8 << 20}}, maxExtents+1) },
		"lengths that wrap": func(r *Revision) { r.Extents = []Extent{{Length: 1<<63 - 1}, {Length: 1<<63 - 1}, {Length: 1082}} },
	} {
		t.Run(name, func(t *testing.T) {
			r := good()
			spoil(&r)
			if err := r.check(); !errors.Is(err, ErrRevision) {
				t.Errorf("accepted: %v", err)
			}
		})
	}
}

func TestPageParts(t *testing.T) {
	name := id.Bytes32(id.New32())
	for what, c := range map[string]struct {
		page Page
		want error
	}{
		"empty blob":      {Page{Blobs: []Blob{{Name: name}}}, ErrRequest},
		"negative blob":   {Page{Blobs: []Blob{{Name: name, Size: -1}}}, ErrRequest},
		"blob too large":  {Page{Blobs: []Blob{{Name: name, Size: 8<<20 + 1}}}, ErrRequest},
		"blob twice":      {Page{Blobs: []Blob{{Name: name, Size: 1}, {Name: name, Size: 1}}}, ErrRequest},
		"greatest blob":   {Page{Blobs: []Blob{{Name: name, Size: 8 << 20}}}, nil},
		"nothing":         {Page{}, nil},
		"a good revision": {Page{Revisions: []Revision{good()}}, nil},
	} {
		t.Run(what, func(t *testing.T) {
			if err := c.page.checkParts(); !errors.Is(err, c.want) {
				t.Errorf("have %v, want %v", err, c.want)
			}
		})
	}
}

func TestStagedPagesAreReadAsTheyWere(t *testing.T) {
	p := &staged{
		Blobs:     []Blob{{Name: id.New32(), Size: 5}},
		Receipts:  []statement{{Node: id.New[id.Node](), Blobs: []Blob{{Name: id.New32(), Size: 7}}}},
		Revisions: []Revision{good(), good()},
	}
	again, err := decodeStaged(p.encode())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.encode(), p.encode()) || again.Receipts[0].Node != p.Receipts[0].Node || again.Revisions[1].ID != p.Revisions[1].ID {
		t.Errorf("have %+v", again)
	}
}

func FuzzStagedPage(f *testing.F) {
	f.Add((&staged{Blobs: []Blob{{Name: id.New32(), Size: 5}}, Revisions: []Revision{good()}}).encode())
	f.Add((&staged{}).encode())
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := decodeStaged(body)
		if err != nil {
			return
		}
		if again, err := decodeStaged(p.encode()); err != nil || len(again.Revisions) != len(p.Revisions) {
			t.Fatalf("a page that was read cannot be read again: %v", err)
		}
	})
}
