//go:build linux

package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// job is a program to be run and measured.
type job struct {
	name string
	args []string
	env  []string
	out  io.Writer // standard output; nil keeps it
}

// line is the command as people would type it, with its settings from the
// environment and without folders.
func (j job) line(b *Bench) string {
	words := append(slices.Clone(j.env), append([]string{j.name}, j.args...)...)
	text := strings.Join(words, " ")
	for folder, short := range map[string]string{b.Peers + "/": "", b.dir: "DIR", b.Program: "holdfast"} {
		text = strings.ReplaceAll(text, folder, short)
	}
	return text
}

// timed runs a job to its end. Before it begins, everything that others wrote
// is on the disk, so that nobody pays for another's work.
func (b *Bench) timed(ctx context.Context, j job) (s sample, out []byte, err error) {
	syscall.Sync()
	cmd := exec.CommandContext(ctx, j.name, j.args...)
	cmd.Env = append(os.Environ(), j.env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if j.out != nil {
		cmd.Stdout = j.out
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return s, nil, err
	}
	s.PeakMiB, err = watch(cmd)
	s.Seconds = time.Since(begin).Seconds()
	s.Command = j.line(b)
	if err != nil {
		return s, nil, fmt.Errorf("%s: %w: %s", s.Command, err, tail(stderr.String()))
	}
	s.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	return s, stdout.Bytes(), nil
}

// watch waits for a process and follows its greatest resident set, in MiB. What
// wait4(2) tells of it would include this process, from which it was started.
func watch(cmd *exec.Cmd) (peak float64, err error) {
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return peak, err
		case <-tick.C:
			if now, err := highWater(cmd.Process.Pid); err == nil { // it may just have ended
				peak = max(peak, now)
			}
		}
	}
}

func tail(text string) string {
	const most = 600
	text = strings.TrimSpace(text)
	return text[max(0, len(text)-most):]
}

// service is a process that runs until it is stopped.
type service struct {
	cmd      *exec.Cmd
	messages *bytes.Buffer
	ended    chan struct{}
}

// start runs a service. ready is told its standard output, and returns when it
// serves; nil needs no output.
func start(ctx context.Context, j job, ready func(*bufio.Reader) error) (*service, error) {
	cmd := exec.CommandContext(ctx, j.name, j.args...)
	cmd.Env = append(os.Environ(), j.env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	s := &service{cmd: cmd, messages: &bytes.Buffer{}, ended: make(chan struct{})}
	cmd.Stderr = s.messages
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(stdout)
	if ready != nil {
		if err := ready(lines); err != nil {
			s.finish()
			return nil, fmt.Errorf("%s does not start: %w: %s", j.name, err, tail(s.messages.String()))
		}
	}
	go io.Copy(io.Discard, lines)
	return s, nil
}

func (s *service) finish() {
	s.cmd.Process.Signal(os.Interrupt)
	s.cmd.Wait() // what it says at its end is of no interest
	close(s.ended)
}

// demo is `holdfast dev`: a server and nodes as processes.
type demo struct {
	*service
	url  string
	pids map[string]int // by "server" and the nodes' jurisdictions
}

// demo starts the product with its data in a folder of that name.
func (b *Bench) demo(ctx context.Context, name, nodes string) (*demo, error) {
	d := &demo{}
	j := job{name: b.Program, args: []string{"dev", "--data", b.path(name), "--listen", "127.0.0.1:0", "--nodes", nodes}}
	service, err := start(ctx, j, func(out *bufio.Reader) error {
		line, err := out.ReadString('\n')
		url, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
		if err == nil && !ok {
			err = fmt.Errorf("it says %q", line)
		}
		d.url = url
		return err
	})
	if err != nil {
		return nil, err
	}
	d.service = service
	if d.pids, err = children(service.cmd.Process.Pid); err != nil {
		service.finish()
		return nil, err
	}
	return d, nil
}

// children names the processes of `holdfast dev` by their command lines.
func children(parent int) (map[string]int, error) {
	out, err := exec.Command("ps", "-o", "pid=,args=", "--ppid", strconv.Itoa(parent)).Output()
	if err != nil {
		return nil, fmt.Errorf("ps: %w", err)
	}
	pids := map[string]int{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		name := "server"
		if i := slices.Index(words, "--jurisdiction"); i >= 0 && i+1 < len(words) {
			name = words[i+1]
		}
		if pids[name], err = strconv.Atoi(words[0]); err != nil {
			return nil, err
		}
	}
	return pids, nil
}

var highWaterLine = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB`)

// highWater is the greatest resident set of a process so far, in MiB.
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

// ticks of a second in which the kernel counts processor time: USER_HZ, 100 on
// every Linux that Go runs on.
const ticks = 100

// processorTime is what processes have used so far, in seconds (proc_pid_stat(5)).
func processorTime(pids ...int) (sum float64, err error) {
	for _, pid := range pids {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, err
		}
		text := string(raw)
		words := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]) // from field 3 on
		for _, word := range words[11:13] {                                // utime and stime
			n, err := strconv.ParseInt(word, 10, 64)
			if err != nil {
				return 0, err
			}
			sum += float64(n) / ticks
		}
	}
	return sum, nil
}

// timedBeside is timed, with the processor time of these processes besides.
func (b *Bench) timedBeside(ctx context.Context, j job, pids ...int) (sample, []byte, error) {
	before, err := processorTime(pids...)
	if err != nil {
		return sample{}, nil, err
	}
	s, out, err := b.timed(ctx, j)
	if err != nil {
		return s, nil, err
	}
	after, err := processorTime(pids...)
	s.Services = after - before
	return s, out, err
}
