package journal

import (
	"fmt"

	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/wire"
)

// What says what an operation does.
type What int64

// The operations; every other number is refused.
const (
	OpPut        What = 1
	OpRename     What = 2
	OpRemove     What = 3
	OpRestore    What = 4
	OpPurge      What = 5
	OpForget     What = 6
	OpMoveOut    What = 7
	OpMoveIn     What = 8
	OpCheckpoint What = 9
	OpEpoch      What = 10
	OpRekey      What = 11
	OpHead       What = 12
	OpForgetHead What = 13
)

// Operation is one change of a folder (docs/format.md §21). Which fields it
// takes follows from What; all others are zero. What it points to is shared and
// never changed.
type Operation struct {
	What       What                   `cbor:"1,keyasint"`
	Entry      *id.Entry              `cbor:"2,keyasint,omitempty"`
	Descriptor *descriptor.Descriptor `cbor:"3,keyasint,omitempty"`
	Child      *Child                 `cbor:"4,keyasint,omitempty"`
	Name       string                 `cbor:"5,keyasint,omitempty"`
	Day        *int64                 `cbor:"6,keyasint,omitempty"` // since 1970-01-01 UTC
	Revision   *id.Revision           `cbor:"7,keyasint,omitempty"`
	Folder     *id.Folder             `cbor:"8,keyasint,omitempty"`
	Seq        int64                  `cbor:"9,keyasint,omitempty"`
	Hash       *Hash                  `cbor:"10,keyasint,omitempty"`
	Digest     *Hash                  `cbor:"11,keyasint,omitempty"`
	ReadKey    *ReadKey               `cbor:"12,keyasint,omitempty"`
}

// keys of Operation as bits.
const (
	opEntry = 1 << (2 + iota)
	opDescriptor
	opChild
	opName
	opDay
	opRevision
	opFolder
	opSeq
	opHash
	opDigest
	opReadKey
)

// takes lists for each operation the keys that it must have and those that it may have.
var takes = map[What]struct{ must, may uint64 }{
	OpPut:        {opEntry | opDescriptor, opChild},
	OpRename:     {opEntry | opName, 0},
	OpRemove:     {opEntry | opDay, 0},
	OpRestore:    {opEntry | opName, 0},
	OpPurge:      {opEntry, 0},
	OpForget:     {opEntry | opRevision, 0},
	OpMoveOut:    {opEntry | opFolder, 0},
	OpMoveIn:     {opEntry | opDescriptor | opFolder, opChild},
	OpCheckpoint: {opSeq | opHash | opDigest, 0},
	OpEpoch:      {0, opReadKey},
	OpRekey:      {opEntry | opChild, 0},
	OpHead:       {opFolder | opSeq | opHash, 0},
	OpForgetHead: {opFolder, 0},
}

// keys are the bits of the fields that op has.
func (op *Operation) keys() uint64 {
	var has uint64
	for _, f := range []struct {
		there bool
		bit   uint64
	}{
		{op.Entry != nil, opEntry}, {op.Descriptor != nil, opDescriptor}, {op.Child != nil, opChild}, {op.Name != "", opName},
		{op.Day != nil, opDay}, {op.Revision != nil, opRevision}, {op.Folder != nil, opFolder}, {op.Seq != 0, opSeq},
		{op.Hash != nil, opHash}, {op.Digest != nil, opDigest}, {op.ReadKey != nil, opReadKey},
	} {
		if f.there {
			has |= f.bit
		}
	}
	return has
}

// check tells whether op is one of §21 as far as it can be told without a state.
func (op *Operation) check(has uint64) error {
	want, known := takes[op.What]
	if !known {
		return fmt.Errorf("%w: operation %d", ErrEncoding, op.What)
	}
	if missing, extra := want.must&^has, has&^(want.must|want.may); missing|extra != 0 {
		return fmt.Errorf("%w: operation %d with keys %b, want %b", ErrEncoding, op.What, has, want.must)
	}
	switch {
	case op.Name != "":
		return descriptor.CheckName(op.Name)
	case op.Day != nil && (*op.Day < 0 || *op.Day > wire.MaxInt):
		return fmt.Errorf("%w: day %d", ErrEncoding, *op.Day)
	case op.Seq < 0 || op.Seq > wire.MaxInt:
		return fmt.Errorf("%w: seq %d", ErrEncoding, op.Seq)
	case op.Descriptor != nil:
		return op.checkDescriptor()
	case op.Child != nil:
		return op.Child.check()
	}
	return nil
}

func (op *Operation) checkDescriptor() error {
	if err := descriptor.CheckName(op.Descriptor.Path); err != nil {
		return err
	}
	if (op.Descriptor.Kind == descriptor.Folder) != (op.Child != nil) {
		return fmt.Errorf("%w: keys of a child belong to a folder, and to it alone", ErrEncoding)
	}
	if op.What == OpPut && op.Descriptor.Versions != nil {
		return fmt.Errorf("%w: what is put brings no versions", ErrEncoding)
	}
	if op.Child != nil {
		return op.Child.check()
	}
	return nil
}

// readOperation takes the next value of r for an operation, which it checks.
// entry is where the operation's entry goes, if it has one.
func readOperation(r *wire.Reader, op *Operation, entry *id.Entry) {
	var has uint64
	m := r.Map()
	for m.Next() {
		switch m.Key {
		case 1:
			op.What = What(r.Uint())
			continue
		case 2:
			op.Entry = entry
			r.Fixed(entry[:])
		case 3:
			op.Descriptor = descriptor.Read(r)
		case 4:
			op.Child = readChild(r)
		case 5:
			op.Name = r.Text()
		case 6:
			day := r.Uint()
			op.Day = &day
		case 7:
			op.Revision = fixed[id.Revision](r)
		case 8:
			op.Folder = fixed[id.Folder](r)
		case 9:
			if op.Seq = r.Uint(); op.Seq == 0 {
				r.Fail("seq 0")
			}
		case 10:
			op.Hash = fixed32[Hash](r)
		case 11:
			op.Digest = fixed32[Hash](r)
		case 12:
			op.ReadKey = fixed32[ReadKey](r)
		default:
			m.Unknown()
			continue
		}
		has |= 1 << m.Key
	}
	m.Need(1 << 1)
	if r.OK() {
		r.Note(op.check(has))
	}
}

func fixed[T ~[16]byte](r *wire.Reader) *T {
	var v [16]byte
	r.Fixed(v[:])
	t := T(v)
	return &t
}

func fixed32[T ~[32]byte](r *wire.Reader) *T {
	var v [32]byte
	r.Fixed(v[:])
	t := T(v)
	return &t
}

// Constructors, so that nobody has to remember what each operation takes.

// PutFile makes a file, or gives a file that is there a new version.
func PutFile(entry id.Entry, d descriptor.Descriptor) Operation {
	return Operation{What: OpPut, Entry: &entry, Descriptor: &d}
}

// PutFolder makes a folder.
func PutFolder(entry id.Entry, d descriptor.Descriptor, child Child) Operation {
	return Operation{What: OpPut, Entry: &entry, Descriptor: &d, Child: &child}
}

// RenameTo gives an entry another name.
func RenameTo(entry id.Entry, name string) Operation {
	return Operation{What: OpRename, Entry: &entry, Name: name}
}

// RemoveOn puts an entry into the trash on that day.
func RemoveOn(entry id.Entry, day int64) Operation {
	return Operation{What: OpRemove, Entry: &entry, Day: &day}
}

// RestoreAs takes an entry out of the trash.
func RestoreAs(entry id.Entry, name string) Operation {
	return Operation{What: OpRestore, Entry: &entry, Name: name}
}

// PurgeEntry ends an entry that is in the trash.
func PurgeEntry(entry id.Entry) Operation { return Operation{What: OpPurge, Entry: &entry} }

// ForgetVersion drops an older version of a file.
func ForgetVersion(entry id.Entry, revision id.Revision) Operation {
	return Operation{What: OpForget, Entry: &entry, Revision: &revision}
}

// RekeyChild gives a child other keys.
func RekeyChild(entry id.Entry, child Child) Operation {
	return Operation{What: OpRekey, Entry: &entry, Child: &child}
}

// HeadOf says in heads where a folder's journal is.
func HeadOf(h Head) Operation {
	return Operation{What: OpHead, Folder: &h.Folder, Seq: h.Seq, Hash: &h.Hash}
}

// NoHeadOf says in heads that a folder is no longer watched.
func NoHeadOf(folder id.Folder) Operation { return Operation{What: OpForgetHead, Folder: &folder} }

// Move are the two halves of moving e from a folder into another; child is the
// moved folder's keys sealed by that other folder, nil for a file.
func Move(e *Entry, from, into id.Folder, name string, child *Child) (out, in Operation) {
	d := *e.Descriptor
	d.Path = name
	out = Operation{What: OpMoveOut, Entry: &e.ID, Folder: &into}
	in = Operation{What: OpMoveIn, Entry: &e.ID, Descriptor: &d, Child: child, Folder: &from}
	return out, in
}
