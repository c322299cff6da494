//go:build linux

package faults

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"holdfast/api"
)

// run starts a client verb that the test will kill.
func (f *fleet) run(home string, args ...string) *exec.Cmd {
	f.t.Helper()
	cmd := exec.Command(programs.holdfast, args...)
	cmd.Env = append(os.Environ(), "HOLDFAST_HOME="+f.home(home))
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	return cmd
}

// TestKillClientDuringSend: fault 3. The client dies at each moment before
// commit; repeating the command goes on where it was, and exactly one link is made.
func TestKillClientDuringSend(t *testing.T) {
	f, fr := frontedFleet(t)
	for i, at := range []moment{{"2", 1, atHeaders}, {"2", 1, atHalf}, {"2", 3, atAll}, {"2", 4, atFirstEvent}, {"2", 6, atSecondEvent}, {"1", 2, atHalf}, {"1", 6, atFirstEvent}} {
		t.Run(at.String(), func(t *testing.T) {
			f.t = t
			path, want := f.file(44*mib, uint64(100+i))
			home := fmt.Sprintf("killed-%d", i)
			died := make(chan *exec.Cmd, 1)
			fr.arm(at, func(string) {
				cmd := <-died
				cmd.Process.Kill()
			})
			cmd := f.run(home, "send", "--server", f.server.url, path)
			died <- cmd
			if err := cmd.Wait(); err == nil {
				t.Fatal("the client was not killed")
			}
			_, first := fr.outcome()
			links := f.countLinks()
			link := f.send(home, path)
			_, all := fr.outcome()
			if again := all - streamLength(len(want)); again > inFlight*8*mib {
				t.Errorf("%d bytes sent before the kill, %d again afterwards", first, again)
			}
			if made := f.countLinks() - links; made != 1 {
				t.Errorf("%d links made", made)
			}
			if got := f.receive("receiver", link); !bytes.Equal(got, want) {
				t.Error("what came back is not what was sent")
			}
		})
	}
}

// countLinks asks the database, which other processes may read.
func (f *fleet) countLinks() (n int) {
	f.t.Helper()
	files, err := filepath.Glob(filepath.Join(f.dir, "server", "*.db"))
	if err != nil || len(files) != 1 {
		f.t.Fatalf("the server's database: %v %v", files, err)
	}
	db, err := sql.Open("sqlite", "file:"+files[0]+"?mode=ro")
	if err != nil {
		f.t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(`SELECT count(*) FROM link`).Scan(&n); err != nil {
		f.t.Fatal(err)
	}
	return n
}

// serverFront stands before the server and can lose answers or refuse.
type serverFront struct {
	url string
	// loseCommits is how many answers to a commit are still to be lost.
	loseCommits atomic.Int32
	commits     atomic.Int32
	// onCommit is called when a commit request has arrived, before it is passed on.
	onCommit atomic.Pointer[func()]
	away     atomic.Bool
}

// commits tells whether a request publishes something: a link, or a change of the drive.
func commits(r *http.Request) bool {
	return strings.HasSuffix(r.URL.Path, "/commit") || r.URL.Path == api.CommitDrive.Path
}

func (f *fleet) serverFront() *serverFront {
	f.t.Helper()
	u, err := url.Parse(f.server.url)
	if err != nil {
		f.t.Fatal(err)
	}
	s := &serverFront{}
	proxy := &httputil.ReverseProxy{
		Transport:    &http.Transport{DisableKeepAlives: true},
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(u); r.Out.Host = r.In.Host },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ModifyResponse: func(res *http.Response) error {
			if commits(res.Request) && s.loseCommits.Add(-1) >= 0 {
				return io.ErrUnexpectedEOF
			}
			return nil
		},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	server := &http.Server{ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.away.Load() {
			panic(http.ErrAbortHandler)
		}
		if commits(r) {
			s.commits.Add(1)
			if hook := s.onCommit.Load(); hook != nil {
				(*hook)()
			}
		}
		proxy.ServeHTTP(w, r)
	})}
	go server.Serve(l) // ends with Close
	f.t.Cleanup(func() { server.Close() })
	s.url = "http://" + l.Addr().String()
	return s
}

// TestCommitAnswerLost: fault 4. The answer to the commit is lost three times;
// the client asks again, and exactly one link exists.
func TestCommitAnswerLost(t *testing.T) {
	f := startFleet(t)
	front := f.serverFront()
	front.loseCommits.Store(3)
	path, want := f.file(5*mib, 1)
	r, err := client(f.context(), f.home("sender"), "send", "--server", front.url, path)
	if err != nil || r.code != 0 {
		t.Fatalf("send: %v, exit %d\n%s", err, r.code, r.stderr)
	}
	if n := front.commits.Load(); n < 4 {
		t.Errorf("the commit was asked for %d times; nothing was lost", n)
	}
	if n := f.countLinks(); n != 1 {
		t.Errorf("%d links exist", n)
	}
	if got := f.receive("receiver", r.stdout); !bytes.Equal(got, want) {
		t.Error("what came back is not what was sent")
	}
}

// TestServerKilledDuringCommit: fault 16. The server dies at seeded moments
// around the commit; either all of the link is there or nothing, and the client,
// which asks again, ends with exactly one.
func TestServerKilledDuringCommit(t *testing.T) {
	f := startFleet(t)
	rng := rand.New(rand.NewPCG(16, 1))
	dir := t.TempDir()
	for i := range 400 { // many revisions, so that the transaction takes a while
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte(fmt.Sprint("content ", i)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for round := range 10 {
		front := f.serverFront()
		delay := time.Duration(rng.IntN(30_000)) * time.Microsecond
		var once atomic.Bool
		restarted := make(chan struct{})
		hook := func() {
			if once.Swap(true) {
				return
			}
			go func() {
				defer close(restarted)
				time.Sleep(delay) // the seeded moment
				f.server.kill()
				f.startServer()
			}()
		}
		front.onCommit.Store(&hook)
		before := f.countLinks()
		r, err := client(f.context(), f.home("sender"), "send", "--server", front.url, dir)
		if once.Load() {
			<-restarted
		}
		if err != nil || r.code != 0 {
			t.Fatalf("round %d, killed %s after the request: %v, exit %d\n%s", round, delay, err, r.code, r.stderr)
		}
		if made := f.countLinks() - before; made != 1 {
			t.Errorf("round %d: %d links made", round, made)
		}
		out := filepath.Join(t.TempDir(), "out")
		got, err := client(f.context(), f.home("receiver"), "receive", r.stdout, "-o", out)
		if err != nil || got.code != 0 {
			t.Fatalf("round %d: receive: %v, exit %d\n%s", round, err, got.code, got.stderr)
		}
		if n := countFiles(t, out); n != 400 {
			t.Errorf("round %d: %d files came back", round, n)
		}
	}
}

func countFiles(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestKillClientDuringReceive: fault 13. A receive that was killed half way goes
// on: what was fetched and checked is not fetched again, no second download is
// counted, and until the end nothing stands under the file's name.
func TestKillClientDuringReceive(t *testing.T) {
	f, fr := frontedFleet(t)
	path, want := f.file(60*mib, 13)
	r, err := client(f.context(), f.home("sender"), "send", "--server", f.server.url, "--downloads", "1", path)
	if err != nil || r.code != 0 {
		t.Fatalf("send: %v, exit %d\n%s", err, r.code, r.stderr)
	}
	out := filepath.Join(t.TempDir(), "received")
	var cmd atomic.Pointer[exec.Cmd]
	mark := streamLength(len(want)) * 3 / 4
	fr.armReads(mark, func() { cmd.Load().Process.Kill() })
	started := f.run("receiver", "receive", r.stdout, "-o", out)
	cmd.Store(started)
	if err := started.Wait(); err == nil {
		t.Fatal("the client was not killed")
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Fatalf("something stands under the file's name after half a download: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	again, err := client(ctx, f.home("receiver"), "receive", r.stdout, "-o", out)
	if err != nil || again.code != 0 {
		t.Fatalf("receive again: %v, exit %d\n%s", err, again.code, again.stderr)
	}
	got, err := os.ReadFile(out)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("what came back is not what was sent: %v", err)
	}
	if extra := fr.readBytes() - streamLength(len(want)); extra > inFlight*8*mib {
		t.Errorf("%d bytes fetched twice", extra)
	}
}
