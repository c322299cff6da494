//go:build linux

package faults

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Short intervals, so that a test does not wait for what takes minutes in service.
const (
	heartbeat   = "200ms"
	nodeTimeout = "1500ms"
	sweepEvery  = "300ms"
)

// fleet is a server and its nodes as processes.
type fleet struct {
	// t reports; subtests put theirs here. owner is the test whose end ends the processes.
	t, owner *testing.T

	dir    string
	server *process
	nodes  map[string]*process
	ports  map[string]int
	// front is the address that a node declares, where a proxy stands before it.
	front map[string]string
	// data places a node's folder elsewhere, on another file system say.
	data map[string]string
	// wrap puts words before a node's command, "strace …" say.
	wrap map[string][]string
	// inside puts words before the server's command.
	inside []string
	// database says where the server keeps its state, beside its folder.
	database []string
	// secure are flags of server and nodes for TLS, with trust those of nodes besides.
	secure, trust []string
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	return &fleet{t: t, owner: t, dir: t.TempDir(), nodes: map[string]*process{}, ports: map[string]int{},
		front: map[string]string{}, data: map[string]string{}, wrap: map[string][]string{}}
}

// startFleet starts a server and nodes in the usual three jurisdictions.
func startFleet(t *testing.T) *fleet {
	t.Helper()
	f := newFleet(t)
	f.startServer()
	for _, j := range []string{"DE", "NZ", "IS"} {
		f.startNode(j)
	}
	return f
}

func (f *fleet) startServer() {
	f.t.Helper()
	if f.ports["server"] == 0 {
		f.ports["server"] = freePort(f.t)
	}
	f.server = start(f.owner, "server", slices.Concat(f.inside, []string{programs.holdfast, "server", "--data", filepath.Join(f.dir, "server"),
		"--listen", fmt.Sprintf("127.0.0.1:%d", f.ports["server"]), "--node-timeout", nodeTimeout, "--sweep-every", sweepEvery}, f.secure)...)
}

func (f *fleet) nodeData(j string) string {
	if f.data[j] == "" {
		f.data[j] = filepath.Join(f.dir, "node-"+j)
	}
	return f.data[j]
}

// port of a node; it keeps it over restarts.
func (f *fleet) port(j string) int {
	if f.ports[j] == 0 {
		f.ports[j] = freePort(f.t)
	}
	return f.ports[j]
}

// startNode starts, or starts again, the node of a jurisdiction.
func (f *fleet) startNode(j string, more ...string) *process {
	f.t.Helper()
	invite := filepath.Join(f.dir, j+".invite")
	if _, err := os.Stat(invite); err != nil {
		f.writeInvite(invite)
	}
	listen := fmt.Sprintf("127.0.0.1:%d", f.port(j))
	argv := append([]string{}, f.wrap[j]...)
	argv = append(argv, programs.holdfast, "node", "run", "--data", f.nodeData(j), "--server", f.server.url, "--invite-file", invite,
		"--operator", "Operator "+j, "--jurisdiction", j, "--listen", listen, "--capacity", "20GB", "--heartbeat", heartbeat)
	if f.front[j] != "" {
		argv = append(argv, "--public-url", f.front[j])
	}
	f.nodes[j] = start(f.owner, j, slices.Concat(argv, f.secure, f.trust, more)...)
	return f.nodes[j]
}

func (f *fleet) writeInvite(path string) {
	f.t.Helper()
	out, err := exec.Command(programs.holdfast, append([]string{"admin", "invite", "--data", filepath.Join(f.dir, "server")}, f.database...)...).Output()
	if err != nil {
		f.t.Fatalf("admin invite: %v", err)
	}
	if err := os.WriteFile(path, out, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// home is a client's state folder.
func (f *fleet) home(name string) string { return filepath.Join(f.dir, "home-"+name) }

// send sends paths and returns the link; it must succeed.
func (f *fleet) send(home string, paths ...string) string {
	f.t.Helper()
	r, err := client(f.context(), f.home(home), append([]string{"send", "--server", f.server.url}, paths...)...)
	if err != nil || r.code != 0 {
		f.t.Fatalf("send: %v, exit %d\n%s", err, r.code, r.stderr)
	}
	return r.stdout
}

// receive opens a link and returns the bytes; it must succeed.
func (f *fleet) receive(home, link string) []byte {
	f.t.Helper()
	out := filepath.Join(f.t.TempDir(), "received")
	r, err := client(f.context(), f.home(home), "receive", link, "-o", out)
	if err != nil || r.code != 0 {
		f.t.Fatalf("receive: %v, exit %d\n%s", err, r.code, r.stderr)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

// acknowledged is the oracle: what a client was told stands.
type acknowledged struct {
	link string
	want []byte
}

func (f *fleet) acknowledge(home string, size int, seed uint64) acknowledged {
	f.t.Helper()
	path, want := f.file(size, seed)
	return acknowledged{link: f.send(home, path), want: want}
}

// check reads all that was acknowledged and reports bytes lost and wrong: both must be none.
func (f *fleet) check(all []acknowledged) {
	f.t.Helper()
	for i, a := range all {
		if got := f.receive("checker", a.link); !bytes.Equal(got, a.want) {
			f.t.Errorf("acknowledged file %d: %d bytes came back, %x instead of %x", i, len(got), sha256.Sum256(got), sha256.Sum256(a.want))
		}
	}
}

// file writes pseudo-random bytes.
func (f *fleet) file(size int, seed uint64) (string, []byte) {
	f.t.Helper()
	b := make([]byte, size)
	src := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16), 1})
	if _, err := io.ReadFull(src, b); err != nil {
		f.t.Fatal(err)
	}
	path := filepath.Join(f.t.TempDir(), fmt.Sprintf("file-%d", seed))
	if err := os.WriteFile(path, b, 0o600); err != nil {
		f.t.Fatal(err)
	}
	return path, b
}

func (f *fleet) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	f.t.Cleanup(cancel)
	return ctx
}

// eventually waits for a condition that background work brings about.
func (f *fleet) eventually(what string, within time.Duration, ok func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	f.t.Fatalf("not within %s: %s", within, what)
}

// blobFiles counts the files that hold bytes in a node's folder, trash left out.
func (f *fleet) blobFiles(j string) (n int, size int64) {
	f.t.Helper()
	err := filepath.Walk(f.nodeData(j), func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return nil // removed while walking
		}
		if !info.IsDir() && strings.Contains(path, "/store/blobs/") {
			n++
			size += info.Size()
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return n, size
}

// expectFile compares a file with what it must hold.
func (f *fleet) expectFile(path string, want []byte) {
	f.t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		f.t.Fatalf("%s: %d bytes instead of %d, or other ones: %v", path, len(got), len(want), err)
	}
}
