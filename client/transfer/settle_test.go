package transfer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"holdfast/api"
	"holdfast/client/blobs"
	"holdfast/client/resume"
)

// stateFiles are the contents of the states by path.
func (s *stage) stateFiles() map[string][]byte {
	s.t.Helper()
	out := map[string][]byte{}
	for _, name := range s.states() {
		path := filepath.Join(s.dir, "home", "resume", name)
		raw, err := os.ReadFile(path)
		if err != nil {
			s.t.Fatal(err)
		}
		out[path] = raw
	}
	return out
}

// TestHandedOutLinkIsNotRevoked: a state that comes back after its link was
// handed out, as a power cut may bring it back, does not cost that link, whatever
// became of the file.
func TestHandedOutLinkIsNotRevoked(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	o := s.options(nil)
	first, err := s.c.Send(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	kept := s.stateFiles()
	if err := first.Forget(); err != nil || len(kept) != 2 {
		t.Fatalf("%v, states: %v", err, slices.Collect(maps.Keys(kept)))
	}
	for path, raw := range kept {
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.write("file", bytesOf(77, 6000))
	s.c = s.client()
	second := s.send(o)
	if second.Handle == first.Handle {
		t.Fatal("the old link for a new file")
	}
	for r, size := range map[*Result]int{first: 5000, second: 6000} {
		if got := s.got(r); len(got) != size {
			t.Errorf("%d bytes came back instead of %d", len(got), size)
		}
	}
	if len(s.states()) != 0 {
		t.Errorf("left: %v", s.states())
	}
}

// TestCommitAnswerLostAndTreeChanged: what an unanswered commit may have published
// is not what stands there now, though every file is the same.
func TestCommitAnswerLostAndTreeChanged(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.write("tree/file", bytesOf(1, 5000))
	root := filepath.Join(s.dir, "src", "tree")
	o := SendOptions{Paths: []string{root}}
	ctx, cancel := context.WithCancel(t.Context())
	s.loseCommit(1, cancel)
	if _, err := s.c.Send(ctx, o); !errors.Is(err, context.Canceled) || len(s.Links()) != 1 {
		t.Fatalf("%v, %d links", err, len(s.Links()))
	}
	if err := os.Mkdir(filepath.Join(root, "new"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.c = s.client()
	r := s.send(o)
	out := t.TempDir()
	if _, err := s.receive(r, ReceiveOptions{Target: out}); err != nil {
		t.Fatal(err)
	}
	same(t, root, filepath.Join(out, "tree"))
	if len(s.Links()) != 1 {
		t.Errorf("%d links", len(s.Links()))
	}
}

// TestUploadThatCannotBeginIsGivenUp: nobody could go on with it, so that it does
// not keep what it reserved for a day.
func TestUploadThatCannotBeginIsGivenUp(t *testing.T) {
	t.Run("its log cannot be written", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		log, _, err := resume.Open(filepath.Join(t.TempDir(), "log"))
		if err != nil {
			t.Fatal(err)
		}
		if err := log.Close(); err != nil { // so that writing fails, as on a full disk
			t.Fatal(err)
		}
		o := SendOptions{Paths: []string{s.write("a", []byte("text"))}, Expires: day}
		tree, err := o.walk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		one := newSend(s.c, o, tree, api.ServiceInfo{Limits: s.Limits, Accepting: true})
		if err := one.outline(); err != nil {
			t.Fatal(err)
		}
		if err := one.begin(t.Context(), log); !errors.Is(err, resume.ErrWrite) {
			t.Errorf("have %v", err)
		}
		if s.Calls("openUpload") != 1 || s.Open() != 0 {
			t.Errorf("%d uploads were opened, %d are open", s.Calls("openUpload"), s.Open())
		}
	})
	t.Run("what the server granted does not hold", func(t *testing.T) {
		t.Parallel()
		s := newStage(t, "DE", "DE")
		path := s.write("a", []byte("text"))
		for _, o := range []SendOptions{{Paths: []string{path}}, {Stdin: strings.NewReader("text")}} {
			if _, err := s.c.Send(t.Context(), o); !errors.Is(err, blobs.ErrPlacement) {
				t.Errorf("have %v", err)
			}
		}
		if s.Calls("openUpload") != 2 || s.Open() != 0 {
			t.Errorf("%d uploads were opened, %d are open", s.Calls("openUpload"), s.Open())
		}
	})
}

// TestStreamThatCannotBeCommitted: what was read from stdin cannot be sent again,
// so that nothing of it may stay behind: neither an upload nor a link of which
// nobody was told.
func TestStreamThatCannotBeCommitted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hook func(s *stage, cancel func())
		want error
	}{
		"refused": {func(s *stage, _ func()) {
			s.Hook(func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
				if strings.HasSuffix(r.URL.Path, "/commit") {
					api.WriteProblem(w, api.NewProblem(api.ReceiptsMissing, "a node lost its disk"))
					return
				}
				serve(w, r)
			})
		}, api.ReceiptsMissing},
		"committed unseen":            {func(s *stage, cancel func()) { s.loseCommit(1, cancel) }, context.Canceled},
		"committed, never to be seen": {func(s *stage, _ func()) { s.loseCommit(1<<30, nil) }, api.ErrUnreachable},
		"committed, not remembered": {func(s *stage, _ func()) {
			if err := os.WriteFile(filepath.Join(s.dir, "home", "sends"), nil, 0o600); err != nil {
				s.t.Fatal(err)
			}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c.hook(s, cancel)
			_, err := s.c.Send(ctx, SendOptions{Stdin: io.LimitReader(bytes.NewReader(bytesOf(1, mib)), mib)})
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Fatalf("have %v", err)
			}
			if len(s.Links()) != 0 || s.Open() != 0 {
				t.Errorf("left: %d links, %d open uploads", len(s.Links()), s.Open())
			}
		})
	}
}

// TestProgressReachesItsTotalsOnResume: whoever makes bars when the plan is
// announced sees every byte of it after that, those stored by an earlier try too.
func TestProgressReachesItsTotalsOnResume(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	o := SendOptions{Paths: []string{s.write("file", bytesOf(3, 60*mib))}}
	s.crash(o, 3)
	var mu sync.Mutex
	var plan *Plan
	sums := map[Stage]int64{}
	o.Planned = func(p Plan) {
		mu.Lock()
		defer mu.Unlock()
		plan = &p
	}
	o.Progress = func(stage Stage, n int64) {
		mu.Lock()
		defer mu.Unlock()
		if plan == nil {
			t.Error("progress before there is a plan")
		}
		sums[stage] += n
	}
	s.send(o)
	if !plan.Resumed || plan.Kept == 0 {
		t.Fatalf("not resumed: %+v", plan)
	}
	for _, stage := range []Stage{Sealed, StoredOne, StoredTwo} {
		if sums[stage] != plan.Stored {
			t.Errorf("stage %d came to %d of %d bytes", stage, sums[stage], plan.Stored)
		}
	}
}
