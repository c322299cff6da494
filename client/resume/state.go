// Package resume keeps what a send must know to go on after a crash
// (docs/format.md §12). It promises that a blob's name is durable beside the
// keys of what is in it before Write returns, so that whoever sends only what
// was written never puts two plaintexts under one nonce: a log that was read
// back tells for every blob that may have left this machine what it was made of.
// It knows no network. The log holds file keys: it is for its owner only, and is
// erased when the send is done.
package resume

import (
	"holdfast/client/source"
	"holdfast/format/id"
	"holdfast/format/seal"
)

// Version is the version of the log; others are not resumed. In version 1 each
// file had a line of its own, so that a log could end within a decision.
const Version = 2

// Head begins a log: the upload, and the link that it will make.
type Head struct {
	Version int        `json:"version"`
	Upload  id.Upload  `json:"upload"`
	Secret  string     `json:"secret"` // the upload's
	Handle  id.Handle  `json:"handle"`
	Link    id.Bytes32 `json:"link"`   // the link's secret
	Flags   byte       `json:"flags"`  // the link's
	Manage  id.Bytes32 `json:"manage"` // the management secret
}

// File is one revision to be: what it is made from and what seals it.
type File struct {
	// Number is the entry's in the tree; the listing comes after the last entry.
	Number int    `json:"n"`
	Local  string `json:"local,omitempty"`
	source.Stamp
	ID       id.File     `json:"file"`
	Revision id.Revision `json:"revision"`
	K        id.Bytes32  `json:"k"`
	R        id.Bytes32  `json:"r"`
	Salt     id.Bytes32  `json:"salt"`
	Prefix   [7]byte     `json:"prefix"`
}

// Draw draws everything that seals a revision anew.
func Draw(number int, local string, stamp source.Stamp) File {
	keys, params := seal.NewKeys(id.New[id.File]()), seal.NewParams()
	return File{
		Number: number, Local: local, Stamp: stamp,
		ID: keys.File, Revision: keys.Revision, K: keys.K, R: keys.R,
		Salt: params.Salt, Prefix: params.Prefix,
	}
}

// Keys are what the revision is sealed under.
func (f File) Keys() seal.Keys {
	return seal.Keys{File: f.ID, Revision: f.Revision, K: f.K, R: f.R}
}

// Params are the random part of the stream's header.
func (f File) Params() seal.Params { return seal.Params{Salt: f.Salt, Prefix: f.Prefix} }

// Blob is a blob that may have left this machine.
type Blob struct {
	Name  id.Name `json:"name"`
	Size  int     `json:"size"`
	Parts []Part  `json:"parts"`
}

// Part is what is in a blob: a piece of a large stream, or a whole small one.
type Part struct {
	File  int `json:"f"`
	Piece int `json:"p,omitempty"`
	// Root of a small stream, which cannot be told from the blob's name.
	Root *id.Bytes32 `json:"root,omitempty"`
}

// Record is one line of the log: exactly one field is set.
type Record struct {
	Head *Head `json:"head,omitempty"`
	// Files are drawn by one decision, with all that share a blob with one of them:
	// one line, so that a crash leaves all of the decision or nothing of it.
	Files []File `json:"files,omitempty"`
	Blob  *Blob  `json:"blob,omitempty"`
	// Receipt is an envelope of type receipt.
	Receipt string `json:"receipt,omitempty"`
}

// says tells whether the record holds anything that this version knows.
func (r Record) says() bool {
	return r.Head != nil || len(r.Files) > 0 || r.Blob != nil || r.Receipt != ""
}

// State is what a log says.
type State struct {
	Head     Head
	Files    map[int]File
	Blobs    []Blob
	Receipts []string
	// Tainted are files that were sealed into a blob which does not count any more,
	// and that were not drawn anew since: no name stands beside their keys, so that
	// they must be before anything is sealed. A whole decision leaves none.
	Tainted map[int]bool
	// Abandoned are the bytes of blobs that were sent and whose revisions were
	// drawn anew since: nodes may hold them and count them against the budget.
	Abandoned int64
}

// NewState is the state of a log that has only its head.
func NewState(head Head) *State {
	return &State{Head: head, Files: map[int]File{}, Tainted: map[int]bool{}}
}

// Apply adds a record after the head.
func (s *State) Apply(r Record) {
	switch {
	case len(r.Files) > 0:
		s.draw(r.Files)
	case r.Blob != nil:
		s.Blobs = append(s.Blobs, *r.Blob)
	case r.Receipt != "":
		s.Receipts = append(s.Receipts, r.Receipt)
	}
}

// draw takes the files of one decision over. A blob that holds a part of one of
// them is forgotten, and whatever else it held is tainted.
func (s *State) draw(files []File) {
	drawn := map[int]bool{}
	for _, f := range files {
		drawn[f.Number] = true
	}
	kept := s.Blobs[:0]
	for _, b := range s.Blobs {
		if !b.any(drawn) {
			kept = append(kept, b)
			continue
		}
		s.Abandoned += int64(b.Size)
		for _, p := range b.Parts {
			s.Tainted[p.File] = true
		}
	}
	s.Blobs = kept
	for _, f := range files {
		s.Files[f.Number] = f
		delete(s.Tainted, f.Number)
	}
}

// Together returns the numbers and all that were sealed into one blob with one
// of them: what has to be drawn anew when these are, since their common blob
// will not come out as it was.
func (s *State) Together(numbers map[int]bool) map[int]bool {
	all := map[int]bool{}
	for n := range numbers {
		all[n] = true
	}
	for grown := true; grown; {
		grown = false
		for _, b := range s.Blobs {
			if !b.any(all) {
				continue
			}
			for _, p := range b.Parts {
				grown = grown || !all[p.File]
				all[p.File] = true
			}
		}
	}
	return all
}

func (b Blob) any(files map[int]bool) bool {
	for _, p := range b.Parts {
		if files[p.File] {
			return true
		}
	}
	return false
}
