package threats

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/api"
	"holdfast/client/blobs"
	"holdfast/client/transfer"
	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/format/link"
)

// specimen is a file that was sent, with all that an attacker who is server and
// nodes at once knows of it, and its plaintext.
type specimen struct {
	link     link.Link
	url      string
	plain    []byte
	name     string
	head     api.RevisionHead
	stream   []byte
	large    bool
	password string
}

// noise is pseudo-random bytes.
func noise(size int, seed byte) []byte {
	b := make([]byte, size)
	src := rand.NewChaCha8([32]byte{seed, 77})
	src.Read(b) // never fails
	return b
}

func writeFile(t testing.TB, path string, content []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// send sends paths and returns the result, with everything on the tape.
func send(t testing.TB, o transfer.SendOptions) (*transfer.Result, *tape) {
	t.Helper()
	tp := taped(t)
	c, _ := newClient(t)
	got, err := c.Send(limited(t), o)
	if err != nil {
		t.Fatalf("send: %v", err)
	}
	if err := got.Forget(); err != nil {
		t.Fatal(err)
	}
	return got, tp
}

func limited(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// committed is what a tape's commits brought: revisions, and the blobs in order.
func (t *tape) committed(tb testing.TB) (all []api.RevisionEntry, names []id.Name) {
	tb.Helper()
	for _, x := range t.calls(api.CommitUpload.Info) {
		if x.status != http.StatusOK {
			continue
		}
		var req api.CommitRequest
		if err := json.Unmarshal(x.sent, &req); err != nil {
			tb.Fatal(err)
		}
		all = append(all, req.Page.Revisions...)
		for _, b := range req.Page.Blobs {
			names = append(names, b.Name)
		}
	}
	return all, names
}

// bodies are the blobs that passed the fronts of nodes.
func (t *tape) bodies() map[id.Name][]byte {
	out := map[id.Name][]byte{}
	for _, x := range t.calls(api.PutBlob) {
		out[blob.Name(x.sent)] = x.sent
	}
	return out
}

// sendOne sends one file of that size.
func sendOne(t testing.TB, size int, seed byte, password string) *specimen {
	t.Helper()
	s := &specimen{plain: noise(size, seed), name: "file-" + strconv.Itoa(int(seed)) + ".bin", password: password}
	path := writeFile(t, filepath.Join(t.TempDir(), s.name), s.plain)
	got, tp := send(t, transfer.SendOptions{Paths: []string{path}, Password: password})
	s.link, s.url = got.Link, got.URL
	revisions, names := tp.committed(t)
	if len(revisions) != 1 {
		t.Fatalf("%d revisions were committed", len(revisions))
	}
	bodies := tp.bodies()
	s.head, s.large = revisions[0].RevisionHead, revisions[0].Length > blob.PackMax
	for _, e := range revisions[0].Extents {
		s.stream = append(s.stream, bodies[names[e[0]]][e[1]:e[1]+e[2]]...)
	}
	if int64(len(s.stream)) != s.head.Length {
		t.Fatalf("the stream has %d bytes, %d were taken down", s.head.Length, len(s.stream))
	}
	return s
}

// specimens are sent once for all tests that only read them.
var specimens = struct {
	sync.Mutex
	sent map[string]*specimen
}{sent: map[string]*specimen{}}

func shared(t testing.TB, size int, seed byte) *specimen {
	t.Helper()
	specimens.Lock()
	defer specimens.Unlock()
	key := strconv.Itoa(size) + "/" + strconv.Itoa(int(seed))
	if specimens.sent[key] == nil {
		honest()
		specimens.sent[key] = sendOne(t, size, seed, "")
	}
	return specimens.sent[key]
}

// Sizes of specimens: one segment, three segments in a pack, three blobs.
const (
	small  = 3000
	medium = 700 << 10
	large  = 17 << 20
)

// pieces cuts a stream as it was.
func (s *specimen) pieces() [][]byte {
	if !s.large {
		return [][]byte{bytes.Clone(s.stream)}
	}
	var out [][]byte
	for i := range blob.Pieces(int64(len(s.stream))) {
		from, n := blob.Piece(int64(len(s.stream)), i)
		out = append(out, bytes.Clone(s.stream[from:from+n]))
	}
	return out
}

// forgery is what server and nodes together say instead of the truth: other
// blobs, under names that fit them, and another record.
type forgery struct {
	t      testing.TB
	pieces [][]byte
	// packed hides a single piece inside of a larger blob, so that it is read
	// with a proof.
	packed bool
	// change alters the record that the server gives out; may be nil.
	change func(*api.PlacedRevision)
}

// play makes it so.
func (f forgery) play() {
	f.t.Helper()
	stored := map[string][]byte{}
	var placed []api.PlacedBlob
	var extents []api.Extent
	for i, p := range f.pieces {
		body, offset := p, int64(0)
		if f.packed {
			body, offset = bytes.Join([][]byte{noise(40_000, 9), p, noise(20_000, 8)}, nil), 40_000
		}
		name := blob.Name(body)
		stored[name.String()] = body
		placed = append(placed, api.PlacedBlob{Name: name, Size: int64(len(body))})
		extents = append(extents, api.Extent{int64(i), offset, int64(len(p))})
	}
	replace := func(where *api.Places) {
		truth := where.Blobs[0]
		where.Blobs = nil
		for _, b := range placed {
			b.Upload, b.Nodes, b.Ticket = truth.Upload, truth.Nodes, truth.Ticket
			where.Blobs = append(where.Blobs, b)
		}
	}
	play(f.t, evil{
		request: func(x *exchange) bool { return x.is(api.GetBlob) && x.serve(stored) },
		answer: func(x *exchange) {
			switch {
			case x.is(api.GetRevisions.Info):
				rewrite(x, func(page *api.RevisionsPage) {
					replace(&page.Places)
					page.Revisions[0].Extents, page.Revisions[0].ExtentCount = extents, len(extents)
					if f.change != nil {
						f.change(&page.Revisions[0])
					}
				})
			case x.is(api.GetExtents.Info):
				rewrite(x, func(page *api.ExtentsPage) {
					replace(&page.Places)
					page.Extents, page.ExtentCount = extents, len(extents)
				})
			}
		},
	})
}

// serve answers a read from what an evil node has.
func (x *exchange) serve(stored map[string][]byte) bool {
	body, ok := stored[strings.TrimPrefix(x.req.URL.Path, "/blobs/")]
	if !ok {
		return x.refuse(api.BlobUnknown)
	}
	query := x.req.URL.Query()
	x.status, x.header, x.body = http.StatusOK, http.Header{"Content-Type": {api.TypeBytes}}, body
	if !query.Has("offset") {
		return true
	}
	offset, _ := strconv.ParseInt(query.Get("offset"), 10, 64)
	length, _ := strconv.ParseInt(query.Get("length"), 10, 64)
	tree, _, err := blob.NewOutboard(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		panic(err)
	}
	var slice bytes.Buffer
	if err := blob.WriteSlice(&slice, bytes.NewReader(body), tree, offset, length); err != nil {
		panic(err)
	}
	x.header.Set("Content-Type", api.TypeSlice)
	x.body = slice.Bytes()
	return true
}

// got is what a receive did.
type got struct {
	err    error
	folder string
	faults []blobs.Fault
}

// receive receives into a fresh folder.
func (s *specimen) receive(t testing.TB) got {
	t.Helper()
	c, _ := newClient(t)
	g := got{folder: t.TempDir()}
	var mu sync.Mutex
	o := transfer.ReceiveOptions{Target: g.folder, Password: s.password}
	o.Fault = func(f blobs.Fault) {
		mu.Lock()
		defer mu.Unlock()
		g.faults = append(g.faults, f)
	}
	_, g.err = c.Receive(limited(t), s.link, o)
	return g
}

// files are all files below the folder, hidden ones included.
func files(t testing.TB, folder string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// refused wants a receive that ended with an error of integrity and left nothing.
func (s *specimen) refused(t testing.TB, want ...error) {
	t.Helper()
	g := s.receive(t)
	if !errors.Is(g.err, transfer.ErrIntegrity) {
		t.Errorf("received with %v, want an error of integrity", g.err)
	}
	for _, w := range want {
		if !errors.Is(g.err, w) {
			t.Errorf("refused with %v, want %v", g.err, w)
		}
	}
	if left := files(t, g.folder); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// whole wants a receive that brought the file, and returns what it brought.
func (s *specimen) whole(t testing.TB) got {
	t.Helper()
	g := s.receive(t)
	if g.err != nil {
		t.Fatalf("receive: %v", g.err)
	}
	have, err := os.ReadFile(filepath.Join(g.folder, s.name))
	if err != nil || !bytes.Equal(have, s.plain) {
		t.Fatalf("what came is not what was sent: %d bytes, %v", len(have), err)
	}
	return g
}
