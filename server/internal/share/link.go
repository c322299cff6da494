// Package share keeps links: it gives out what a link opens to whoever shows
// that they have its key, and ends links when they expire, are used up or are
// revoked.
//
// It promises that release keys and tickets leave only against the link's auth
// value or a session that was started with it, that a download limit is never
// exceeded, that tries with a wrong key are limited, and that an ended link's
// keys are destroyed for good. It sees no file key, name or true size, and
// knows neither SQL nor HTTP.
package share

import (
	"errors"
	"fmt"
	"time"

	"holdfast/format/id"
)

// Errors.
var (
	ErrNotFound = errors.New("there is no such link")
	ErrWrongKey = errors.New("the key or password is wrong")
	ErrManage   = errors.New("the management secret is wrong")
	ErrExpired  = errors.New("the link has expired")
	ErrUsedUp   = errors.New("the link's downloads are used up")
	ErrRevoked  = errors.New("the sender has revoked the link")
	ErrSession  = errors.New("the download session is over or is not this link's")
	// ErrSpec: the link that a sender wants does not hold together.
	ErrSpec = errors.New("the link is not valid")
	// ErrOverLimit: the sender wants more than the service allows.
	ErrOverLimit = errors.New("more than this service allows")
	// ErrRequest: a request that no client of ours makes.
	ErrRequest = errors.New("the request is not valid")
)

// State of a link. The numbers stand in the database.
type State int

// States.
const (
	Live    State = 1
	Expired State = 2
	UsedUp  State = 3
	Revoked State = 4
)

// String is the state's name in the protocol.
func (s State) String() string {
	switch s {
	case Live:
		return "live"
	case Expired:
		return "expired"
	case UsedUp:
		return "used-up"
	case Revoked:
		return "revoked"
	}
	return fmt.Sprintf("state %d", int(s))
}

// Link as it is stored. Of a link that has ended only Handle, Manage, State and
// EndedDay are left.
type Link struct {
	Handle id.Handle
	State  State
	Upload id.Upload
	// Auth and Manage are hashes (docs/format.md §11).
	Auth, Manage [32]byte
	// Record is the sealed link record.
	Record []byte
	// Listing is the bundle's own revision, zero for a single file.
	Listing id.Revision
	// Expires in Unix seconds, rounded; 0 for never, which links of drives may.
	Expires int64
	// Limit of downloads, 0 for none, and how many there were.
	Limit, Downloads int64
	// Bytes of the link's blobs; 0 for a link to what is in a drive.
	Bytes    int64
	EndedDay int64
	// Drive is what a link to what is in a drive says besides; nil for a send's, and
	// for one that has ended. Upload and Manage are zero where it is set.
	Drive *InDrive
}

// InDrive tells of a link to a file or folder of a drive.
type InDrive struct {
	Owner  id.Account
	Folder id.Folder
	// Whole: it opens the folder and all below it; else a file's revisions.
	Whole bool
	// Lost: its owner may not read any more what it opens.
	Lost bool
}

// Left is how many downloads may still be started; ok is false without a limit.
func (l Link) Left() (left int64, ok bool) { return max(l.Limit-l.Downloads, 0), l.Limit > 0 }

// Stands tells whether the link still opens anything at that time, in Unix seconds.
func (l Link) Stands(now int64) error {
	switch l.State {
	case Expired:
		return ErrExpired
	case UsedUp:
		return ErrUsedUp
	case Revoked:
		return ErrRevoked
	}
	if l.Expires > 0 && l.Expires <= now {
		return ErrExpired
	}
	if l.Drive != nil && l.Drive.Lost {
		return ErrRevoked
	}
	return nil
}

// Limits of links without an account.
type Limits struct {
	Days      int
	Downloads int64
}

// Spec is the link that a sender wants.
type Spec struct {
	Handle       id.Handle   `cbor:"1,keyasint"`
	Auth         id.Bytes32  `cbor:"2,keyasint"`
	Manage       id.Bytes32  `cbor:"3,keyasint"`
	Record       []byte      `cbor:"4,keyasint"`
	Listing      id.Revision `cbor:"5,keyasint"`
	Expires      int64       `cbor:"6,keyasint"`
	MaxDownloads int64       `cbor:"7,keyasint"`
}

const (
	hour = int64(time.Hour / time.Second)
	day  = 24 * hour
	// MaxRecord is the greatest sealed link record (docs/format.md §11).
	MaxRecord = 64 << 10
	// minRecord is a sealed record of nothing: version, salt, C and tag.
	minRecord = 1 + 32 + 32 + 16
	// clockSlack is how far beyond the limit an expiry may lie: the sender's
	// clock is not ours, and a long upload began some time ago.
	clockSlack = hour
)

// Link checks the spec against the limits and makes the link, which stands for
// the given upload. Days are counted from now.
func (s Spec) Link(upload id.Upload, bytes int64, limits Limits, now time.Time) (Link, error) {
	if err := checkParts(s.Handle, s.Auth, s.Record, s.MaxDownloads); err != nil {
		return Link{}, err
	}
	switch {
	case s.Manage == id.Bytes32{}:
		return Link{}, fmt.Errorf("%w: a hash is missing", ErrSpec)
	case s.MaxDownloads > limits.Downloads:
		return Link{}, fmt.Errorf("%w: a limit of %d downloads, at most %d", ErrOverLimit, s.MaxDownloads, limits.Downloads)
	case s.Expires <= now.Unix():
		return Link{}, fmt.Errorf("%w: it would have expired already; check this machine's clock", ErrSpec)
	case s.Expires > now.Unix()+int64(limits.Days)*day+clockSlack:
		return Link{}, fmt.Errorf("%w: it would expire in more than %d days", ErrOverLimit, limits.Days)
	}
	return Link{
		Handle: s.Handle, State: Live, Upload: upload, Auth: s.Auth, Manage: s.Manage, Record: s.Record,
		Listing: s.Listing, Expires: RoundExpiry(s.Expires, now), Limit: s.MaxDownloads, Bytes: bytes,
	}, nil
}

func checkParts(handle id.Handle, auth id.Bytes32, record []byte, downloads int64) error {
	switch {
	case handle.IsZero():
		return fmt.Errorf("%w: the handle is missing", ErrSpec)
	case auth == id.Bytes32{}:
		return fmt.Errorf("%w: a hash is missing", ErrSpec)
	case len(record) < minRecord || len(record) > MaxRecord:
		return fmt.Errorf("%w: a record of %d bytes, %d to %d allowed", ErrSpec, len(record), minRecord, MaxRecord)
	case downloads < 0:
		return fmt.Errorf("%w: a limit of %d downloads", ErrSpec, downloads)
	}
	return nil
}

// ForDrive checks a link to what is in a drive, which may have no end. Its expiry is
// rounded as others' are.
func ForDrive(l Link, now time.Time) (Link, error) {
	if err := checkParts(l.Handle, l.Auth, l.Record, l.Limit); err != nil {
		return Link{}, err
	}
	if l.Expires < 0 || l.Expires > 0 && l.Expires <= now.Unix() {
		return Link{}, fmt.Errorf("%w: it would have expired already; check this machine's clock", ErrSpec)
	}
	if l.Expires > 0 {
		l.Expires = RoundExpiry(l.Expires, now)
	}
	l.State = Live
	return l, nil
}

// RoundExpiry rounds up to the full hour when less than two days are left, else
// to the full UTC day, so that an expiry does not tell when a file was sent.
func RoundExpiry(expires int64, now time.Time) int64 {
	step := day
	if expires-now.Unix() < 2*day {
		step = hour
	}
	return (expires + step - 1) / step * step
}
