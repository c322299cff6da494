package read

import (
	"errors"
	"sync"
	"testing"

	"holdfast/format/blob"
	"holdfast/format/id"
	"holdfast/node/store"
)

func key(n int) store.Key { return store.Key{Name: id.Name{byte(n), byte(n >> 8)}} }

func newTrees() *trees {
	t := &trees{}
	t.init()
	return t
}

func TestOnePassForManyReaders(t *testing.T) {
	trees := newTrees()
	passes := 0
	begun, release := make(chan bool), make(chan bool)
	build := func() (blob.Outboard, error) {
		passes++
		close(begun)
		<-release
		return blob.Outboard{1}, nil
	}
	var all sync.WaitGroup
	all.Go(func() { trees.get(key(1), build) })
	<-begun
	for range 20 {
		all.Go(func() {
			if board, err := trees.get(key(1), build); err != nil || len(board) != 1 {
				t.Errorf("%v, %v", board, err)
			}
		})
	}
	close(release)
	all.Wait()
	if passes != 1 {
		t.Fatalf("%d passes", passes)
	}
}

func TestFailuresAreNotRemembered(t *testing.T) {
	trees := newTrees()
	bad := errors.New("bad")
	if _, err := trees.get(key(1), func() (blob.Outboard, error) { return nil, bad }); !errors.Is(err, bad) {
		t.Fatal(err)
	}
	if _, err := trees.get(key(1), func() (blob.Outboard, error) { return blob.Outboard{1}, nil }); err != nil {
		t.Fatal(err)
	}
}

func TestOldestTreeGoesFirst(t *testing.T) {
	trees := newTrees()
	built := map[store.Key]int{}
	get := func(n int) {
		trees.get(key(n), func() (blob.Outboard, error) { built[key(n)]++; return blob.Outboard{1}, nil })
	}
	for n := range kept {
		get(n)
	}
	get(0)    // used again
	get(kept) // one too many: the second goes
	get(0)
	get(1)
	if len(trees.entries) != kept || trees.recent.Len() != kept {
		t.Fatalf("%d are kept", len(trees.entries))
	}
	if built[key(0)] != 1 || built[key(1)] != 2 {
		t.Fatalf("first built %d times, second %d", built[key(0)], built[key(1)])
	}
}
