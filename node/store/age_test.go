package store_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"holdfast/format/id"
	"holdfast/node/store"
	"holdfast/node/store/storetest"
)

func TestEach(t *testing.T) {
	root := t.TempDir()
	d, err := store.OpenDisk(root, store.Options{Capacity: 1 << 30, Reserve: 0})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	up := id.Upload{7}
	dir := filepath.Join(root, "blobs", "07", hex.EncodeToString(up[:]))
	old := time.Unix(1_500_000_000, 0)
	want := map[id.Name]int64{}
	for i := range 3 {
		b := storetest.Make(up, uint64(i), 1000+i)
		if err := storetest.Put(d, b, 1<<20); err != nil {
			t.Fatal(err)
		}
		want[b.Key.Name] = int64(1000 + i)
		if err := os.Chtimes(filepath.Join(dir, hex.EncodeToString(b.Key.Name[:])), old, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "half.new"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Each(up, func(name id.Name, size int64, at time.Time) {
		if want[name] != size || !at.Equal(old) {
			t.Errorf("%d bytes of %s", size, at)
		}
		delete(want, name)
	}); err != nil || len(want) != 0 {
		t.Fatalf("%v, %d are missing", err, len(want))
	}
	if err := d.Each(id.Upload{8}, func(id.Name, int64, time.Time) { t.Error("a blob of an upload that has none") }); err != nil {
		t.Fatal(err)
	}
}
