package journal

import (
	"errors"
	"fmt"

	"holdfast/format/id"
	"holdfast/format/wire"
)

// ErrEncoding is wire.ErrEncoding: not the object that was wanted.
var ErrEncoding = wire.ErrEncoding

// ErrRight: who asks for this does not hold the keys that it takes.
var ErrRight = errors.New("journal: your role does not allow this")

// ErrClash: a name that some file system takes for one that is there.
var ErrClash = errors.New("journal: the name is taken")

// ErrTooLarge: what is to be written does not fit one entry; write several.
var ErrTooLarge = errors.New("journal: too much for one entry")

// ErrLocked: the read key of an epoch is not there. This is no alarm: the keys
// come from the parent, an invitation or a later epoch.
var ErrLocked = errors.New("journal: no read key for this epoch")

// Kind is what is wrong with what a server gave: the error names of
// docs/format.md §21. Each is an error for errors.Is.
type Kind string

// The kinds of alarm.
const (
	// Encoding: not a journal entry at all.
	Encoding Kind = "encoding"
	// Foreign: of another folder, or by keys that are not this folder's.
	Foreign Kind = "foreign"
	// Planted: the signature is not that of the key which it names.
	Planted Kind = "planted"
	// ReaderWrote: sealed with the read key, without the right to write.
	ReaderWrote Kind = "reader-wrote"
	// Epoch: written under keys of another epoch than the present one.
	Epoch Kind = "epoch"
	// Gap: entries before this one were left out.
	Gap Kind = "gap"
	// Fork: another entry than one that is known stands in its place.
	Fork Kind = "fork"
	// Rollback: an older state than one that is known.
	Rollback Kind = "rollback"
	// NotAdmin: keys or an epoch were changed without the admin key.
	NotAdmin Kind = "not-admin"
	// Operations: a writer's operations do not open, decode or apply.
	Operations Kind = "operations"
	// Disagreement: what the server was told is not what the operations do.
	Disagreement Kind = "disagreement"
	// BadAuthor: the member's signature is missing or not that member's.
	BadAuthor Kind = "author"
	// BadCheckpoint: it is not the state of the folder.
	BadCheckpoint Kind = "checkpoint"
	// Missing: a journal or a checkpoint that must be there is not.
	Missing Kind = "missing"
	// Serial: an older grant than one that is known.
	Serial Kind = "serial"
)

// Error is the kind's name.
func (k Kind) Error() string { return string(k) }

// meaning says a kind in words that a person can act on.
var meaning = map[Kind]string{
	Encoding:      "this is no entry of a folder's journal",
	Foreign:       "it does not come from this folder's writers",
	Planted:       "its signature is not that of the folder's writers: somebody planted it",
	ReaderWrote:   "somebody who may only read wrote it",
	Epoch:         "it was written under keys that are not this folder's present ones",
	Gap:           "entries before it are missing",
	Fork:          "it stands in place of another entry: this folder was shown in two versions",
	Rollback:      "an older state of the folder was given than was seen before",
	NotAdmin:      "keys were changed by somebody who does not administer the folder",
	Operations:    "its sealed part is damaged, or does what cannot be done",
	Disagreement:  "what the server was told of it is not what it does",
	BadAuthor:     "it is not signed by the member that it names",
	BadCheckpoint: "the checkpoint is not the folder's state",
	Missing:       "the server does not give what must be there",
	Serial:        "an older grant was given than was seen before",
}

// Alarm is a fault that no honest server, or no honest member, causes.
type Alarm struct {
	Folder id.Folder
	Kind   Kind
	Seq    int64 // of the entry, 0 if it is about none
	Cause  error // may be nil
}

// Error names folder, entry and kind.
func (a *Alarm) Error() string {
	text := fmt.Sprintf("folder %s", a.Folder)
	if a.Seq > 0 {
		text += fmt.Sprintf(", entry %d", a.Seq)
	}
	text += fmt.Sprintf(": %s: %s", string(a.Kind), meaning[a.Kind])
	if a.Cause != nil {
		text += " (" + a.Cause.Error() + ")"
	}
	return text
}

// Unwrap gives the kind and the cause.
func (a *Alarm) Unwrap() []error {
	if a.Cause == nil {
		return []error{a.Kind}
	}
	return []error{a.Kind, a.Cause}
}

func alarm(folder id.Folder, kind Kind, seq int64, cause error) error {
	return &Alarm{Folder: folder, Kind: kind, Seq: seq, Cause: cause}
}

func wrong(format string, args ...any) error { return fmt.Errorf(format, args...) }
