//go:build linux

package bench

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// noise is pseudo-random bytes, the same for the same seed.
func noise(seed byte) io.Reader {
	return struct{ io.Reader }{rand.NewChaCha8([32]byte{seed})}
}

// writeFile makes a file of pseudo-random bytes and returns their SHA-256.
func writeFile(path string, seed byte, size int64) (sum []byte, err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	hash := sha256.New()
	if _, err := io.CopyBuffer(io.MultiWriter(f, hash), io.LimitReader(noise(seed), size), make([]byte, mib)); err != nil {
		return nil, err
	}
	return hash.Sum(nil), f.Sync()
}

// sameFile compares a file with a hash.
func sameFile(path string, want []byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.CopyBuffer(hash, f, make([]byte, mib)); err != nil {
		return err
	}
	if !bytes.Equal(hash.Sum(nil), want) {
		return fmt.Errorf("%s: what came back is not what was sent", path)
	}
	return nil
}

// writeFolder makes a folder of files of pseudo-random bytes, all different.
func writeFolder(dir string, files int, size int64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(noise(2), data); err != nil {
		return err
	}
	for i := range files {
		binary.BigEndian.PutUint64(data, uint64(i))
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file-%05d.bin", i)), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// readPart reads some bytes of a file.
func readPart(path string, offset, size int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	part := make([]byte, size)
	_, err = f.ReadAt(part, offset)
	return part, err
}
