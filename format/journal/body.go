package journal

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"

	"holdfast/format/id"
	"holdfast/format/seal"
	"holdfast/format/wire"
)

// minBody is the least padded size of a body: a put of a file with a short name
// looks like a rename.
const minBody = 256

// maxBody is the greatest size of a body before padding; what is sealed must fit its entry.
const maxBody = MaxEntry

const authorLabel = "holdfast/v1/journal-author\x00"

// Author is the member who acts, in a shared folder.
type Author struct {
	Account   id.Account                  `cbor:"1,keyasint"`
	Signature [ed25519.SignatureSize]byte `cbor:"2,keyasint"`
}

// body is what is sealed in an entry.
type body struct {
	Operations []Operation `cbor:"1,keyasint"`
	Author     *Author     `cbor:"2,keyasint,omitempty"`

	encoded []byte // the operations
}

// place is where an entry stands: what its seal and its author's signature bind.
type place struct {
	folder   id.Folder
	seq      int64
	epoch    int64
	previous Hash
}

func (p place) aad() []byte {
	aad := make([]byte, 0, 60)
	aad = append(aad, p.folder[:]...)
	aad = binary.BigEndian.AppendUint64(aad, uint64(p.seq))
	aad = binary.BigEndian.AppendUint32(aad, uint32(p.epoch))
	return append(aad, p.previous[:]...)
}

// authored is what an author signs.
func (p place) authored(operations Hash) []byte {
	msg := append([]byte(authorLabel), p.aad()...)
	return append(msg, operations[:]...)
}

// padded is the padded size of n bytes: Padmé from 256 on (package pad begins at 1,024).
func padded(n int) int {
	if n <= minBody {
		return minBody
	}
	e := bits.Len(uint(n)) - 1
	s := bits.Len(uint(e))
	mask := 1<<(e-s) - 1
	return (n + mask) &^ mask
}

// plain is the padded plaintext of a body.
func (b body) plain() []byte {
	encoded := wire.Marshal(b)
	out := make([]byte, padded(4+len(encoded)))
	binary.BigEndian.PutUint32(out, uint32(len(encoded)))
	copy(out[4:], encoded)
	return out
}

func operationsDigest(ops []Operation) Hash { return sha256.Sum256(wire.Marshal(ops)) }

// sealBody seals what is done at p, signed by author if there is one.
func sealBody(key ReadKey, p place, b body) []byte {
	return seal.SealRecord(key, operationsType, p.aad(), b.plain())
}

// openBody is the reverse of sealBody.
func openBody(key ReadKey, p place, sealed []byte) (body, error) {
	plain, err := seal.OpenRecord(key, operationsType, p.aad(), sealed, MaxEntry)
	if err != nil {
		return body{}, err
	}
	return decodeBody(plain)
}

func decodeBody(plain []byte) (body, error) {
	if len(plain) < 4 {
		return body{}, wrong("%w: %d bytes sealed", ErrEncoding, len(plain))
	}
	n := uint64(binary.BigEndian.Uint32(plain))
	if n > uint64(len(plain)-4) || padded(4+int(n)) != len(plain) {
		return body{}, wrong("%w: padded to another length", ErrEncoding)
	}
	for _, b := range plain[4+n:] {
		if b != 0 {
			return body{}, wrong("%w: padding that is not zero", ErrEncoding)
		}
	}
	return readBody(plain[4 : 4+n])
}

func readBody(encoded []byte) (body, error) {
	var b body
	r := wire.NewReader(encoded, maxBody, true)
	m := r.Map()
	for m.Next() {
		switch m.Key {
		case 1:
			start := r.Rest()
			// An operation takes 5 bytes at least, its room 40 times that: what is
			// announced falsely costs no more than 16,384 times its room.
			b.Operations = make([]Operation, r.Array(MaxOperations))
			entries := make([]id.Entry, len(b.Operations))
			for i := range b.Operations {
				readOperation(r, &b.Operations[i], &entries[i])
				if !r.OK() {
					break
				}
			}
			r.Leave()
			b.encoded = start[:len(start)-len(r.Rest())]
		case 2:
			b.Author = readAuthor(r)
		default:
			m.Unknown()
		}
	}
	m.Need(1 << 1)
	return b, r.End()
}

func readAuthor(r *wire.Reader) *Author {
	a := &Author{}
	m := r.Map()
	for m.Next() {
		switch m.Key {
		case 1:
			r.Fixed(a.Account[:])
		case 2:
			r.Fixed(a.Signature[:])
		default:
			m.Unknown()
		}
	}
	m.Need(1<<1 | 1<<2)
	return a
}

// Signer is a member who signs what it does.
type Signer struct {
	Account id.Account
	Key     ed25519.PrivateKey
}

func (s Signer) sign(p place, ops []Operation) *Author {
	a := &Author{Account: s.Account}
	copy(a.Signature[:], ed25519.Sign(s.Key, p.authored(operationsDigest(ops))))
	return a
}

func (a Author) verify(p place, operations []byte, key ed25519.PublicKey) bool {
	return ed25519.Verify(key, p.authored(sha256.Sum256(operations)), a.Signature[:])
}
