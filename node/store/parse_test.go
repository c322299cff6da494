package store

import (
	"encoding/hex"
	"testing"

	"holdfast/format/id"
)

// FuzzNames: whatever lies in the directories, what is taken for a name of ours
// is one, and has no other spelling.
func FuzzNames(f *testing.F) {
	f.Add(trashName(id.Upload{1}, Usage{2, 3}, 4))
	f.Add(hex.EncodeToString(make([]byte, 32)))
	f.Add("00.1.2.3")
	f.Add("2026-01-31")
	f.Fuzz(func(t *testing.T, text string) {
		if name, ok := parseName(text); ok && hex.EncodeToString(name[:]) != text {
			t.Errorf("blob %q", text)
		}
		if up, ok := parseUpload(text); ok && hex.EncodeToString(up[:]) != text {
			t.Errorf("upload %q", text)
		}
		if got, ok := parseTrash(text); ok && (got.usage.Blobs < 0 || got.usage.Bytes < 0) {
			t.Errorf("trash %q", text)
		}
		if day, ok := parseDay(text); ok && day.Format("2006-01-02") != text {
			t.Errorf("day %q", text)
		}
	})
}

func TestTrashNameRoundTrip(t *testing.T) {
	want := Usage{12, 3456}
	got, ok := parseTrash(trashName(id.Upload{7}, want, 2))
	if !ok || got.upload != (id.Upload{7}) || got.usage != want {
		t.Fatalf("%+v, %v", got, ok)
	}
	for _, bad := range []string{"", "x", trashName(id.Upload{7}, want, 2) + ".5", "00.1.2.3", trashName(id.Upload{7}, Usage{-1, 5}, 0)} {
		if _, ok := parseTrash(bad); ok {
			t.Errorf("took %q", bad)
		}
	}
}
