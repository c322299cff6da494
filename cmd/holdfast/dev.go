package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	"holdfast/format/ticket"
)

// devCmd runs a whole service on this machine, for trying things and for tests.
type devCmd struct {
	Data   string   `help:"Folder for everything the service keeps." default:".holdfast-dev" type:"path"`
	Listen string   `help:"Address of the page and the API." default:"127.0.0.1:8080"`
	Nodes  []string `help:"Jurisdictions of the storage nodes, one node each." default:"DE,NZ,IS"`
}

// Help says what the verb shows.
func (devCmd) Help() string {
	return "Starts the server with the web app and one storage node for each jurisdiction, as processes of their own, and prints their process ids. " +
		"End one with kill and watch: sends finish, files open. Ctrl-C stops everything; starting again finds everything."
}

const (
	devReadyTimeout = 30 * time.Second
	devStopTimeout  = 10 * time.Second
	devCapacity     = "100GB"
)

// Validate finds out early what would fail late.
func (c *devCmd) Validate() error {
	for i, jurisdiction := range c.Nodes {
		if err := ticket.CheckJurisdiction(jurisdiction); err != nil {
			return err
		}
		if slices.Contains(c.Nodes[:i], jurisdiction) {
			return fmt.Errorf("--nodes: %s stands there twice; each node has a jurisdiction of its own here", jurisdiction)
		}
	}
	return nil
}

// Run starts the processes and stays until ctx ends.
func (c *devCmd) Run(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("dev: %w", err)
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("dev: which program am I: %w", err)
	}
	// Linux ends children with the thread that started them, not with the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	d := &devService{cmd: c, program: program, ended: make(chan *devProcess, 1+len(c.Nodes))}
	defer d.stop()
	if err := d.start(ctx); err != nil {
		return err
	}
	return d.watch(ctx)
}

// devService is the running demo: its processes in the order of their start.
type devService struct {
	cmd      *devCmd
	program  string
	url      string
	ports    map[string]int
	children []*devProcess
	ended    chan *devProcess
}

type devProcess struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}
}

func (d *devService) start(ctx context.Context) error {
	data := filepath.Join(d.cmd.Data, "server")
	server, url, err := d.spawn(ctx, "server", "server", "--data", data, "--listen", d.cmd.Listen)
	if err != nil {
		return err
	}
	d.url = url
	fmt.Fprintf(os.Stderr, "%-8s pid %-8d %s\n", "server", server.cmd.Process.Pid, url)
	if err := d.readPorts(); err != nil { // now that the server has its own
		return err
	}
	for _, jurisdiction := range d.cmd.Nodes {
		if err := d.startNode(ctx, jurisdiction); err != nil {
			return err
		}
	}
	fmt.Fprintf(os.Stderr, "\nOpen %s in a browser. Ctrl-C stops everything; kill a node to see that nothing is lost.\n\n", url)
	fmt.Printf("ready %s\n", url)
	return nil
}

func (d *devService) startNode(ctx context.Context, jurisdiction string) error {
	data := filepath.Join(d.cmd.Data, "node-"+jurisdiction)
	invite, err := d.invite(ctx, data)
	if err != nil {
		return err
	}
	listen := fmt.Sprintf("127.0.0.1:%d", d.ports[jurisdiction])
	node, url, err := d.spawn(ctx, jurisdiction, "node", "run", "--data", data, "--server", d.url, "--invite-file", invite,
		"--operator", "Demo operator "+jurisdiction, "--jurisdiction", jurisdiction, "--listen", listen, "--capacity", devCapacity)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%-8s pid %-8d %s  storage node\n", jurisdiction, node.cmd.Process.Pid, url)
	return nil
}

// invite writes an invite for a node that is not a member yet; the file stays,
// since a member's invite is not looked at.
func (d *devService) invite(ctx context.Context, data string) (string, error) {
	path := filepath.Join(d.cmd.Data, filepath.Base(data)+".invite")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	cmd := exec.CommandContext(ctx, d.program, "admin", "invite", "--data", filepath.Join(d.cmd.Data, "server"))
	cmd.Stderr = os.Stderr
	code, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("dev: admin invite: %w", err)
	}
	return path, os.WriteFile(path, code, 0o600)
}

// readPorts keeps each node on its port, because places are known by URL.
func (d *devService) readPorts() error {
	d.ports = map[string]int{}
	path := filepath.Join(d.cmd.Data, "ports.json")
	if raw, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(raw, &d.ports); err != nil {
			return fmt.Errorf("dev: %s: %w", path, err)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("dev: %w", err)
	}
	for _, jurisdiction := range d.cmd.Nodes {
		if d.ports[jurisdiction] != 0 {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("dev: no free port: %w", err)
		}
		defer l.Close() // once all are chosen: none gets another's
		d.ports[jurisdiction] = l.Addr().(*net.TCPAddr).Port
	}
	raw, err := json.Marshal(d.ports)
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o600)
}

// watch reports children that end, until ctx does.
func (d *devService) watch(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case p := <-d.ended:
			if p.name == "server" {
				return errors.New("dev: the server has ended; its messages stand above")
			}
			fmt.Fprintf(os.Stderr, "%s (pid %d) has ended and stays away. Links still open and sends go on with the others. To bring it back, run in another terminal:\n  %s\n",
				p.name, p.cmd.Process.Pid, commandLine(p.cmd.Args))
		}
	}
}

// commandLine writes a command as it is typed into a shell.
func commandLine(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		if quoted[i] = a; strings.ContainsFunc(a, func(r rune) bool { return !strings.ContainsRune(plainInShell, unicode.ToLower(r)) }) || a == "" {
			quoted[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}

// plainInShell are characters that need no quotes.
const plainInShell = "abcdefghijklmnopqrstuvwxyz0123456789-_./:,=+@%"

// stop ends the nodes, then the server, and waits for them.
func (d *devService) stop() {
	for i := len(d.children) - 1; i >= 0; i-- {
		p := d.children[i]
		p.cmd.Process.Signal(syscall.SIGTERM) // one that has ended needs none
	}
	deadline := time.After(devStopTimeout)
	for _, p := range d.children {
		select {
		case <-p.done:
		case <-deadline:
			p.cmd.Process.Kill()
			<-p.done
		}
	}
}

// spawn starts this program with other arguments and waits for its line "ready URL".
func (d *devService) spawn(ctx context.Context, name string, args ...string) (*devProcess, string, error) {
	cmd := exec.Command(d.program, args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = childAttributes()
	cmd.Env = childEnvironment()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", fmt.Errorf("dev: start %s: %w", name, err)
	}
	p := &devProcess{name: name, cmd: cmd, done: make(chan struct{})}
	d.children = append(d.children, p)
	ready := make(chan string, 1)
	go func() {
		defer close(p.done)
		readReady(stdout, ready)
		cmd.Wait() // how it ended stands in its own messages
		d.ended <- p
	}()
	select {
	case url := <-ready:
		if url != "" {
			return p, url, nil
		}
		return nil, "", fmt.Errorf("dev: %s ended before it was ready; its messages stand above", name)
	case <-time.After(devReadyTimeout):
		return nil, "", fmt.Errorf("dev: %s was not ready within %s", name, devReadyTimeout)
	case <-ctx.Done():
		return nil, "", ctx.Err()
	}
}

// childEnvironment leaves out invites, of which a node wants one at most.
func childEnvironment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "HOLDFAST_NODE_INVITE") })
}

// readReady sends the URL of the first line "ready URL", or nothing when the
// output ends before, and passes all other lines on.
func readReady(r io.Reader, ready chan<- string) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "ready "); ok {
			select {
			case ready <- url:
			default: // said before
			}
			continue
		}
		fmt.Fprintln(os.Stderr, lines.Text())
	}
	select {
	case ready <- "":
	default:
	}
}
