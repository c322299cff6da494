// Package invite is what members of a folder write to each other (docs/format.md §27):
// invitations, which carry the folder's keys as far as the invited role goes, and the
// answers. It is the text inside of a message of package keys, which seals it and says
// who wrote it. It promises that an invitation's keys are those of its public keys and
// of its role. It knows no network and no disk.
package invite

import (
	"encoding/binary"
	"errors"
	"fmt"

	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/format/wire"
)

// Errors besides wire.ErrEncoding.
var (
	// ErrPadding: not 1,024 bytes, or padded with something else than zeros.
	ErrPadding = errors.New("padding: not a text between members of a folder")
	// ErrRole: other keys than the role has.
	ErrRole = errors.New("role: the keys of the invitation are not those of its role")
	// ErrForeign: a seed that is not that of the public key beside it.
	ErrForeign = errors.New("foreign: the invitation's keys are not those of the folder that it names")
)

const (
	// Purpose of the messages that carry such texts (docs/format.md §15).
	Purpose = "sharing"
	// Size of every text, whatever it says: who sees only its length learns nothing.
	Size = 1024

	invitationKind = 1
	answerKind     = 2

	accepted = 1
	declined = 2
)

// Text is an *Invitation or an *Answer.
type Text interface{ body() body }

// Invitation lets somebody into a folder, or brings a member the keys of a later epoch.
type Invitation struct {
	Folder id.Folder
	Epoch  int64
	Role   journal.Role // Reads, Writes or Admins
	Keys   journal.Keys // those of the role; others are zero
	Public journal.Public
	Name   string // as the sender calls the folder
}

// Answer tells whoever invited what became of it.
type Answer struct {
	Folder   id.Folder
	Accepted bool
}

// For is the invitation to a folder in a role, of which the place has the keys. It
// fails with journal.ErrRight if the place lacks one of them, and with wire.ErrEncoding
// for what is no role or no name.
func For(p journal.Place, public journal.Public, role journal.Role, name string) (*Invitation, error) {
	i := &Invitation{Folder: p.Folder, Epoch: p.Epoch, Role: role, Keys: p.Keys, Public: public, Name: name}
	if role < journal.Writes {
		i.Keys.Write = journal.WriteSeed{}
	}
	if role < journal.Admins {
		i.Keys.Admin = journal.AdminSeed{}
	}
	err := i.check()
	if errors.Is(err, ErrRole) {
		err = fmt.Errorf("%w: inviting takes the keys that the role has", journal.ErrRight)
	}
	return i, err
}

// Place is the folder with its keys.
func (i *Invitation) Place() journal.Place {
	return journal.Place{Folder: i.Folder, Epoch: i.Epoch, Keys: i.Keys}
}

// Anchor is what the folder's journal must agree with.
func (i *Invitation) Anchor() journal.Anchor {
	return journal.Anchor{Folder: i.Folder, Epoch: i.Epoch, Public: i.Public}
}

// body is the encoded half of a text.
type body struct {
	Kind     uint64             `cbor:"1,keyasint"`
	Folder   id.Folder          `cbor:"2,keyasint"`
	Epoch    int64              `cbor:"3,keyasint,omitempty"`
	Role     journal.Role       `cbor:"4,keyasint,omitempty"`
	Read     *journal.ReadKey   `cbor:"5,keyasint,omitempty"`
	Write    *journal.WriteSeed `cbor:"6,keyasint,omitempty"`
	Admin    *journal.AdminSeed `cbor:"7,keyasint,omitempty"`
	WriteKey *journal.PublicKey `cbor:"8,keyasint,omitempty"`
	AdminKey *journal.PublicKey `cbor:"9,keyasint,omitempty"`
	Name     string             `cbor:"10,keyasint,omitempty"`
	Answer   uint64             `cbor:"11,keyasint,omitempty"`
}

func (i *Invitation) body() body {
	b := body{Kind: invitationKind, Folder: i.Folder, Epoch: i.Epoch, Role: i.Role, Read: &i.Keys.Read, WriteKey: &i.Public.Write, AdminKey: &i.Public.Admin, Name: i.Name}
	if !i.Keys.Write.IsZero() {
		b.Write = &i.Keys.Write
	}
	if !i.Keys.Admin.IsZero() {
		b.Admin = &i.Keys.Admin
	}
	return b
}

func (a *Answer) body() body {
	b := body{Kind: answerKind, Folder: a.Folder, Answer: declined}
	if a.Accepted {
		b.Answer = accepted
	}
	return b
}

// Encode is the text, for keys.Root.Send. It panics for an invitation that Decode refuses.
func Encode(t Text) []byte {
	if i, ok := t.(*Invitation); ok {
		if err := i.check(); err != nil {
			panic("invite: " + err.Error())
		}
	}
	return pad(wire.Marshal(t.body()))
}

func pad(encoded []byte) []byte {
	out := make([]byte, Size)
	binary.BigEndian.PutUint32(out, uint32(len(encoded)))
	copy(out[4:], encoded)
	return out
}

// unpad is the reverse of pad.
func unpad(text []byte) ([]byte, error) {
	if len(text) != Size {
		return nil, fmt.Errorf("%w: %d bytes", ErrPadding, len(text))
	}
	n := uint64(binary.BigEndian.Uint32(text))
	if n > Size-4 {
		return nil, fmt.Errorf("%w: more than there is", ErrPadding)
	}
	for _, b := range text[4+n:] {
		if b != 0 {
			return nil, fmt.Errorf("%w: bytes that are not zero", ErrPadding)
		}
	}
	return text[4 : 4+n], nil
}

// Decode reads a text. It fails with ErrPadding, wire.ErrEncoding, ErrRole or ErrForeign.
func Decode(text []byte) (Text, error) {
	encoded, err := unpad(text)
	if err != nil {
		return nil, err
	}
	var b body
	if err := wire.Unmarshal(encoded, Size, &b); err != nil {
		return nil, err
	}
	switch b.Kind {
	case invitationKind:
		return b.invitation()
	case answerKind:
		return b.answer()
	}
	return nil, fmt.Errorf("%w: a text of kind %d", wire.ErrEncoding, b.Kind)
}

func (b body) answer() (Text, error) {
	if b.Answer < accepted || b.Answer > declined || b.Epoch != 0 || b.Role != 0 || b.Read != nil || b.Write != nil || b.Admin != nil || b.WriteKey != nil || b.AdminKey != nil || b.Name != "" {
		return nil, fmt.Errorf("%w: an answer with other keys", wire.ErrEncoding)
	}
	return &Answer{Folder: b.Folder, Accepted: b.Answer == accepted}, nil
}

func (b body) invitation() (Text, error) {
	if b.Read == nil || b.WriteKey == nil || b.AdminKey == nil || b.Answer != 0 {
		return nil, fmt.Errorf("%w: an invitation with other keys", wire.ErrEncoding)
	}
	i := &Invitation{Folder: b.Folder, Epoch: b.Epoch, Role: b.Role, Keys: journal.Keys{Read: *b.Read}, Public: journal.Public{Write: *b.WriteKey, Admin: *b.AdminKey}, Name: b.Name}
	if b.Write != nil {
		i.Keys.Write = *b.Write
	}
	if b.Admin != nil {
		i.Keys.Admin = *b.Admin
	}
	if i.Keys.Read.IsZero() || b.Write != nil && i.Keys.Write.IsZero() || b.Admin != nil && i.Keys.Admin.IsZero() {
		return nil, fmt.Errorf("%w: a key of zeros", wire.ErrEncoding)
	}
	if err := i.check(); err != nil {
		return nil, err
	}
	return i, nil
}

// check tells whether i is one of §27.
func (i *Invitation) check() error {
	if i.Epoch < 1 || i.Epoch > journal.MaxEpoch {
		return fmt.Errorf("%w: epoch %d", wire.ErrEncoding, i.Epoch)
	}
	if i.Role < journal.Reads || i.Role > journal.Admins {
		return fmt.Errorf("%w: role %d", wire.ErrEncoding, i.Role)
	}
	if err := descriptor.CheckName(i.Name); err != nil {
		return err
	}
	if i.Keys.Read.IsZero() || i.Keys.Write.IsZero() != (i.Role < journal.Writes) || i.Keys.Admin.IsZero() != (i.Role < journal.Admins) {
		return ErrRole
	}
	has := i.Keys.Public()
	if i.Role >= journal.Writes && has.Write != i.Public.Write || i.Role == journal.Admins && has.Admin != i.Public.Admin {
		return ErrForeign
	}
	return nil
}
