package journal

import (
	"fmt"
	"strings"
	"testing"

	"holdfast/format/id"
)

// benchJournal is a journal of n operations in entries of 64: of eight operations
// five put a new file, one a new version, one renames, and one removes.
func benchJournal(b *testing.B, n int) (Anchor, [][]byte) {
	folder := folderID(1)
	anchor := anchorOf(folder, 1)
	pen := Pen{Keys: keysFor(folder, 1)}
	s, o := Begin(anchor), NewOpener(1, pen.Keys.Read)
	raw, err := Found(anchor, pen)
	raws := [][]byte{}
	for done := 0; ; {
		if err != nil {
			b.Fatal(err)
		}
		raws = append(raws, raw)
		if _, err := s.Apply(raw, o); err != nil {
			b.Fatal(err)
		}
		if done >= n {
			return anchor, raws
		}
		ops := make([]Operation, 0, 64)
		for range 8 {
			ops = append(ops, benchOperations(done+len(ops))...)
		}
		done += len(ops)
		raw, err = s.Write(pen, ops...)
	}
}

func benchOperations(at int) []Operation {
	name := func(i int) string { return fmt.Sprintf("holiday photograph %d.jpeg", i) }
	of := func(entry, revision int) Operation {
		d := fileOf(name(entry), revision)
		modified := int64(1_700_000_000 + revision)
		d.ModTime, d.MediaType = &modified, "image/jpeg"
		return PutFile(entryID(entry), d)
	}
	return []Operation{
		of(at, at), of(at+1, at+1), of(at+2, at+2), of(at+3, at+3), of(at+4, at+4),
		of(at, at+5), RenameTo(entryID(at+1), name(at+1)+" renamed"), RemoveOn(entryID(at+2), 20000),
	}
}

// BenchmarkReplay is row B4: verify and replay 1,000,000 operations in entries of 64.
func BenchmarkReplay(b *testing.B) {
	const operations = 1_000_000
	anchor, raws := benchJournal(b, operations)
	key := keysFor(anchor.Folder, 1).Read
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		if _, err := replayAll(anchor, NewOpener(1, key), raws); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(operations*float64(b.N)/b.Elapsed().Seconds(), "operations/s")
}

// BenchmarkAppend writes one entry into a folder of 100,000 and says its size.
func BenchmarkAppend(b *testing.B) {
	anchor, raws := benchJournal(b, 160_000)
	pen := Pen{Keys: keysFor(anchor.Folder, 1)}
	s, err := replayAll(anchor, NewOpener(1, pen.Keys.Read), raws)
	if err != nil {
		b.Fatal(err)
	}
	s.Clashes("")
	size := 0
	for b.Loop() {
		raw, err := s.Write(pen, PutFile(id.Entry(run(1, 16)), fileOf(strings.Repeat("n", 255), 1<<30)))
		if err != nil {
			b.Fatal(err)
		}
		size = len(raw)
	}
	b.ReportMetric(float64(size), "bytes/entry")
}

// BenchmarkDigest is what verifying a checkpoint of 100,000 entries costs.
func BenchmarkDigest(b *testing.B) {
	anchor, raws := benchJournal(b, 160_000)
	s, err := replayAll(anchor, NewOpener(1, keysFor(anchor.Folder, 1).Read), raws)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s.Digest()
	}
}
