//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Subjects and cases of the transfer group.
const (
	holdfast     = "holdfast"
	rcloneTuned  = "rclone crypt, tuned, to "
	rcloneFresh  = "rclone crypt, defaults, to "
	caseSend     = "send 1 GiB"
	caseReceive  = "receive 1 GiB"
	caseTuning   = "tuning"
	transferSize = gib
)

// lean are the settings that spare rclone work which Holdfast does not do for
// its own part either, or which makes it slower here: checksums of parts and
// whole, looking before and after, signing of bodies.
var (
	lean = []string{"--ignore-checksum", "--s3-disable-checksum", "--s3-no-check-bucket", "--s3-no-head",
		"--s3-use-unsigned-payload=true", "--s3-use-data-integrity-protections=false", "--no-check-dest", "--retries=1", "--stats=0"}
	// leanFetch: a fetch has to ask for an object's head, or it takes it for empty.
	leanFetch = []string{"--ignore-checksum", "--s3-no-check-bucket", "--s3-use-data-integrity-protections=false", "--no-check-dest", "--retries=1", "--stats=0"}
)

// sendTunings and fetchTunings are what is tried once each, so that the best is
// what counts.
var (
	sendTunings  = tunings("--s3-chunk-size", []string{"8M", "16M", "64M"}, "--s3-upload-concurrency", []string{"2", "4"})
	fetchTunings = append(tunings("--multi-thread-chunk-size", []string{"16M", "64M"}, "--multi-thread-streams", []string{"2", "4"}),
		[]string{"--multi-thread-streams=0", "--buffer-size=16M"}, []string{"--multi-thread-streams=0", "--buffer-size=0"})
)

func tunings(a string, as []string, b string, bs []string) (all [][]string) {
	for _, x := range as {
		for _, y := range bs {
			all = append(all, []string{a + "=" + x, b + "=" + y})
		}
	}
	return all
}

// largeFile measures one large file to two nodes and back, against rclone crypt.
func largeFile(ctx context.Context, b *Bench, r *record) error {
	file, want, err := b.transferFile()
	if err != nil {
		return err
	}
	d, err := b.demo(ctx, "holdfast", "DE,NZ,IS")
	if err != nil {
		return err
	}
	defer d.finish()
	peers, err := b.transferPeers(ctx, r, file)
	if err != nil {
		return err
	}
	for _, p := range peers {
		defer p.store.finish()
	}
	for round := range Rounds + 1 {
		if err := d.sendAndReceive(ctx, b, r, round, file, want); err != nil {
			return err
		}
		for _, p := range peers {
			if err := p.copyAndFetch(ctx, b, r, round, file, want); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *Bench) transferFile() (path string, sum []byte, err error) {
	path = b.path("large.bin")
	sum, err = writeFile(path, 1, transferSize)
	return path, sum, err
}

func (d *demo) sendAndReceive(ctx context.Context, b *Bench, r *record, round int, file string, want []byte) error {
	home := []string{"HOLDFAST_HOME=" + b.path("home")}
	pids := slices.Collect(maps.Values(d.pids))
	s, out, err := b.timedBeside(ctx, job{name: b.Program, args: []string{"send", "--server", d.url, file}, env: home}, pids...)
	if err != nil {
		return err
	}
	s.Case, s.Subject, s.Round, s.Bytes = caseSend, holdfast, round, transferSize
	r.add(s)
	link, back := strings.TrimSpace(string(out)), b.path("back.bin")
	s, _, err = b.timedBeside(ctx, job{name: b.Program, args: []string{"receive", link, "-o", back}, env: home}, pids...)
	if err != nil {
		return err
	}
	s.Command = strings.Replace(s.Command, link, "LINK", 1)
	s.Case, s.Subject, s.Round, s.Bytes = caseReceive, holdfast, round, transferSize
	r.add(s)
	if _, _, err := b.timed(ctx, job{name: b.Program, args: []string{"unsend", link}, env: home}); err != nil {
		return err
	}
	return errors.Join(sameFile(back, want), os.Remove(back))
}

// peer is rclone crypt over a store, with the settings that were best there.
type peer struct {
	*rclone
	store       *s3
	send, fetch []string
	// fresh tells that the defaults are measured too.
	fresh bool
}

// transferPeers starts the stores and finds each one's best settings.
func (b *Bench) transferPeers(ctx context.Context, r *record, file string) (peers []*peer, err error) {
	defer func() {
		if err != nil {
			for _, p := range peers {
				p.store.finish()
			}
			peers = nil
		}
	}()
	for _, open := range []func(context.Context) (*s3, error){b.minio, b.gateway} {
		store, err := open(ctx)
		if err != nil {
			return peers, err
		}
		p := &peer{store: store, fresh: store.name == minioProgram.name}
		peers = append(peers, p)
		if p.rclone, err = b.rclone(ctx, store); err != nil {
			return peers, err
		}
		if p.send, err = p.tune(ctx, b, r, "send", lean, sendTunings, file, "c:tuning.bin"); err != nil {
			return peers, err
		}
		if p.fetch, err = p.tune(ctx, b, r, "fetch", leanFetch, fetchTunings, "c:tuning.bin", b.path("tuning.bin")); err != nil {
			return peers, err
		}
		if err := errors.Join(p.run(ctx, "deletefile", "c:tuning.bin"), os.Remove(b.path("tuning.bin"))); err != nil {
			return peers, err
		}
	}
	return peers, nil
}

// tune copies with each of the settings and returns the fastest.
func (p *peer) tune(ctx context.Context, b *Bench, r *record, what string, base []string, all [][]string, from, to string) (best []string, err error) {
	least := 0.0
	for _, settings := range all {
		s, _, err := b.timed(ctx, p.job(slices.Concat([]string{"copyto"}, base, settings, []string{from, to})...))
		if err != nil {
			return nil, err
		}
		s.Case, s.Subject, s.Bytes = caseTuning, what+" "+p.store.name+" "+strings.Join(settings, " "), transferSize
		s.Command = ""
		r.add(s)
		if best == nil || s.Seconds < least {
			best, least = settings, s.Seconds
		}
	}
	return best, nil
}

func (p *peer) copyAndFetch(ctx context.Context, b *Bench, r *record, round int, file string, want []byte) error {
	remote, back := "c:round-"+strconv.Itoa(round)+".bin", b.path("back.bin")
	tuned := rcloneTuned + p.store.name
	step := func(what, subject string, settings []string, from, to string) error {
		s, _, err := b.timedBeside(ctx, p.job(slices.Concat([]string{"copyto"}, settings, []string{from, to})...), p.store.cmd.Process.Pid)
		if err != nil {
			return fmt.Errorf("%s: %w", subject, err)
		}
		s.Case, s.Subject, s.Round, s.Bytes = what, subject, round, transferSize
		r.add(s)
		return nil
	}
	if p.fresh {
		if err := step(caseSend, rcloneFresh+p.store.name, nil, file, "c:fresh.bin"); err != nil {
			return err
		}
		if err := p.run(ctx, "deletefile", "c:fresh.bin"); err != nil {
			return err
		}
	}
	if err := step(caseSend, tuned, slices.Concat(lean, p.send), file, remote); err != nil {
		return err
	}
	if err := step(caseReceive, tuned, slices.Concat(leanFetch, p.fetch), remote, back); err != nil {
		return err
	}
	return errors.Join(sameFile(back, want), os.Remove(back), p.run(ctx, "deletefile", remote))
}
