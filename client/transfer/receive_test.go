package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/client/blobs"
	"holdfast/client/fleet"
	"holdfast/client/target"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/seal"
)

func TestNeverOverwritesUnlessForced(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.send(SendOptions{Paths: []string{s.write("file", []byte("new"))}})
	out := filepath.Join(t.TempDir(), "file")
	os.WriteFile(out, []byte("old"), 0o644)
	if _, err := s.receive(r, ReceiveOptions{Target: out}); !errors.Is(err, target.ErrExists) {
		t.Fatalf("have %v", err)
	}
	if s.Downloads() != 0 {
		t.Error("a download was counted for nothing")
	}
	if raw, _ := os.ReadFile(out); string(raw) != "old" {
		t.Error("overwritten")
	}
	if _, err := s.receive(r, ReceiveOptions{Target: out, Force: true}); err != nil {
		t.Fatal(err)
	}
	if raw, _ := os.ReadFile(out); string(raw) != "new" {
		t.Error("not overwritten")
	}
	folder := filepath.Join(t.TempDir(), "file")
	os.Mkdir(folder, 0o755)
	if _, err := s.receive(r, ReceiveOptions{Target: filepath.Dir(folder), Force: true}); !errors.Is(err, target.ErrFolder) {
		t.Errorf("a folder in the way: %v", err)
	}
	// A file that appears while ours is fetched is not overwritten either.
	late := filepath.Join(t.TempDir(), "file")
	o := ReceiveOptions{Target: late, Report: Report{Progress: func(Stage, int64) { os.WriteFile(late, []byte("late"), 0o644) }}}
	if _, err := s.receive(r, o); !errors.Is(err, target.ErrExists) {
		t.Errorf("appeared meanwhile: %v", err)
	}
	if raw, _ := os.ReadFile(late); string(raw) != "late" || len(left(t, filepath.Dir(late))) != 1 {
		t.Errorf("%q, left: %v", raw, left(t, filepath.Dir(late)))
	}
}

// cut receives until n bytes were written and then stops, as a killed client does.
func (s *stage) cut(r *Result, out string, n int64) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	var got atomic.Int64
	o := ReceiveOptions{Target: out, Report: Report{Progress: func(_ Stage, b int64) {
		if got.Add(b) >= n {
			cancel()
		}
	}}}
	if _, err := s.c.Receive(ctx, r.Link, o); !errors.Is(err, context.Canceled) {
		s.t.Fatalf("not stopped: %v", err)
	}
	s.c = s.client()
}

// reads is how many requests for blobs left the client.
func (s *stage) reads() int64 { return s.gets.Load() }

// TestReceiveResumes: fault 13. What was verified is not fetched again, and one
// download is counted, the last one.
func TestReceiveResumes(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	want := bytesOf(5, 60*mib)
	r := s.send(SendOptions{Paths: []string{s.write("file", want)}, Downloads: 1})
	out := filepath.Join(t.TempDir(), "file")
	s.cut(r, out, 30*mib)
	if names := left(t, filepath.Dir(out)); len(names) != 1 || !strings.HasPrefix(names[0], ".holdfast-part-") {
		t.Fatalf("left: %v", names)
	}
	before := s.reads()
	got, err := s.receive(r, ReceiveOptions{Target: out})
	if err != nil {
		t.Fatal(err)
	}
	if raw, _ := os.ReadFile(out); !bytes.Equal(raw, want) {
		t.Error("not what was sent")
	}
	if got.Kept < 24*mib || s.reads()-before > 5 || s.Downloads() != 1 {
		t.Errorf("%d kept, %d blobs read again, %d downloads", got.Kept, s.reads()-before, s.Downloads())
	}
	if len(s.states()) != 0 || len(left(t, filepath.Dir(out))) != 1 {
		t.Errorf("left behind: %v %v", s.states(), left(t, filepath.Dir(out)))
	}
}

// TestStartAnswerLost: fault 4. The server counts a download and its answer is
// lost: the last download is not, whether this process asks again or the next.
func TestStartAnswerLost(t *testing.T) {
	t.Parallel()
	for name, ends := range map[string]bool{"asked again": false, "asked by the next process": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			r := s.send(SendOptions{Paths: []string{s.write("file", bytesOf(5, 5000))}, Downloads: 1})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var losses atomic.Int32
			s.Hook(func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
				if !strings.HasSuffix(r.URL.Path, "/sessions") || losses.Add(1) > 1 {
					serve(w, r)
					return
				}
				serve(&lost{}, r)
				if ends {
					cancel()
				}
				panic(http.ErrAbortHandler)
			})
			out := filepath.Join(t.TempDir(), "file")
			_, err := s.c.Receive(ctx, r.Link, ReceiveOptions{Target: out})
			if ends {
				if !errors.Is(err, context.Canceled) {
					t.Fatalf("not stopped: %v", err)
				}
				s.c = s.client()
				_, err = s.receive(r, ReceiveOptions{Target: out})
			}
			if err != nil || s.Downloads() != 1 || s.Calls("startSession") != 2 {
				t.Errorf("%v, %d downloads counted in %d calls", err, s.Downloads(), s.Calls("startSession"))
			}
		})
	}
}

// TestRefusedStartLeavesNothing: a link that is used up when the download
// starts leaves no state behind.
func TestRefusedStartLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.send(SendOptions{Paths: []string{s.write("file", bytesOf(5, 5000))}, Downloads: 1})
	rival := ReceiveOptions{Target: filepath.Join(t.TempDir(), "file"), Opened: func(*Share) error {
		_, err := s.client().Receive(t.Context(), r.Link, ReceiveOptions{Target: filepath.Join(t.TempDir(), "other")})
		return err
	}}
	if _, err := s.c.Receive(t.Context(), r.Link, rival); !errors.Is(err, api.LinkUsedUp) || len(s.states()) != 0 {
		t.Errorf("%v, left: %v", err, s.states())
	}
}

func TestReceiveTrustsNoPartThatWasAltered(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	want := bytesOf(5, 60*mib)
	r := s.send(SendOptions{Paths: []string{s.write("file", want)}})
	out := filepath.Join(t.TempDir(), "file")
	s.cut(r, out, 30*mib)
	part := filepath.Join(filepath.Dir(out), left(t, filepath.Dir(out))[0])
	f, err := os.OpenFile(part, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt([]byte("altered"), 10*mib)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.receive(r, ReceiveOptions{Target: out}); err != nil {
		t.Fatal(err)
	}
	if raw, _ := os.ReadFile(out); !bytes.Equal(raw, want) {
		t.Error("altered bytes were kept")
	}
}

func TestReceiveFolderResumes(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	root := s.makeTree()
	r := s.send(SendOptions{Paths: []string{root}})
	out := t.TempDir()
	s.cut(r, out, 5*mib)
	if _, err := s.receive(r, ReceiveOptions{Target: out}); err != nil {
		t.Fatal(err)
	}
	same(t, root, filepath.Join(out, "tree"))
	if s.Downloads() != 1 {
		t.Errorf("%d downloads", s.Downloads())
	}
}

func TestSessionThatIsOver(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.send(SendOptions{Paths: []string{s.write("file", bytesOf(5, 100*mib))}})
	out := filepath.Join(t.TempDir(), "file")
	s.cut(r, out, 10*mib)
	s.EndSessions()
	if _, err := s.receive(r, ReceiveOptions{Target: out}); err != nil || s.Downloads() != 2 {
		t.Fatalf("%v, %d downloads", err, s.Downloads())
	}
	r = s.send(SendOptions{Paths: []string{s.write("file", bytesOf(5, mib))}, Downloads: 1})
	if _, err := s.receive(r, ReceiveOptions{Target: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.receive(r, ReceiveOptions{Target: t.TempDir()}); !errors.Is(err, api.LinkUsedUp) {
		t.Fatalf("used up: %v", err)
	}
}

// TestLastSegmentCorrupt: threat 11. Nothing stands where the file should be.
func TestLastSegmentCorrupt(t *testing.T) {
	t.Parallel()
	for _, size := range []int{5000, 20 * mib} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := newStage(t)
			r := s.send(SendOptions{Paths: []string{s.write("file", bytesOf(5, size))}})
			for _, n := range s.Nodes {
				n.Hook(func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
					serve(&lastByte{w}, r)
				})
			}
			out := filepath.Join(t.TempDir(), "file")
			_, err := s.receive(r, ReceiveOptions{Target: out})
			if !errors.Is(err, ErrIntegrity) || !errors.Is(err, blobs.ErrDamaged) {
				t.Fatalf("have %v", err)
			}
			if names := left(t, filepath.Dir(out)); len(names) != 0 {
				t.Errorf("left: %v", names)
			}
		})
	}
}

// lastByte changes the last byte of a blob that is not full: the last one.
type lastByte struct{ http.ResponseWriter }

func (l *lastByte) Write(p []byte) (int, error) {
	if len(p) == 8*mib {
		return l.ResponseWriter.Write(p)
	}
	p = bytes.Clone(p)
	p[len(p)-1] ^= 1
	return l.ResponseWriter.Write(p)
}

// TestServerLies: whatever the server says that is not so ends in a typed error,
// with nothing written.
func TestServerLies(t *testing.T) {
	t.Parallel()
	stranger := newStage(t, "CH").Nodes[0]
	flip := func(b *id.Bytes32) { b[3] ^= 1 }
	page := func(change func(*api.RevisionsPage)) func(string, any) {
		return func(_ string, answer any) {
			if p, ok := answer.(*api.RevisionsPage); ok {
				change(p)
			}
		}
	}
	look := func(change func(*api.LinkLook)) func(string, any) {
		return func(_ string, answer any) {
			if l, ok := answer.(*api.LinkLook); ok {
				change(l)
			}
		}
	}
	for name, c := range map[string]struct {
		change func(string, any)
		want   []error
	}{
		"another release key":    {page(func(p *api.RevisionsPage) { flip(&p.Revisions[0].ReleaseKey) }), []error{ErrIntegrity, seal.ErrCommitment}},
		"another salt":           {page(func(p *api.RevisionsPage) { flip(&p.Revisions[0].Salt) }), []error{ErrIntegrity, seal.ErrCommitment}},
		"another prefix":         {page(func(p *api.RevisionsPage) { p.Revisions[0].Prefix = "AAAAAAAAAA" }), []error{ErrIntegrity}},
		"no prefix":              {page(func(p *api.RevisionsPage) { p.Revisions[0].Prefix = "!" }), []error{ErrIntegrity, ErrAnswer}},
		"another commitment":     {page(func(p *api.RevisionsPage) { flip(&p.Revisions[0].Commitment) }), []error{ErrIntegrity, ErrAnswer}},
		"another root":           {page(func(p *api.RevisionsPage) { flip(&p.Revisions[0].Root) }), []error{ErrIntegrity, ErrAnswer}},
		"another length":         {page(func(p *api.RevisionsPage) { p.Revisions[0].Length++ }), []error{ErrIntegrity, ErrAnswer}},
		"another revision":       {page(func(p *api.RevisionsPage) { p.Revisions[0].ID = id.New[id.Revision]() }), []error{ErrAnswer}},
		"no revision":            {page(func(p *api.RevisionsPage) { p.Revisions = nil }), []error{ErrAnswer}},
		"twice the revision":     {page(func(p *api.RevisionsPage) { p.Revisions = append(p.Revisions, p.Revisions[0]) }), []error{ErrAnswer}},
		"fewer extents":          {page(func(p *api.RevisionsPage) { p.Revisions[0].ExtentCount-- }), []error{ErrIntegrity, ErrAnswer}},
		"extents dropped":        {page(func(p *api.RevisionsPage) { p.Revisions[0].Extents = nil }), []error{ErrIntegrity, ErrAnswer}},
		"extents swapped":        {page(func(p *api.RevisionsPage) { e := p.Revisions[0].Extents; e[0], e[1] = e[1], e[0] }), []error{ErrIntegrity}},
		"extent twice":           {page(func(p *api.RevisionsPage) { e := p.Revisions[0].Extents; e[1] = e[0] }), []error{ErrIntegrity}},
		"extent elsewhere":       {page(func(p *api.RevisionsPage) { p.Revisions[0].Extents[0][0] = 99 }), []error{ErrIntegrity, ErrAnswer}},
		"extent negative":        {page(func(p *api.RevisionsPage) { p.Revisions[0].Extents[0][0] = -1 }), []error{ErrIntegrity, ErrAnswer}},
		"extent shifted":         {page(func(p *api.RevisionsPage) { p.Revisions[0].Extents[0][1] = 1 }), []error{ErrIntegrity, ErrAnswer}},
		"blob too large":         {page(func(p *api.RevisionsPage) { p.Blobs[0].Size = 1 << 40 }), []error{ErrAnswer}},
		"blob of no size":        {page(func(p *api.RevisionsPage) { p.Blobs[0].Size = 0 }), []error{ErrAnswer}},
		"node of no number":      {page(func(p *api.RevisionsPage) { p.Blobs[0].Nodes = []int{7} }), []error{ErrAnswer}},
		"ticket of no number":    {page(func(p *api.RevisionsPage) { p.Blobs[0].Ticket = -1 }), []error{ErrAnswer}},
		"node under a name":      {page(func(p *api.RevisionsPage) { p.Nodes[0].Declaration = stranger.Declaration }), []error{fleet.ErrNode}},
		"node elsewhere":         {page(func(p *api.RevisionsPage) { p.Nodes[0].URL = stranger.URL }), []error{fleet.ErrNode}},
		"another record":         {look(func(l *api.LinkLook) { l.Record = id.Encoding.EncodeToString(make([]byte, 300)) }), []error{ErrIntegrity}},
		"record cut":             {look(func(l *api.LinkLook) { l.Record = l.Record[:100] }), []error{ErrIntegrity}},
		"record no text":         {look(func(l *api.LinkLook) { l.Record = "*" }), []error{ErrIntegrity}},
		"invented copies":        {look(func(l *api.LinkLook) { l.Copies[0].ID = id.New[id.Node]() }), []error{fleet.ErrNode}},
		"last segment cut off":   {page(func(p *api.RevisionsPage) { p.Blobs[len(p.Blobs)-1].Size-- }), []error{ErrIntegrity}},
		"another blob's content": {page(func(p *api.RevisionsPage) { p.Blobs[0].Name = p.Blobs[1].Name }), []error{ErrIntegrity}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			r := s.send(SendOptions{Paths: []string{s.write("file", bytesOf(5, 17*mib))}})
			s.Change = c.change
			out := filepath.Join(t.TempDir(), "file")
			_, err := s.receive(r, ReceiveOptions{Target: out})
			for _, want := range c.want {
				if !errors.Is(err, want) {
					t.Errorf("have %v, want %v", err, want)
				}
			}
			if names := left(t, filepath.Dir(out)); len(names) != 0 {
				t.Errorf("written: %v", names)
			}
		})
	}
}

// TestServerLiesAboutBundles: splicing files of one bundle, and lying about its list.
func TestServerLiesAboutBundles(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(endpoint string, answer any){
		"no listing": func(_ string, a any) {
			if l, ok := a.(*api.LinkLook); ok {
				l.Listing = nil
			}
		},
		"a file as the listing": func(e string, a any) {
			if l, ok := a.(*api.LinkLook); ok {
				l.Listing.Revisions[0].ID = id.New[id.Revision]()
			}
		},
		"content of two files swapped": func(e string, a any) {
			if p, ok := a.(*api.RevisionsPage); ok && len(p.Revisions) > 1 {
				p.Revisions[0].Extents, p.Revisions[1].Extents = p.Revisions[1].Extents, p.Revisions[0].Extents
			}
		},
		"records of two files swapped": func(e string, a any) {
			if p, ok := a.(*api.RevisionsPage); ok && len(p.Revisions) > 1 {
				p.Revisions[0].ID, p.Revisions[1].ID = p.Revisions[1].ID, p.Revisions[0].ID
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			a, b := s.write("a", bytesOf(1, 5000)), s.write("b", bytesOf(2, 5000))
			r := s.send(SendOptions{Paths: []string{a, b}})
			s.Change = change
			out := t.TempDir()
			if _, err := s.receive(r, ReceiveOptions{Target: out}); !errors.Is(err, ErrIntegrity) && !errors.Is(err, ErrAnswer) {
				t.Fatalf("have %v", err)
			}
			for _, name := range left(t, out) {
				if raw, _ := os.ReadFile(filepath.Join(out, name)); !bytes.Equal(raw, bytesOf(map[string]uint64{"a": 1, "b": 2}[name], 5000)) {
					t.Errorf("%s is not what was sent", name)
				}
			}
		})
	}
}

// TestHostileNames: nothing is written outside of the target, and no control
// character becomes part of a name.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	names := []string{"a\x1b[31mred", "bidi\u202etxt.exe", "..\\..\\evil", "-rf", "CON", " space ", "new\nline", "caf\u00e9", "cafe\u0301"}
	for _, n := range names {
		s.write("tree/"+n, []byte(n))
	}
	r := s.send(SendOptions{Paths: []string{filepath.Join(s.dir, "src", "tree")}})
	out := t.TempDir()
	got, err := s.receive(r, ReceiveOptions{Target: out})
	if err != nil {
		t.Fatal(err)
	}
	written := left(t, filepath.Join(out, "tree"))
	if len(written) != len(names) || len(got.Renamed) != 3 {
		t.Errorf("%q, renamed %v", written, got.Renamed)
	}
	for _, n := range written {
		if strings.ContainsAny(n, "\x1b\n\u202e") {
			t.Errorf("%q", n)
		}
	}
}

// TestTargetHasTraps: links in the target that lead out of it are not followed.
func TestTargetHasTraps(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.write("tree/sub/file", []byte("x"))
	r := s.send(SendOptions{Paths: []string{filepath.Join(s.dir, "src", "tree")}})
	out, outside := t.TempDir(), t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(out, "tree"), 0o755), os.Symlink(outside, filepath.Join(out, "tree", "sub"))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.receive(r, ReceiveOptions{Target: out, Force: true}); err == nil {
		t.Error("no error")
	}
	if names := left(t, outside); len(names) != 0 {
		t.Errorf("outside: %v", names)
	}
}

func TestReaderReadsAtRandom(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	want := bytesOf(5, 40*mib+12345)
	r := s.send(SendOptions{Paths: []string{s.write("file", want)}})
	share, err := s.c.Open(t.Context(), r.Link, OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := share.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f, err := share.Reader(t.Context(), 0)
	if err != nil || f.Size() != int64(len(want)) {
		t.Fatal(f, err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		off := rng.Int64N(f.Size() - mib)
		p := make([]byte, mib)
		before := s.reads()
		if n, err := f.ReadAt(p, off); n != mib || err != nil || !bytes.Equal(p, want[off:off+mib]) {
			t.Fatalf("at %d: %d, %v", off, n, err)
		}
		if n := s.reads() - before; n > 2 { // A8
			t.Errorf("%d requests for 1 MiB", n)
		}
	}
	section := io.NewSectionReader(f, 0, f.Size())
	if all, err := io.ReadAll(section); err != nil || !bytes.Equal(all, want) {
		t.Errorf("%d bytes, %v", len(all), err)
	}
	for _, c := range []struct {
		off  int64
		n    int
		want error
	}{{f.Size(), 0, io.EOF}, {f.Size() - 3, 3, io.EOF}, {f.Size() + 9, 0, io.EOF}} {
		if n, err := f.ReadAt(make([]byte, 10), c.off); n != c.n || err != c.want {
			t.Errorf("at %d: %d, %v", c.off, n, err)
		}
	}
	if _, err := f.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("before the beginning")
	}
}

// TestNodeStoppedInTheMiddle: a node that stands still costs its reader little.
func TestNodeStoppedInTheMiddle(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	want := bytesOf(5, 60*mib)
	r := s.send(SendOptions{Paths: []string{s.write("file", want)}})
	var n atomic.Int32
	bad := s.Nodes[0]
	bad.Hook(func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		if n.Add(1) > 2 {
			bad.Stand(r)
			return
		}
		serve(w, r)
	})
	var faults []blobs.Fault
	begun := time.Now()
	var out bytes.Buffer
	_, err := s.receive(r, ReceiveOptions{Stdout: &out, Report: Report{Fault: func(f blobs.Fault) { faults = append(faults, f) }}})
	if err != nil || !bytes.Equal(out.Bytes(), want) {
		t.Fatalf("%d bytes, %v", out.Len(), err)
	}
	if took := time.Since(begun); took > 8*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestReceiveWhereOneNodeIsGone(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	root := s.makeTree()
	r := s.send(SendOptions{Paths: []string{root}})
	s.Nodes[0].Kill()
	out := t.TempDir()
	if _, err := s.receive(r, ReceiveOptions{Target: out}); err != nil {
		t.Fatal(err)
	}
	same(t, root, filepath.Join(out, "tree"))
	s.Nodes[1].Kill()
	s.c.Patience = 500 * time.Millisecond
	if _, err := s.receive(r, ReceiveOptions{Target: t.TempDir()}); !errors.Is(err, blobs.ErrNoCopy) {
		t.Errorf("both gone: %v", err)
	}
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	want := bytesOf(5, 20*mib)
	r := s.send(SendOptions{Paths: []string{s.write("file", want)}})
	w := failing{after: 10 * mib, err: io.ErrShortWrite}
	if _, err := s.receive(r, ReceiveOptions{Stdout: &w}); !errors.Is(err, io.ErrShortWrite) {
		t.Fatalf("have %v", err)
	}
	if slices.ContainsFunc(s.states(), func(n string) bool { return !strings.HasPrefix(n, "receive-") }) {
		t.Errorf("left: %v", s.states())
	}
}

type failing struct {
	after int
	err   error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, f.err
	}
	return len(p), nil
}

func TestOpenedMayEndAReceive(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.send(s.options(nil))
	no := errors.New("no")
	_, err := s.receive(r, ReceiveOptions{Target: t.TempDir(), Opened: func(share *Share) error {
		if files, size := share.Totals(); files != 1 || size != 5000 || share.Entries[0].Kind != descriptor.File {
			t.Errorf("%d files of %d bytes", files, size)
		}
		return no
	}})
	if !errors.Is(err, no) || s.Downloads() != 0 || len(s.states()) != 0 {
		t.Errorf("%v, %d downloads, %v", err, s.Downloads(), s.states())
	}
}

// TestStoppedBeforeTheFirstFile: a receive that is stopped while the server is asked
// where the files are has not succeeded.
func TestStoppedBeforeTheFirstFile(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.send(SendOptions{Paths: []string{s.makeTree()}})
	ctx, cancel := context.WithCancel(t.Context())
	s.Hook(func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		if strings.HasSuffix(r.URL.Path, "/revisions") {
			cancel() // and the answer comes too late
		}
		serve(w, r)
	})
	if _, err := s.c.Receive(ctx, r.Link, ReceiveOptions{Target: filepath.Join(s.dir, "out")}); !errors.Is(err, context.Canceled) {
		t.Errorf("have %v", err)
	}
}
