package transfer

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"holdfast/client/resume"
	"holdfast/client/source"
)

// listingNumber is the listing's in the log; files are numbered from 1.
const listingNumber = 0

// prepare makes the files of the send: with the keys of the state where the
// source is what it was, with fresh ones elsewhere. It returns what has to be
// written to the log before anything is sealed.
func (s *storing) prepare(state *resume.State) ([]resume.File, error) {
	byLocal, next := map[string]resume.File{}, listingNumber+1
	for n, f := range state.Files {
		byLocal[f.Local] = f
		next = max(next, n+1)
	}
	redraw, same := map[int]bool{}, true
	drawn := map[int]resume.File{}
	var order []resume.File
	for _, e := range s.entries() {
		f, known := byLocal[e.Local]
		delete(byLocal, e.Local)
		switch {
		case !known:
			f, same = resume.Draw(next, e.Local, e.Stamp), false
			drawn[next] = f
			next++
		case f.Stamp != e.Stamp:
			redraw[f.Number], same = true, false
		}
		order = append(order, f)
	}
	for n := range state.Tainted { // the log ends within a decision: nothing is known of these
		redraw[n], same = true, false
	}
	delete(byLocal, "") // the listing's
	if !same || len(byLocal) > 0 || s.listingChanged(state) {
		redraw[listingNumber] = true
		for _, gone := range byLocal {
			redraw[gone.Number] = true
		}
	}
	return s.build(state, order, redraw, drawn)
}

// listingStamp tells one listing from another where the stamps of the files do
// not: by title, paths, and the times of folders. A listing that stands on nodes
// already must not be taken for the one of another tree.
func (s *storing) listingStamp() source.Stamp {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", s.title)
	for i := range s.tree.Entries {
		e := &s.tree.Entries[i]
		when := int64(0)
		if e.Folder {
			when = e.ModTime
		}
		fmt.Fprintf(h, "%q %t %d\n", e.Path, e.Folder, when)
	}
	sum := h.Sum(nil)
	return source.Stamp{Size: int64(len(s.tree.Entries)), Inode: binary.BigEndian.Uint64(sum), Device: binary.BigEndian.Uint64(sum[8:])}
}

func (s *storing) listingChanged(state *resume.State) bool {
	listing, known := state.Files[listingNumber]
	return known && listing.Stamp != s.listingStamp()
}

// entries are the files of the tree.
func (s *storing) entries() []*source.Entry {
	var out []*source.Entry
	for i := range s.tree.Entries {
		if !s.tree.Entries[i].Folder {
			out = append(out, &s.tree.Entries[i])
		}
	}
	return out
}

// build makes the files from what is recorded, drawing anew what must be, until
// every recorded blob belongs to a unit.
func (s *storing) build(state *resume.State, order []resume.File, redraw map[int]bool, drawn map[int]resume.File) ([]resume.File, error) {
	entries := s.entries()
	for {
		again := state.Together(redraw)
		for i, f := range order {
			if again[f.Number] {
				order[i] = resume.Draw(f.Number, f.Local, entries[i].Stamp)
				drawn[f.Number] = order[i]
			}
		}
		if err := s.make(state, order, again[listingNumber], drawn); err != nil {
			return nil, err
		}
		var anew []resume.File
		for n := range again {
			f, ok := drawn[n]
			if old, known := state.Files[n]; !ok && known {
				// No longer sent. Its blobs are forgotten, so that its keys must be, too: it
				// may come back with an equal stamp and other content.
				f, ok = resume.Draw(n, old.Local, old.Stamp), true
				drawn[n] = f
			}
			if ok {
				anew = append(anew, f)
			}
		}
		state.Apply(resume.Record{Files: anew})
		s.units = units(s.files, s.listing)
		redraw = match(s.units, state)
		if len(redraw) == 0 {
			break
		}
		redraw[listingNumber] = true
	}
	out := slices.Collect(maps.Values(drawn))
	state.Apply(resume.Record{Files: out})
	return out, nil
}

// decide writes down what was drawn by one decision. It is durable, whole, before
// anything is sealed under it.
func (s *storing) decide(drawn []resume.File) error {
	if len(drawn) == 0 {
		return nil
	}
	return s.log.Write(resume.Record{Files: drawn})
}

// make makes s.files and s.listing.
func (s *storing) make(state *resume.State, order []resume.File, redrawn bool, drawn map[int]resume.File) error {
	s.files, s.listing = nil, nil
	for i, e := range s.entries() {
		f, err := newFile(order[i], e, e.Size)
		if err != nil {
			return &source.Error{Local: e.Local, Err: err}
		}
		s.files = append(s.files, f)
	}
	if s.unlisted || s.tree.Single() != nil {
		return nil
	}
	b, err := s.bundle()
	if err != nil {
		return err
	}
	text, err := b.Encode()
	if err != nil {
		return err
	}
	listing, known := state.Files[listingNumber]
	if redrawn || !known {
		listing = resume.Draw(listingNumber, "", s.listingStamp())
		drawn[listingNumber] = listing
	}
	s.listing, err = newFile(listing, nil, int64(len(text)))
	return err
}
