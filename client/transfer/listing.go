package transfer

import (
	"mime"
	"path"
	"time"

	"holdfast/format/descriptor"
)

// mediaType is a hint by the name's ending, empty where there is none.
func mediaType(name string) string {
	kind := mime.TypeByExtension(path.Ext(name))
	if len(kind) > descriptor.MaxMediaType {
		return ""
	}
	for i := range len(kind) {
		if kind[i] < ' ' || kind[i] > '~' {
			return ""
		}
	}
	return kind
}

func setTime(d *descriptor.Descriptor, nanos int64) { d.SetTime(time.Unix(0, nanos)) }

// bundle lists the tree. Before all files are sealed it serves to learn how long
// the listing will be: what is not known yet has a fixed length.
func (s *storing) bundle() (descriptor.Bundle, error) {
	entries := make([]descriptor.Descriptor, 0, len(s.tree.Entries))
	next := 0
	for i := range s.tree.Entries {
		e := &s.tree.Entries[i]
		if !e.Folder {
			entries = append(entries, s.files[next].describe(e.Path))
			next++
			continue
		}
		d := descriptor.Descriptor{Path: e.Path, Kind: descriptor.Folder}
		setTime(&d, e.ModTime)
		entries = append(entries, d)
	}
	return descriptor.NewBundle(s.title, entries)
}

// list makes the listing's plaintext, now that everything else is sealed.
func (s *storing) list() ([]byte, error) {
	b, err := s.bundle()
	if err != nil {
		return nil, err
	}
	return b.Encode()
}
