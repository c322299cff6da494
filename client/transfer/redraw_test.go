package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"holdfast/client/resume"
)

// heard is how many streams were begun so far.
func (w *wiretap) heard() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	headers := map[string]bool{}
	for _, s := range w.streams {
		headers[s.header] = true
	}
	return len(headers)
}

// unanswered sends until so many streams were begun at nodes that store nothing,
// and then dies.
func (s *stage) unanswered(o SendOptions, streams int) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	s.tap(func(int) bool {
		if s.wire.heard() >= streams {
			cancel()
		}
		return false
	})
	if _, err := s.c.Send(ctx, o); !errors.Is(err, context.Canceled) {
		s.t.Fatalf("not stopped: %v", err)
	}
	s.c = s.client()
}

// uncommitted sends everything and dies at the commit, which no server sees.
func (s *stage) uncommitted(o SendOptions) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	s.Hook(func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		if strings.HasSuffix(r.URL.Path, "/commit") {
			cancel()
			panic(http.ErrAbortHandler)
		}
		serve(w, r)
	})
	s.tap(nil)
	if _, err := s.c.Send(ctx, o); !errors.Is(err, context.Canceled) {
		s.t.Fatalf("not stopped at the commit: %v", err)
	}
	s.c = s.client()
}

// TestKilledWhileRedrawing: threat 12. A folder's small files and its listing have
// left in one pack; one file is edited, and the next try is killed while it writes
// down what it draws anew. Wherever its log ends, no key of the first pack meets
// another plaintext, and no log ends within a decision.
func TestKilledWhileRedrawing(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for i := range 3 {
		s.write(fmt.Sprintf("tree/%02d", i), bytesOf(uint64(i), 5000))
	}
	s.write("tree/large", bytesOf(9, 12*mib)) // stays, so that the upload is taken up
	o := SendOptions{Paths: []string{filepath.Join(s.dir, "src", "tree")}}
	s.unanswered(o, 5)
	path := filepath.Join(s.dir, "home", "resume", s.states()[0])
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first := slices.Clone(s.wire.streams)
	s.write("tree/01", bytesOf(77, 5000))
	s.unanswered(o, 9)
	after, err := os.ReadFile(path)
	if err != nil || !bytes.HasPrefix(after, before) {
		t.Fatalf("the log was begun anew: %v", err)
	}
	second := slices.Clone(s.wire.streams)
	cuts := 0
	for end := len(before); end < len(after); {
		from := end
		end += bytes.IndexByte(after[end:], '\n') + 1
		for _, cut := range []int{from, (from + end) / 2, end} {
			cuts++
			s.wire.streams = slices.Clone(first)
			if cut == len(after) { // only then the second try's pack may have left
				s.wire.streams = slices.Clone(second)
			}
			for _, n := range s.Nodes {
				n.Lose()
			}
			s.goOnFrom(o, path, after[:cut])
			for _, key := range s.wire.reused() {
				t.Errorf("killed after %d of %d bytes: two plaintexts under one salt: %s", cut-len(before), len(after)-len(before), key)
			}
		}
	}
	if cuts < 4 {
		t.Fatalf("the second try wrote %d lines", cuts/3)
	}
}

// goOnFrom sends again with the state as a crash left it.
func (s *stage) goOnFrom(o SendOptions, path string, log []byte) {
	s.t.Helper()
	if err := os.WriteFile(path, log, 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Remove(path + commitSuffix); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	l, state, err := resume.Open(path)
	if err != nil || state == nil {
		s.t.Fatalf("%v, %v", state, err)
	}
	if len(state.Tainted) > 0 {
		s.t.Errorf("a log of %d bytes ends within a decision: of files %v nothing is known", len(log), state.Tainted)
	}
	if err := l.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.uncommitted(o)
}
