//go:build linux

package bench

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"strings"
)

const (
	memorySize   = 8 * gib
	caseMemory   = "8 GiB"
	caseParallel = "32 parallel uploads of 8 MiB"
)

// memory follows each process while 8 GiB go to two nodes and come back into a
// hash, and the nodes while 32 clients store at once.
func memory(ctx context.Context, b *Bench, r *record) error {
	d, err := b.demo(ctx, "holdfast", "DE,NZ,IS")
	if err != nil {
		return err
	}
	defer d.finish()
	file := b.path("large.bin")
	want, err := writeFile(file, 8, memorySize)
	if err != nil {
		return err
	}
	home := []string{"HOLDFAST_HOME=" + b.path("home")}
	s, out, err := b.timed(ctx, job{name: b.Program, args: []string{"send", "--server", d.url, file}, env: home})
	if err != nil {
		return err
	}
	s.Case, s.Subject, s.Round, s.Bytes = caseMemory, "send", 1, memorySize
	r.add(s)
	hash, link := sha256.New(), strings.TrimSpace(string(out))
	s, _, err = b.timed(ctx, job{name: b.Program, args: []string{"receive", link, "-o", "-"}, env: home, out: hash})
	if err != nil {
		return err
	}
	if !bytes.Equal(hash.Sum(nil), want) {
		return errors.New("what came back is not what was sent")
	}
	s.Case, s.Subject, s.Round, s.Bytes = caseMemory, "receive", 1, memorySize
	s.Command = strings.Replace(s.Command, link, "LINK", 1)
	r.add(s)
	if err := d.peaks(r, caseMemory); err != nil {
		return err
	}
	return parallel(ctx, b, r)
}

// peaks notes the greatest resident sets of all processes of the service.
func (d *demo) peaks(r *record, what string) error {
	for _, name := range slices.Sorted(maps.Keys(d.pids)) {
		peak, err := highWater(d.pids[name])
		if err != nil {
			return err
		}
		subject := "server"
		if name != subject {
			subject = "node"
		}
		r.add(sample{Case: what, Subject: subject, Round: 1, PeakMiB: peak})
	}
	return nil
}

// parallel lets 32 clients store at two nodes that are fresh.
func parallel(ctx context.Context, b *Bench, r *record) error {
	d, err := b.demo(ctx, "parallel", "DE,NZ")
	if err != nil {
		return err
	}
	defer d.finish()
	l := load{size: 8 * mib, clients: 32, ops: 128}
	stock := newStock(l)
	stock.renew(1)
	v, err := d.open(ctx, l)
	if err != nil {
		return err
	}
	if _, err := v.put(ctx, stock); err != nil {
		return err
	}
	return d.peaks(r, caseParallel)
}
