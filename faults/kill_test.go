//go:build linux

package faults

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"testing"
)

// quiet drops what net/http says about connections that tests break on purpose.
var quiet = log.New(io.Discard, "", 0)

const (
	mib = 1 << 20
	// inFlight is how many blobs of 8 MiB a client may have under way.
	inFlight = 4
)

// frontedFleet is a fleet whose nodes are reached through fronts.
func frontedFleet(t *testing.T) (*fleet, *fronts) {
	t.Helper()
	f, fr := newFleet(t), &fronts{}
	f.startServer()
	for _, j := range []string{"DE", "NZ", "IS"} {
		f.front[j] = fr.before(t, j, fmt.Sprintf("http://127.0.0.1:%d", f.port(j)))
		f.startNode(j)
	}
	return f, fr
}

// killMoments covers every state of a blob on its way at either node, for the
// first blob, one under way beside others, and the last ones.
func killMoments() []moment {
	var all []moment
	for _, copies := range []string{"2", "1"} {
		for _, n := range []int{1, 2, 4, 6} {
			for p := range phases {
				if copies == "1" && p == atSecondEvent {
					continue // a second node sends one event only
				}
				all = append(all, moment{copies: copies, n: n, phase: p})
			}
		}
	}
	return all
}

// TestKillNodeDuringSend: faults 1 and 2. A node dies by kill -9 at each moment;
// the send goes on by itself, sends little or nothing again, and what it
// acknowledged is readable while the node stays dead.
func TestKillNodeDuringSend(t *testing.T) {
	f, fr := frontedFleet(t)
	path, want := f.file(44*mib, 7)
	struck := 0
	for i, at := range killMoments() {
		t.Run(at.String(), func(t *testing.T) {
			f.t = t
			fr.arm(at, func(node string) { f.nodes[node].kill() })
			link := f.send(fmt.Sprintf("sender-%d", i), path)
			victim, sent := fr.outcome()
			fr.arm(moment{}, nil)
			if victim == "" {
				t.Fatalf("the moment never came")
			}
			struck++
			again := sent - streamLength(len(want))
			allowed := int64(0)
			if at.copies == "2" {
				allowed = inFlight * 8 * mib
			}
			if again > allowed {
				t.Errorf("%d bytes sent again, at most %d allowed", again, allowed)
			}
			if got := f.receive("receiver", link); !bytes.Equal(got, want) {
				t.Error("what came back is not what was acknowledged")
			}
			f.startNode(victim)
		})
	}
	if struck < 50 {
		t.Errorf("only %d moments struck", struck)
	}
}

// streamLength is the ciphertext of one file: padding, header, tags (docs/format.md §3, §4).
func streamLength(size int) int64 {
	padded := padme(max(int64(size), 1024))
	segments := int64(1)
	if padded > 262088 {
		segments = 1 + (padded-262088+262127)/262128
	}
	return 40 + padded + 16*segments
}

func padme(n int64) int64 {
	e := 0
	for n>>(e+1) > 0 {
		e++
	}
	s := 0
	for e>>s > 0 {
		s++
	}
	mask := int64(1)<<(e-s) - 1
	return (n + mask) &^ mask
}
