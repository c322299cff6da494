package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// measurement is one line of a raw result.
type measurement struct {
	Row     string  `json:"row"`
	Commit  string  `json:"commit,omitempty"` // of the program that was measured
	What    string  `json:"what"`
	Bytes   int64   `json:"bytes"`
	PeakMiB float64 `json:"peakMiB"`
	// Bound is the greatest peak that the row allows, in MiB.
	Bound   float64 `json:"boundMiB"`
	Seconds float64 `json:"seconds,omitempty"`
}

const (
	resultsDir   = "docs/results"
	measureBytes = 8 << 30
	mib          = 1 << 20
)

// measure runs rows A5 (command line, server and nodes at 8 GiB) and C3 (both
// browsers at 5 GiB), keeps the raw lines in docs/results and writes the page.
func measure(ctx context.Context, rows []string) error {
	if len(rows) == 0 {
		rows = []string{"A5", "C3"}
	}
	if err := errors.Join(buildWeb(ctx), buildProgram(ctx), os.MkdirAll(resultsDir, 0o755)); err != nil {
		return err
	}
	for _, row := range rows {
		var err error
		switch row {
		case "A5":
			err = measureMemory(ctx)
		case "C3":
			err = measureBrowsers(ctx)
		case "page": // the page alone, from the raw results that are there
		default:
			err = fmt.Errorf("no row %q; there are A5, C3, and page to write the page alone", row)
		}
		if err != nil {
			return err
		}
	}
	return writePerformance()
}

func measureMemory(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "holdfast-measure-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "large.bin")
	want, err := writeRandom(path, measureBytes)
	if err != nil {
		return err
	}
	service, url, pids, err := startDemo(ctx, filepath.Join(dir, "data"))
	if err != nil {
		return err
	}
	defer service.Wait()
	defer service.Process.Signal(os.Interrupt)
	env := append(os.Environ(), "HOLDFAST_HOME="+filepath.Join(dir, "home"))
	var lines []measurement
	link, sent, err := watched(ctx, env, nil, "send", "--server", url, path)
	if err != nil {
		return err
	}
	lines = append(lines, measurement{Row: "A5", What: "send", Bytes: measureBytes, PeakMiB: sent.peak, Bound: 150, Seconds: sent.seconds})
	hash := sha256.New()
	_, got, err := watched(ctx, env, hash, "receive", strings.TrimSpace(link), "-o", "-")
	if err != nil {
		return err
	}
	if !bytes.Equal(hash.Sum(nil), want) {
		return errors.New("what came back is not what was sent")
	}
	lines = append(lines, measurement{Row: "A5", What: "receive", Bytes: measureBytes, PeakMiB: got.peak, Bound: 150, Seconds: got.seconds})
	for name, pid := range pids {
		bound := 64.0
		if name == "server" {
			bound = 128
		}
		peak, err := highWater(pid)
		if err != nil {
			return err
		}
		lines = append(lines, measurement{Row: "A5", What: name + " (whole process)", Bytes: measureBytes, PeakMiB: peak, Bound: bound})
	}
	return saveResult("A5", lines)
}

func writeRandom(path string, size int64) ([]byte, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	hash := sha256.New()
	src := io.LimitReader(rand.NewChaCha8([32]byte{8}), size)
	if _, err := io.CopyBuffer(io.MultiWriter(f, hash), struct{ io.Reader }{src}, make([]byte, mib)); err != nil {
		return nil, err
	}
	return hash.Sum(nil), f.Sync()
}

// startDemo runs `holdfast dev` and returns its URL and its processes' ids.
func startDemo(ctx context.Context, data string) (*exec.Cmd, string, map[string]int, error) {
	cmd := exec.CommandContext(ctx, program, "dev", "--data", data, "--listen", "127.0.0.1:0")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", nil, err
	}
	var messages bytes.Buffer
	cmd.Stderr = &messages
	if err := cmd.Start(); err != nil {
		return nil, "", nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if err != nil || !ok {
		return nil, "", nil, fmt.Errorf("the service does not start: %w: %s", err, messages.String())
	}
	pids, err := demoProcesses(cmd.Process.Pid)
	return cmd, url, pids, err
}

// demoProcesses names the children of `holdfast dev` by their command lines.
func demoProcesses(parent int) (map[string]int, error) {
	out, err := exec.Command("ps", "-o", "pid=,args=", "--ppid", strconv.Itoa(parent)).Output()
	if err != nil {
		return nil, fmt.Errorf("ps: %w", err)
	}
	pids := map[string]int{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		name := "server"
		if i := slices.Index(words, "--jurisdiction"); i >= 0 && i+1 < len(words) {
			name = "node " + words[i+1]
		}
		if pids[name], err = strconv.Atoi(words[0]); err != nil {
			return nil, err
		}
	}
	return pids, nil
}

type watchedRun struct{ peak, seconds float64 }

// watched runs a client verb and follows its greatest resident size.
func watched(ctx context.Context, env []string, out io.Writer, args ...string) (string, watchedRun, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Stderr = env, os.Stderr
	var text bytes.Buffer
	cmd.Stdout = &text
	if out != nil {
		cmd.Stdout = out
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return "", watchedRun{}, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var run watchedRun
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			run.seconds = time.Since(begin).Seconds()
			return text.String(), run, err
		case <-tick.C:
			if peak, err := highWater(cmd.Process.Pid); err == nil { // it may just have ended
				run.peak = max(run.peak, peak)
			}
		}
	}
}

var highWaterLine = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB`)

// highWater is the greatest resident set size of a process so far, in MiB.
func highWater(pid int) (float64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	m := highWaterLine.FindSubmatch(raw)
	if m == nil {
		return 0, fmt.Errorf("process %d has no VmHWM", pid)
	}
	kb, err := strconv.ParseFloat(string(m[1]), 64)
	return kb / 1024, err
}

// measureBrowsers lets the browser tests' measuring half write its raw lines.
func measureBrowsers(ctx context.Context) error {
	path, err := filepath.Abs(filepath.Join(resultsDir, "C3.jsonl"))
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	cmd := command(ctx, "web", "npx", "--no-install", "vitest", "run", "--config", "vitest.measure.config.ts", "browser/large.measure.ts")
	cmd.Env = append(os.Environ(), "HOLDFAST_RESULTS="+path, "HOLDFAST_COMMIT="+commit())
	cmd.Stdout = os.Stderr
	return cmd.Run()
}

// pictures takes the README's pictures of the running product.
func pictures(ctx context.Context) error {
	if err := errors.Join(buildWeb(ctx), buildProgram(ctx)); err != nil {
		return err
	}
	return step(ctx, "web", "npx", "--no-install", "vitest", "run", "--config", "vitest.measure.config.ts", "browser/pictures.measure.ts")
}

func saveResult(row string, lines []measurement) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	for _, line := range lines {
		fmt.Fprintf(os.Stderr, "%s %-24s peak %.0f MiB (bound %.0f), %.1f s\n", row, line.What, line.PeakMiB, line.Bound, line.Seconds)
		line.Commit = commit()
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(resultsDir, row+".jsonl"), out.Bytes(), 0o644)
}
