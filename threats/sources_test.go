package threats

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"holdfast/api"
	"holdfast/client/resume"
	"holdfast/client/source"
	"holdfast/client/transfer"
	"holdfast/format/id"
	"holdfast/format/seal"
)

// interrupted sends paths until the commit, which the server does not answer, and
// returns the client's state folder and what was recorded.
func interrupted(t *testing.T, paths []string, stop func(x *exchange) bool) (home string, tp *tape) {
	t.Helper()
	_, home = newClient(t)
	return home, interruptedAt(t, home, paths, stop)
}

// interruptedAt is interrupted with the state of an earlier try.
func interruptedAt(t *testing.T, home string, paths []string, stop func(x *exchange) bool) *tape {
	t.Helper()
	c, tp := clientAt(t, home), taped(t)
	ctx, cancel := context.WithCancel(limited(t))
	defer cancel()
	play(t, evil{request: func(x *exchange) bool {
		if !stop(x) {
			return false
		}
		cancel()
		return x.refuse(api.Unavailable)
	}})
	if _, err := c.Send(ctx, transfer.SendOptions{Paths: paths}); err == nil {
		t.Fatal("the send was not interrupted")
	}
	honest()
	return tp
}

// state is all text that the client keeps to resume.
func state(t *testing.T, home string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		all.Write(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// sealing is what a stream, or a piece of one, was sealed under: its header stands
// for the keys, which are drawn together with it.
type sealing struct {
	header string
	piece  int
}

// known are the seals that a client's state tells of, with what was sealed so.
type known struct {
	headers map[string]bool
	blobs   map[id.Name][]sealing
}

// logged reads the state of a send: every key that it ever drew, and of which
// streams each blob is made, in order.
func logged(t *testing.T, state string) known {
	t.Helper()
	k := known{headers: map[string]bool{}, blobs: map[id.Name][]sealing{}}
	now := map[int]string{}
	for line := range strings.Lines(state) {
		var rec resume.Record
		if json.Unmarshal([]byte(line), &rec) != nil {
			continue // not of the log
		}
		for _, f := range rec.Files {
			now[f.Number] = string(seal.NewSealer(f.Keys(), f.Params()).AppendHeader(nil))
			k.headers[now[f.Number]] = true
		}
		if rec.Blob != nil {
			for _, p := range rec.Blob.Parts {
				k.blobs[rec.Blob.Name] = append(k.blobs[rec.Blob.Name], sealing{now[p.File], p.Piece})
			}
		}
	}
	return k
}

// commit adds what a tape's commits say of streams.
func (k known) commit(t *testing.T, tp *tape) known {
	t.Helper()
	revisions, names := tp.committed(t)
	for _, r := range revisions {
		var p seal.Params
		p.Salt = r.Salt
		if n := copy(p.Prefix[:], decoded(t, r.Prefix)); n != len(p.Prefix) {
			t.Fatalf("a prefix of %d bytes", n)
		}
		header := string(seal.NewSealer(seal.Keys{}, p).AppendHeader(nil))
		k.headers[header] = true
		for i, e := range r.Extents {
			if i > 0 {
				k.blobs[names[e[0]]] = []sealing{{header, i}}
			}
		}
	}
	return k
}

// streams are all streams, and pieces of streams, in the blobs of a tape: those
// within packs, and listings, too.
func (k known) streams(t *testing.T, tp *tape) map[sealing][]byte {
	t.Helper()
	out := map[sealing][]byte{}
	note := func(s sealing, data []byte) {
		if before, used := out[s]; used && !bytes.Equal(before, data) {
			t.Error("one try sealed two plaintexts under one key and nonce")
		}
		out[s] = data
	}
	for name, body := range tp.bodies() {
		starts := k.starts(body)
		for i, at := range starts {
			end := len(body)
			if i+1 < len(starts) {
				end = starts[i+1]
			}
			note(sealing{string(body[at : at+seal.HeaderSize]), 0}, body[at:end])
		}
		for _, s := range k.blobs[name] {
			if s.piece > 0 {
				note(s, body)
			} else if _, there := out[s]; !there {
				t.Error("a stream that should be in a blob is not found in it")
			}
		}
		if len(starts) == 0 && len(k.blobs[name]) == 0 {
			t.Error("nothing is known of a blob")
		}
	}
	return out
}

// starts is where known headers stand in a blob.
func (k known) starts(body []byte) (at []int) {
	for i := 0; i+seal.HeaderSize <= len(body); i++ {
		next := bytes.IndexByte(body[i:], seal.HeaderSize) // a header begins with its length
		if next < 0 || i+next+seal.HeaderSize > len(body) {
			break
		}
		i += next
		if k.headers[string(body[i:i+seal.HeaderSize])] {
			at = append(at, i)
		}
	}
	return at
}

// changes are what may happen to a source between two tries.
var changes = map[string]func(t *testing.T, path string){
	"edited": func(t *testing.T, path string) {
		b := noise(9<<20, 20)
		b[12345] ^= 1
		writeFile(t, path, b)
	},
	"edited at the end": func(t *testing.T, path string) {
		b := noise(9<<20, 20)
		b[len(b)-1] ^= 1
		writeFile(t, path, b)
	},
	"grown": func(t *testing.T, path string) { writeFile(t, path, append(noise(9<<20, 20), "one more line"...)) },
	"cut":   func(t *testing.T, path string) { writeFile(t, path, noise(9<<20, 20)[:8<<20]) },
	"replaced": func(t *testing.T, path string) {
		other := writeFile(t, path+".new", noise(9<<20, 21))
		if err := os.Rename(other, path); err != nil {
			t.Fatal(err)
		}
	},
	"edited, its times put back": func(t *testing.T, path string) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		b := noise(9<<20, 20)
		b[8<<20+5] ^= 1
		writeFile(t, path, b)
		if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
	},
}

// TestThreat12ChangedSource: nothing that sealed the first try seals the second
// once the source changed.
func TestThreat12ChangedSource(t *testing.T) {
	moments := map[string]func(x *exchange) bool{
		"before the commit": func(x *exchange) bool { return x.is(api.CommitUpload.Info) },
		"at the second blob": func() func(x *exchange) bool {
			return func(x *exchange) bool { return x.is(api.PutBlob) && len(x.sent) < 8<<20 || x.is(api.CommitUpload.Info) }
		}(),
	}
	for moment, stop := range moments {
		for name, change := range changes {
			if moment != "before the commit" && name != "edited" && name != "grown" {
				continue
			}
			t.Run(name+" "+moment, func(t *testing.T) {
				path := writeFile(t, filepath.Join(t.TempDir(), "log"), noise(9<<20, 20))
				home, first := interrupted(t, []string{path}, stop)
				before := state(t, home)
				change(t, path)
				second := taped(t)
				result, err := clientAt(t, home).Send(limited(t), transfer.SendOptions{Paths: []string{path}})
				if err != nil {
					t.Fatal(err)
				}
				fresh(t, before, first, second, true)
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				(&specimen{link: result.Link, name: "log", plain: want}).whole(t)
			})
		}
	}
	t.Run("unchanged", func(t *testing.T) { // the test sees what it looks for
		path := writeFile(t, filepath.Join(t.TempDir(), "log"), noise(9<<20, 20))
		home, first := interrupted(t, []string{path}, moments["at the second blob"])
		before := state(t, home)
		second := taped(t)
		if _, err := clientAt(t, home).Send(limited(t), transfer.SendOptions{Paths: []string{path}}); err != nil {
			t.Fatal(err)
		}
		fresh(t, before, first, second, false)
	})
}

// fresh wants that what was committed stands nowhere in the earlier state, and
// that no stream was begun twice with other content (or the contrary).
func fresh(t *testing.T, before string, first, second *tape, want bool) {
	t.Helper()
	revisions, _ := second.committed(t)
	if len(revisions) == 0 {
		t.Fatal("nothing was committed")
	}
	for _, r := range revisions {
		for what, text := range map[string]string{"revision": r.ID.String(), "R": r.ReleaseKey.String(), "salt": r.Salt.String()} {
			if strings.Contains(before, text) == want {
				t.Errorf("%s of the first try: in the second %t", what, want)
			}
		}
	}
	logged(t, before).commit(t, second).once(t, first, second)
}

// once wants that nothing that sealed one thing on one tape seals another on the other.
func (k known) once(t *testing.T, first, second *tape) {
	t.Helper()
	begun := k.streams(t, first)
	for s, data := range k.streams(t, second) {
		if was, used := begun[s]; used && !bytes.Equal(was, data) {
			t.Errorf("two plaintexts were sealed under one key and nonce: piece %d under %x", s.piece, s.header)
		}
	}
}

// TestThreat12BundleWithOneChange: of several small files in one pack one changed.
func TestThreat12BundleWithOneChange(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		writeFile(t, filepath.Join(folder, name), noise(5000, name[0]))
	}
	home, first := interrupted(t, []string{folder}, func(x *exchange) bool { return x.is(api.CommitUpload.Info) })
	before := state(t, home)
	writeFile(t, filepath.Join(folder, "b"), noise(5000, 99))
	second := taped(t)
	if _, err := clientAt(t, home).Send(limited(t), transfer.SendOptions{Paths: []string{folder}}); err != nil {
		t.Fatal(err)
	}
	fresh(t, before, first, second, true)
}

// TestThreat12KilledWhileRedrawing: a pack with small files and the listing left;
// one file is edited, and the next try dies while it writes down what it draws
// anew. Wherever its log ends, no key meets a second plaintext.
func TestThreat12KilledWhileRedrawing(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		writeFile(t, filepath.Join(folder, name), noise(5000, name[0]))
	}
	writeFile(t, filepath.Join(folder, "large"), noise(9<<20, 20))
	atPack := func(x *exchange) bool { return x.is(api.PutBlob) && len(x.sent) < 1<<20 }
	home, first := interrupted(t, []string{folder}, atPack)
	logs, err := filepath.Glob(filepath.Join(home, "resume", "send-*"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("%v, %v", logs, err)
	}
	read := func() string {
		raw, err := os.ReadFile(logs[0])
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	before := read()
	writeFile(t, filepath.Join(folder, "b"), noise(5000, 99))
	interruptedAt(t, home, []string{folder}, atPack)
	after := read()
	if !strings.HasPrefix(after, before) || len(after) == len(before) {
		t.Fatal("the second try did not go on with the first one's log")
	}
	for end := len(before); end < len(after); {
		from := end
		end += strings.Index(after[end:], "\n") + 1
		for _, cut := range []int{from, (from + end) / 2} { // the whole of it is no crash
			writeFile(t, logs[0], []byte(after[:cut]))
			third := interruptedAt(t, home, []string{folder}, atPack)
			logged(t, before+read()).once(t, first, third)
		}
	}
}

// TestThreat12ChangesWhileSent: a file that is written to while it is sent. Either
// nothing is published, or one version whole; and no stream begins twice with
// other content.
func TestThreat12ChangesWhileSent(t *testing.T) {
	path := writeFile(t, filepath.Join(t.TempDir(), "log"), noise(17<<20, 30))
	var once sync.Once
	play(t, evil{request: func(x *exchange) bool {
		if x.is(api.PutBlob) {
			once.Do(func() {
				f, err := os.OpenFile(path, os.O_WRONLY, 0)
				if err == nil {
					_, err = f.WriteAt(bytes.Repeat([]byte("changed "), 1000), 16<<20)
					err = errors.Join(err, f.Close())
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		return false
	}})
	c, home := newClient(t)
	first := taped(t)
	sent, err := c.Send(limited(t), transfer.SendOptions{Paths: []string{path}})
	revisions, _ := first.committed(t)
	if err == nil && len(revisions) != 1 || err != nil && len(revisions) != 0 {
		t.Fatalf("sent with %v, committed %d revisions", err, len(revisions))
	}
	before := ""
	switch {
	case err == nil:
		if err := sent.Forget(); err != nil {
			t.Fatal(err)
		}
	case errors.Is(err, source.ErrChanged), errors.Is(err, transfer.ErrUnsettled):
		before = state(t, home)
	default:
		t.Errorf("sent with %v", err)
	}
	second := taped(t)
	result, err := clientAt(t, home).Send(limited(t), transfer.SendOptions{Paths: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	if len(revisions) == 0 {
		fresh(t, before, first, second, true)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	(&specimen{link: result.Link, name: "log", plain: want}).whole(t)
}
