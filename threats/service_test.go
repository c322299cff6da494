package threats

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/client/home"
	"holdfast/client/transfer"
	"holdfast/format/id"
	"holdfast/node"
	"holdfast/server"
)

// service is what all tests attack.
var service *world

// slowly yields the connections of TestThreat28Slow; nil where it does not run.
var slowly <-chan dripped

// world is a server and its nodes, each behind a front.
type world struct {
	dir    string
	real   string // the server's own address
	front  *front // the server's
	nodes  []*member
	logs   safeBuffer
	offset atomic.Int64 // of the server's clock, nanoseconds
	stop   context.CancelFunc
	ended  sync.WaitGroup
	failed atomic.Pointer[string]
}

// member is a storage node. Its key is in a test's hand: a malicious node signs
// what it likes.
type member struct {
	*front
	node         *node.Node
	dir          string
	real         string
	key          ed25519.PrivateKey
	operator     string
	jurisdiction string
}

func (m *member) id() id.Node { return m.node.ID() }

// safeBuffer collects the logs of all parties.
type safeBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.buf.Bytes())
}

// fleetNodes: three that are independent, and one that shares law and company
// with the first, under a name that would like to steer terminals.
var fleetNodes = []struct{ operator, jurisdiction string }{
	{"Operator DE", "DE"}, {"Operator NZ", "NZ"}, {"Operator IS", "IS"}, {"OPERATOR de ", "DE"},
}

const dependent = 3 // its index

func TestMain(m *testing.M) {
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "threats:", err)
		code = 1
	}
	os.Exit(code)
}

func runAll(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "holdfast-threats-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	service = &world{dir: dir}
	if err := service.start(); err != nil {
		return 1, errors.Join(err, service.end())
	}
	flag.Parse()
	if only := flag.Lookup("test.run").Value.String(); only == "" || strings.Contains(only, "28Slow") {
		slowly = drips()
	}
	code = m.Run()
	return code, service.end()
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.offset.Load())) }

func (w *world) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(&w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (w *world) start() error {
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	ready := make(chan string, 1)
	s, err := server.New(server.Config{
		DataDir: filepath.Join(w.dir, "server"), Listen: "127.0.0.1:0", SweepEvery: 200 * time.Millisecond,
		NodeTimeout: time.Minute, Ready: func(base string) { ready <- base }, Now: w.now, Log: w.log(),
	})
	if err != nil {
		return err
	}
	w.ended.Go(func() { w.note(s.Run(ctx)) })
	w.real = <-ready
	if w.front, err = newFront("server", w.real); err != nil {
		return err
	}
	for i := range fleetNodes {
		if err := w.join(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// note remembers what a part of the service ended with.
func (w *world) note(err error) {
	if err != nil {
		text := err.Error()
		w.failed.Store(&text)
	}
}

func (w *world) join(ctx context.Context, i int) error {
	invite, _, err := server.Invite(ctx, server.Data{Dir: filepath.Join(w.dir, "server")}, time.Now(), 0)
	if err != nil {
		return err
	}
	m := &member{dir: filepath.Join(w.dir, fmt.Sprintf("node-%d", i)), operator: fleetNodes[i].operator, jurisdiction: fleetNodes[i].jurisdiction}
	if m.front, err = newFront(m.operator, ""); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	m.real = "http://" + listener.Addr().String()
	m.front.aim(m.real)
	m.node, err = node.New(node.Config{
		Data: m.dir, Server: w.front.url, Invite: invite, Operator: m.operator, Jurisdiction: m.jurisdiction, Listener: listener,
		PublicURL: m.front.url, Capacity: 8 << 30, Heartbeat: 300 * time.Millisecond, TrashDays: 7, Log: w.log(), Version: "threats",
	})
	if err != nil {
		return err
	}
	w.ended.Go(func() { w.note(m.node.Run(ctx)) })
	<-m.node.Ready()
	w.nodes = append(w.nodes, m)
	m.key, err = nodeKey(m.dir)
	return err
}

// end stops everything.
func (w *world) end() error {
	w.stop()
	w.ended.Wait()
	w.front.close()
	for _, m := range w.nodes {
		m.close()
	}
	if text := w.failed.Load(); text != nil {
		return errors.New(*text)
	}
	return nil
}

// nodeKey reads a node's key as its thief would.
func nodeKey(dir string) (ed25519.PrivateKey, error) {
	var key ed25519.PrivateKey
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || key != nil {
			return err
		}
		raw, err := os.ReadFile(path)
		if seed, ok := bytes.CutPrefix(raw, []byte("holdfast node key 1\n")); ok && len(seed) == ed25519.SeedSize {
			key = ed25519.NewKeyFromSeed(seed)
		}
		return err
	})
	if key == nil && err == nil {
		err = errors.New("the node's key was not found")
	}
	return key, err
}

// newClient is a client with a state folder of its own, and little patience.
func newClient(t testing.TB) (*transfer.Client, string) {
	t.Helper()
	path := t.TempDir()
	return clientAt(t, path), path
}

func clientAt(t testing.TB, path string) *transfer.Client {
	t.Helper()
	dir, err := home.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := transfer.New(service.front.url, nil, dir)
	if err != nil {
		t.Fatal(err)
	}
	c.Patience = 2 * time.Second
	return c
}

// program is the command line, built once. GOFLAGS of the environment applies,
// so that a mutant's overlay reaches it.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(service.dir, "holdfast")
	if out, err := exec.Command("go", "build", "-o", path, "../cmd/holdfast").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	return path, nil
})

// ran is what the command line did.
type ran struct {
	stdout, stderr string
	code           int
}

// run runs a client verb with its state in home.
func run(t *testing.T, home string, args ...string) ran {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "HOLDFAST_HOME="+home)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	r := ran{stdout: stdout.String(), stderr: stderr.String()}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		r.code, err = exit.ExitCode(), nil
	}
	if err != nil {
		t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	return r
}
