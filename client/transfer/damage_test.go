package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/api"
)

// spoil changes the last byte of answers to reads that have between min and max bytes.
type spoil struct {
	http.ResponseWriter
	min, max int
}

func (s *spoil) Write(p []byte) (int, error) {
	if len(p) < s.min || len(p) >= s.max {
		return s.ResponseWriter.Write(p)
	}
	p = bytes.Clone(p)
	p[len(p)-1] ^= 1
	return s.ResponseWriter.Write(p)
}

// TestOneDamagedFileOfMany: threat 11. One file of a bundle is damaged everywhere.
// It is named, and nothing of it is left; all others come, and repeating the
// command neither stumbles over them nor counts another download.
func TestOneDamagedFileOfMany(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]func(s *stage){
		"a blob": func(s *stage) {
			for _, n := range s.Nodes {
				n.Hook(func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
					serve(&spoil{w, 4 * mib, 5 * mib}, r) // the second blob of "bad" only
				})
			}
		},
		"a record": func(s *stage) {
			s.Change = func(_ string, answer any) {
				p, ok := answer.(*api.RevisionsPage)
				if !ok {
					return
				}
				for i := range p.Revisions {
					if p.Revisions[i].Length > 12*mib {
						p.Revisions[i].Commitment[3] ^= 1
					}
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.write("tree/bad", bytesOf(1, 12*mib))
			s.write("tree/large", bytesOf(2, 9*mib))
			s.write("tree/middle", bytesOf(3, 2*mib))
			s.write("tree/sub/small", bytesOf(4, 5000))
			root := filepath.Join(s.dir, "src", "tree")
			r := s.send(SendOptions{Paths: []string{root}, Downloads: 1})
			c(s)
			out := t.TempDir()
			for range 2 {
				_, err := s.receive(r, ReceiveOptions{Target: out})
				if !errors.Is(err, ErrIntegrity) || !strings.Contains(err.Error(), "tree/bad: ") || strings.Contains(err.Error(), "large") {
					t.Fatalf("have %v", err)
				}
				have := left(t, filepath.Join(out, "tree"))
				if want := []string{"large", "middle", "sub", "sub/small"}; !slices.Equal(have, want) {
					t.Fatalf("have %v, want %v", have, want)
				}
				s.c = s.client()
			}
			for _, n := range s.Nodes {
				n.Hook(nil)
			}
			s.Change = nil
			if _, err := s.receive(r, ReceiveOptions{Target: out}); err != nil {
				t.Fatal(err)
			}
			same(t, root, filepath.Join(out, "tree"))
			if s.Downloads() != 1 || len(s.states()) != 0 {
				t.Errorf("%d downloads, left: %v", s.Downloads(), s.states())
			}
		})
	}
}

// TestDamagedPackNamesItsFiles: files that lie in one damaged blob are named, the
// first of them, and the number of the rest.
func TestDamagedPackNamesItsFiles(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for i := range 30 {
		s.write(fmt.Sprintf("tree/%02d", i), bytesOf(uint64(i), 100_000))
	}
	s.write("tree/large", bytesOf(2, 9*mib))
	r := s.send(SendOptions{Paths: []string{filepath.Join(s.dir, "src", "tree")}})
	for _, n := range s.Nodes {
		n.Hook(func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
			serve(&spoil{w, 2 * mib, 5 * mib}, r)
		})
	}
	out := t.TempDir()
	_, err := s.receive(r, ReceiveOptions{Target: out})
	if !errors.Is(err, ErrIntegrity) || strings.Count(err.Error(), "tree/") != told || !strings.Contains(err.Error(), "and 20 more files") {
		t.Fatalf("have %v", err)
	}
	if have := left(t, filepath.Join(out, "tree")); !slices.Equal(have, []string{"large"}) {
		t.Errorf("have %v", have)
	}
}

// TestSessionEndsAmongManyFiles: the receive starts another download and goes on
// with the files that are not there yet.
func TestSessionEndsAmongManyFiles(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.write("tree/a", bytesOf(1, 5000))
	s.write("tree/large", bytesOf(2, 60*mib)) // more places than one answer of the fake holds
	root := filepath.Join(s.dir, "src", "tree")
	r := s.send(SendOptions{Paths: []string{root}})
	out := t.TempDir()
	var once sync.Once
	s.Hook(func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		if strings.HasSuffix(r.URL.Path, "/extents") {
			once.Do(func() {
				s.waitFor(filepath.Join(out, "tree", "a"))
				s.EndSessions()
			})
		}
		serve(w, r)
	})
	if _, err := s.receive(r, ReceiveOptions{Target: out}); err != nil {
		t.Fatal(err)
	}
	same(t, root, filepath.Join(out, "tree"))
	if s.Downloads() != 2 {
		t.Errorf("%d downloads", s.Downloads())
	}
}

// waitFor waits until a file is there, or the test is over.
func (s *stage) waitFor(path string) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-s.t.Context().Done():
			return
		case <-tick.C:
			if _, err := os.Lstat(path); err == nil {
				return
			}
		}
	}
}
