package storetest

import (
	"context"
	"errors"
	"reflect"
	"slices"

	"holdfast/format/id"
	"holdfast/format/journal"
	"holdfast/server/internal/drive"
)

func pageOf(text string) map[journal.Hash][]byte {
	return map[journal.Hash][]byte{journal.Hash(hash(text)): []byte(text)}
}

func (s *suite) keep(who id.Account, folder id.Folder, text string, day, most int64) (added int64, err error) {
	s.Helper()
	err = s.drive(who, []id.Folder{folder}, func(ctx context.Context, t turn) (err error) {
		added, err = t.KeepPages(ctx, t.have[folder].Key, pageOf(text), day, most)
		return err
	})
	return added, err
}

func pagesKept(s *suite) {
	ann := s.driver()
	root := s.folder(ann, id.Folder{})
	added, err := s.keep(ann, root, "one", someDay, plenty)
	s.must(err)
	if added < 3 {
		s.Errorf("%d bytes", added)
	}
	if again, err := s.keep(ann, root, "one", someDay+1, plenty); err != nil || again != 0 {
		s.Errorf("kept again: %d bytes, %v", again, err)
	}
	_, err = s.keep(ann, root, "two", someDay, added)
	s.want(err, drive.ErrOverLimit)
	_, err = s.keep(ann, root, "two", someDay, plenty)
	s.must(err)
	if n, err := s.DropPages(s.Context(), someDay+1, 10); err != nil || n != 1 {
		s.Errorf("%d pages dropped, %v", n, err)
	}
	name := func(texts ...string) error {
		return s.drive(ann, []id.Folder{root}, func(ctx context.Context, t turn) error {
			var hashes []journal.Hash
			for _, text := range texts {
				hashes = append(hashes, journal.Hash(hash(text)))
			}
			_, err := t.NameCheckpoint(ctx, t.have[root].Key, 2, hashes)
			return err
		})
	}
	s.want(name("one", "two"), drive.ErrPageMissing)
	s.must(name("one"))
	if n, err := s.DropPages(s.Context(), someDay+100, 10); err != nil || n != 0 {
		s.Errorf("%d pages dropped, %v", n, err)
	}
}

func checkpointReplaces(s *suite) {
	ann := s.driver()
	root := s.folder(ann, id.Folder{})
	a, b, c := journal.Hash(hash("a")), journal.Hash(hash("b")), journal.Hash(hash("c"))
	sizes := map[string]int64{}
	for _, text := range []string{"a", "b", "c"} {
		n, err := s.keep(ann, root, text, someDay, plenty)
		s.must(err)
		sizes[text] = n
	}
	for _, step := range []struct {
		seq   int64
		pages []journal.Hash
		gone  int64
	}{{2, []journal.Hash{b, a}, 0}, {3, []journal.Hash{c, b}, sizes["a"]}} {
		s.must(s.drive(ann, []id.Folder{root}, func(ctx context.Context, t turn) error {
			gone, err := t.NameCheckpoint(ctx, t.have[root].Key, step.seq, step.pages)
			if gone != step.gone {
				s.Errorf("%d bytes gone, want %d", gone, step.gone)
			}
			return err
		}))
	}
	f := s.at(ann, root)
	s.must(s.ReadDrive(s.Context(), ann, func(r drive.Reader) error {
		seq, pages, err := r.Checkpoint(s.Context(), f)
		if seq != 3 || !slices.Equal(pages, []journal.Hash{c, b}) {
			s.Errorf("checkpoint of entry %d: %x", seq, pages)
		}
		page, err2 := r.Page(s.Context(), f, b)
		if string(page) != "b" {
			s.Errorf("page %q", page)
		}
		_, gone := r.Page(s.Context(), f, a)
		s.want(gone, drive.ErrNotFound)
		return errors.Join(err, err2)
	}))
}

func answersKept(s *suite) {
	ann, bob := s.driver(), s.driver()
	key := id.New[id.Commit]()
	answer := drive.Answer{Digest: []byte("digest"), Answer: []byte("answer")}
	s.must(s.drive(ann, nil, func(ctx context.Context, t turn) error { return t.Done(ctx, key, answer, someDay) }))
	check := func(who id.Account, want bool) {
		s.Helper()
		s.must(s.ReadDrive(s.Context(), who, func(r drive.Reader) error {
			a, known, err := r.Answer(s.Context(), key)
			if known != want || known && !reflect.DeepEqual(a, answer) {
				s.Errorf("answer %+v, %v", a, known)
			}
			return err
		}))
	}
	check(ann, true)
	check(bob, false)
	if n, err := s.ForgetAnswers(s.Context(), someDay, 10); err != nil || n != 0 {
		s.Errorf("%d forgotten, %v", n, err)
	}
	if n, err := s.ForgetAnswers(s.Context(), someDay+1, 10); err != nil || n != 1 {
		s.Errorf("%d forgotten, %v", n, err)
	}
	check(ann, false)
}
