package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// bin holds the built program and what the scripts use besides.
var bin string

// shared is a service for the scripts that do not hurt it.
var shared *service

func TestMain(m *testing.M) {
	code, err := withProgram(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withProgram(run func() int) (code int, err error) {
	dir, err := os.MkdirTemp("", "holdfast-script-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	bin = filepath.Join(dir, "bin")
	if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, "holdfast"), ".").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build: %w\n%s", err, out)
	}
	const expect = `#!/bin/sh
want=$1; shift
"$@"
have=$?
[ $have = $want ] || { echo "exit code $have instead of $want"; exit 1; } >&2
`
	if err := os.WriteFile(filepath.Join(bin, "code"), []byte(expect), 0o755); err != nil {
		return 1, err
	}
	shared, err = startService(filepath.Join(dir, "shared"))
	if err != nil {
		return 1, err
	}
	defer shared.stop()
	return run(), nil
}

// service is a "holdfast dev" with its children.
type service struct {
	url  string
	cmd  *exec.Cmd
	log  *lockedBuffer
	data string
	done chan struct{}
}

// startService starts one on a free port and waits until it is ready.
func startService(data string, args ...string) (*service, error) {
	s := &service{data: data, log: &lockedBuffer{}, done: make(chan struct{})}
	s.cmd = exec.Command(filepath.Join(bin, "holdfast"), append([]string{"dev", "--data", data, "--listen", "127.0.0.1:0"}, args...)...)
	s.cmd.Stderr = s.log
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	url, ready := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	go func() {
		io.Copy(io.Discard, stdout)
		s.cmd.Wait()
		close(s.done)
	}()
	if err != nil || !ready {
		s.stop()
		return nil, fmt.Errorf("dev is not ready: %q, %w\n%s", line, err, s.log)
	}
	s.url = url
	return s, nil
}

// stop asks politely and waits.
func (s *service) stop() error {
	s.cmd.Process.Signal(os.Interrupt) // one that has ended needs none
	select {
	case <-s.done:
	case <-time.After(20 * time.Second):
		s.cmd.Process.Kill()
		return fmt.Errorf("dev did not stop\n%s", s.log)
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("dev ended with code %d\n%s", code, s.log)
	}
	return nil
}

// pid finds the process id that dev printed for a child.
func (s *service) pid(name string) (int, error) {
	m := regexp.MustCompile(`(?m)^` + name + `\s+pid (\d+)`).FindStringSubmatch(s.log.String())
	if m == nil {
		return 0, fmt.Errorf("dev did not print the process id of %s:\n%s", name, s.log)
	}
	return strconv.Atoi(m[1])
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			e.Setenv("HOLDFAST_HOME", filepath.Join(e.WorkDir, ".home"))
			e.Setenv("HOLDFAST_SERVER", shared.url)
			e.Values[serviceKey] = map[string]*service{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"service": cmdService, "shutdown": cmdShutdown, "kill9": cmdKill, "random": cmdRandom, "mode": cmdMode, "logged": cmdLogged,
			"damage": cmdDamage, "link": cmdLink, "join": cmdJoin, "holders": cmdHolders, "started": cmdStarted,
			"totp": cmdTotp, "name": cmdName, "version": cmdVersion, "contact": cmdContact,
		},
	})
}

const serviceKey = "services"

// service NAME [flags]: starts a service of the script's own and makes it the one in use.
func cmdService(ts *testscript.TestScript, _ bool, args []string) {
	s, err := startService(ts.MkAbs(args[0]), args[1:]...)
	ts.Check(err)
	ts.Value(serviceKey).(map[string]*service)[args[0]] = s
	ts.Setenv("HOLDFAST_SERVER", s.url)
	ts.Defer(func() { s.stop() })
}

// shutdown NAME: stops it, which must work cleanly.
func cmdShutdown(ts *testscript.TestScript, _ bool, args []string) { ts.Check(own(ts, args[0]).stop()) }

func own(ts *testscript.TestScript, name string) *service {
	s := ts.Value(serviceKey).(map[string]*service)[name]
	if s == nil {
		ts.Fatalf("no service %s", name)
	}
	return s
}

// kill9 NAME CHILD: ends a child of the service at once, and waits until dev says so.
func cmdKill(ts *testscript.TestScript, _ bool, args []string) {
	s := own(ts, args[0])
	pid, err := s.pid(args[1])
	ts.Check(err)
	child, err := os.FindProcess(pid)
	ts.Check(err)
	ts.Check(child.Kill())
	await(ts, "dev to notice", func() bool {
		return strings.Contains(s.log.String(), fmt.Sprintf("%s (pid %d) has ended", args[1], pid))
	})
}

// await polls: processes tell nobody when they have come so far.
func await(ts *testscript.TestScript, what string, done func() bool) {
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("waited in vain for %s", what)
		}
	}
}

// random FILE BYTES SEED: writes bytes that look random and are always the same.
func cmdRandom(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	seed, err := strconv.Atoi(args[2])
	ts.Check(err)
	out := make([]byte, n)
	state := uint64(seed)*2685821657736338717 + 1
	for i := range out {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		out[i] = byte(state)
	}
	ts.Check(os.MkdirAll(filepath.Dir(ts.MkAbs(args[0])), 0o755))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out, 0o644))
}

// mode PERM FILES: checks permissions; patterns are expanded.
func cmdMode(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.ParseUint(args[0], 8, 32)
	ts.Check(err)
	for _, pattern := range args[1:] {
		paths, err := filepath.Glob(ts.MkAbs(pattern))
		ts.Check(err)
		if len(paths) == 0 {
			ts.Fatalf("nothing is called %s", pattern)
		}
		for _, path := range paths {
			info, err := os.Stat(path)
			ts.Check(err)
			if info.Mode().Perm() != os.FileMode(want) {
				ts.Fatalf("%s has mode %o", path, info.Mode().Perm())
			}
		}
	}
}

// logged N: waits until a send in the background has written N blobs into its state.
func cmdLogged(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	await(ts, "blobs in the state", func() bool {
		paths, _ := filepath.Glob(ts.MkAbs(".home/resume/send-*"))
		for _, path := range paths {
			if raw, _ := os.ReadFile(path); bytes.Count(raw, []byte(`{"blob":`)) >= n {
				return true
			}
		}
		return false
	})
}

// started PATTERN BYTES: waits until a file has so many bytes.
func cmdStarted(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	await(ts, args[0], func() bool {
		paths, _ := filepath.Glob(ts.MkAbs(args[0]))
		for _, path := range paths {
			if info, err := os.Stat(path); err == nil && info.Size() >= n {
				return true
			}
		}
		return false
	})
}

// damage FOLDER: flips a bit in the middle of every blob below a node's folder.
func cmdDamage(ts *testscript.TestScript, _ bool, args []string) {
	damaged := 0
	err := filepath.WalkDir(ts.MkAbs(args[0]), func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || len(d.Name()) < 43 {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil || len(raw) < 1000 {
			return err
		}
		damaged++
		raw[len(raw)/2] ^= 1
		return os.WriteFile(path, raw, 0o600)
	})
	ts.Check(err)
	if damaged == 0 {
		ts.Fatalf("no blob below %s", args[0])
	}
}

// link NAME FILE: puts the link in a file into a variable, and its part without key into NAME_bare.
func cmdLink(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.TrimSpace(ts.ReadFile(args[1]))
	if strings.Count(text, "\n") != 0 || !strings.Contains(text, "/s/") {
		ts.Fatalf("not one link: %q", text)
	}
	bare, key, _ := strings.Cut(text, "#") // which begins a comment in a script
	ts.Setenv(args[0], text)
	ts.Setenv(args[0]+"_bare", bare)
	ts.Setenv(args[0]+"_key", key)
}

// join VAR BARE KEY: makes a link of two parts.
func cmdJoin(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], args[1]+"#"+args[2])
}

// holders VAR1 VAR2 FILE: takes the jurisdictions of the two copies from what
// send --json printed, and puts the link into LINK.
func cmdHolders(ts *testscript.TestScript, _ bool, args []string) {
	var sent sentJSON
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[2])), &sent))
	if len(sent.Copies) != 2 {
		ts.Fatalf("%d copies", len(sent.Copies))
	}
	ts.Setenv(args[0], sent.Copies[0].Jurisdiction)
	ts.Setenv(args[1], sent.Copies[1].Jurisdiction)
	ts.Setenv("LINK", sent.Link)
}
