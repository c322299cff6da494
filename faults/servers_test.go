//go:build linux

package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/server/postgrestest"
)

// TestThreeServers: three servers on one PostgreSQL are one service, whichever a
// request lands at.
func TestThreeServers(t *testing.T) {
	postgres := postgrestest.Start(t)
	postgres.Create(t, "holdfast", "")
	s := startService(t, postgres, "holdfast")
	kept := s.acknowledge("sender", 20*mib, 1)
	for n, server := range s.servers {
		s.server = server // all of a send or receive through one of them
		s.check([]acknowledged{kept, s.acknowledge(fmt.Sprint("sender-", n), 100_000, uint64(10+n))})
	}
	s.server = &process{url: s.front.url}
	s.downloadsLimited()
	s.revoked()
	s.expired()
	s.beatsGoOn()
	s.check([]acknowledged{kept})
	s.whole()
	for _, p := range append(s.servers[:], s.nodes["DE"], s.nodes["NZ"], s.nodes["IS"]) {
		if log := p.messages(); strings.Contains(log, "battery") {
			t.Errorf("%s logged the database's password:\n%s", p.name, log)
		}
	}
}

// downloadsLimited: of many receivers at once, each at some server, as many
// succeed as may.
func (s *service) downloadsLimited() {
	s.t.Helper()
	path, _ := s.file(5000, 20)
	r, err := client(s.context(), s.home("sender"), "send", "--server", s.front.url, "--downloads", "3", path)
	if err != nil || r.code != 0 {
		s.t.Fatalf("send: %v, exit %d\n%s", err, r.code, r.stderr)
	}
	codes := map[int]int{}
	var mu sync.Mutex // guards codes
	var wg sync.WaitGroup
	for n := range 9 {
		wg.Go(func() {
			got, err := client(s.context(), s.home(fmt.Sprint("receiver-", n)), "receive", r.stdout, "-o", filepath.Join(s.t.TempDir(), "limited")) // of one folder only one at a time
			if err != nil {
				s.t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			codes[got.code]++
			if got.code != 0 && got.code != 5 {
				s.t.Errorf("receive %d: exit %d\n%s", n, got.code, got.stderr)
			}
		})
	}
	wg.Wait()
	if codes[0] != 3 || codes[5] != 6 {
		s.t.Errorf("exit codes of nine receives of a link for three: %v", codes)
	}
}

// revoked: what is revoked at one server opens at none, at once, and its blobs
// leave the nodes.
func (s *service) revoked() {
	s.t.Helper()
	gone := s.acknowledge("sender", 9*mib, 30)
	before := s.stored()
	if r, err := client(s.context(), s.home("sender"), "unsend", gone.link); err != nil || r.code != 0 {
		s.t.Fatalf("unsend: %v, exit %d: %s", err, r.code, r.stderr)
	}
	s.gone(gone, "revoked")
	s.eventually("the blobs leave the nodes", 20*time.Second, func() bool { return s.stored() <= before-2*9*mib })
}

// gone checks that a link opens at no server.
func (s *service) gone(a acknowledged, what string) {
	s.t.Helper()
	_, path, _ := strings.Cut(a.link, "/s/")
	for n, server := range s.servers {
		r, err := client(s.context(), s.home("receiver"), "receive", server.url+"/s/"+path, "-o", filepath.Join(s.t.TempDir(), "x"))
		if err != nil || r.code != 5 {
			s.t.Errorf("a link that is %s, at server %d: %v, exit %d\n%s", what, n, err, r.code, r.stderr)
		}
	}
}

func (s *service) stored() (sum int64) {
	for j := range s.nodes {
		_, size := s.blobFiles(j)
		sum += size
	}
	return sum
}

// expired: a link whose time is over opens at no server, before and after one of
// them has swept it away.
func (s *service) expired() {
	s.t.Helper()
	old := s.acknowledge("sender", 3*mib, 40)
	s.postgres.Exec(s.t, s.name, `UPDATE link SET expires = 1 WHERE num = (SELECT MAX(num) FROM link)`)
	s.gone(old, "expired")
	s.eventually("one server ends it", 20*time.Second, func() bool {
		return s.number(`SELECT COUNT(*) FROM link WHERE state = 1 AND expires = 1`) == 0
	})
	s.gone(old, "expired and swept")
}

// beatsGoOn: servers are killed one after another; nodes beat at the others, all of
// which see it, and nothing that people do waits.
func (s *service) beatsGoOn() {
	s.t.Helper()
	for n := range s.servers {
		s.servers[n].kill()
		killed := time.Now()
		s.check([]acknowledged{s.acknowledge("sender", 5000, uint64(50+n))})
		s.eventually(fmt.Sprintf("every node is heard without server %d", n), 20*time.Second, func() bool { return s.heardSince(killed) == len(s.nodes) })
		for m, server := range s.servers {
			if m != n && live(server.url) != len(s.nodes) {
				s.t.Errorf("without server %d, server %d sees %d nodes", n, m, live(server.url))
			}
		}
		s.start(n)
	}
}

// heardSince is how many nodes were heard since then, as operators see it.
func (s *service) heardSince(then time.Time) (n int) {
	s.t.Helper()
	out, err := exec.Command(programs.holdfast, append([]string{"admin", "nodes", "--json"}, s.database...)...).Output()
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range bytes.Lines(out) {
		var node struct {
			State    string
			LastSeen time.Time
		}
		if err := json.Unmarshal(line, &node); err != nil {
			s.t.Fatal(err)
		}
		if node.State == "live" && node.LastSeen.After(then) {
			n++
		}
	}
	return n
}

// killPoints are the seeded moments at which a server dies in a commit.
const killPoints = 21

// TestServerOfThreeKilledDuringCommit: fault 16 with several servers. The server
// that a commit landed at dies at a seeded moment; another one answers when the
// client asks again, the link is there once and whole.
func TestServerOfThreeKilledDuringCommit(t *testing.T) {
	postgres := postgrestest.Start(t)
	postgres.Create(t, "holdfast", "")
	s := startService(t, postgres, "holdfast")
	const files = 150
	dir := t.TempDir()
	for i := range files { // many revisions, so that the transaction takes a while
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte(fmt.Sprint("content ", i)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// How long a commit takes here and now.
	var began atomic.Int64
	note := func(int) { began.Store(time.Now().UnixNano()) }
	s.front.onCommit.Store(&note)
	s.send("sender", dir)
	length := max(time.Duration(time.Now().UnixNano()-began.Load()), 20*time.Millisecond)
	rng := rand.New(rand.NewPCG(16, 3))
	for round := range killPoints {
		delay := time.Duration(rng.Int64N(int64(length)))
		var once atomic.Bool
		victim := make(chan int, 1)
		hook := func(n int) {
			if once.Swap(true) {
				return
			}
			go func() {
				time.Sleep(delay) // the seeded moment
				s.servers[n].kill()
				victim <- n
			}()
		}
		s.front.onCommit.Store(&hook)
		before := s.number(`SELECT COUNT(*) FROM link`)
		r, err := client(s.context(), s.home("sender"), "send", "--server", s.front.url, dir)
		if err != nil || r.code != 0 {
			t.Fatalf("round %d, killed %s after the request: %v, exit %d\n%s", round, delay, err, r.code, r.stderr)
		}
		killed := <-victim
		if made := s.number(`SELECT COUNT(*) FROM link`) - before; made != 1 {
			t.Errorf("round %d: %d links made", round, made)
		}
		out := filepath.Join(t.TempDir(), "out")
		got, err := client(s.context(), s.home("receiver"), "receive", r.stdout, "-o", out)
		if err != nil || got.code != 0 {
			t.Fatalf("round %d: receive: %v, exit %d\n%s", round, err, got.code, got.stderr)
		}
		if n := countFiles(t, out); n != files {
			t.Errorf("round %d: %d files came back", round, n)
		}
		s.start(killed)
	}
	if n := s.front.broken.Load(); n < killPoints/3 {
		t.Errorf("%d of %d kills struck in a commit: this test sees too little", n, killPoints)
	}
	s.whole()
	for n, server := range s.servers {
		if live(server.url) != len(s.nodes) {
			t.Errorf("server %d sees %d nodes", n, live(server.url))
		}
	}
}

// TestDatabaseKilled: the database ends at once and starts again while people
// send. Meanwhile servers say so; afterwards they serve by themselves, and what
// was acknowledged is there.
func TestDatabaseKilled(t *testing.T) {
	postgres := postgrestest.Start(t)
	postgres.Create(t, "holdfast", "")
	s := startService(t, postgres, "holdfast")
	var mu sync.Mutex // guards all
	all := []acknowledged{s.acknowledge("sender", 5000, 1)}
	for round := range 3 {
		var senders sync.WaitGroup
		stop := make(chan struct{})
		for n := range 3 {
			path, want := s.file(5000, uint64(10*round+n))
			senders.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					r, err := client(s.context(), s.home(fmt.Sprint("sender-", n)), "send", "--server", s.front.url, path)
					if err != nil {
						t.Error(err)
						return
					}
					if r.code == 0 {
						mu.Lock()
						all = append(all, acknowledged{r.stdout, want})
						mu.Unlock()
					} else if r.code != 8 {
						t.Errorf("a send without a database: exit %d\n%s", r.code, r.stderr)
					}
				}
			})
		}
		before := s.number(`SELECT COUNT(*) FROM link`)
		s.eventually("sends go on", 30*time.Second, func() bool { return s.number(`SELECT COUNT(*) FROM link`) > before+2 })
		postgres.Stop(t)
		for n, server := range s.servers {
			_, err := info(server.url)
			var p *api.Problem
			if !errors.As(err, &p) || p.Code != api.Unavailable || p.RetryAfter < 1 {
				t.Errorf("server %d without a database: %v", n, err)
			}
		}
		postgres.Again(t)
		for n, server := range s.servers {
			s.eventually(fmt.Sprintf("server %d serves again", n), 20*time.Second, func() bool { return live(server.url) == len(s.nodes) })
		}
		close(stop)
		senders.Wait()
		s.check([]acknowledged{s.acknowledge("sender", 5000, uint64(100+round))})
	}
	s.check(all)
	s.whole()
	if log := s.servers[0].messages(); !strings.Contains(log, "cannot be reached") || strings.Contains(log, "battery") {
		t.Errorf("the log does not say that the database was away, or says the password:\n%s", log)
	}
}

// TestDatabaseFull: the database's disk has no room left. The servers say that
// they cannot write, what was acknowledged can be looked at, and when there is
// room again they go on.
func TestDatabaseFull(t *testing.T) {
	postgres := postgrestest.Start(t)
	disk := t.TempDir()
	if err := os.Chmod(filepath.Dir(disk), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=24m,mode=0777"); err != nil {
		t.Fatalf("mount: %v (this test needs root)", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	postgres.Tablespace(t, "small", filepath.Join(disk, "data"))
	postgres.Exec(t, "postgres", "CREATE DATABASE holdfast TABLESPACE small")
	s := startService(t, postgres, "holdfast")
	kept := s.acknowledge("sender", 5000, 1)
	filler := filepath.Join(disk, "filler")
	if out, err := exec.Command("dd", "if=/dev/zero", "of="+filler, "bs=64k").CombinedOutput(); err == nil {
		t.Fatalf("the disk is not full: %s", out)
	}
	dir := t.TempDir()
	for i := range 1000 { // more than the tables have room for
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte(fmt.Sprint("content ", i)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var r result
	var err error
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		r, err = client(s.context(), s.home("sender"), "send", "--server", s.front.url, dir)
	}()
	s.eventually("a server's log says that the database takes no writes", 30*time.Second, func() bool {
		for _, server := range s.servers {
			if strings.Contains(server.messages(), "takes no writes") {
				return true
			}
		}
		return false
	})
	for n, server := range s.servers {
		if live(server.url) < 0 {
			t.Errorf("server %d says nothing any more", n)
		}
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	<-sent // it went on by itself
	if err != nil || r.code != 0 || !strings.Contains(r.stderr, "takes no writes") {
		t.Fatalf("send: %v, exit %d\n%s", err, r.code, r.stderr)
	}
	link := r.stdout
	out := filepath.Join(t.TempDir(), "out")
	if got, err := client(s.context(), s.home("receiver"), "receive", link, "-o", out); err != nil || got.code != 0 || countFiles(t, out) != 1000 {
		t.Errorf("receive: %v, exit %d\n%s", err, got.code, got.stderr)
	}
	s.check([]acknowledged{kept})
	s.whole()
}
