package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
)

// writePerformance makes docs/performance.md from the raw results, and from
// nothing else.
func writePerformance() error {
	var page bytes.Buffer
	fmt.Fprintf(&page, "# Figures\n\nWritten by `go run ./dev measure` from the raw lines in docs/results; never edited by hand. Pseudo-random bytes, hashes compared.\n\n")
	fmt.Fprintf(&page, "Machine: %s, %d processors, %s.\n", machine(), runtime.NumCPU(), runtime.Version())
	sections := []struct{ row, about, head string }{
		{"A5", "Peak memory (VmHWM) of each process while 8 GiB are sent and received: `holdfast send FILE`, `holdfast receive LINK -o -`, with server and three nodes as processes on the same machine.", "| process | peak, MiB | bound, MiB | seconds |\n| --- | --- | --- | --- |"},
		{"C3", "Memory of a browser (proportional set sizes of all its processes, above idle) while 5 GiB go up and come down, from page to disk.", "| browser | direction | peak above idle, MiB | bound, MiB | MB/s |\n| --- | --- | --- | --- | --- |"},
	}
	for _, s := range sections {
		lines, at, err := readResult(s.row)
		if err != nil {
			return err
		}
		if len(lines) == 0 {
			continue
		}
		fmt.Fprintf(&page, "\n## %s\n\n%s `go run ./dev measure %s`, program at commit %s.\n\n%s\n%s", s.row, s.about, s.row, at, s.head, strings.Join(lines, ""))
	}
	return os.WriteFile("docs/performance.md", page.Bytes(), 0o644)
}

// readResult returns the table's lines, and the commit that was measured.
func readResult(row string) (rows []string, at string, err error) {
	f, err := os.Open(filepath.Join(resultsDir, row+".jsonl"))
	if os.IsNotExist(err) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	scan := bufio.NewScanner(f)
	for scan.Scan() {
		var m struct {
			measurement
			Browser     string
			Direction   string
			MBPerSecond float64
		}
		if err := json.Unmarshal(scan.Bytes(), &m); err != nil {
			return nil, "", fmt.Errorf("%s: %w", row, err)
		}
		at = m.Commit
		if row == "C3" {
			bound := map[string]int{"up": 300, "down": 150}[m.Direction]
			rows = append(rows, fmt.Sprintf("| %s | %s | %.0f | %d | %.0f |\n", m.Browser, m.Direction, m.PeakMiB, bound, m.MBPerSecond))
			continue
		}
		rows = append(rows, fmt.Sprintf("| %s | %.0f | %.0f | %.1f |\n", m.What, m.PeakMiB, m.Bound, m.Seconds))
	}
	sort.Strings(rows)
	return rows, at, scan.Err()
}

func machine() string {
	raw, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOOS + "/" + runtime.GOARCH
	}
	for line := range strings.Lines(string(raw)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	return runtime.GOARCH
}

func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}
