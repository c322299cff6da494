//go:build linux

package drive_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"holdfast/format/descriptor"
	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/format/journal/journaltest"
	"holdfast/server/internal/drive"
	"holdfast/server/postgrestest"
)

// everywhere runs a test on SQLite and on PostgreSQL.
func everywhere(t *testing.T, test func(t *testing.T, place string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, filepath.Join(t.TempDir(), "holdfast.db")) })
	t.Run("postgres", func(t *testing.T) { test(t, postgrestest.Start(t).URL("postgres")) })
}

// TestManyAtOneHeadOfPostgres: as TestManyAtOneHead, where writers do run at once.
func TestManyAtOneHeadOfPostgres(t *testing.T) {
	r := newRigAt(t, postgrestest.Start(t).URL("postgres"))
	for range 5 {
		manyAtOneHead(t, r)
	}
}

// hand is one of several who work on the same folders at once.
type hand struct {
	*rig
	who   id.Account
	books []*journaltest.Book // of which the last is the hand's own
	lost  int                 // commits that came too late
}

// refresh takes what others wrote.
func (h *hand) refresh() {
	for _, b := range h.books {
		part := h.see(h.who, b.ID(), b.Head().Seq)
		b.Take(part.Entries...)
	}
}

// file is some live file of a book.
func file(b *journaltest.Book, n int) *journal.Entry {
	all := b.State.List()
	if len(all) == 0 {
		return nil
	}
	return all[n%len(all)]
}

// step does one of the things that people do, until it is in or there is nothing to do.
func (h *hand) step(draw *rand.Rand) error {
	what, from, to, n := draw.IntN(5), draw.IntN(len(h.books)), draw.IntN(len(h.books)), draw.IntN(100)
	var u *drive.Upload
	var brought []id.Revision
	if what == 0 {
		b := h.bring(h.who, int64(1000+n*100), 5000)
		u, brought = b.closes, b.Revisions()
	}
	for {
		var raws [][]byte
		a, b := h.books[from], h.books[to]
		e := file(a, n)
		switch {
		case what == 0:
			raws = append(raws, a.Write(a.PutAll(brought...)...))
		case e == nil:
			return nil
		case what == 1:
			raws = append(raws, a.Write(a.Purge(e.Name())...))
		case what == 2:
			d := descriptor.Descriptor{Path: id.New[id.File]().String(), Kind: descriptor.File, Content: e.Descriptor.Content}
			raws = append(raws, b.Write(journal.PutFile(id.New[id.Entry](), d)))
		case from == to:
			return nil
		default:
			out, in := journal.Move(e, a.ID(), b.ID(), b.State.Free(e.Name()), nil)
			raws = append(raws, a.Write(out), b.Write(in))
		}
		_, err := h.Commit(h.Context(), h.who, &drive.Commit{Key: id.New[id.Commit](), Entries: raws, Upload: u})
		h.refresh()
		// A copy names only where it goes: what it copies may have been purged meanwhile.
		if !errors.Is(err, drive.ErrHeadMoved) && !(what == 2 && errors.Is(err, drive.ErrRevisionUnknown)) {
			return err
		}
		h.lost++
	}
}

// TestManyHands: three accounts put, purge, copy and move at once, each at a server of
// its own, in two folders of the first and in one of each. In the end every journal
// replays, each folder gives out all that its journal holds, and every drive is charged
// for just that.
func TestManyHands(t *testing.T) { everywhere(t, manyHands) }

func manyHands(t *testing.T, place string) {
	first := newRigAt(t, place)
	ann := first.account()
	a, b := first.root(ann), first.root(ann)
	hands := make([]*hand, 3)
	for i := range hands {
		h := &hand{rig: first, who: ann}
		if i > 0 {
			if place[0] == 'p' {
				h.rig = first.another(place)
			}
			h.who = first.account()
			for _, shared := range []*journaltest.Book{a, b} {
				first.must(first.do(ann, drive.Commit{Grants: [][]byte{shared.Grant(h.who, journal.Writes, 1)}}))
			}
		}
		h.books = []*journaltest.Book{a.Again(), b.Again(), first.root(h.who)}
		h.refresh()
		hands[i] = h
	}
	var wg sync.WaitGroup
	for i, h := range hands {
		wg.Go(func() {
			draw := rand.New(rand.NewPCG(uint64(i), 7))
			for range 40 {
				if err := h.step(draw); err != nil {
					t.Errorf("account %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	lost := 0
	for i, h := range hands {
		h.refresh()
		lost += h.lost
		books := h.books[2:]
		if i == 0 {
			books = h.books
		}
		h.settled(fmt.Sprint("account ", i), books)
	}
	t.Logf("%d commits came too late", lost)
}

// settled compares what is given out and charged with what the journals say.
func (h *hand) settled(name string, books []*journaltest.Book) {
	h.Helper()
	lengths := map[id.Revision]int64{}
	for _, b := range books {
		for e := range b.State.All() {
			r := e.Descriptor.Content.Revision
			page, err := h.Revisions(h.Context(), h.who, b.ID(), []id.Revision{r}, "")
			if err != nil {
				h.Errorf("%s: a revision of the journal: %v", name, err)
				continue
			}
			lengths[r] = page.Revisions[0].Length
		}
	}
	var sum int64
	for _, n := range lengths {
		sum += n
	}
	if u := h.usage(h.who); u.Bytes != sum || u.Reserved != 0 {
		h.Errorf("%s: charged %+v, the journals hold %d bytes", name, u, sum)
	}
}
