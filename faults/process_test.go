//go:build linux

package faults

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Programs built once for all tests. GOFLAGS of the environment applies, so that
// a mutant's overlay reaches the program under test.
var programs struct{ holdfast, powerfs string }

func TestMain(m *testing.M) {
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		code = 1
	}
	os.Exit(code)
}

func runAll(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "holdfast-faults-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	for name, pkg := range map[*string]string{&programs.holdfast: "../cmd/holdfast", &programs.powerfs: "./powerfs"} {
		*name = filepath.Join(dir, filepath.Base(pkg))
		if out, err := exec.Command("go", "build", "-o", *name, pkg).CombinedOutput(); err != nil {
			return 1, fmt.Errorf("build %s: %w: %s", pkg, err, out)
		}
	}
	return m.Run(), nil
}

const readyTimeout = 30 * time.Second

// process is one running program.
type process struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	url  string
	done chan struct{}

	mu  sync.Mutex // guards log
	log bytes.Buffer
}

// Write collects the program's messages.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) messages() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// start runs argv (the first word is a program) until it prints "ready URL".
func start(t *testing.T, name string, argv ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: exec.Command(argv[0], argv[1:]...), done: make(chan struct{})}
	p.cmd.Stderr = p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	ready := make(chan string, 1)
	go p.read(stdout, ready)
	t.Cleanup(p.kill)
	select {
	case p.url = <-ready:
		return p
	case <-p.done:
		t.Fatalf("%s ended before it was ready:\n%s", name, p.messages())
	case <-time.After(readyTimeout):
		t.Fatalf("%s was not ready in time:\n%s", name, p.messages())
	}
	return nil
}

func (p *process) read(stdout io.Reader, ready chan<- string) {
	defer close(p.done)
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "ready "); ok {
			ready <- url
		}
	}
	p.cmd.Wait() // tests read messages, and how it ended is theirs to cause
}

// kill is kill -9 of the program and whatever it started.
func (p *process) kill() {
	select {
	case <-p.done:
		return
	default:
	}
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may have ended in between
	<-p.done
}

// signal sends SIGSTOP, SIGCONT and the like.
func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%s: signal %v: %v", p.name, s, err)
	}
}

// result is what a client verb did.
type result struct {
	stdout, stderr string
	code           int
	took           time.Duration
}

// client runs a client verb of the built program with its state in home.
func client(ctx context.Context, home string, args ...string) (result, error) {
	cmd := exec.CommandContext(ctx, programs.holdfast, args...)
	cmd.Env = append(os.Environ(), "HOLDFAST_HOME="+home)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	err := cmd.Run()
	r := result{stdout: strings.TrimSpace(stdout.String()), stderr: stderr.String(), took: time.Since(begin)}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		r.code = exit.ExitCode()
		err = nil
	}
	return r, err
}
