package durable

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// What is durable only a power cut shows: faults/client_power_test.go.

func TestMkdir(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "b", "c")
	for range 2 { // one that is there is good as well
		if err := Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{"a", "a/b", "a/b/c"} {
		if info, err := os.Stat(filepath.Join(dir, p)); err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", p, info, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"file", "file/below"} {
		if err := Mkdir(filepath.Join(dir, p), 0o700); err == nil {
			t.Errorf("%s was made", p)
		}
	}
	if err := Sync(filepath.Join(dir, "none")); err == nil {
		t.Error("a folder that is not there was synced")
	}
}

func TestMkdirByManyAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := Mkdir(path, 0o700); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
