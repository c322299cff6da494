//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

const (
	folderFiles   = 2000
	folderSize    = 10 * kib
	caseFolder    = "send 2,000 files of 10 KiB"
	caseBack      = "receive 2,000 files of 10 KiB"
	caseRequests  = "requests of that send"
	folderBytes   = folderFiles * folderSize
	requestsToAPI = "holdfast, counted at the server"
)

var folderTunings = [][]string{{"--transfers=4"}, {"--transfers=16"}, {"--transfers=32"}, {"--transfers=64"}}

// folder measures a folder of small files, against rclone crypt to MinIO.
func folder(ctx context.Context, b *Bench, r *record) error {
	source := b.path("source")
	if err := writeFolder(source, folderFiles, folderSize); err != nil {
		return err
	}
	d, err := b.demo(ctx, "holdfast", "DE,NZ,IS")
	if err != nil {
		return err
	}
	defer d.finish()
	store, err := b.minio(ctx)
	if err != nil {
		return err
	}
	defer store.finish()
	p := &peer{store: store}
	if p.rclone, err = b.rclone(ctx, store); err != nil {
		return err
	}
	if err := p.tuneFolder(ctx, b, r, source); err != nil {
		return err
	}
	for round := range Rounds + 1 {
		if err := d.sendFolder(ctx, b, r, round, source); err != nil {
			return err
		}
		if err := p.copyFolder(ctx, b, r, round, source); err != nil {
			return err
		}
	}
	return d.countFolder(ctx, b, r, source)
}

func (p *peer) tuneFolder(ctx context.Context, b *Bench, r *record, source string) error {
	least := 0.0
	for i, settings := range folderTunings {
		to := "c:tuning-" + strconv.Itoa(i)
		s, _, err := b.timed(ctx, p.job(slices.Concat([]string{"copy"}, lean, settings, []string{source, to})...))
		if err != nil {
			return err
		}
		s.Case, s.Subject, s.Bytes, s.Command = caseTuning, strings.Join(settings, " "), folderBytes, ""
		r.add(s)
		if p.send == nil || s.Seconds < least {
			p.send, least = settings, s.Seconds
		}
		if err := p.run(ctx, "purge", to); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) sendFolder(ctx context.Context, b *Bench, r *record, round int, source string) error {
	home := []string{"HOLDFAST_HOME=" + b.path("home")}
	s, out, err := b.timed(ctx, job{name: b.Program, args: []string{"send", "--server", d.url, source}, env: home})
	if err != nil {
		return err
	}
	s.Case, s.Subject, s.Round, s.Bytes, s.Ops = caseFolder, holdfast, round, folderBytes, folderFiles
	r.add(s)
	link, back := strings.TrimSpace(string(out)), b.path("back")
	s, _, err = b.timed(ctx, job{name: b.Program, args: []string{"receive", link, "-o", back}, env: home})
	if err != nil {
		return err
	}
	s.Command = strings.Replace(s.Command, link, "LINK", 1)
	s.Case, s.Subject, s.Round, s.Bytes, s.Ops = caseBack, holdfast, round, folderBytes, folderFiles
	r.add(s)
	return errors.Join(complete(back), os.RemoveAll(back))
}

func (p *peer) copyFolder(ctx context.Context, b *Bench, r *record, round int, source string) error {
	remote, back, subject := "c:round-"+strconv.Itoa(round), b.path("back"), rcloneTuned+p.store.name
	s, _, err := b.timed(ctx, p.job(slices.Concat([]string{"copy"}, lean, p.send, []string{source, remote})...))
	if err != nil {
		return err
	}
	s.Case, s.Subject, s.Round, s.Bytes, s.Ops = caseFolder, subject, round, folderBytes, folderFiles
	r.add(s)
	s, _, err = b.timed(ctx, p.job(slices.Concat([]string{"copy"}, leanFetch, p.send, []string{remote, back})...))
	if err != nil {
		return err
	}
	s.Case, s.Subject, s.Round, s.Bytes, s.Ops = caseBack, subject, round, folderBytes, folderFiles
	r.add(s)
	return errors.Join(complete(back), os.RemoveAll(back), p.run(ctx, "purge", remote))
}

// complete counts the files that came back whole.
func complete(dir string) error {
	n, err := countFiles(dir, func(e fs.FileInfo) bool { return e.Size() == folderSize })
	if err == nil && n != folderFiles {
		err = fmt.Errorf("%d files of %d bytes came back", n, folderSize)
	}
	return err
}

func countFiles(dir string, counts func(fs.FileInfo) bool) (n int, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err == nil && counts(info) {
			n++
		}
		return err
	})
	return n, err
}

var blobFile = regexp.MustCompile(`^[0-9a-f]{64}$`)

// countFolder sends once through a proxy that counts requests to the server, and
// counts the new files at one of the nodes that have a copy.
func (d *demo) countFolder(ctx context.Context, b *Bench, r *record, source string) error {
	target, err := url.Parse(d.url)
	if err != nil {
		return err
	}
	var requests atomic.Int64
	proxy := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		requests.Add(1)
		proxy.ServeHTTP(w, req)
	}))
	defer front.Close()
	blobsNow := func() (n int, err error) {
		return countFiles(b.path("holdfast"), func(e fs.FileInfo) bool { return blobFile.MatchString(e.Name()) })
	}
	before, err := blobsNow()
	if err != nil {
		return err
	}
	home := []string{"HOLDFAST_HOME=" + b.path("home")}
	s, _, err := b.timed(ctx, job{name: b.Program, args: []string{"send", "--server", front.URL, source}, env: home})
	if err != nil {
		return err
	}
	after, err := blobsNow()
	if err != nil {
		return err
	}
	r.add(sample{Case: caseRequests, Subject: requestsToAPI, Round: 1, Seconds: s.Seconds, Calls: int(requests.Load()), Blobs: (after - before) / 2, Command: s.Command})
	return nil
}
