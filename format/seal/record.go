package seal

import (
	"crypto/subtle"
	"fmt"

	"holdfast/format/id"
	"holdfast/format/kdf"
)

const (
	recordVersion = 0x01
	recordHead    = 1 + saltSize + 32
	labelPrefix   = "holdfast/v1/"
)

const (
	// RecordOverhead is how much longer a record is than its plaintext.
	RecordOverhead = recordHead + TagSize
	// MaxRecord is the greatest size of a record, unless its type says otherwise.
	MaxRecord = 1 << 20
)

// zeroNonce serves every record: each has a key of its own.
var zeroNonce [nonceSize]byte

// SealRecord seals a small record of the given type under a purpose key, bound
// to aad: the ids that it belongs to, joined. Each call draws a fresh salt.
func SealRecord(purpose [32]byte, kind string, aad, plaintext []byte) []byte {
	return sealRecord(purpose, kind, aad, plaintext, id.New32())
}

// sealRecord takes the salt, for vectors alone.
func sealRecord(purpose [32]byte, kind string, aad, plaintext []byte, salt [saltSize]byte) []byte {
	key, commitment := recordKeys(purpose, kind, aad, salt[:])
	out := make([]byte, 0, len(plaintext)+RecordOverhead)
	out = append(out, recordVersion)
	out = append(out, salt[:]...)
	out = append(out, commitment...)
	return newGCM(key).Seal(out, zeroNonce[:], plaintext, nil)
}

// OpenRecord opens a record of at most max bytes and returns its plaintext. It
// fails with ErrVersion, ErrRecord (damage) or ErrCommitment (another key, type
// or aad), and then returns nothing.
func OpenRecord(purpose [32]byte, kind string, aad, record []byte, max int) ([]byte, error) {
	if len(record) > 0 && record[0] != recordVersion {
		return nil, ErrVersion
	}
	if len(record) < RecordOverhead || len(record) > max {
		return nil, fmt.Errorf("%w: %d bytes", ErrRecord, len(record))
	}
	salt, have := record[1:1+saltSize], record[1+saltSize:recordHead]
	key, commitment := recordKeys(purpose, kind, aad, salt)
	if subtle.ConstantTimeCompare(commitment, have) != 1 {
		return nil, ErrCommitment
	}
	plaintext, err := newGCM(key).Open(nil, zeroNonce[:], record[recordHead:], nil)
	if err != nil {
		return nil, ErrRecord
	}
	return plaintext, nil
}

func recordKeys(purpose [32]byte, kind string, aad, salt []byte) (key, commitment []byte) {
	out := kdf.Derive(purpose[:], salt, kdf.Info(labelPrefix+kind, aad), 64)
	return out[:32], out[32:]
}
