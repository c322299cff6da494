//go:build linux

package faults

import (
	"bytes"
	"fmt"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestNodeStopsAnswering: fault 11. A node is stopped (SIGSTOP): its connections
// stay open and nothing moves. Sends and receives go on with others.
func TestNodeStopsAnswering(t *testing.T) {
	f := startFleet(t)
	known := f.acknowledge("sender", 20*mib, 1)
	for _, j := range []string{"DE", "NZ", "IS"} {
		t.Run(j, func(t *testing.T) {
			f.t = t
			f.nodes[j].signal(syscall.SIGSTOP)
			begin := time.Now()
			f.check([]acknowledged{known})
			// 1.5 s to leave the node, and what one read of 20 MiB takes on a busy machine.
			if took := time.Since(begin); took > 15*time.Second {
				t.Errorf("reading took %s with one node stopped", took)
			}
			f.check([]acknowledged{f.acknowledge("sender", 10*mib, 2)})
			f.nodes[j].signal(syscall.SIGCONT)
		})
	}
}

// TestStopDuringTransfer: a node stops in the middle of a send, and in the
// middle of a receive.
func TestStopDuringTransfer(t *testing.T) {
	f, fr := frontedFleet(t)
	path, want := f.file(44*mib, 3)
	for _, at := range []moment{{"2", 2, atHalf}, {"1", 2, atHalf}, {"2", 3, atAll}} {
		t.Run(at.String(), func(t *testing.T) {
			f.t = t
			var stopped string
			fr.arm(at, func(node string) {
				stopped = node
				f.nodes[node].signal(syscall.SIGSTOP)
			})
			link := f.send("sender-"+at.String(), path)
			fr.arm(moment{}, nil)
			if stopped == "" {
				t.Fatal("the moment never came")
			}
			if got := f.receive("receiver", link); !bytes.Equal(got, want) {
				t.Error("what came back is not what was acknowledged")
			}
			f.nodes[stopped].signal(syscall.SIGCONT)
		})
	}
}

// TestOneWayCuts: fault 12. The first node cannot reach the second: another
// chain or member is used. A node that cannot reach the server still serves.
func TestOneWayCuts(t *testing.T) {
	f, fr := newFleet(t), &fronts{}
	f.startServer()
	for _, j := range []string{"DE", "NZ", "IS"} {
		// Nobody listens before DE: other nodes and clients cannot reach it, while DE reaches everybody.
		f.front[j] = fr.before(t, j, fmt.Sprintf("http://127.0.0.1:%d", f.port(j)))
		if j == "DE" {
			f.front[j] = fmt.Sprintf("http://127.0.0.1:%d", freePort(t))
		}
		f.startNode(j)
	}
	var all []acknowledged
	for i := range 4 {
		all = append(all, f.acknowledge("sender", 3*mib, uint64(i)))
	}
	f.check(all)
	// The server goes away for everybody: what tickets allow goes on, a receive that needs it says so.
	f.server.kill()
	r, err := client(f.context(), f.home("receiver"), "receive", all[0].link, "-o", t.TempDir()+"/x")
	if err != nil || r.code != 8 {
		t.Fatalf("without a server: %v, exit %d\n%s", err, r.code, r.stderr)
	}
	f.startServer()
	f.check(all)
}

// TestLossyNetwork: fault 11. A network namespace of the test's own loses 30 %
// of the packets of one node; sends and receives complete.
func TestLossyNetwork(t *testing.T) {
	const space = "holdfast-lossy"
	sh := func(command string) {
		t.Helper()
		if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s (packages: iproute2, iptables; root)", command, err, out)
		}
	}
	exec.Command("ip", "netns", "del", space).Run() // left by a run that was killed
	sh("ip netns add " + space)
	t.Cleanup(func() { sh("ip netns del " + space) })
	sh("ip netns exec " + space + " ip link set lo up")
	f := newFleet(t)
	inside := []string{"ip", "netns", "exec", space}
	holdfast := programs.holdfast
	f.inside = inside
	f.startServer()
	for _, j := range []string{"DE", "NZ", "IS"} {
		f.wrap[j] = inside
		f.startNode(j)
	}
	sh(fmt.Sprintf("ip netns exec %s iptables -A INPUT -p tcp --dport %d -m statistic --mode random --probability 0.3 -j DROP", space, f.port("DE")))
	path, want := f.file(4*mib, 11)
	out := t.TempDir() + "/out"
	args := append(inside, "env", "HOLDFAST_HOME="+f.home("x"), holdfast)
	link, err := exec.CommandContext(f.context(), args[0], append(args[1:], "send", "--server", f.server.url, path)...).Output()
	if err != nil {
		t.Fatalf("send: %v", err)
	}
	if msg, err := exec.CommandContext(f.context(), args[0], append(args[1:], "receive", string(bytes.TrimSpace(link)), "-o", out)...).CombinedOutput(); err != nil {
		t.Fatalf("receive: %v: %s", err, msg)
	}
	f.expectFile(out, want)
}
