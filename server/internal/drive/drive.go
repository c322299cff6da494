// Package drive keeps accounts' folders: it takes entries of their journals, gives
// them out again, and says who may do what, now, each time.
//
// It promises that an entry is the next of its folder's chain and signed by the
// folder's keys, and that only who has a role in a folder, as owner or by a grant, reads
// or writes it; that a commit is visible whole or not at all, with the upload that it
// refers to; that a revision is referred to by who brought it or may read it; that a
// folder lies in exactly one folder or is a root; that an account is charged once for
// what its folders hold; and that what no folder holds and no link opens is destroyed.
// It cannot read names, sizes or content, and knows neither SQL nor HTTP.
package drive

import (
	"errors"

	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/server/internal/upload"
)

// Errors. Those of package upload come through as they are.
var (
	ErrNotFound        = errors.New("there is no such thing that you may see")
	ErrRole            = errors.New("your role does not allow this")
	ErrHeadMoved       = errors.New("the folder was changed meanwhile")
	ErrEntry           = errors.New("the entry does not hold")
	ErrGrant           = errors.New("the grant does not hold")
	ErrRevisionUnknown = errors.New("the revision is neither new nor in a folder that you may read")
	ErrFolderExists    = errors.New("a folder of this id is or was there")
	ErrMisplaced       = errors.New("the folder would lie nowhere, twice, too deep, or in somebody else's drive")
	ErrPageMissing     = errors.New("a page of the checkpoint is not kept")
	ErrOverLimit       = errors.New("more than this service allows")
	ErrConflict        = errors.New("the key was used for another commit")
	ErrQuota           = upload.ErrQuota
	// ErrRequest: a request that no client of ours makes.
	ErrRequest = errors.New("the request is not valid")
)

// Limits of docs/protocol.md, "Drive".
const (
	// MaxLevels is how many folders lie above one another.
	MaxLevels = 300
	// maxFolders and maxRevisions bound what one commit names, and so how long it
	// holds up others; maxRoots how many roots it makes.
	maxFolders   = 4096
	maxRevisions = 1 << 16
	maxRoots     = 16
	// maxPage is the greatest sealed page of a checkpoint, keptPages what a folder's take.
	maxPage   = 1 << 20
	keptPages = 256 << 20
	// maxGrants bounds the grants of one folder, revoked ones included, and those that
	// one answer lists.
	maxGrants = 1024
	// answerBytes is how much of entries one answer carries, beyond the first.
	answerBytes = 6 << 20
	// keepAnswers is how many days the answer to a commit is kept for retries.
	keepAnswers = 2
	// keepPages is how many days pages are kept that no entry names.
	keepPages  = 1
	secondsDay = 24 * 60 * 60
	// journalPart is which part of its quota a drive's entries and pages may take
	// besides, and journalLeast what they may in any case: they are not charged, and
	// stand in the database.
	journalPart  = 16
	journalLeast = 64 << 20
)

// Folder is what is stored of one, as its caller sees it.
type Folder struct {
	// Key and Drive are the store's: of the folder, and of the drive that it lies in.
	Key, Drive int64
	Chain      journal.Chain
	// Parent is the key of the folder that it lies in, 0 for none.
	Parent int64
	// Role of the caller, as owner or by the highest grant on it or above it.
	Role journal.Role
	// Depth is how many folders there are from the root to it, both counted; 0 if it
	// lies in no root. Height is how many levels lie below it at most.
	Depth, Height int
}

// stands tells whether the folder lies in a root and the caller has a role in it.
func (f Folder) stands() bool { return f.Depth > 0 && f.Role > journal.Nobody }

// Answer to a commit, by the commit's key.
type Answer struct{ Digest, Answer []byte }

// Usage is what a drive takes.
type Usage struct {
	// Bytes that its folders hold, and that open uploads reserve.
	Bytes, Reserved int64
}

// Granted is somebody else's folder, and the grant that opens it.
type Granted struct {
	Folder id.Folder
	Grant  []byte
}

// Grant that was verified.
type Grant struct {
	journal.Grant
	Raw []byte
}
