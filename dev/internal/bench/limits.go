//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	subjectMachine = "the machine"
	caseDisk       = "write and sync two files of 1 GiB at once"
	caseFlush      = "overwrite 4 KiB and sync, 500 times"
	caseNewFile    = "new file of 4 KiB, synced with its folder, 500 times"
	caseLoopback   = "1 GiB over loopback, plain"
	syncs          = 500
)

// limits measures what the machine gives to anybody, bare of any program: what
// the rows are held against.
func limits(_ context.Context, b *Bench, r *record) error {
	one := make([]byte, mib)
	if _, err := io.ReadFull(noise(9), one); err != nil {
		return err
	}
	for round := range Rounds + 1 {
		for _, l := range []struct {
			what  string
			bytes int64
			ops   int
			run   func() error
		}{
			{caseDisk, 2 * gib, 2, func() error { return b.twoFiles(one) }},
			{caseFlush, syncs * 4 * kib, syncs, func() error { return b.overwrites(one[:4*kib]) }},
			{caseNewFile, syncs * 4 * kib, syncs, func() error { return b.newFiles(round, one[:4*kib]) }},
			{caseLoopback, gib, 1, func() error { return loopback(one) }},
		} {
			begin := time.Now()
			if err := l.run(); err != nil {
				return fmt.Errorf("%s: %w", l.what, err)
			}
			r.add(sample{Case: l.what, Subject: subjectMachine, Round: round, Bytes: l.bytes, Ops: l.ops, Seconds: time.Since(begin).Seconds()})
		}
	}
	return nil
}

func (b *Bench) twoFiles(one []byte) error {
	var g errgroup.Group
	for i := range 2 {
		g.Go(func() error {
			return synced(b.path(fmt.Sprintf("copy-%d", i)), func(f *os.File) error {
				for range gib / len(one) {
					if _, err := f.Write(one); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	return g.Wait()
}

// synced makes a file anew and syncs it.
func synced(path string, fill func(*os.File) error) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	err = fill(f)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func (b *Bench) overwrites(data []byte) error {
	return synced(b.path("overwritten"), func(f *os.File) error {
		if _, err := f.Write(data); err != nil {
			return err
		}
		for range syncs {
			if _, err := f.WriteAt(data, 0); err != nil {
				return err
			}
			if err := f.Sync(); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *Bench) newFiles(round int, data []byte) error {
	dir := b.path(fmt.Sprintf("files-%d", round))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	for i := range syncs {
		err := synced(filepath.Join(dir, fmt.Sprint(i)), func(f *os.File) error {
			_, err := f.Write(data)
			return err
		})
		if err == nil {
			err = folder.Sync()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func loopback(one []byte) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	var g errgroup.Group
	g.Go(func() error {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		defer c.Close()
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, 128*kib))
		if err == nil && n != gib {
			err = fmt.Errorf("%d bytes came", n)
		}
		return err
	})
	g.Go(func() error {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			return err
		}
		for range gib / len(one) {
			if _, err := c.Write(one); err != nil {
				return errors.Join(err, c.Close())
			}
		}
		return c.Close()
	})
	return g.Wait()
}
