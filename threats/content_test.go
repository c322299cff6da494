package threats

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"holdfast/api"
	"holdfast/client/transfer"
	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/seal"
)

const segmentSize = 256 << 10

// TestForgeryIsServed: the harness itself. What was sent, told under the same or
// under forged places, comes whole: so a refusal elsewhere is the attack's.
func TestForgeryIsServed(t *testing.T) {
	for _, size := range []int{small, medium, large} {
		for _, packed := range []bool{false, true} {
			s := shared(t, size, 1)
			if s.large && packed {
				continue
			}
			forgery{t: t, pieces: s.pieces(), packed: packed}.play()
			s.whole(t)
		}
	}
}

// TestThreat08FlippedHeader: each byte of a stream's header changed, by server
// and nodes together, so that the blob's name fits.
func TestThreat08FlippedHeader(t *testing.T) {
	s := shared(t, small, 1)
	for at := range seal.HeaderSize {
		t.Run(fmt.Sprintf("byte %d", at), func(t *testing.T) {
			pieces := s.pieces()
			pieces[0][at] ^= 1 << (at % 8)
			forgery{t: t, pieces: pieces, packed: at%2 == 0}.play()
			s.refused(t)
		})
	}
}

// TestThreat08FlippedSegments: a bit of each segment, its tag included.
func TestThreat08FlippedSegments(t *testing.T) {
	for _, size := range []int{small, medium, large} {
		s := shared(t, size, 1)
		n := (len(s.stream) + segmentSize - 1) / segmentSize
		step := max(1, n/12) // every segment of small files, a dozen of the large one
		for i := 0; i < n; i += step {
			end := min((i+1)*segmentSize, len(s.stream))
			for what, at := range map[string]int{"inside": max(i*segmentSize+seal.HeaderSize, end-1000), "tag": end - 1} {
				if size == large && what == "tag" && i%2 == 0 {
					continue
				}
				t.Run(fmt.Sprintf("%d bytes, segment %d, %s", size, i, what), func(t *testing.T) {
					pieces := s.pieces()
					pieces[at/(8<<20)][at%(8<<20)] ^= 0x10
					forgery{t: t, pieces: pieces, packed: !s.large && i%2 == 1}.play()
					s.refused(t, seal.ErrSegment)
				})
			}
		}
	}
}

// TestThreat08FlippedRecord: every byte of the link's sealed record. Nothing is
// asked for afterwards.
func TestThreat08FlippedRecord(t *testing.T) {
	s := shared(t, small, 1)
	size := 0
	play(t, evil{answer: func(x *exchange) {
		if x.is(api.LookLink.Info) {
			rewrite(x, func(l *api.LinkLook) { size = len(decoded(t, l.Record)) })
		}
	}})
	s.whole(t)
	c, _ := newClient(t)
	tp := taped(t)
	for at := range size {
		play(t, evil{answer: func(x *exchange) {
			if x.is(api.LookLink.Info) {
				rewrite(x, func(l *api.LinkLook) {
					raw := decoded(t, l.Record)
					raw[at] ^= 1 << (at % 8)
					l.Record = id.Encoding.EncodeToString(raw)
				})
			}
		}})
		folder := filepath.Join(t.TempDir(), "out")
		_, err := c.Receive(t.Context(), s.link, transfer.ReceiveOptions{Target: folder})
		if !errors.Is(err, transfer.ErrIntegrity) {
			t.Errorf("byte %d: %v", at, err)
		}
	}
	if looks, all := len(tp.calls(api.LookLink.Info)), len(tp.ofClients()); looks != size || all != looks {
		t.Errorf("%d requests, %d of them looks, for %d records: something was asked for after a damaged one", all, looks, size)
	}
}

func decoded(t testing.TB, text string) []byte {
	raw, err := id.Encoding.DecodeString(text)
	if err != nil {
		t.Error(err)
	}
	return raw
}

// TestThreat09Rearranged: segments and blobs swapped, doubled, dropped, cut off
// and added, told alike by server and nodes, with lengths that fit or not.
func TestThreat09Rearranged(t *testing.T) {
	cut := func(s *specimen, i int) []byte { // segment i of a stream, without the header
		from, to := i*segmentSize, min((i+1)*segmentSize, len(s.stream))
		if i == 0 {
			from = seal.HeaderSize
		}
		return s.stream[from:to]
	}
	medium, large := shared(t, medium, 1), shared(t, large, 1)
	changed := func(s *specimen, f func(stream []byte) []byte) [][]byte {
		stream := f(bytes.Clone(s.stream))
		copied := *s
		copied.stream = stream
		return copied.pieces()
	}
	for name, c := range map[string]struct {
		s      *specimen
		pieces [][]byte
		change func(*api.PlacedRevision)
		want   error
	}{
		"segments swapped in one blob": {s: large, want: seal.ErrSegment, pieces: changed(large, func(b []byte) []byte {
			copy(b[segmentSize:], cut(large, 2))
			copy(b[2*segmentSize:], cut(large, 1))
			return b
		})},
		"segments swapped between blobs": {s: large, want: seal.ErrSegment, pieces: changed(large, func(b []byte) []byte {
			copy(b[3*segmentSize:], cut(large, 40))
			copy(b[40*segmentSize:], cut(large, 3))
			return b
		})},
		"segment doubled over the next": {s: large, want: seal.ErrSegment, pieces: changed(large, func(b []byte) []byte {
			copy(b[5*segmentSize:], cut(large, 4))
			return b
		})},
		"segment dropped, the rest moved up": {s: medium, pieces: changed(medium, func(b []byte) []byte {
			return append(b[:segmentSize], b[2*segmentSize:]...)
		})},
		"last segment dropped": {s: medium, pieces: changed(medium, func(b []byte) []byte { return b[:2*segmentSize] })},
		"last segment dropped, told so": {s: medium, pieces: changed(medium, func(b []byte) []byte { return b[:2*segmentSize] }),
			change: func(p *api.PlacedRevision) { p.Length = 2 * segmentSize }},
		"last byte dropped": {s: medium, pieces: changed(medium, func(b []byte) []byte { return b[:len(b)-1] })},
		"segment appended":  {s: medium, pieces: changed(medium, func(b []byte) []byte { return append(b, cut(medium, 2)...) })},
		"bytes appended, told so": {s: medium, pieces: changed(medium, func(b []byte) []byte { return append(b, 1, 2, 3) }),
			change: func(p *api.PlacedRevision) { p.Length += 3 }},
		"blobs swapped":      {s: large, pieces: [][]byte{large.pieces()[1], large.pieces()[0], large.pieces()[2]}},
		"blob doubled":       {s: large, pieces: [][]byte{large.pieces()[0], large.pieces()[0], large.pieces()[2]}},
		"blob added":         {s: large, pieces: append(large.pieces(), large.pieces()[1])},
		"blob added, cut in": {s: large, pieces: slices.Insert(large.pieces(), 1, large.pieces()[1])},
		"first blob dropped": {s: large, pieces: large.pieces()[1:]},
		"last blob dropped":  {s: large, pieces: large.pieces()[:2]},
		"last blob dropped, told so": {s: large, pieces: large.pieces()[:2],
			change: func(p *api.PlacedRevision) { p.Length = 16 << 20 }},
		"last blob dropped, its number kept": {s: large, pieces: large.pieces()[:2],
			change: func(p *api.PlacedRevision) { p.ExtentCount = 3 }},
		"no blobs": {s: medium, pieces: medium.pieces(), change: func(p *api.PlacedRevision) { p.Extents = nil }},
		"one blob read a byte later": {s: medium, pieces: [][]byte{append([]byte{0}, medium.stream...)}, change: func(p *api.PlacedRevision) {
			p.Extents = []api.Extent{{0, 0, int64(len(medium.stream))}}
		}},
		"negative offset":       {s: medium, pieces: medium.pieces(), change: func(p *api.PlacedRevision) { p.Extents[0][1] = -1 }},
		"offset out of a blob":  {s: medium, pieces: medium.pieces(), change: func(p *api.PlacedRevision) { p.Extents[0][1] = 1 << 40 }},
		"a blob that is none":   {s: medium, pieces: medium.pieces(), change: func(p *api.PlacedRevision) { p.Extents[0][0] = 7 }},
		"extents without end":   {s: large, pieces: large.pieces(), change: func(p *api.PlacedRevision) { p.ExtentCount = 1 << 40 }},
		"lengths that overflow": {s: large, pieces: large.pieces(), change: func(p *api.PlacedRevision) { p.Length = 1<<63 - 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			forgery{t: t, pieces: c.pieces, change: c.change}.play()
			if c.want == nil {
				c.want = transfer.ErrIntegrity
			}
			c.s.refused(t, c.want)
		})
	}
}

// TestThreat10Splice: what another file of the same sender and size is made of.
func TestThreat10Splice(t *testing.T) {
	for _, size := range []int{small, medium, large} {
		a, b := shared(t, size, 1), shared(t, size, 2)
		pieces := func(change func(stream []byte)) [][]byte {
			s := *a
			s.stream = bytes.Clone(a.stream)
			change(s.stream)
			return s.pieces()
		}
		swapped := func(id id.Revision) func(*api.PlacedRevision) {
			return func(p *api.PlacedRevision) {
				p.RevisionHead = b.head
				p.ID = id
			}
		}
		for name, f := range map[string]forgery{
			"the other's stream":            {pieces: b.pieces()},
			"the other's stream and record": {pieces: b.pieces(), change: swapped(a.head.ID)},
			"the other altogether":          {pieces: b.pieces(), change: swapped(b.head.ID)},
			"the other's stream under its release key": {pieces: b.pieces(), change: func(p *api.PlacedRevision) {
				p.ReleaseKey, p.Salt, p.Prefix = b.head.ReleaseKey, b.head.Salt, b.head.Prefix
			}},
			"the other's header": {pieces: pieces(func(s []byte) { copy(s, b.stream[:seal.HeaderSize]) })},
			"the other's last segment": {pieces: pieces(func(s []byte) {
				n := (len(s) - 1) / segmentSize * segmentSize
				copy(s[max(n, seal.HeaderSize):], b.stream[max(n, seal.HeaderSize):])
			})},
			"the other's first blob": {pieces: pieces(func(s []byte) { n := min(len(s), 8<<20); copy(s[:n], b.stream[:n]) })},
		} {
			t.Run(fmt.Sprintf("%d bytes, %s", size, name), func(t *testing.T) {
				f.t = t
				f.play()
				g := a.receive(t)
				if name == "the other's stream" && !errors.Is(g.err, seal.ErrCommitment) && !errors.Is(g.err, seal.ErrSegment) && !errors.Is(g.err, transfer.ErrAnswer) || name == "the other's last segment" && size != small && !errors.Is(g.err, seal.ErrSegment) {
					t.Errorf("refused with %v", g.err)
				}
				if g.err == nil {
					t.Error("received")
				} else if !errors.Is(g.err, transfer.ErrIntegrity) && !errors.Is(g.err, transfer.ErrAnswer) {
					t.Errorf("refused with %v", g.err)
				} else if left := files(t, g.folder); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		}
	}
}

// TestThreat10RecordOfAnotherLink: the server gives out another link's record.
func TestThreat10RecordOfAnotherLink(t *testing.T) {
	a, b := shared(t, small, 1), shared(t, small, 2)
	other := ""
	play(t, evil{answer: func(x *exchange) {
		if x.is(api.LookLink.Info) {
			rewrite(x, func(l *api.LinkLook) { other = l.Record })
		}
	}})
	b.whole(t)
	play(t, evil{answer: func(x *exchange) {
		if x.is(api.LookLink.Info) {
			rewrite(x, func(l *api.LinkLook) { l.Record = other })
		}
	}})
	a.refused(t, seal.ErrCommitment)
}

// TestThreat11LastSegment: damage at the very end, by the command line. Nothing
// stands under the file's name, not even for a moment, and the exit code says so.
func TestThreat11LastSegment(t *testing.T) {
	for _, size := range []int{medium, large} {
		s := shared(t, size, 1)
		pieces := s.pieces()
		last := pieces[len(pieces)-1]
		last[len(last)-1] ^= 1
		forgery{t: t, pieces: pieces}.play()
		folder := t.TempDir()
		r := run(t, t.TempDir(), "receive", s.url, "-o", folder)
		if r.code != 6 || r.stderr == "" {
			t.Errorf("%d bytes into a folder: exit %d\n%s", size, r.code, r.stderr)
		}
		if left := files(t, folder); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		target := writeFile(t, filepath.Join(t.TempDir(), "kept"), []byte("was here before"))
		if r := run(t, t.TempDir(), "receive", s.url, "-o", target, "--force"); r.code != 6 {
			t.Errorf("%d bytes over a file: exit %d\n%s", size, r.code, r.stderr)
		}
		if kept, err := os.ReadFile(target); err != nil || string(kept) != "was here before" {
			t.Errorf("what was there is gone: %q %v", kept, err)
		}
		if r := run(t, t.TempDir(), "receive", s.url, "-o", "-"); r.code != 6 {
			t.Errorf("%d bytes to stdout: exit %d\n%s", size, r.code, r.stderr)
		} else if len(r.stdout) >= len(s.plain) {
			t.Errorf("all %d bytes were written before the damage showed", len(r.stdout))
		}
	}
}

// TestThreat11Root: every segment is in order and the whole is not the one meant:
// the sender's own record and the server's name another root, commitment or size.
func TestThreat11Root(t *testing.T) {
	for want, bend := range map[error]func(*descriptor.Content){
		seal.ErrRoot:       func(c *descriptor.Content) { c.Root[5] ^= 4 },
		seal.ErrCommitment: func(c *descriptor.Content) { c.Commitment[5] ^= 4 },
		seal.ErrPadding:    func(c *descriptor.Content) { c.Size-- },
	} {
		for _, size := range []int{medium, 2 << 20} { // opened at once, and piece by piece
			h := newSender(t)
			d := h.add(noise(size, 3), "bent")
			bend(d.Content)
			bent := &specimen{link: h.publishForged(t, d, *d.Content)}
			bent.refused(t, want)
		}
	}
}

// TestThreat12WrongKeys: another release key, commitment, salt or root than the
// sender's: refused before a node is asked for anything.
func TestThreat12WrongKeys(t *testing.T) {
	for _, size := range []int{small, large} {
		s := shared(t, size, 1)
		for name, c := range map[string]struct {
			change func(*api.PlacedRevision)
			want   error
		}{
			"release key":       {func(p *api.PlacedRevision) { p.ReleaseKey[3] ^= 1 }, seal.ErrCommitment},
			"zero release key":  {func(p *api.PlacedRevision) { p.ReleaseKey = id.Bytes32{} }, seal.ErrCommitment},
			"salt":              {func(p *api.PlacedRevision) { p.Salt[31] ^= 0x80 }, seal.ErrCommitment},
			"commitment":        {func(p *api.PlacedRevision) { p.Commitment[0] ^= 1 }, transfer.ErrAnswer},
			"root":              {func(p *api.PlacedRevision) { p.Root[0] ^= 1 }, transfer.ErrAnswer},
			"all of another's":  {func(p *api.PlacedRevision) { p.RevisionHead = shared2(t, size).head }, nil},
			"prefix too short":  {func(p *api.PlacedRevision) { p.Prefix = "AAAA" }, transfer.ErrAnswer},
			"prefix of no text": {func(p *api.PlacedRevision) { p.Prefix = "!" }, transfer.ErrAnswer},
		} {
			t.Run(fmt.Sprintf("%d bytes, %s", size, name), func(t *testing.T) {
				shared2(t, size)
				forgery{t: t, pieces: s.pieces(), change: c.change}.play()
				tp := taped(t)
				g := s.receive(t)
				if g.err == nil || c.want != nil && !errors.Is(g.err, c.want) {
					t.Errorf("ended with %v, want %v", g.err, c.want)
				}
				if n := len(tp.calls(api.GetBlob)); n > 0 {
					t.Errorf("%d blobs were asked for after a wrong key", n)
				}
				if left := files(t, g.folder); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		}
	}
}

// shared2 is the other specimen of a size.
func shared2(t testing.TB, size int) *specimen { return shared(t, size, 2) }
