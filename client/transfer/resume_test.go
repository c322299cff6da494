package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/client/home"
	"holdfast/client/source"
)

// crash stops a send when the nodes have taken n blobs, as killing the client does.
func (s *stage) crash(o SendOptions, n int) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	var stored atomic.Int32
	o.Progress = func(stage Stage, _ int64) {
		if stage == StoredTwo && int(stored.Add(1)) >= n {
			cancel()
		}
	}
	if _, err := s.c.Send(ctx, o); !errors.Is(err, context.Canceled) {
		s.t.Fatalf("not stopped: %v", err)
	}
	s.c = s.client()
}

func (s *stage) sentBytes() (sum int64) {
	for _, n := range s.Nodes {
		sum += n.Bytes.Load()
	}
	return sum
}

func TestSendResumes(t *testing.T) {
	t.Parallel()
	for _, after := range []int{1, 3, 6} {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			s := newStage(t)
			want := bytesOf(3, 60*mib)
			o := SendOptions{Paths: []string{s.write("file", want)}}
			s.crash(o, after)
			first := s.sentBytes()
			var plan Plan
			o.Planned = func(p Plan) { plan = p }
			r := s.send(o)
			if again := s.sentBytes() - plan.Stored; again > inFlight*8*mib {
				t.Errorf("%d sent at first, %d too many in all", first, again)
			}
			if !plan.Resumed || plan.Kept == 0 || s.Calls("openUpload") != 1 {
				t.Errorf("not resumed: %+v", plan)
			}
			if got := s.got(r); !bytes.Equal(got, want) || len(s.Links()) != 1 || len(s.states()) != 0 {
				t.Errorf("%d bytes, %d links, left: %v", len(got), len(s.Links()), s.states())
			}
		})
	}
}

func TestSendResumesWhileANodeIsAway(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	want := bytesOf(3, 24*mib)
	o := SendOptions{Paths: []string{s.write("file", want)}}
	s.crash(o, 2)
	s.Nodes[0].Kill() // its receipts are remembered here, and stay good
	var plan Plan
	o.Planned = func(p Plan) { plan = p }
	r := s.send(o)
	if plan.Kept == 0 {
		t.Errorf("%+v", plan)
	}
	if got := s.got(r); !bytes.Equal(got, want) {
		t.Errorf("%d bytes", len(got))
	}
}

func TestOneProcessASend(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	o := s.options(nil)
	var busy error
	second := o
	o.Planned = func(Plan) { _, busy = s.client().Send(t.Context(), second) }
	s.send(o)
	if !errors.Is(busy, home.ErrBusy) {
		t.Errorf("second process: %v", busy)
	}
}

// TestSourceChangedBetweenTries: threat 12. Whatever changed, no key is used for
// two plaintexts, and what is published is what stands there now.
func TestSourceChangedBetweenTries(t *testing.T) {
	t.Parallel()
	edit := func(path string, at int) error {
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		raw[at] ^= 0xff
		return os.WriteFile(path, raw, 0o644)
	}
	for name, change := range map[string]func(path string) error{
		"edited":      func(p string) error { return edit(p, 5) },
		"edited late": func(p string) error { return edit(p, 23*mib) },
		"edited, time set back": func(p string) error {
			info, err := os.Stat(p)
			return errors.Join(err, edit(p, 5), os.Chtimes(p, time.Time{}, info.ModTime()))
		},
		"growing log": func(p string) error {
			f, err := os.OpenFile(p, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.Write(bytesOf(9, 3*mib))
			return errors.Join(err, f.Close())
		},
		"shorter": func(p string) error { return os.Truncate(p, 18*mib) },
		"another file": func(p string) error {
			return errors.Join(os.WriteFile(p+".new", bytesOf(10, 24*mib), 0o644), os.Rename(p+".new", p))
		},
		"only touched": func(p string) error { return os.Chtimes(p, time.Time{}, time.Unix(1, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			path := s.write("file", bytesOf(3, 24*mib))
			w := s.tap(nil)
			s.crash(SendOptions{Paths: []string{path}}, 2)
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			s.tap(nil)
			r := s.send(SendOptions{Paths: []string{path}})
			w.noncesUsedOnce(t)
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.got(r); !bytes.Equal(got, want) {
				t.Errorf("%d bytes came back, not those of now", len(got))
			}
			for _, rev := range s.Revisions() {
				if rev.Length < 1 || len(s.Revisions()) != 1 {
					t.Errorf("%+v", rev)
				}
			}
		})
	}
}

// TestUnnoticedChange: a change that leaves size, times and inode alone is found
// when a piece does not come out as recorded.
func TestUnnoticedChange(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	path := s.write("file", bytesOf(3, 24*mib))
	ctx, cancel := context.WithCancel(t.Context())
	w := s.tap(func(n int) bool { // the first pieces leave, and get no receipt; then the sender dies
		if n == 3 {
			cancel()
		}
		return n > 3
	})
	o := SendOptions{Paths: []string{path}}
	if _, err := s.c.Send(ctx, o); err == nil {
		t.Fatal("not stopped")
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytesOf(4, 24*mib)
	if err := errors.Join(os.WriteFile(path, changed, 0o644), os.Chtimes(path, time.Time{}, info.ModTime())); err != nil {
		t.Fatal(err)
	}
	s.forgeStamp(path)
	s.tap(nil)
	s.c = s.client()
	r := s.send(SendOptions{Paths: []string{path}})
	w.noncesUsedOnce(t)
	if got := s.got(r); !bytes.Equal(got, changed) {
		t.Error("a mixture was published")
	}
}

// forgeStamp writes the file's present time of change into the state, as if it
// had never moved: a file system without one.
func (s *stage) forgeStamp(path string) {
	s.t.Helper()
	tree, err := source.Walk(s.t.Context(), []string{path})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range s.states() {
		file := filepath.Join(s.dir, "home", "resume", name)
		raw, err := os.ReadFile(file)
		if err != nil {
			s.t.Fatal(err)
		}
		at := strings.Index(string(raw), `"ctime":`) + len(`"ctime":`)
		end := at + strings.IndexAny(string(raw[at:]), ",}")
		forged := string(raw[:at]) + fmt.Sprint(tree.Entries[0].ChangeTime) + string(raw[end:])
		if err := os.WriteFile(file, []byte(forged), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

// TestFolderChangedBetweenTries: small files share blobs, and so their fates.
func TestFolderChangedBetweenTries(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(root string) error{
		"one small file edited": func(r string) error { return os.WriteFile(filepath.Join(r, "005"), bytesOf(99, 20_000), 0o644) },
		"one added":             func(r string) error { return os.WriteFile(filepath.Join(r, "000a"), bytesOf(99, 20_000), 0o644) },
		"one gone":              func(r string) error { return os.Remove(filepath.Join(r, "005")) },
		"one larger":            func(r string) error { return os.WriteFile(filepath.Join(r, "005"), bytesOf(98, 90_000), 0o644) },
		"the large one edited":  func(r string) error { return os.WriteFile(filepath.Join(r, "zlarge"), bytesOf(97, 12*mib), 0o644) },
		"a folder added":        func(r string) error { return os.Mkdir(filepath.Join(r, "new"), 0o755) },
		"nothing":               func(string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			for i := range 500 {
				s.write(fmt.Sprintf("tree/%03d", i), bytesOf(uint64(i), 30_000))
			}
			s.write("tree/zlarge", bytesOf(1, 12*mib))
			root := filepath.Join(s.dir, "src", "tree")
			w := s.tap(nil)
			s.crash(SendOptions{Paths: []string{root}}, 2)
			if err := change(root); err != nil {
				t.Fatal(err)
			}
			s.tap(nil)
			r := s.send(SendOptions{Paths: []string{root}})
			w.noncesUsedOnce(t)
			out := t.TempDir()
			if _, err := s.receive(r, ReceiveOptions{Target: out}); err != nil {
				t.Fatal(err)
			}
			same(t, root, filepath.Join(out, "tree"))
			if len(s.Links()) != 1 {
				t.Errorf("%d links", len(s.Links()))
			}
		})
	}
}

func TestFileChangesWhileItIsSent(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	path := s.write("file", bytesOf(3, 60*mib))
	var once sync.Once
	o := SendOptions{Paths: []string{path}}
	o.Progress = func(stage Stage, _ int64) {
		if stage == StoredOne {
			once.Do(func() {
				f, err := os.OpenFile(path, os.O_WRONLY, 0)
				if err == nil {
					_, err = f.WriteAt([]byte("changed"), 59*mib)
					err = errors.Join(err, f.Close())
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	_, err := s.c.Send(t.Context(), o)
	if !errors.Is(err, source.ErrChanged) || !strings.Contains(err.Error(), "file") || s.Calls("commitUpload") != 0 {
		t.Fatalf("have %v, %d commits", err, s.Calls("commitUpload"))
	}
	w := s.tap(nil)
	r := s.send(SendOptions{Paths: []string{path}})
	w.noncesUsedOnce(t)
	want, _ := os.ReadFile(path)
	if got := s.got(r); !bytes.Equal(got, want) {
		t.Error("not the file as it is now")
	}
}

// loseCommit lets commits through and loses their answers.
func (s *stage) loseCommit(times int, then func()) {
	var n atomic.Int32
	s.Hook(func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		if !strings.HasSuffix(r.URL.Path, "/commit") || int(n.Add(1)) > times {
			serve(w, r)
			return
		}
		serve(&lost{}, r)
		if then != nil {
			then()
		}
		panic(http.ErrAbortHandler)
	})
}

type lost struct{ header http.Header }

func (d *lost) Header() http.Header {
	if d.header == nil {
		d.header = http.Header{}
	}
	return d.header
}
func (*lost) Write(p []byte) (int, error) { return len(p), nil }
func (*lost) WriteHeader(int)             {}

// TestCommitAnswerLost: fault 4, in one process and over two.
func TestCommitAnswerLost(t *testing.T) {
	t.Parallel()
	t.Run("asked again", func(t *testing.T) {
		s := newStage(t)
		s.loseCommit(2, nil)
		r := s.send(s.options(nil))
		if len(s.Links()) != 1 || len(s.got(r)) != 5000 {
			t.Errorf("%d links", len(s.Links()))
		}
	})
	for name, c := range map[string]struct {
		second func(s *stage, o SendOptions) SendOptions
		links  int // that stand in the end
		same   bool
	}{
		"asked by the next process": {func(_ *stage, o SendOptions) SendOptions { return o }, 1, true},
		"with another file by then": {func(s *stage, o SendOptions) SendOptions {
			s.write("file", bytesOf(77, 6000))
			return o
		}, 1, false},
		"with another password": {func(_ *stage, o SendOptions) SendOptions { o.Password = "other"; return o }, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			o := s.options(func(o *SendOptions) { o.Password = "pass" })
			ctx, cancel := context.WithCancel(t.Context())
			s.loseCommit(1, cancel)
			if _, err := s.c.Send(ctx, o); !errors.Is(err, context.Canceled) || len(s.Links()) != 1 {
				t.Fatalf("%v, %d links", err, len(s.Links()))
			}
			first := s.Handle(t)
			s.c = s.client()
			o = c.second(s, o)
			r := s.send(o)
			if len(s.Links()) != c.links || (r.Handle == first) != c.same {
				t.Errorf("%d links stand, the first again: %v", len(s.Links()), r.Handle == first)
			}
			var out bytes.Buffer
			want, _ := os.ReadFile(o.Paths[0])
			if _, err := s.receive(r, ReceiveOptions{Stdout: &out, Password: o.Password}); err != nil || !bytes.Equal(out.Bytes(), want) {
				t.Errorf("%d bytes, %v", out.Len(), err)
			}
		})
	}
}

func TestLinkIsTheSameUntilItWasHandedOver(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	o := s.options(nil)
	r, err := s.c.Send(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	// The process dies before it prints; a test's first holder lets go by erasing nothing.
	if err := s.letGoOfLocks(); err != nil {
		t.Fatal(err)
	}
	again := s.send(o)
	if again.URL != r.URL || len(s.Links()) != 1 {
		t.Errorf("another link: %d", len(s.Links()))
	}
	if third := s.send(o); third.URL == r.URL {
		t.Error("a new send got the old link")
	}
}

// letGoOfLocks replaces state files by copies, which nobody has locked: what the
// end of a process does.
func (s *stage) letGoOfLocks() error {
	dir := filepath.Join(s.dir, "home", "resume")
	for _, name := range s.states() {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = errors.Join(os.Remove(filepath.Join(dir, name)), os.WriteFile(filepath.Join(dir, name), raw, 0o600))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func TestClosedUploadIsBegunAnew(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	want := bytesOf(3, 24*mib)
	o := SendOptions{Paths: []string{s.write("file", want)}}
	w := s.tap(nil)
	s.crash(o, 2)
	s.Close()
	s.tap(nil)
	r := s.send(o)
	w.noncesUsedOnce(t)
	if got := s.got(r); !bytes.Equal(got, want) || s.Calls("openUpload") != 2 {
		t.Errorf("%d bytes, %d uploads", len(got), s.Calls("openUpload"))
	}
}

func TestDamagedStateIsBegunAnew(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	o := SendOptions{Paths: []string{s.write("file", bytesOf(3, 24*mib))}}
	s.crash(o, 2)
	for _, name := range s.states() {
		if err := os.WriteFile(filepath.Join(s.dir, "home", "resume", name), []byte("{}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := s.send(o)
	if got := s.got(r); len(got) != 24*mib {
		t.Errorf("%d bytes", len(got))
	}
}

func TestCommitRefusedForGood(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.Hook(func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
		if strings.HasSuffix(r.URL.Path, "/commit") {
			api.WriteProblem(w, api.NewProblem(api.ReceiptsMissing, "a node lost its disk"))
			return
		}
		serve(w, r)
	})
	o := s.options(nil)
	if _, err := s.c.Send(t.Context(), o); !errors.Is(err, api.ReceiptsMissing) {
		t.Fatalf("have %v", err)
	}
	s.Hook(nil)
	if r := s.send(o); len(s.got(r)) != 5000 || s.Calls("openUpload") != 2 {
		t.Error("not begun anew")
	}
}

func TestManyPages(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	root := filepath.Join(s.dir, "src", "many")
	for i := range 9000 {
		s.write(fmt.Sprintf("many/%04d", i), []byte(fmt.Sprint(i)))
	}
	r := s.send(SendOptions{Paths: []string{root}})
	if s.Calls("stagePage") == 0 {
		t.Error("no page was staged")
	}
	share, err := s.c.Open(t.Context(), r.Link, OpenOptions{})
	if err != nil || len(share.Entries) != 9001 {
		t.Fatalf("%v, %v", share, err)
	}
	var out bytes.Buffer
	if err := share.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := share.Stream(t.Context(), 9000, &out); err != nil || out.String() != "8999" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// TestNamesAreWrittenBeforeBytesLeave: when the first byte of a blob arrives
// anywhere, its name stands in the state.
func TestNamesAreWrittenBeforeBytesLeave(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for i := range 20 {
		s.write(fmt.Sprintf("tree/%02d", i), bytesOf(uint64(i), 5000))
	}
	s.write("tree/large", bytesOf(1, 30*mib))
	var early atomic.Int32
	for _, n := range s.Nodes {
		n.Hook(func(w http.ResponseWriter, r *http.Request, serve http.HandlerFunc) {
			if r.Method == http.MethodPost && r.URL.Path == "/blobs" && !s.stated(r.Header.Get(api.HeaderBlob)) {
				early.Add(1)
			}
			serve(w, r)
		})
	}
	// Every node misbehaves for the fake's own forwarding, so that the client asks each itself.
	s.send(SendOptions{Paths: []string{filepath.Join(s.dir, "src", "tree")}})
	if early.Load() > 0 {
		t.Errorf("%d blobs left before their names were written", early.Load())
	}
}

// stated tells whether a name stands in a state file.
func (s *stage) stated(name string) bool {
	for _, file := range s.states() {
		raw, err := os.ReadFile(filepath.Join(s.dir, "home", "resume", file))
		if err == nil && bytes.Contains(raw, []byte(name)) {
			return true
		}
	}
	return false
}
