package dir

import (
	"os"
	"path/filepath"
	"testing"
)

// What a power cut leaves is seen in package faults.
func TestMake(t *testing.T) {
	root := t.TempDir()
	deep := filepath.Join(root, "a", "b", "c")
	for range 2 { // the second time it is there
		if err := Make(deep); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(deep); err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("mode %v (%v), want 0700", info.Mode(), err)
	}
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{file, filepath.Join(file, "sub")} {
		if err := Make(bad); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
	if err := Sync(filepath.Join(root, "missing")); err == nil {
		t.Error("a directory that is not there was synced")
	}
	t.Chdir(root)
	if err := Make("relative/sub"); err != nil {
		t.Error(err)
	}
}
