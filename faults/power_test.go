//go:build linux

package faults

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// disk is a mounted powerfs: it forgets what was not fsynced when it is told to.
type disk struct {
	t   *testing.T
	dir string
	in  io.WriteCloser
	out *bufio.Reader
}

func mountDisk(t *testing.T) *disk {
	t.Helper()
	d := &disk{t: t, dir: t.TempDir()}
	cmd := exec.Command(programs.powerfs, d.dir)
	cmd.Stderr = os.Stderr
	var err error
	if d.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.out = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.in.Close() // ends the program, which unmounts
		if err := cmd.Wait(); err != nil {
			t.Errorf("powerfs: %v", err)
		}
	})
	if line, err := d.out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("powerfs cannot mount here (it needs /dev/fuse and root): %s %v", line, err)
	}
	return d
}

func (d *disk) tell(command string) {
	d.t.Helper()
	if _, err := fmt.Fprintln(d.in, command); err != nil {
		d.t.Fatal(err)
	}
	if line, err := d.out.ReadString('\n'); line != "ok\n" {
		d.t.Fatalf("powerfs: %s: %s %v", command, line, err)
	}
}

// diskFleet is a fleet in which server and nodes each stand on a disk of their own.
func diskFleet(t *testing.T) (*fleet, map[string]*disk) {
	t.Helper()
	f, disks := newFleet(t), map[string]*disk{}
	for _, name := range []string{"server", "DE", "NZ", "IS"} {
		disks[name] = mountDisk(t)
	}
	// The server's folder is found below the fleet's.
	if err := os.Symlink(disks["server"].dir, filepath.Join(f.dir, "server")); err != nil {
		t.Fatal(err)
	}
	f.startServer()
	for _, j := range []string{"DE", "NZ", "IS"} {
		f.data[j] = filepath.Join(disks[j].dir, "data")
		f.startNode(j)
	}
	return f, disks
}

// cutPower ends all processes at once and drops what no fsync made durable.
func (f *fleet) cutPower(disks map[string]*disk) {
	f.t.Helper()
	for _, n := range f.nodes {
		n.kill()
	}
	f.server.kill()
	for _, d := range disks {
		d.tell("cut")
	}
	f.startServer()
	for _, j := range []string{"DE", "NZ", "IS"} {
		f.startNode(j)
	}
}

// TestPowerCut: fault 5. Power fails everywhere at seeded moments while sends
// run; all that was acknowledged before is readable afterwards.
func TestPowerCut(t *testing.T) {
	f, disks := diskFleet(t)
	rng := rand.New(rand.NewPCG(5, 1))
	var all []acknowledged
	for round := range 6 {
		all = append(all, f.acknowledge("sender", 1000, uint64(10*round)), f.acknowledge("sender", 10*mib, uint64(10*round+1)))
		path, _ := f.file(30*mib, uint64(10*round+2))
		half := exec.Command(programs.holdfast, "send", "--server", f.server.url, path)
		half.Env = append(os.Environ(), "HOLDFAST_HOME="+f.home(fmt.Sprintf("half-%d", round)))
		if err := half.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rng.IntN(400)) * time.Millisecond) // the seeded moment
		half.Process.Kill()                                         // its machine lost power, too
		half.Wait()                                                 // it was killed; that is its result
		f.cutPower(disks)
		f.check(all)
	}
}

// TestPowerCutAfterTheFirstStart: fault 5. A server that has just made its data
// directory, and its parents, finds its keys again, which nodes may have pinned.
func TestPowerCutAfterTheFirstStart(t *testing.T) {
	d := mountDisk(t)
	data := filepath.Join(d.dir, "var", "lib", "holdfast")
	first := start(t, "server", programs.holdfast, "server", "--data", data, "--listen", "127.0.0.1:0")
	keys := func() string {
		var all strings.Builder
		for _, name := range []string{"ticket.key", "order.key", "accounts.key"} {
			raw, err := os.ReadFile(filepath.Join(data, name))
			if err != nil {
				t.Fatal(err)
			}
			all.Write(raw)
		}
		return all.String()
	}
	before := keys()
	first.kill()
	d.tell("cut")
	if after := keys(); after != before {
		t.Error("the server has other keys than before")
	}
	start(t, "server", programs.holdfast, "server", "--data", data, "--listen", "127.0.0.1:0")
	if after := keys(); after != before {
		t.Error("the server made other keys")
	}
}

// health asks a node how it is.
func (f *fleet) health(j string) (state, reason string) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.context(), http.MethodGet, f.nodes[j].url+"/health", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Holdfast-Version", "1")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	var h struct{ State, Reason string }
	if err := json.NewDecoder(res.Body).Decode(&h); err != nil {
		f.t.Fatal(err)
	}
	return h.State, h.Reason
}

// TestDiskFails: fault 6. Every fsync of one node reports EIO: it gives no
// receipt, says so, and sends succeed without it. After a power cut, which
// takes whatever that node kept in its cache, all is readable.
func TestDiskFails(t *testing.T) {
	f, disks := diskFleet(t)
	all := []acknowledged{f.acknowledge("sender", 3*mib, 1)}
	disks["NZ"].tell("fail")
	for i := range 4 {
		a := f.acknowledge("sender", 9*mib, uint64(i+2))
		if r, err := client(f.context(), f.home("sender"), "where", a.link, "--json"); err != nil || strings.Contains(r.stdout, `"NZ"`) {
			t.Errorf("the node with the broken disk gave a receipt: %v %s", err, r.stdout)
		}
		all = append(all, a)
	}
	if state, reason := f.health("NZ"); state != "read-only" || !strings.Contains(reason, "io") {
		t.Errorf("the node with the broken disk says %q, %q", state, reason)
	}
	disks["NZ"].tell("heal")
	f.cutPower(disks)
	f.check(all)
}

// TestDiskFull: fault 7. One node's disk is full while writing: old data stays,
// sends go on with the others, and the node comes back when there is room.
func TestDiskFull(t *testing.T) {
	f, disks := diskFleet(t)
	all := []acknowledged{f.acknowledge("sender", 20*mib, 1)}
	disks["DE"].tell(fmt.Sprint("capacity ", 24*mib))
	for i := range 3 {
		all = append(all, f.acknowledge("sender", 12*mib, uint64(i+2)))
	}
	if state, _ := f.health("DE"); state != "read-only" {
		t.Errorf("the full node says %q", state)
	}
	f.check(all)
	disks["DE"].tell(fmt.Sprint("capacity ", 1024*mib))
	f.eventually("the node takes data again", 30*time.Second, func() bool {
		state, _ := f.health("DE")
		return state == "serving"
	})
	f.check(all)
}

// TestTwoNodesDown: with one node left nothing is acknowledged, and the client says why.
func TestTwoNodesDown(t *testing.T) {
	f := startFleet(t)
	before := f.acknowledge("sender", 2*mib, 1)
	f.nodes["DE"].kill()
	f.nodes["NZ"].kill()
	f.eventually("the server knows that too few nodes are there", 10*time.Second, func() bool {
		path, _ := f.file(1000, 2)
		r, err := client(f.context(), f.home("sender"), "send", "--server", f.server.url, path)
		if err != nil {
			t.Fatal(err)
		}
		if r.code == 0 {
			t.Fatalf("acknowledged with one node: %s", r.stdout)
		}
		return r.code == 8
	})
	f.startNode("DE")
	f.check([]acknowledged{before})
}
