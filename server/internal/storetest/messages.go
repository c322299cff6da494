package storetest

import (
	"bytes"
	"testing"

	"holdfast/format/id"
	"holdfast/server/internal/message"
)

// Messages checks message.Store.
func Messages(t *testing.T, open func(*testing.T) Store) {
	each(t, open, map[string]func(*suite){
		"messages are in the order in which they came": inOrder,
		"one id is kept once":                          keptOnce,
		"no more wait than are allowed":                boxFull,
		"old messages go":                              oldMessagesGo,
		"an erased account's messages go":              erasedBox,
		"of many at once no more wait":                 raceForBox,
	})
}

func aMessage(to id.Account, n byte) message.Message {
	return message.Message{To: to, ID: id.Message{n}, Sealed: bytes.Repeat([]byte{n}, 40), Day: someDay + int64(n)}
}

// box fails unless these, by number, wait for an account.
func (s *suite) box(of id.Account, want ...byte) {
	s.Helper()
	all, err := s.Messages(s.Context(), of)
	s.must(err)
	if len(all) != len(want) {
		s.Fatalf("%d messages instead of %d", len(all), len(want))
	}
	for i, n := range want {
		if m := aMessage(of, n); all[i].To != m.To || all[i].ID != m.ID || !bytes.Equal(all[i].Sealed, m.Sealed) || all[i].Day != m.Day {
			s.Errorf("%+v instead of %+v", all[i], m)
		}
	}
}

func (s *suite) kept(to id.Account, numbers ...byte) {
	s.Helper()
	for _, n := range numbers {
		s.must(s.KeepMessage(s.Context(), aMessage(to, n), anyNumber))
	}
}

func inOrder(s *suite) {
	a, b := s.made("ada"), s.made("bob")
	s.kept(a.ID, 9, 3, 5)
	s.kept(b.ID, 3)
	s.box(a.ID, 9, 3, 5)
	s.must(s.DropMessage(s.Context(), b.ID, id.Message{9})) // not bob's to drop
	s.must(s.DropMessage(s.Context(), a.ID, id.Message{3}))
	s.must(s.DropMessage(s.Context(), a.ID, id.Message{3})) // harmless
	s.box(a.ID, 9, 5)
	s.box(b.ID, 3)
	s.kept(a.ID, 4)
	s.box(a.ID, 9, 5, 4)
	s.box(id.New[id.Account]())
	s.want(s.KeepMessage(s.Context(), aMessage(id.New[id.Account](), 1), anyNumber), message.ErrUnknown)
}

func keptOnce(s *suite) {
	a := s.made("ada")
	s.kept(a.ID, 1)
	other := aMessage(a.ID, 1)
	other.Sealed = []byte("other")
	s.must(s.KeepMessage(s.Context(), other, anyNumber))
	s.must(s.KeepMessage(s.Context(), other, 1)) // even where the box is full
	s.box(a.ID, 1)
}

func boxFull(s *suite) {
	a, b := s.made("ada"), s.made("bob")
	s.kept(a.ID, 1, 2)
	s.want(s.KeepMessage(s.Context(), aMessage(a.ID, 3), 2), message.ErrFull)
	s.must(s.KeepMessage(s.Context(), aMessage(b.ID, 3), 2))
	s.must(s.DropMessage(s.Context(), a.ID, id.Message{1}))
	s.must(s.KeepMessage(s.Context(), aMessage(a.ID, 3), 2))
	s.box(a.ID, 2, 3)
}

func oldMessagesGo(s *suite) {
	a := s.made("ada")
	s.kept(a.ID, 1, 2, 3, 4)
	drop := func(before int64, limit, want int) {
		s.Helper()
		if n, err := s.DropMessages(s.Context(), before, limit); err != nil || n != want {
			s.Errorf("%d dropped instead of %d: %v", n, want, err)
		}
	}
	drop(someDay+1, 10, 0)
	drop(someDay+4, 2, 2)
	drop(someDay+4, 2, 1)
	s.box(a.ID, 4)
}

func erasedBox(s *suite) {
	a, b := s.made("ada"), s.made("bob")
	s.kept(a.ID, 1)
	s.kept(b.ID, 1)
	s.must(s.EraseAccount(s.Context(), a.ID))
	s.box(a.ID)
	s.box(b.ID, 1)
	s.want(s.KeepMessage(s.Context(), aMessage(a.ID, 2), anyNumber), message.ErrUnknown)
}

func raceForBox(s *suite) {
	a := s.made("ada")
	in := s.race(8, func(i int) error { return s.KeepMessage(s.Context(), aMessage(a.ID, byte(i+1)), 3) }, message.ErrFull)
	all, err := s.Messages(s.Context(), a.ID)
	s.must(err)
	if in != 3 || len(all) != 3 {
		s.Errorf("%d were taken and %d wait, of 3", in, len(all))
	}
}
