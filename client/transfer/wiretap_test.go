package transfer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"holdfast/api"
	"holdfast/client/resume"
	"holdfast/format/seal"
)

// wiretap takes down every stream, or piece of one, that a node was sent, of
// every try: those within packs too, the listing's among them.
type wiretap struct {
	mu      sync.Mutex // guards what follows
	streams []sealedUnder
	pass    func(n int) bool // may be nil
	count   int
}

// sealedUnder is ciphertext and what it was sealed under: the stream's header,
// which stands for the keys that are drawn together with it, and the piece.
type sealedUnder struct {
	header string
	piece  int
	data   []byte
}

// errCut is what a client sees of a node that died.
var errCut = errors.New("the connection was cut")

// tap listens at the clients' connections to nodes. Each blob that leaves is put
// before f, whose false cuts the connection as a dying node does. All taps of a
// stage write to one wiretap.
func (s *stage) tap(f func(n int) bool) *wiretap {
	if s.wire == nil {
		s.wire = &wiretap{}
	}
	s.wire.mu.Lock()
	defer s.wire.mu.Unlock()
	s.wire.pass, s.wire.count = f, 0
	return s.wire
}

// leave takes a request down before it leaves.
func (s *stage) leave(r *http.Request) (*http.Request, error) {
	data, err := io.ReadAll(r.Body)
	if err = errors.Join(err, r.Body.Close()); err != nil {
		return nil, err
	}
	s.takeDown(r.Header.Get(api.HeaderBlob), data)
	s.wire.mu.Lock()
	s.wire.count++
	n, pass := s.wire.count, s.wire.pass
	s.wire.mu.Unlock()
	if pass != nil && !pass(n) {
		return nil, errCut
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(data))
	return r, nil
}

// takeDown cuts a blob into its streams, as the state says that stands when it leaves.
func (s *stage) takeDown(name string, data []byte) {
	parts := s.partsOf(name)
	if len(parts) == 0 {
		s.t.Errorf("a blob leaves whose name is not written down")
		return
	}
	for i := range parts {
		if at := bytes.Index(data, []byte(parts[i].header)); parts[i].piece == 0 && at >= 0 {
			parts[i].data = data[at:]
		} else if parts[i].piece > 0 {
			parts[i].data = data
		} else {
			s.t.Errorf("a blob leaves without a stream that should be in it")
		}
	}
	for i := range parts[:len(parts)-1] { // the streams lie side by side, in this order
		parts[i].data = parts[i].data[:len(parts[i].data)-len(parts[i+1].data)]
	}
	s.wire.mu.Lock()
	defer s.wire.mu.Unlock()
	s.wire.streams = append(s.wire.streams, parts...)
}

// partsOf finds in the states what a blob was made of, and under which keys.
func (s *stage) partsOf(name string) (parts []sealedUnder) {
	for _, file := range s.states() {
		raw, err := os.ReadFile(filepath.Join(s.dir, "home", "resume", file))
		if err != nil {
			continue // erased meanwhile
		}
		headers := map[int]string{}
		for line := range bytes.Lines(raw) {
			var rec resume.Record
			if json.Unmarshal(line, &rec) != nil {
				continue // still being written, or no log
			}
			for _, f := range rec.Files {
				headers[f.Number] = string(seal.NewSealer(f.Keys(), f.Params()).AppendHeader(nil))
			}
			if rec.Blob == nil || rec.Blob.Name.String() != name {
				continue
			}
			parts = nil
			for _, p := range rec.Blob.Parts {
				parts = append(parts, sealedUnder{header: headers[p.File], piece: p.Piece})
			}
		}
	}
	return parts
}

// reused tells of every key and nonce that two plaintexts were sealed under.
func (w *wiretap) reused() (found []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := map[string][]byte{}
	for _, s := range w.streams {
		key := fmt.Sprintf("%x, piece %d", s.header, s.piece)
		if before, known := seen[key]; known && !bytes.Equal(before, s.data) {
			found = append(found, key)
		}
		seen[key] = s.data
	}
	return found
}

func (w *wiretap) noncesUsedOnce(t *testing.T) {
	t.Helper()
	for _, key := range w.reused() {
		t.Errorf("two plaintexts under one salt: %s", key)
	}
}
