package store

import (
	"errors"
	"io/fs"
	"path/filepath"
	"sync"
	"testing"

	"holdfast/node/durable"
)

func TestDirSyncIsSharedAndReportsErrors(t *testing.T) {
	q := dirQueues{step: durable.SyncDir}
	good := t.TempDir()
	missing := filepath.Join(good, "missing")
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for range 20 {
				if err := q.sync(good); err != nil {
					t.Error(err)
				}
				if err := q.sync(missing); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("a missing directory: %v", err)
				}
			}
		})
	}
	all.Wait()
	if len(q.m) != 0 {
		t.Fatalf("%d directories are still queued", len(q.m))
	}
}
