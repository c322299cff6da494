package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/client/home"
	"holdfast/client/internal/fake"
	"holdfast/client/source"
	"holdfast/format/link"
)

const mib = 1 << 20

// stage is a client, a fake service and a folder.
type stage struct {
	*fake.Service
	t    *testing.T
	c    *Client
	dir  string
	gets atomic.Int64 // requests for blobs
	wire *wiretap     // what left for nodes, once tapped
}

// counting counts requests for blobs, and takes down those that bring some.
type counting struct {
	s    *stage
	next http.RoundTripper
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == api.GetBlob.Method && strings.HasPrefix(r.URL.Path, "/blobs/") {
		c.s.gets.Add(1)
	}
	if c.s.wire != nil && r.Method == api.PutBlob.Method && r.URL.Path == api.PutBlob.Path {
		tapped, err := c.s.leave(r)
		if err != nil {
			return nil, err
		}
		r = tapped
	}
	return c.next.RoundTrip(r)
}

func newStage(t *testing.T, jurisdictions ...string) *stage {
	t.Helper()
	if jurisdictions == nil {
		jurisdictions = []string{"DE", "NZ", "IS"}
	}
	s := &stage{Service: fake.New(t, jurisdictions...), t: t, dir: t.TempDir()}
	s.c = s.client()
	return s
}

// client is another process's client with the same home.
func (s *stage) client() *Client {
	s.t.Helper()
	dir, err := home.Open(filepath.Join(s.dir, "home"))
	if err != nil {
		s.t.Fatal(err)
	}
	client := NewHTTP(nil)
	client.Transport = &counting{s, client.Transport}
	c, err := New(s.URL, client, dir)
	if err != nil {
		s.t.Fatal(err)
	}
	c.Patience = 4 * time.Second
	return c
}

func bytesOf(seed uint64, n int) []byte {
	out := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	r.Read(out)
	return out
}

// write makes a file in the stage's folder.
func (s *stage) write(name string, data []byte) string {
	s.t.Helper()
	path := filepath.Join(s.dir, "src", name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *stage) send(o SendOptions) *Result {
	s.t.Helper()
	r, err := s.c.Send(s.t.Context(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := r.Forget(); err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *stage) receive(r *Result, o ReceiveOptions) (*Received, error) {
	s.t.Helper()
	return s.c.Receive(s.t.Context(), r.Link, o)
}

// got receives one file and returns its content.
func (s *stage) got(r *Result) []byte {
	s.t.Helper()
	var out bytes.Buffer
	if _, err := s.receive(r, ReceiveOptions{Stdout: &out}); err != nil {
		s.t.Fatal(err)
	}
	return out.Bytes()
}

// left lists what is in a folder, to the last hidden file.
func left(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && path != dir {
			rel, _ := filepath.Rel(dir, path)
			names = append(names, rel)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func (s *stage) states() []string { return left(s.t, filepath.Join(s.dir, "home", "resume")) }

func TestOneFileOfAnySize(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, size := range []int{0, 1, 1023, 1024, 1025, 262_087, 262_088, 262_089, mib - 200, mib, 3 * mib, 8*mib - 552, 8 * mib, 17 * mib} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s.t = t
			want := bytesOf(uint64(size), size)
			r := s.send(SendOptions{Paths: []string{s.write("file.bin", want)}})
			if got := s.got(r); !bytes.Equal(got, want) {
				t.Errorf("%d bytes came back", len(got))
			}
			out := filepath.Join(t.TempDir(), "out")
			if _, err := s.receive(r, ReceiveOptions{Target: out}); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes on disk, %v", len(got), err)
			}
			if len(r.Nodes) != 2 || r.Places[0] != "Operator DE (DE)" || r.Bytes != int64(size) || r.Files != 1 || r.Name != "file.bin" {
				t.Errorf("%+v", r)
			}
		})
	}
	if states := s.states(); len(states) != 0 {
		t.Errorf("states left: %v", states)
	}
}

func TestStreamOfAnySize(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, size := range []int{0, 1, mib, 8*mib - 552, 8*mib - 551, 20 * mib} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s.t = t
			want := bytesOf(uint64(size), size)
			r := s.send(SendOptions{Stdin: bytes.NewReader(want), Name: "dump.sql"})
			if got := s.got(r); !bytes.Equal(got, want) || r.Bytes != int64(size) {
				t.Errorf("%d bytes came back, %d stated", len(got), r.Bytes)
			}
			if len(s.states()) != 0 {
				t.Error("a stream leaves a state that nobody can resume")
			}
		})
	}
}

// makeTree makes a folder with something of everything.
func (s *stage) makeTree() string {
	s.write("tree/small", []byte("small"))
	s.write("tree/zero", nil)
	s.write("tree/sub/large", bytesOf(1, 9*mib))
	s.write("tree/sub/middle", bytesOf(2, 2*mib))
	for i := range 40 {
		s.write(fmt.Sprintf("tree/many/%02d", i), bytesOf(uint64(i), i*10_000))
	}
	root := filepath.Join(s.dir, "src", "tree")
	if err := errors.Join(
		os.Mkdir(filepath.Join(root, "empty"), 0o755),
		os.Chmod(filepath.Join(root, "small"), 0o755),
		os.Symlink("small", filepath.Join(root, "link")),
		os.Chtimes(filepath.Join(root, "zero"), time.Time{}, time.Unix(-5, 999_999_999)),
		os.Chtimes(filepath.Join(root, "sub", "large"), time.Time{}, time.Unix(1_000_000_000, 123_456_789)),
		os.Chtimes(filepath.Join(root, "empty"), time.Time{}, time.Unix(7, 0)),
	); err != nil {
		s.t.Fatal(err)
	}
	return root
}

// same compares two trees: names, content, times and executable bits.
func same(t *testing.T, want, have string) {
	t.Helper()
	names := slices.DeleteFunc(left(t, want), func(n string) bool { return filepath.Base(n) == "link" })
	if got := left(t, have); !slices.Equal(names, got) {
		t.Fatalf("have %v\nwant %v", got, names)
	}
	for _, name := range names {
		a, err := os.Stat(filepath.Join(want, name))
		b, err2 := os.Stat(filepath.Join(have, name))
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if !a.ModTime().Equal(b.ModTime()) || a.IsDir() != b.IsDir() || a.Mode()&0o100 != b.Mode()&0o100 {
			t.Errorf("%s: have %v %v, want %v %v", name, b.Mode(), b.ModTime(), a.Mode(), a.ModTime())
		}
		if a.IsDir() {
			continue
		}
		x, err := os.ReadFile(filepath.Join(want, name))
		y, err2 := os.ReadFile(filepath.Join(have, name))
		if err := errors.Join(err, err2); err != nil || !bytes.Equal(x, y) {
			t.Errorf("%s: %d bytes instead of %d, %v", name, len(y), len(x), err)
		}
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	root := s.makeTree()
	var plan Plan
	r := s.send(SendOptions{Paths: []string{root}, Planned: func(p Plan) { plan = p }})
	if plan.Files != 44 || plan.Folders != 4 || len(plan.Skipped) != 1 || plan.Name != "tree" {
		t.Errorf("%+v", plan)
	}
	out := t.TempDir()
	got, err := s.receive(r, ReceiveOptions{Target: out})
	if err != nil {
		t.Fatal(err)
	}
	same(t, root, filepath.Join(out, "tree"))
	if len(got.Paths) != len(got.Share.Entries) || got.Share.Title != "" || !got.Share.Bundle {
		t.Errorf("%+v", got)
	}
	// One look, one session, and as few further questions as extents allow.
	if n := s.Calls("openUpload") + s.Calls("commitUpload") + s.Calls("getInfo") + s.Calls("stagePage"); n != 3 {
		t.Errorf("%d requests to the server for a send", n)
	}
	if s.Downloads() != 1 {
		t.Errorf("%d sessions", s.Downloads())
	}
	var out2 bytes.Buffer
	if _, err := s.receive(r, ReceiveOptions{Stdout: &out2}); !errors.Is(err, ErrNotOne) {
		t.Errorf("to a stream: %v", err)
	}
}

func TestSmallFilesSharePacksAndRequests(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for i := range 300 {
		s.write(fmt.Sprintf("many/%03d", i), bytesOf(uint64(i), 10_240))
	}
	s.send(SendOptions{Paths: []string{filepath.Join(s.dir, "src", "many")}})
	if n := s.Nodes[0].Holds(); n != 1 {
		t.Errorf("%d blobs for 300 small files", n)
	}
}

func TestSeveralFilesAndEmptyFolder(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	a, b := s.write("a.txt", []byte("a")), s.write("deep/b.txt", []byte("b"))
	empty := filepath.Join(s.dir, "src", "void")
	os.Mkdir(empty, 0o755)
	r := s.send(SendOptions{Paths: []string{a, b, empty}, Name: "My things"})
	out := filepath.Join(t.TempDir(), "made", "here")
	got, err := s.receive(r, ReceiveOptions{Target: out})
	if err != nil || got.Share.Title != "My things" {
		t.Fatalf("%+v, %v", got, err)
	}
	if names := left(t, out); !slices.Equal(names, []string{"a.txt", "b.txt", "void"}) {
		t.Error(names)
	}
	if r := s.send(SendOptions{Paths: []string{empty}}); r.Files != 0 {
		t.Errorf("%+v", r)
	}
}

func TestPassword(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.send(SendOptions{Paths: []string{s.write("f", []byte("secret"))}, Password: "pa ss"})
	for pass, want := range map[string]error{"": link.ErrPasswordNeeded, "wrong": api.WrongKey} {
		var out bytes.Buffer
		if _, err := s.receive(r, ReceiveOptions{Stdout: &out, Password: pass}); !errors.Is(err, want) || out.Len() != 0 {
			t.Errorf("%q: %v", pass, err)
		}
	}
	var out bytes.Buffer
	if _, err := s.receive(r, ReceiveOptions{Stdout: &out, Password: "pa ss"}); err != nil || out.String() != "secret" {
		t.Errorf("%q, %v", out.String(), err)
	}
	if s.Downloads() != 1 {
		t.Error("a wrong password counted as a download")
	}
}

func TestBadInputIsNamedAndNothingIsSent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options func(s *stage) SendOptions
		want    error
	}{
		"missing":            {func(s *stage) SendOptions { return SendOptions{Paths: []string{s.dir + "/none"}} }, source.ErrMissing},
		"too many days":      {func(s *stage) SendOptions { return s.options(func(o *SendOptions) { o.Expires = 31 * day }) }, ErrLimit},
		"too many downloads": {func(s *stage) SendOptions { return s.options(func(o *SendOptions) { o.Downloads = 101 }) }, ErrLimit},
		"too large": {func(s *stage) SendOptions {
			s.Limits.MaxUploadBytes = 1000
			return s.options(nil)
		}, ErrLimit},
		"stream too large": {func(s *stage) SendOptions {
			s.Limits.MaxUploadBytes = 10 * mib
			return SendOptions{Stdin: bytes.NewReader(make([]byte, 30*mib))}
		}, api.OverLimit},
		"stream breaks":     {func(s *stage) SendOptions { return SendOptions{Stdin: breaking{}} }, errBroken},
		"name with a slash": {func(s *stage) SendOptions { return s.options(func(o *SendOptions) { o.Name = "../x" }) }, nil},
		"hostile password":  {func(s *stage) SendOptions { return s.options(func(o *SendOptions) { o.Password = "a\x00b" }) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			_, err := s.c.Send(t.Context(), c.options(s))
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Fatalf("have %v", err)
			}
			if len(s.Links()) != 0 || s.Calls("commitUpload") != 0 {
				t.Error("something was published")
			}
			if states := s.states(); len(states) > 1 {
				t.Errorf("left behind: %v", states)
			}
		})
	}
}

func (s *stage) options(change func(*SendOptions)) SendOptions {
	o := SendOptions{Paths: []string{s.write("file", bytesOf(1, 5000))}}
	if change != nil {
		change(&o)
	}
	return o
}

var errBroken = errors.New("the pipe broke")

type breaking struct{}

func (breaking) Read(p []byte) (int, error) { return 0, errBroken }

func TestServerThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.Hook(func(http.ResponseWriter, *http.Request, http.HandlerFunc) { panic(http.ErrAbortHandler) })
	var waited atomic.Int32
	s.c.Waiting = func(error) { waited.Add(1) }
	begun := time.Now()
	_, err := s.c.Send(t.Context(), s.options(nil))
	if !errors.Is(err, api.ErrUnreachable) || waited.Load() == 0 || time.Since(begun) > firstPatience+time.Second {
		t.Fatalf("%v after %s, told %d times", err, time.Since(begun), waited.Load())
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	dir, err := home.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "share.example", "http://share.example", "ftp://x", "https://a@b"} {
		if _, err := New(bad, nil, dir); !errors.Is(err, ErrServer) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestRevokeAndStatus(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.send(s.options(nil))
	manage, err := link.ParseSecret(r.Manage)
	if err != nil {
		t.Fatal(err)
	}
	state, nodes, err := s.c.Status(t.Context(), r.Handle, manage)
	if err != nil || state.State != "live" || len(nodes) != 2 {
		t.Fatalf("%+v, %v", state, err)
	}
	s.Nodes[1].Kill()
	if states := s.c.States(t.Context(), nodes); !slices.Equal(states, []string{"serving", Unreachable}) {
		t.Error(states)
	}
	if err := s.c.Revoke(t.Context(), r.Handle, link.NewSecret()); !errors.Is(err, api.Unauthorized) {
		t.Errorf("another secret: %v", err)
	}
	for range 2 {
		if err := s.c.Revoke(t.Context(), r.Handle, manage); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.receive(r, ReceiveOptions{Target: t.TempDir()}); !errors.Is(err, api.LinkRevoked) {
		t.Errorf("revoked: %v", err)
	}
}

func TestProgressAddsUp(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var mu sync.Mutex
	sums := map[Stage]int64{}
	report := Report{Progress: func(stage Stage, n int64) {
		mu.Lock()
		defer mu.Unlock()
		sums[stage] += n
	}}
	path := s.write("f", bytesOf(1, 20*mib))
	var stored int64
	r := s.send(SendOptions{Paths: []string{path}, Report: report, Planned: func(p Plan) { stored = p.Stored }})
	want := map[Stage]int64{Read: 20 * mib, Sealed: stored, Sent: stored, StoredOne: stored, StoredTwo: stored}
	for stage, n := range want {
		if sums[stage] != n {
			t.Errorf("stage %d: %d, want %d", stage, sums[stage], n)
		}
	}
	if _, err := s.receive(r, ReceiveOptions{Target: t.TempDir(), Report: report}); err != nil || sums[Written] != 20*mib {
		t.Errorf("%d received, %v", sums[Written], err)
	}
}
