// Package upload takes in what clients store: it reserves room, hands out
// tickets, collects pages of receipts and revisions, and commits an upload with
// its link at once or not at all.
//
// It promises that nothing becomes visible unless every blob has receipts of two
// independent nodes that its tickets named, every revision has the length of a
// padded stream and lies within its blobs, and no id was used before; that a
// commit answered once is answered the same way again; and that an upload given
// up is ordered away. It never sees a byte of a blob, and knows neither SQL nor
// HTTP.
package upload

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"time"

	"holdfast/format/id"
	"holdfast/server/internal/placement"
)

// Errors. Placement's ErrNoPlacement and the errors of package share for links
// come through as they are.
var (
	ErrUnknown         = errors.New("there is no such upload")
	ErrSecret          = errors.New("the upload's secret is wrong")
	ErrClosed          = errors.New("the upload is closed")
	ErrOverLimit       = errors.New("more than this service allows")
	ErrNoCapacity      = errors.New("the service has no room for this now")
	ErrConflict        = errors.New("the upload was committed with other content")
	ErrPageMissing     = errors.New("a staged page is missing")
	ErrReceipt         = errors.New("a receipt does not hold")
	ErrReceiptsMissing = errors.New("a blob lacks receipts of two independent nodes")
	ErrRevision        = errors.New("a revision does not hold together")
	ErrLinkExists      = errors.New("a link with this handle exists")
	ErrQuota           = errors.New("more than the account may store")
	// ErrRequest: a request that no client of ours makes.
	ErrRequest = errors.New("the request is not valid")
)

// State of an upload. The numbers stand in the database.
type State int

// States: open, then one of the others, once.
const (
	Open      State = 1
	Committed State = 2
	Abandoned State = 3
)

// Upload as it is stored.
type Upload struct {
	ID    id.Upload
	State State
	// Secret is the hash of the upload's secret.
	Secret [32]byte
	// Account is whose drive an open upload is for, zero for a send.
	Account id.Account
	// Budget in bytes, reserved while the upload is open.
	Budget int64
	// Closes is when an open upload is given up, in Unix seconds.
	Closes int64
	// Chains are all that tickets of an open upload ever named, the newest last.
	Chains []placement.Chain
	// Digest and Answer are those of the commit.
	Digest, Answer []byte
}

// Limits of uploads; the first four are of those without an account.
type Limits struct {
	UploadBytes   int64
	DefaultDays   int
	Days          int
	Downloads     int64
	ReservedBytes int64
	// OpensPerMinute is how many uploads may be opened in a minute, by all together,
	// over longer times and at once; 0 for any number.
	OpensPerMinute int
	// AccountBytes is what an account's drive may hold, open uploads included.
	AccountBytes int64
}

const (
	// life of an upload without an account, and of one with (docs/protocol.md).
	life        = 24 * time.Hour
	accountLife = 6 * 24 * time.Hour
	// ticketLife is how long an upload ticket is good.
	ticketLife = time.Hour
	// firstBudget is reserved when the length is not known yet; the client asks for more.
	firstBudget = 64 << 20
	// maxOpen bounds uploads open at once: each takes a kilobyte here, however little it reserves.
	maxOpen = 100_000
	// wantedChains is how many chains a ticket should have. maxChains and maxNodes
	// are how many all tickets of an upload may name, of which each node gets an
	// order when it ends.
	wantedChains = 4
	maxChains    = 64
	maxNodes     = 64
	// keepClosed is how many days the answer of a commit is kept for retries.
	keepClosed = 2
	secondsDay = 24 * 60 * 60
)

// Node is a member of the fleet as uploads need it.
type Node struct {
	ID               id.Node
	Public           ed25519.PublicKey
	URL, Declaration string
	Exposure         placement.Exposure
	// Free is how many bytes it can still take, reservations not looked at.
	Free int64
	// Writable: it was heard of lately and takes blobs.
	Writable bool
	// Counts: it is a member and has not lost what it held; receipts of others
	// are no copies.
	Counts bool
}

// Grant is what a client gets for an open upload.
type Grant struct {
	Upload id.Upload
	// Secret is there only when the upload was opened.
	Secret string
	Ticket string
	Nodes  []Node
	Budget int64
	// Expires is the ticket's end, Closes the upload's, in Unix seconds.
	Expires, Closes int64
	// Most is the greatest budget that the upload may be given.
	Most int64
}

// Room is what could be reserved now.
type Room struct {
	Bytes     int64
	Accepting bool
}

// secretHash is what is stored of an upload's secret.
func secretHash(upload id.Upload, secret id.Bytes32) [32]byte {
	return sha256.Sum256(append(append([]byte("holdfast/v1/upload-hash\x00"), upload[:]...), secret[:]...))
}

// authorised tells whether text is the upload's secret.
func (u Upload) authorised(text string) bool {
	secret, err := id.Parse32(text)
	if err != nil {
		return false
	}
	have := secretHash(u.ID, secret)
	return subtle.ConstantTimeCompare(have[:], u.Secret[:]) == 1
}

// openAt tells whether the upload takes anything at that time.
func (u Upload) openAt(now time.Time) bool { return u.State == Open && u.Closes > now.Unix() }
