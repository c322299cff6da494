package journal

import "testing"

// BenchmarkRestore is what a device that kept a folder of 100,000 entries does before
// it can list it.
func BenchmarkRestore(b *testing.B) {
	anchor, raws := benchJournal(b, 160_000)
	s, err := replayAll(anchor, NewOpener(1, keysFor(anchor.Folder, 1).Read), raws)
	if err != nil {
		b.Fatal(err)
	}
	saved := s.Save()
	b.Logf("%d entries, %d pages", s.Len(), len(saved.Pages))
	for b.Loop() {
		if _, err := Restore(anchor, saved); err != nil {
			b.Fatal(err)
		}
	}
}
