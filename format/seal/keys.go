package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"

	"holdfast/format/id"
	"holdfast/format/kdf"
)

// Keys is what one revision's content is sealed under. K and R are secrets,
// fresh and random for every revision.
type Keys struct {
	File     id.File
	Revision id.Revision
	K, R     [32]byte
}

// NewKeys draws a revision id, K and R for a new revision of file.
func NewKeys(file id.File) Keys {
	return Keys{File: file, Revision: id.New[id.Revision](), K: id.New32(), R: id.New32()}
}

// Params is the random part of a stream's header. It is public, and given to a
// sealer again only to resume: with the same Keys and the same plaintext.
type Params struct {
	Salt   [saltSize]byte
	Prefix [prefixSize]byte
}

// NewParams draws fresh ones.
func NewParams() Params {
	var p Params
	rand.Read(p.Salt[:]) // never fails
	rand.Read(p.Prefix[:])
	return p
}

// appendHeader appends the header of the stream.
func (p Params) appendHeader(dst []byte) []byte {
	dst = append(dst, headerByte)
	dst = append(dst, p.Salt[:]...)
	return append(dst, p.Prefix[:]...)
}

// ParseHeader reads the first HeaderSize bytes of a stream.
func ParseHeader(b []byte) (Params, error) {
	var p Params
	if len(b) > 0 && b[0] != headerByte {
		return p, ErrVersion
	}
	if len(b) < HeaderSize {
		return p, ErrLength
	}
	copy(p.Salt[:], b[1:])
	copy(p.Prefix[:], b[1+saltSize:])
	return p, nil
}

// derived holds the values computed from Keys and Params.
type derived struct {
	contentKey [32]byte
	aad        []byte
	segmentKey []byte
	commitment [32]byte
}

func derive(k Keys, p Params) derived {
	var d derived
	info := kdf.Info(kdf.ContentKey, k.Revision[:])
	copy(d.contentKey[:], kdf.Derive(k.K[:], k.R[:], info, 32))
	d.aad = kdf.Info(kdf.Content, k.File[:], k.Revision[:])
	d.segmentKey = kdf.Derive(d.contentKey[:], p.Salt[:], d.aad, 32)
	copy(d.commitment[:], kdf.Derive(d.contentKey[:], p.Salt[:], kdf.Info(kdf.Commit, d.aad), 32))
	return d
}

// newGCM panics only for keys that are not of AES's sizes; ours have 32 bytes.
func newGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("seal: " + err.Error())
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic("seal: " + err.Error())
	}
	return gcm
}
