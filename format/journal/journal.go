// Package journal is a folder's log that a server cannot forge (docs/format.md
// §20 to §26): the folder's keys, the chain of signed entries, what their sealed
// operations do to the folder's state, rebase, checkpoints, grants, heads and pins.
//
// It promises that whatever a State says was written by who holds the folder's
// write or admin key, in that order and whole, and that a fault of the server's
// is an Alarm which names folder and kind. Chain is the part that a server
// checks too, and needs public keys only. The package knows no network, no
// disk and no clock. Nothing in it is safe for concurrent use.
package journal

import "holdfast/format/id"

// Limits of docs/format.md §20 to §26.
const (
	// MaxEntry is the greatest size of an entry's envelope in bytes.
	MaxEntry = 4 << 20
	// MaxOperations bounds the operations of one entry.
	MaxOperations = 1 << 14
	// MaxIDs bounds each list of ids of one entry.
	MaxIDs = 1 << 16
	// MaxEpoch bounds the epochs of one folder, so that their starts fit the first
	// page of a checkpoint.
	MaxEpoch = 1 << 12
	// MaxPages bounds the pages of a checkpoint, MaxPage one page before sealing.
	MaxPages = 1 << 12
	MaxPage  = 1_048_000
	// MaxGrant is the greatest size of a grant's envelope in bytes.
	MaxGrant = 4 << 10
	// MaxPins bounds a set of pins, MaxPinBytes its encoding.
	MaxPins     = 1 << 20
	MaxPinBytes = 64 << 20
)

// Types of envelopes and sealed records.
const (
	entryType      = "journal-entry"
	grantType      = "grant"
	operationsType = "journal-operations"
	checkpointType = "journal-checkpoint"
	readType       = "child-read"
	writeType      = "child-write"
	adminType      = "child-admin"
)

// Hash is a SHA-256 hash: of an entry as transmitted, of a page, of a state.
type Hash [32]byte

// Head is a place in a folder's journal: after the entry Seq, whose hash is Hash.
// Before the first entry both are zero.
type Head struct {
	_      struct{} `cbor:",toarray"`
	Folder id.Folder
	Seq    int64
	Hash   Hash
}
