package keys

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"

	"holdfast/format/id"
	"holdfast/format/kdf"
	"holdfast/format/ticket"
)

// Errors of contact codes.
var (
	ErrContactCut      = errors.New("cut: a contact code has 64 letters and digits; copy it whole")
	ErrContactUnknown  = errors.New("unknown: a contact code of a later version; update this program")
	ErrContactChecksum = errors.New("checksum: a letter or digit of the contact code is not right; compare it with the original")
	// ErrContact: an identity that is not the one of the code. Whoever handed it out put
	// another key under the person's name.
	ErrContact = errors.New("contact: this is not the identity that the contact code names")
)

const (
	contactVersion = 0x01
	contactPrint   = 20
	contactSum     = 3
	contactSize    = 1 + id.Size + contactPrint + contactSum
	contactGroup   = 4
	// maxContact bounds typed codes in bytes, spaces included.
	maxContact = 1024
)

// crockford: letters that look like digits are read as those (douglascrockford.com/wrmg/base32.html).
var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// Contact is what a contact code says: whose it is, and which key is theirs.
type Contact struct {
	Account id.Account
	print   [contactPrint]byte
}

// Contact of an identity.
func (i Identity) Contact() Contact {
	return Contact{i.Account, [contactPrint]byte(i.Fingerprint[:contactPrint])}
}

// Code is the contact's text, in groups of four.
func (c Contact) Code() string {
	b := append([]byte{contactVersion}, c.Account[:]...)
	b = append(b, c.print[:]...)
	text := crockford.EncodeToString(append(b, contactChecksum(b)...))
	var groups []string
	for ; text != ""; text = text[contactGroup:] {
		groups = append(groups, text[:contactGroup])
	}
	return strings.Join(groups, "-")
}

func contactChecksum(b []byte) []byte {
	sum := sha256.Sum256(kdf.Info("holdfast/v1/contact-checksum", b))
	return sum[:contactSum]
}

var contactLetters = strings.NewReplacer("O", "0", "I", "1", "L", "1", "-", "")

const contactPath = "/c"

// Address is the contact's code as a link at the server with that base URL; it stands
// where servers do not see it.
func (c Contact) Address(base string) string {
	return strings.TrimSuffix(base, "/") + contactPath + "#" + c.Code()
}

// ParseContact reads a contact code or address as people paste it. It fails with
// ErrContactCut, ErrContactUnknown or ErrContactChecksum.
func ParseContact(text string) (Contact, error) {
	if len(text) > maxContact {
		return Contact{}, fmt.Errorf("%w (%d bytes)", ErrContactCut, len(text))
	}
	if address, code, found := strings.Cut(text, "#"); found {
		base, whole := strings.CutSuffix(strings.TrimLeftFunc(address, space), contactPath)
		if !whole || ticket.CheckURL(base) != nil {
			return Contact{}, fmt.Errorf("%w (what stands before # is no address of one)", ErrContactCut)
		}
		text = code
	}
	text = strings.Join(strings.FieldsFunc(text, space), "")
	text = contactLetters.Replace(upper(text))
	b, err := crockford.DecodeString(text)
	if err != nil || len(text) != crockford.EncodedLen(contactSize) { // it passes over a letter that makes no byte
		return Contact{}, ErrContactCut
	}
	head, sum := b[:contactSize-contactSum], b[contactSize-contactSum:]
	if head[0] != contactVersion {
		return Contact{}, ErrContactUnknown
	}
	if !bytes.Equal(sum, contactChecksum(head)) {
		return Contact{}, ErrContactChecksum
	}
	return Contact{id.Account(head[1:]), [contactPrint]byte(head[1+id.Size:])}, nil
}

// upper changes ASCII letters alone: others have no place in a code, and must not
// become letters that have.
func upper(text string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, text)
}

// Check tells whether an identity is the contact's: ErrContact if not.
func (c Contact) Check(i Identity) error {
	if c.Account != i.Account || subtle.ConstantTimeCompare(c.print[:], i.Fingerprint[:contactPrint]) != 1 {
		return ErrContact
	}
	return nil
}

// safetyRounds make each guess at a number that looks alike dear (Signal's numeric
// fingerprints take as many).
const safetyRounds = 5200

// SafetyNumber is 60 digits for two people to compare, whichever of them asks.
func SafetyNumber(a, b Identity) string {
	x, y := a.digits(), b.digits()
	if y < x {
		x, y = y, x
	}
	return x + y
}

func (i Identity) digits() string {
	f := append(i.Fingerprint[:], i.Account[:]...)
	h := sha512.Sum512(kdf.Info("holdfast/v1/safety-number", f))
	for range safetyRounds {
		h = sha512.Sum512(append(h[:], f...))
	}
	var out strings.Builder
	for at := 0; at < 30; at += 5 {
		n := uint64(0)
		for _, b := range h[at : at+5] {
			n = n<<8 | uint64(b)
		}
		fmt.Fprintf(&out, "%05d", n%100_000)
	}
	return out.String()
}
