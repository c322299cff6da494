//go:build linux

package faults

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// runAt starts a client verb, with its state in that very folder, that the test
// will kill.
func runAt(t *testing.T, home string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(programs.holdfast, args...)
	cmd.Env = append(os.Environ(), "HOLDFAST_HOME="+home)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// must runs a client verb that has to succeed and returns what it printed.
func (f *fleet) must(home string, args ...string) string {
	f.t.Helper()
	r, err := client(f.context(), home, args...)
	if err != nil || r.code != 0 {
		f.t.Fatalf("%s: %v, exit %d\n%s", args[0], err, r.code, r.stderr)
	}
	return r.stdout
}

// resumes are the files that a client keeps to go on, by name.
func resumes(t *testing.T, home string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(home, "resume", "*"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(path)] = raw
	}
	return out
}

// TestPowerCutOfSender: faults 3 and 5, threat 12. The sender's machine loses
// power while blobs are on their way. Every name of which a node saw so much as
// the header stands in the log that survived, in folders that survived; the same
// command goes on and makes one link.
func TestPowerCutOfSender(t *testing.T) {
	f, fr := frontedFleet(t)
	for i, at := range []moment{{"2", 1, atHeaders}, {"2", 3, atHalf}, {"2", 4, atFirstEvent}, {"2", 6, atSecondEvent}} {
		t.Run(at.String(), func(t *testing.T) {
			f.t = t
			d := mountDisk(t)
			home := filepath.Join(d.dir, "state", "holdfast") // neither is there yet
			path, want := f.file(44*mib, uint64(200+i))
			died := make(chan *exec.Cmd, 1)
			fr.arm(at, func(string) {
				cmd := <-died
				cmd.Process.Kill()
			})
			cmd := runAt(t, home, "send", "--server", f.server.url, path)
			died <- cmd
			if err := cmd.Wait(); err == nil {
				t.Fatal("the client was not killed")
			}
			posted := fr.posted()
			d.tell("cut")
			if len(posted) == 0 {
				t.Fatal("no blob left before the power went")
			}
			kept := resumes(t, home)
			if len(kept) != 1 {
				t.Errorf("%d files survived of what the send needs to go on", len(kept))
			}
			for _, name := range posted {
				found := false
				for _, log := range kept {
					found = found || bytes.Contains(log, []byte(`"name":"`+name+`"`))
				}
				if !found {
					t.Errorf("blob %s left, and its name did not survive", name)
				}
			}
			links := f.countLinks()
			link := f.must(home, "send", "--server", f.server.url, path)
			if made := f.countLinks() - links; made != 1 {
				t.Errorf("%d links made", made)
			}
			if got := f.receive("receiver", link); !bytes.Equal(got, want) {
				t.Error("what came back is not what was sent")
			}
		})
	}
}

// TestPowerCutAfterSend: fault 5. When a command has printed its link, a power
// cut brings nothing of what it erased back, and costs neither the link nor what
// is needed to revoke it, whatever is sent next.
func TestPowerCutAfterSend(t *testing.T) {
	f := startFleet(t)
	d := mountDisk(t)
	home := filepath.Join(d.dir, "state", "holdfast")
	path, want := f.file(3*mib, 1)
	link := f.must(home, "send", "--server", f.server.url, path)
	d.tell("cut")
	for name := range resumes(t, home) {
		t.Errorf("%s, with keys, came back with the power", name)
	}
	if err := os.WriteFile(path, []byte("another version"), 0o600); err != nil {
		t.Fatal(err)
	}
	again := f.must(home, "send", "--server", f.server.url, path)
	for link, want := range map[string][]byte{link: want, again: []byte("another version")} {
		if got := f.receive("receiver", link); !bytes.Equal(got, want) {
			t.Errorf("%d bytes came back, not the %d that were sent", len(got), len(want))
		}
	}
	d.tell("cut")
	f.must(home, "unsend", link)
	if r, err := client(f.context(), f.home("receiver"), "receive", link, "-o", filepath.Join(t.TempDir(), "x")); err != nil || r.code == 0 {
		t.Errorf("received after it was revoked: %v, exit %d", err, r.code)
	}
}

// TestPowerCutAfterReceive: fault 5. What a receive that ended well has written
// is whole under its name after a power cut, in folders that it made.
func TestPowerCutAfterReceive(t *testing.T) {
	f := startFleet(t)
	d := mountDisk(t)
	home := filepath.Join(d.dir, "state")
	path, want := f.file(20*mib, 1)
	one := f.send("sender", path)
	tree := t.TempDir()
	for i := range 20 {
		name := filepath.Join(tree, "tree", fmt.Sprintf("sub-%d", i%3), "deep", fmt.Sprint(i))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(strings.Repeat(fmt.Sprint(i, " "), 5000)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	many := f.send("sender", filepath.Join(tree, "tree"))
	file, folder := filepath.Join(d.dir, "new", "folders", "file"), filepath.Join(d.dir, "others", "again")
	f.must(home, "receive", one, "-o", file)
	f.must(home, "receive", many, "-o", folder)
	d.tell("cut")
	f.expectFile(file, want)
	if n := countFiles(t, folder); n != 20 {
		t.Errorf("%d files of 20 survived", n)
	}
	for i := range 20 {
		f.expectFile(filepath.Join(folder, "tree", fmt.Sprintf("sub-%d", i%3), "deep", fmt.Sprint(i)), []byte(strings.Repeat(fmt.Sprint(i, " "), 5000)))
	}
}
