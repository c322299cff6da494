package descriptor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"holdfast/format/wire"
)

// Limits of docs/format.md §10.
const (
	// MaxBundle is the greatest size of an encoded bundle.
	MaxBundle = 64 << 20
	// MaxEntries bounds the descriptors in a bundle.
	MaxEntries = 1 << 18
	// MaxDepth bounds the components of a path in a bundle. Real trees go some 50
	// deep, and macOS opens no path of more than 512 components.
	MaxDepth = 128
	// MaxFolders bounds the folders above the entries, those that have no entry of
	// their own included: a receiver makes every one, and one path of MaxPath bytes
	// could name 2,047 of them.
	MaxFolders = 1 << 18
)

// Bundle is what one link to several files lists. Entries are sorted by path,
// compared as bytes; NewBundle sorts.
type Bundle struct {
	Entries []Descriptor `cbor:"1,keyasint" most:"262144"` // MaxEntries
	Title   string       `cbor:"2,keyasint,omitempty"`
}

// NewBundle sorts entries, in place, and returns the bundle that they make, checked.
func NewBundle(title string, entries []Descriptor) (Bundle, error) {
	slices.SortFunc(entries, func(a, b Descriptor) int { return cmp.Compare(a.Path, b.Path) })
	b := Bundle{Entries: entries, Title: title}
	return b, b.Check()
}

// Check tells whether b obeys docs/format.md §10, its descriptors included.
func (b Bundle) Check() error {
	if len(b.Entries) == 0 || len(b.Entries) > MaxEntries {
		return fmt.Errorf("%w: %d entries, 1 to %d allowed", ErrBundle, len(b.Entries), MaxEntries)
	}
	if b.Title != "" {
		if err := CheckName(b.Title); err != nil {
			return fmt.Errorf("title: %w", err)
		}
	}
	before, folders := "", 0
	for i, d := range b.Entries {
		if err := d.checkListed(); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		switch cmp.Compare(before, d.Path) { // no path is empty
		case 0:
			return fmt.Errorf("%w: entries %d and %d have one path", ErrBundle, i-1, i)
		case 1:
			return fmt.Errorf("%w: entry %d is not in order", ErrBundle, i)
		}
		if folders += newFolders(before, d.Path); folders > MaxFolders {
			return fmt.Errorf("%w: more than %d folders above its entries", ErrBundle, MaxFolders)
		}
		before = d.Path
	}
	return b.checkParents()
}

// checkListed checks d as an entry of a bundle.
func (d Descriptor) checkListed() error {
	if err := d.Check(); err != nil {
		return err
	}
	return CheckDepth(d.Path)
}

// CheckDepth refuses a path of more than MaxDepth components, which no bundle has.
func CheckDepth(path string) error {
	if depth := strings.Count(path, "/") + 1; depth > MaxDepth {
		return fmt.Errorf("%w: %d components in a bundle, at most %d allowed", ErrPath, depth, MaxDepth)
	}
	return nil
}

// newFolders is how many folders lie above path that lie above none of the paths
// before it in a sorted list. All that lies in one folder stands together there,
// so that only the path just before can share it.
func newFolders(before, path string) int {
	same := 0
	for same < len(before) && same < len(path) && before[same] == path[same] {
		same++
	}
	return strings.Count(path[same:], "/")
}

// checkParents refuses a file whose path is the parent of another entry's. The
// entries are sorted, so that the first path from "file/" on tells; asking for
// every ancestor of every path instead would let long paths cost their square.
func (b Bundle) checkParents() error {
	for i, d := range b.Entries {
		if d.Kind != File {
			continue
		}
		prefix := d.Path + "/"
		rest := b.Entries[i+1:]
		at, _ := slices.BinarySearchFunc(rest, prefix, func(e Descriptor, p string) int { return cmp.Compare(e.Path, p) })
		if at < len(rest) && strings.HasPrefix(rest[at].Path, prefix) {
			return fmt.Errorf("%w: entry %d lies below entry %d, which is a file", ErrBundle, i+1+at, i)
		}
	}
	return nil
}

// Totals are the number of files and the sum of their true sizes, which a link
// record states. It is an error if the sum is not an integer of the format.
func (b Bundle) Totals() (files, bytes int64, err error) {
	for _, d := range b.Entries {
		if d.Kind != File {
			continue
		}
		files++
		if bytes += d.Content.Size; bytes > wire.MaxInt { // each is at most 2^53-1: no overflow before the check
			return 0, 0, fmt.Errorf("%w: the files' sizes add up to more than 2^53-1", ErrBundle)
		}
	}
	return files, bytes, nil
}

// Encode checks b and returns its encoding, the plaintext of a content stream.
func (b Bundle) Encode() ([]byte, error) {
	if err := b.Check(); err != nil {
		return nil, err
	}
	out := wire.Marshal(b)
	if len(out) > MaxBundle {
		return nil, fmt.Errorf("%w: %d bytes encoded, at most %d allowed", ErrBundle, len(out), MaxBundle)
	}
	return out, nil
}

// DecodeBundle returns the bundle that b encodes, checked.
func DecodeBundle(b []byte) (Bundle, error) {
	if len(b) > MaxBundle {
		return Bundle{}, fmt.Errorf("%w: %d bytes, at most %d allowed", ErrBundle, len(b), MaxBundle)
	}
	var out Bundle
	if err := wire.Unmarshal(b, MaxBundle, &out); err != nil {
		return Bundle{}, fmt.Errorf("bundle: %w", err)
	}
	if err := out.Check(); err != nil {
		return Bundle{}, err
	}
	return out, nil
}
