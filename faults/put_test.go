//go:build linux

package faults

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// account signs up at a server, with a home of its own.
func (f *fleet) account(home, server string) {
	f.t.Helper()
	pw := filepath.Join(f.t.TempDir(), "pw")
	if err := os.WriteFile(pw, []byte("plenty of nine horses\n"), 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.must(f.home(home), "signup", "--server", server, "--name", home+" of files", "--password-file", pw, "--phrase-file", pw+".phrase", "--no-keyring")
}

// put puts one thing at a path and returns what the verb says of it.
func (f *fleet) put(home, local, remote string) (said struct {
	Unchanged, Files int64
	Changes          []struct{ Change, Path string }
}) {
	f.t.Helper()
	out := f.must(f.home(home), "put", "-r", "--json", "--no-keyring", local, remote)
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		f.t.Fatalf("put: %v: %s", err, out)
	}
	return said
}

// isThere tells whether all that was put into a place is there, once, as remote: putting
// it again finds nothing to do, and it comes back.
func (f *fleet) isThere(home, local, into, remote string, files int) {
	f.t.Helper()
	if said := f.put(home, local, into); len(said.Changes) != 0 || int(said.Unchanged) != files {
		f.t.Errorf("after all is put: %d changes, %d unchanged", len(said.Changes), said.Unchanged)
	}
	for line := range strings.Lines(f.must(f.home(home), "find", "--json", "--no-keyring", remote)) {
		var item struct {
			Path     string
			Versions int
		}
		if err := json.Unmarshal([]byte(line), &item); err != nil {
			f.t.Fatalf("%v: %s", err, line)
		}
		if item.Versions != 0 || strings.Contains(item.Path, " (2)") {
			f.t.Errorf("%s has %d older versions", item.Path, item.Versions)
		}
	}
	out := f.t.TempDir()
	f.must(f.home(home), "get", "--no-keyring", remote, "-o", out)
	back := filepath.Join(out, filepath.Base(remote))
	if diff, err := exec.Command("diff", "-r", local, back).CombinedOutput(); err != nil {
		f.t.Errorf("what comes back is not what was put: %v\n%.500s", err, diff)
	}
}

// TestKillClientDuringPut: fault 3 of the drive. The client dies at each moment before
// the commit; the same command goes on where it was.
func TestKillClientDuringPut(t *testing.T) {
	f, fr := frontedFleet(t)
	f.account("owner", f.server.url)
	for i, at := range []moment{{"2", 1, atHeaders}, {"2", 1, atHalf}, {"2", 3, atAll}, {"2", 4, atFirstEvent}, {"2", 6, atSecondEvent}, {"1", 6, atFirstEvent}} {
		t.Run(at.String(), func(t *testing.T) {
			f.t = t
			local, want := f.file(44*mib, uint64(200+i))
			died := make(chan *exec.Cmd, 1)
			fr.arm(at, func(string) {
				cmd := <-died
				cmd.Process.Kill()
			})
			remote := fmt.Sprintf("/killed-%d", i)
			cmd := f.run("owner", "put", "--no-keyring", local, remote)
			died <- cmd
			if err := cmd.Wait(); err == nil {
				t.Fatal("the client was not killed")
			}
			_, first := fr.outcome()
			if said := f.put("owner", local, remote); said.Files != 1 {
				t.Errorf("%+v", said)
			}
			_, all := fr.outcome()
			if again := all - streamLength(len(want)); again > inFlight*8*mib {
				t.Errorf("%d bytes sent before the kill, %d again afterwards", first, again)
			}
			f.isThere("owner", local, remote, remote, 1)
		})
	}
}

// smallTree is a folder of many revisions, so that their transaction takes a while.
func smallTree(t *testing.T, files int, seed int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), fmt.Sprint("tree-", seed))
	for i := range files {
		below := filepath.Join(dir, fmt.Sprint(i%7))
		if err := os.MkdirAll(below, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(below, fmt.Sprint(i)), []byte(fmt.Sprint("content ", seed, i)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestKillClientDuringCommit: the client dies when its commit has arrived. Whether it
// happened or not, the same command ends with every file there once.
func TestKillClientDuringCommit(t *testing.T) {
	f := startFleet(t)
	front := f.serverFront()
	f.account("owner", front.url)
	rng := rand.New(rand.NewPCG(3, 1))
	for round := range 8 {
		delay := time.Duration(rng.IntN(40_000)) * time.Microsecond
		local, remote := smallTree(t, 300, round), "/"
		died := make(chan *exec.Cmd, 1)
		var once sync.Once
		hook := func() {
			once.Do(func() {
				cmd := <-died
				go func() {
					time.Sleep(delay) // the seeded moment
					cmd.Process.Kill()
				}()
			})
		}
		front.onCommit.Store(&hook)
		cmd := f.run("owner", "put", "-r", "--no-keyring", local, remote)
		died <- cmd
		killed := cmd.Wait() != nil
		front.onCommit.Store(nil)
		said := f.put("owner", local, remote)
		if said.Files != 0 && said.Files != 300 || said.Files != 0 && !killed {
			t.Errorf("round %d, killed: %v: half of a commit: %d files put again", round, killed, said.Files)
		}
		f.isThere("owner", local, "/", "/"+filepath.Base(local), 300)
	}
}

// TestServerKilledDuringPut: fault 16 of the drive. The server dies at seeded moments
// around the commit, or the answer is lost: all is there once, or the same command makes it so.
func TestServerKilledDuringPut(t *testing.T) {
	f := startFleet(t)
	front := f.serverFront()
	f.account("owner", front.url)
	rng := rand.New(rand.NewPCG(16, 2))
	for round := range 6 {
		delay := time.Duration(rng.IntN(40_000)) * time.Microsecond
		local := smallTree(t, 300, 100+round)
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
		front.loseCommits.Store(int32(round % 2))
		cmd := f.run("owner", "put", "-r", "--no-keyring", local, "/")
		failed := cmd.Wait()
		if once.Load() {
			<-restarted
		}
		front.onCommit.Store(nil)
		front.loseCommits.Store(0)
		if said := f.put("owner", local, "/"); said.Files != 0 && said.Files != 300 || said.Files != 0 && failed == nil {
			t.Errorf("round %d: %d files put again after %v", round, said.Files, failed)
		}
		f.isThere("owner", local, "/", "/"+filepath.Base(local), 300)
	}
}
