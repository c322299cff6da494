package transfer

import (
	"fmt"
	"strings"

	"holdfast/client/resume"
	"holdfast/format/blob"
)

// part is what a unit holds of one file: a piece of a large stream, or a small
// stream in one go.
type part struct {
	file           *file
	piece          int
	offset, length int64 // in the blob
}

// unit is a blob to be.
type unit struct {
	parts []part
	size  int64
	// known is the blob as it was recorded in an earlier try; it must come out equal.
	known *resume.Blob
}

// listed tells whether the listing, or a part of it, is in the unit.
func (u *unit) listed(listing *file) bool {
	return listing != nil && u.parts[len(u.parts)-1].file == listing
}

// packed tells whether the unit holds small streams.
func (u *unit) packed() bool { return !u.parts[0].file.large() }

// key tells units apart by what is in them.
func (u *unit) key() string {
	var b strings.Builder
	for _, p := range u.parts {
		fmt.Fprintf(&b, "%d.%d ", p.file.Number, p.piece)
	}
	return b.String()
}

func recordedKey(b *resume.Blob) string {
	var text strings.Builder
	for _, p := range b.Parts {
		fmt.Fprintf(&text, "%d.%d ", p.File, p.Piece)
	}
	return text.String()
}

// units cuts and packs the files in order (docs/format.md §5), the listing last.
// The same files give the same units.
func units(files []*file, listing *file) []*unit {
	var out []*unit
	var pack unit
	flush := func() {
		if len(pack.parts) > 0 {
			whole := pack
			out = append(out, &whole)
			pack = unit{}
		}
	}
	add := func(f *file) {
		if f.large() {
			out = append(out, cut(f)...)
			return
		}
		if pack.size+f.length > blob.MaxSize {
			flush()
		}
		pack.parts = append(pack.parts, part{f, 0, pack.size, f.length})
		pack.size += f.length
	}
	for _, f := range files {
		add(f)
	}
	if listing != nil && listing.large() {
		flush() // what waits for all others stands behind them
	}
	if listing != nil {
		add(listing)
	}
	flush()
	return out
}

func cut(f *file) []*unit {
	out := make([]*unit, len(f.pieces))
	for i := range out {
		_, n := blob.Piece(f.length, i)
		out[i] = &unit{parts: []part{{f, i, 0, n}}, size: n}
	}
	return out
}

func total(units []*unit) (sum int64) {
	for _, u := range units {
		sum += u.size
	}
	return sum
}

// match gives every unit the blob that was recorded for it and returns the
// numbers of files in recorded blobs that no unit is like any more.
func match(units []*unit, state *resume.State) map[int]bool {
	recorded := map[string]*resume.Blob{}
	for i := range state.Blobs {
		b := &state.Blobs[i]
		recorded[recordedKey(b)] = b
	}
	for _, u := range units {
		key := u.key()
		u.known = recorded[key]
		if u.known != nil && int64(u.known.Size) == u.size {
			delete(recorded, key)
		}
	}
	stray := map[int]bool{}
	for _, b := range recorded {
		for _, p := range b.Parts {
			stray[p.File] = true
		}
	}
	return stray
}
