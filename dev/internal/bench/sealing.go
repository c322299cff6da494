//go:build linux

package bench

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/tink-crypto/tink-go/v2/streamingaead/subtle"
	"golang.org/x/sync/errgroup"

	"holdfast/format/id"
	"holdfast/format/seal"
)

const (
	sealBytes   = 2 * gib
	caseDropped = "seal 2 GiB, output dropped"
	caseToFile  = "seal 2 GiB to a file"
	subjectRaw  = "AES-256-GCM, all cores"
	subjectSum  = "holdfast with names (BLAKE3)"
	subjectTink = "tink-go"
)

// sealing encrypts 2 GiB from memory: sealed segments alone, and as the product
// does it with the names of blobs on the way, against tink-go's writer and bare
// AES-256-GCM on all cores.
func sealing(ctx context.Context, b *Bench, r *record) error {
	plain := make([]byte, 64*mib)
	if _, err := io.ReadFull(noise(6), plain); err != nil {
		return err
	}
	subjects := []struct {
		what, name string
		run        func() error
	}{
		{caseDropped, holdfast, func() error { return sealSegments(plain) }},
		{caseDropped, subjectRaw, func() error { return rawGCM(plain) }},
		{caseDropped, subjectTink, func() error { return tinkTo(io.Discard, plain) }},
		{caseDropped, subjectSum, func() error { return sealStream(ctx, plain) }},
		{caseToFile, holdfast, func() error { return sealFile(b.path("ours"), plain) }},
		{caseToFile, subjectTink, func() error { return tinkFile(b.path("tink"), plain) }},
	}
	for round := range Rounds + 1 {
		for _, s := range subjects {
			runtime.GC()
			begin := time.Now()
			if err := s.run(); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			r.add(sample{Case: s.what, Subject: s.name, Round: round, Bytes: sealBytes, Seconds: time.Since(begin).Seconds()})
		}
	}
	return nil
}

// repeated is the plaintext: 64 MiB again and again, so that reading costs little.
type repeated struct{ data []byte }

func (r repeated) ReadAt(p []byte, off int64) (n int, err error) {
	if left := sealBytes - off; left < int64(len(p)) {
		p, err = p[:max(0, left)], io.EOF
	}
	for n < len(p) {
		n += copy(p[n:], r.data[(off+int64(n))%int64(len(r.data)):])
	}
	return n, err
}

// each runs f for segments of the plaintext on all cores.
func each(plain []byte, size int64, f func(worker int) func(number int64, segment []byte) error) error {
	workers := runtime.GOMAXPROCS(0)
	var g errgroup.Group
	perBlock := int64(len(plain)) / size
	for w := range workers {
		g.Go(func() error {
			do := f(w)
			for i := int64(w); i < sealBytes/size; i += int64(workers) {
				at := i % perBlock * size
				if err := do(i, plain[at:at+size]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// restOfSegment is the plaintext of every segment but the first (docs/format.md §4).
const restOfSegment = 256*kib - 16

func sealSegments(plain []byte) error {
	s := seal.NewSealer(seal.NewKeys(id.New[id.File]()), seal.NewParams())
	return each(plain, restOfSegment, func(int) func(int64, []byte) error {
		out := make([]byte, 0, 256*kib)
		return func(i int64, segment []byte) error {
			s.SealSegment(out, segment, uint32(i+1), false)
			return nil
		}
	})
}

func rawGCM(plain []byte) error {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		return err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return err
	}
	return each(plain, restOfSegment, func(int) func(int64, []byte) error {
		out := make([]byte, 0, 256*kib)
		nonce := make([]byte, aead.NonceSize())
		return func(i int64, segment []byte) error {
			nonce[0], nonce[1], nonce[2] = byte(i), byte(i>>8), byte(i>>16)
			aead.Seal(out, nonce, segment, nil)
			return nil
		}
	})
}

// sealStream is what a send does but for the network: pieces with their names.
func sealStream(ctx context.Context, plain []byte) error {
	s := seal.NewStreamAt(ctx, seal.NewKeys(id.New[id.File]()), seal.NewParams(), repeated{plain}, sealBytes, seal.Options{})
	defer s.Close()
	for {
		p, err := s.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		p.Release()
	}
}

// sealFile seals segments on all cores, and writes each at its place.
func sealFile(path string, plain []byte) error {
	return toFile(path, func(f *os.File) error {
		s := seal.NewSealer(seal.NewKeys(id.New[id.File]()), seal.NewParams())
		return each(plain, restOfSegment, func(int) func(int64, []byte) error {
			out := make([]byte, 0, 256*kib)
			return func(i int64, segment []byte) error {
				_, err := f.WriteAt(s.SealSegment(out, segment, uint32(i+1), false), i*256*kib)
				return err
			}
		})
	})
}

func tinkFile(path string, plain []byte) error {
	return toFile(path, func(f *os.File) error { return tinkTo(f, plain) })
}

// toFile removes the file before and not after, so that its pages are made anew.
func toFile(path string, fill func(*os.File) error) (err error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(fill(f), f.Close())
}

func tinkTo(out io.Writer, plain []byte) error {
	cipher, err := subtle.NewAESGCMHKDF(make([]byte, 32), "SHA256", 32, 256*kib, 0)
	if err != nil {
		return err
	}
	w, err := cipher.NewEncryptingWriter(out, nil)
	if err != nil {
		return err
	}
	for range sealBytes / len(plain) {
		if _, err := w.Write(plain); err != nil {
			return err
		}
	}
	return w.Close()
}
