//go:build linux

package bench

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	caseUndisturbed = "receive 1 GiB, undisturbed"
	caseKilled      = "receive 1 GiB, a node killed"
	caseStopped     = "receive 1 GiB, a node stopped"
)

// failover ends or stops the node that gave most, in the middle of a download,
// and takes the longest time without a byte at the reader.
func failover(ctx context.Context, b *Bench, r *record) error {
	file, want, err := b.transferFile()
	if err != nil {
		return err
	}
	d, err := b.demo(ctx, "holdfast", "DE,NZ,IS")
	if err != nil {
		return err
	}
	defer func() { d.finish() }()
	_, out, err := b.timed(ctx, job{name: b.Program, args: []string{"send", "--server", d.url, file}, env: []string{"HOLDFAST_HOME=" + b.path("home")}})
	if err != nil {
		return err
	}
	link := strings.TrimSpace(string(out))
	for round := range Rounds + 1 {
		for _, what := range []struct {
			name   string
			signal syscall.Signal
		}{{caseUndisturbed, 0}, {caseStopped, syscall.SIGSTOP}, {caseKilled, syscall.SIGKILL}} {
			if err := d.disturbed(ctx, b, r, round, what.name, what.signal, link, want); err != nil {
				return fmt.Errorf("%s: %w", what.name, err)
			}
		}
		d.finish() // a killed node comes back
		if d, err = b.demo(ctx, "holdfast", "DE,NZ,IS"); err != nil {
			return err
		}
		link = onServer(link, d.url)
	}
	return nil
}

// onServer is the link at the address that the service has now.
func onServer(link, server string) string {
	return server + link[strings.Index(link, "/s/"):]
}

func (d *demo) disturbed(ctx context.Context, b *Bench, r *record, round int, what string, signal syscall.Signal, link string, want []byte) error {
	before, err := d.given()
	if err != nil {
		return err
	}
	victim := 0
	reader := &gaps{hash: sha256.New(), last: time.Now(), half: transferSize / 3}
	if signal != 0 {
		reader.middle = func() error {
			if victim, err = d.busiest(before); err != nil {
				return err
			}
			return syscall.Kill(victim, signal)
		}
	}
	s, _, err := b.timed(ctx, job{name: b.Program, args: []string{"receive", link, "-o", "-"}, env: []string{"HOLDFAST_HOME=" + b.path("home")}, out: reader})
	if signal == syscall.SIGSTOP && victim != 0 {
		err = errors.Join(err, syscall.Kill(victim, syscall.SIGCONT))
	}
	if err == nil && !bytes.Equal(reader.hash.Sum(nil), want) {
		err = errors.New("what came back is not what was sent")
	}
	if err != nil {
		return err
	}
	s.Command = strings.Replace(s.Command, link, "LINK", 1)
	s.Case, s.Subject, s.Round, s.Bytes, s.Gap = what, holdfast, round, transferSize, reader.longest.Seconds()
	r.add(s)
	return nil
}

// gaps hashes what it is given and notes the longest time between two writes,
// once the first has come.
type gaps struct {
	hash    hash.Hash
	last    time.Time
	longest time.Duration
	seen    int64
	half    int64
	middle  func() error
}

func (g *gaps) Write(p []byte) (int, error) {
	if gap := time.Since(g.last); g.seen > 0 {
		g.longest = max(g.longest, gap)
	}
	g.hash.Write(p)
	g.seen += int64(len(p))
	if g.middle != nil && g.seen >= g.half {
		act := g.middle
		g.middle = nil
		if err := act(); err != nil {
			return 0, err
		}
	}
	g.last = time.Now()
	return len(p), nil
}

// given tells how many bytes each node's process has written in all; a node that
// serves writes to connections.
func (d *demo) given() (map[int]int64, error) {
	all := map[int]int64{}
	for name, pid := range d.pids {
		if name == "server" {
			continue
		}
		n, err := written(pid)
		if err != nil {
			return nil, err
		}
		all[pid] = n
	}
	return all, nil
}

// busiest is the node that gave most since then.
func (d *demo) busiest(before map[int]int64) (busiest int, err error) {
	now, err := d.given()
	if err != nil {
		return 0, err
	}
	most := int64(-1)
	for pid, n := range now {
		if given := n - before[pid]; given > most {
			busiest, most = pid, given
		}
	}
	return busiest, nil
}

// written is wchar of proc_pid_io(5), which sendfile counts in, too.
func written(pid int) (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		if text, ok := strings.CutPrefix(line, "wchar: "); ok {
			return strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		}
	}
	return 0, fmt.Errorf("process %d tells no wchar", pid)
}
