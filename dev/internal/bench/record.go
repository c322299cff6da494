//go:build linux

package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// meta is the first line of a group's raw results.
type meta struct {
	Group   string    `json:"group"`
	Commit  string    `json:"commit"`
	Date    time.Time `json:"date"`
	Machine string    `json:"machine"`
	Cores   int       `json:"cores"`
	System  string    `json:"system"`
	Go      string    `json:"go"`
	// Load is the machine's load (one minute) when it began.
	Load float64 `json:"load"`
}

// sample is one measured run: a line of the raw results.
type sample struct {
	// Case is what was done, Subject who did it.
	Case    string `json:"case"`
	Subject string `json:"subject"`
	Round   int    `json:"round,omitempty"`
	Bytes   int64  `json:"bytes,omitempty"`
	// Ops is how many operations the seconds are for.
	Ops     int     `json:"ops,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`
	// CPU is the seconds of processor time of the client's process.
	CPU float64 `json:"cpu,omitempty"`
	// Services is the processor time of server and nodes, or of the store, meanwhile.
	Services float64 `json:"services,omitempty"`
	// PeakMiB is the greatest resident set (VmHWM) of the process; for a browser, of all.
	PeakMiB float64 `json:"peakMiB,omitempty"`
	// Requests to nodes, Calls of the server and Fetched bytes of nodes, where they are counted.
	Requests int   `json:"requests,omitempty"`
	Calls    int   `json:"calls,omitempty"`
	Fetched  int64 `json:"fetched,omitempty"`
	Blobs    int   `json:"blobs,omitempty"`
	// Sent are the bytes of requests' bodies, where they are counted.
	Sent int64 `json:"sent,omitempty"`
	// Gap is the longest time without a byte at the reader, in seconds.
	Gap float64 `json:"gap,omitempty"`
	// Command that was run, where the subject has one.
	Command string `json:"command,omitempty"`
	// Problem tells why a subject could not be measured.
	Problem string `json:"problem,omitempty"`
}

// record is a group's raw results.
type record struct {
	meta    meta
	samples []sample
	log     io.Writer
}

func (r *record) add(s sample) {
	r.samples = append(r.samples, s)
	switch {
	case s.Problem != "":
		fmt.Fprintf(r.log, "%-26s %-28s %s\n", s.Case, s.Subject, s.Problem)
	default:
		fmt.Fprintf(r.log, "%-26s %-28s %8.3f s  %6.2f CPU s  %6.2f in services %5.0f MiB\n", s.Case, s.Subject, s.Seconds, s.CPU, s.Services, s.PeakMiB)
	}
}

func (r *record) save(path string) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r.meta); err != nil {
		return err
	}
	for _, s := range r.samples {
		if err := enc.Encode(s); err != nil {
			return err
		}
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}

// reload reads what save wrote; nil if there is nothing.
func reload(path string) (*record, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := &record{}
	dec := json.NewDecoder(bufio.NewReader(f))
	if err := dec.Decode(&r.meta); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for {
		var s sample
		if err := dec.Decode(&s); errors.Is(err, io.EOF) {
			return r, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		r.samples = append(r.samples, s)
	}
}

// spread is the median of some values, and how far they reach.
type spread struct{ low, median, high float64 }

// of gathers a value of the counted runs of a subject in a case.
func (r *record) of(what, subject string, value func(sample) float64) (spread, bool) {
	if r == nil {
		return spread{}, false
	}
	var all []float64
	for _, s := range r.samples {
		if s.Case == what && s.Subject == subject && s.Round > 0 && s.Problem == "" {
			all = append(all, value(s))
		}
	}
	if len(all) == 0 {
		return spread{}, false
	}
	slices.Sort(all)
	middle := all[len(all)/2]
	if len(all)%2 == 0 {
		middle = (all[len(all)/2-1] + middle) / 2
	}
	return spread{all[0], middle, all[len(all)-1]}, true
}

func seconds(s sample) float64 { return s.Seconds }
func cpu(s sample) float64     { return s.CPU }
func peak(s sample) float64    { return s.PeakMiB }

func (b *Bench) meta(g group) meta {
	m := meta{Group: g.name, Commit: b.Commit, Date: time.Now().UTC().Truncate(time.Second), Machine: processor(), Cores: runtime.NumCPU(), Go: runtime.Version()}
	if out, err := exec.Command("uname", "-sr").Output(); err == nil {
		m.System = strings.TrimSpace(string(out))
	}
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) == nil {
		m.Load = float64(info.Loads[0]) / 65536 // fixed point, SI_LOAD_SHIFT of sysinfo(2)
	}
	return m
}

func processor() string {
	raw, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(raw)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	return runtime.GOARCH
}
