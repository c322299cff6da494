package journal

import (
	"crypto/ed25519"
	"fmt"

	"holdfast/format/id"
	"holdfast/format/wire"
)

// Role is what the holder of a grant may do.
type Role int64

// The roles; every other number is refused.
const (
	Nobody Role = 0 // revoked
	Reads  Role = 1
	Writes Role = 2
	Admins Role = 3
)

// Grant says what an account or a link may do in a folder, or with one file of
// it (docs/format.md §25). The server acts on it.
type Grant struct {
	Folder  id.Folder   `cbor:"1,keyasint"`
	File    *id.File    `cbor:"2,keyasint,omitempty"`
	Account *id.Account `cbor:"3,keyasint,omitempty"`
	Link    *id.Handle  `cbor:"4,keyasint,omitempty"`
	Role    Role        `cbor:"5,keyasint"`
	Epoch   int64       `cbor:"6,keyasint"`
	Serial  int64       `cbor:"7,keyasint"`
}

// Subject is whom a grant is for, and to what: the serials of each are a row of their own.
type Subject struct {
	Folder  id.Folder
	File    id.File    // zero: the whole folder
	Account id.Account // zero for a link
	Link    id.Handle
}

// Subject tells which other grants g replaces.
func (g Grant) Subject() Subject {
	s := Subject{Folder: g.Folder}
	if g.File != nil {
		s.File = *g.File
	}
	if g.Account != nil {
		s.Account = *g.Account
	}
	if g.Link != nil {
		s.Link = *g.Link
	}
	return s
}

// Check tells whether g is one of §25.
func (g Grant) Check() error {
	if (g.Account == nil) == (g.Link == nil) {
		return fmt.Errorf("%w: a grant is for an account or for a link", ErrEncoding)
	}
	if g.Role < Nobody || g.Role > Admins {
		return fmt.Errorf("%w: role %d", ErrEncoding, g.Role)
	}
	if g.Role > Reads && (g.Link != nil || g.File != nil) {
		return fmt.Errorf("%w: links and single files are for reading", ErrEncoding)
	}
	if g.Serial < 1 || g.Serial > wire.MaxInt {
		return fmt.Errorf("%w: serial %d", ErrEncoding, g.Serial)
	}
	return checkEpoch(g.Epoch)
}

// Seal signs g.
func (g Grant) Seal(admin AdminSeed) ([]byte, error) {
	if err := g.Check(); err != nil {
		return nil, err
	}
	return wire.Seal(grantType, admin.key(), wire.Marshal(g)), nil
}

// Revoked is the grant that takes g back; it is signed in the folder's present epoch.
func (g Grant) Revoked(epoch int64) Grant {
	g.Role, g.Epoch, g.Serial = Nobody, epoch, g.Serial+1
	return g
}

// OpenGrant verifies a grant under the admin key of its epoch. known is the
// grant of the same subject that stands, if there is one: for a server, which
// takes no other than a later one of the chain's present epoch.
func OpenGrant(raw []byte, c Chain, known func(Subject) (serial int64)) (Grant, error) {
	g, err := ReadGrant(raw, c.Folder, c.Keys.Admin)
	switch {
	case err != nil:
		return Grant{}, err
	case g.Epoch != c.Epoch:
		return Grant{}, alarm(c.Folder, Epoch, 0, wrong("a grant of epoch %d, the present one is %d", g.Epoch, c.Epoch))
	case g.Serial <= known(g.Subject()):
		return Grant{}, alarm(c.Folder, Serial, 0, wrong("grant %d", g.Serial))
	}
	return g, nil
}

// ClaimedGrant is what a grant says, and nothing of it verified: for a server, which
// looks the folder's chain up by it.
func ClaimedGrant(raw []byte) (Grant, error) {
	e, err := wire.ParseMax(raw, MaxGrant)
	if err != nil {
		return Grant{}, alarm(id.Folder{}, Encoding, 0, err)
	}
	var g Grant
	if err := wire.Unmarshal(e.Payload, MaxGrant, &g); err != nil {
		return Grant{}, alarm(id.Folder{}, Encoding, 0, err)
	}
	return g, nil
}

// ReadGrant verifies a grant under an admin key, without regard to others.
func ReadGrant(raw []byte, folder id.Folder, admin PublicKey) (Grant, error) {
	e, err := wire.ParseMax(raw, MaxGrant)
	if err != nil {
		return Grant{}, alarm(folder, Encoding, 0, err)
	}
	if e.Type != grantType || e.Key != admin.ID() {
		return Grant{}, alarm(folder, Foreign, 0, fmt.Errorf("%w: have %.64q", wire.ErrEnvelope, e.Type))
	}
	payload, err := e.Verify(grantType, ed25519.PublicKey(admin[:]))
	if err != nil {
		return Grant{}, alarm(folder, Planted, 0, err)
	}
	var g Grant
	if err := wire.Unmarshal(payload, MaxGrant, &g); err != nil {
		return Grant{}, alarm(folder, Encoding, 0, err)
	}
	if err := g.Check(); err != nil {
		return Grant{}, alarm(folder, Encoding, 0, err)
	}
	if g.Folder != folder {
		return Grant{}, alarm(folder, Foreign, 0, wrong("a grant of folder %s", g.Folder))
	}
	return g, nil
}
