package store

import (
	"encoding/binary"
	"testing"

	"holdfast/format/blob"
	"holdfast/format/id"
)

// TestHonestSendsNeverMeetTheRoom: a send whose budget is just its bytes is never
// refused for the room that its blobs take beside them.
func TestHonestSendsNeverMeetTheRoom(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		name  string
		files int
		sizes []int64 // of the blobs of each file
	}{
		{"one byte", 1, []int64{1}},
		{"a few small files that were never packed", 60, []int64{300}},
		{"files of 8 MiB and a byte", 2000, []int64{8 * mib, 1}},
		{"files just too long for a pack", 5000, []int64{mib + 1}},
		{"packs", 500, []int64{7 * mib}},
		{"one file of 2 TiB", 1, append(make([]int64, 0), repeat(8*mib, 1<<18)...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			var budget, n int64
			for _, size := range c.sizes {
				budget += size * int64(c.files)
			}
			u := &upload{arriving: map[id.Name]*arrival{}}
			for range c.files {
				for _, size := range c.sizes {
					n++
					name := id.Name{}
					binary.BigEndian.PutUint64(name[:], uint64(n))
					if err := u.expect(name, size, budget); err != nil {
						t.Fatalf("blob %d of %d bytes: %v", n, size, err)
					}
					u.held = u.held.Add(Usage{1, size}) // as publish and dismiss do
					delete(u.arriving, name)
				}
			}
			if u.held.Bytes != budget {
				t.Fatalf("%d bytes of %d", u.held.Bytes, budget)
			}
		})
	}
}

func repeat(size int64, n int) []int64 {
	all := make([]int64, n)
	for i := range all {
		all[i] = size
	}
	return all
}

// TestSmallBlobsMeetTheRoom: one byte for each is not all that they cost.
func TestSmallBlobsMeetTheRoom(t *testing.T) {
	const budget = 64 * blob.MaxSize
	u := &upload{arriving: map[id.Name]*arrival{}}
	for n := uint64(1); ; n++ {
		name := id.Name{}
		binary.BigEndian.PutUint64(name[:], n)
		if err := u.expect(name, 1, budget); err != nil {
			break
		}
		u.held = u.held.Add(Usage{1, 1})
		delete(u.arriving, name)
	}
	if most := int64(budget+budget/32)/Overhead + 64; u.held.Blobs > most {
		t.Fatalf("%d blobs of a byte, at most %d wanted", u.held.Blobs, most)
	}
}
