package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"holdfast/api"
	"holdfast/client/transfer"
	"holdfast/cluster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	mib = 1 << 20
	// bigFile has four blobs, the last one not full.
	bigFile = 26*mib + 12345
)

// content is the same for the same seed, and nothing that could be compressed.
func content(seed uint64, size int) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	b := make([]byte, size)
	_, _ = rand.NewChaCha8(key).Read(b) // never fails
	return b
}

// tree writes files, by name, and returns their folder.
func tree(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	for name, b := range files {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, os.WriteFile(path, b, 0o600))
	}
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// send sends one file and forgets how it was done.
func send(t *testing.T, c *transfer.Client, b []byte, o transfer.SendOptions) *transfer.Result {
	t.Helper()
	o.Paths = []string{filepath.Join(tree(t, map[string][]byte{"file.bin": b}), "file.bin")}
	r, err := c.Send(t.Context(), o)
	must(t, err)
	must(t, r.Forget())
	return r
}

// stream receives a link to one file.
func stream(ctx context.Context, c *transfer.Client, r *transfer.Result, password string) ([]byte, error) {
	var got bytes.Buffer
	_, err := c.Receive(ctx, r.Link, transfer.ReceiveOptions{Stdout: &got, Password: password})
	return got.Bytes(), err
}

// arrives receives a link to one file, which must be as it was sent.
func arrives(t *testing.T, c *transfer.Client, r *transfer.Result, want []byte) {
	t.Helper()
	got, err := stream(t.Context(), c, r, "")
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("received %d bytes that are not the %d sent", len(got), len(want))
	}
}

// same compares a folder with what was written into it.
func same(t *testing.T, dir string, want map[string][]byte) {
	t.Helper()
	found := 0
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		found++
		name, err := filepath.Rel(dir, path)
		must(t, err)
		have, err := os.ReadFile(path)
		must(t, err)
		if b, sent := want[filepath.ToSlash(name)]; !sent || !bytes.Equal(have, b) {
			t.Errorf("%s is not what was sent", name)
		}
		return nil
	}))
	if found != len(want) {
		t.Errorf("%d files, %d were sent", found, len(want))
	}
}

// calls are the requests to the API.
func calls(tap *cluster.Tap) (all []string) {
	for _, r := range tap.Take() {
		if strings.HasPrefix(r.Path, "/api/") {
			all = append(all, r.Method+" "+r.Path)
		}
	}
	return all
}

// holders are the nodes that hold something.
func holders(c *cluster.Cluster) (all []*cluster.Node) {
	for _, n := range c.Nodes {
		if n.Running() && n.Held().Blobs > 0 {
			all = append(all, n)
		}
	}
	return all
}

// copies checks how the database says that blobs stand: each at exactly two
// nodes, with a third copy wanted.
func copies(t *testing.T, c *cluster.Cluster) (blobs int64) {
	t.Helper()
	blobs, twice := copiesAfterFaults(t, c)
	if twice != blobs {
		t.Errorf("of %d blobs %d stand at three nodes", blobs, blobs-twice)
	}
	return blobs
}

// copiesAfterFaults is copies for a send that was disturbed: a blob that was sent
// again may stand at a third node already, so that no copy of it is wanted.
func copiesAfterFaults(t *testing.T, c *cluster.Cluster) (blobs, twice int64) {
	t.Helper()
	n := c.Server.Numbers(t.Context(), `WITH stands AS (SELECT
			(SELECT COUNT(*) FROM copy WHERE blob = num AND state = 1 AND node <> 0) AS stored,
			(SELECT COUNT(*) FROM copy WHERE blob = num AND state = 2) AS wanted FROM blob)
		SELECT COUNT(*), COALESCE(SUM(stored = 2 AND wanted = 1), 0), COALESCE(SUM(stored = 3 AND wanted = 0), 0) FROM stands`)
	if n[0] == 0 || n[1]+n[2] != n[0] {
		t.Errorf("of %d blobs %d stand at two nodes and %d at three, counting a third copy that is wanted", n[0], n[1], n[2])
	}
	return n[0], n[1]
}

// code tells whether err is a problem with that code.
func code(t *testing.T, err error, want api.Code) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("have %v, want %s", err, want)
	}
}

// interrupted is a reader that fails after what it has.
func interrupted(b []byte, err error) io.Reader {
	return io.MultiReader(bytes.NewReader(b), failing{err})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
