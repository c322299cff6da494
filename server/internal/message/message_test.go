package message_test

import (
	"context"
	"errors"
	"testing"

	"holdfast/format/id"
	"holdfast/server/internal/bucket"
	"holdfast/server/internal/message"
	"holdfast/server/internal/servertest"
)

// box notes what the service asks of its store.
type box struct {
	kept   []message.Message
	most   int
	before int64
}

func (b *box) KeepMessage(_ context.Context, m message.Message, most int) error {
	b.kept, b.most = append(b.kept, m), most
	return nil
}

func (b *box) Messages(context.Context, id.Account) ([]message.Message, error) { return b.kept, nil }

func (b *box) DropMessage(context.Context, id.Account, id.Message) error { return nil }

func (b *box) DropMessages(_ context.Context, before int64, _ int) (int, error) {
	b.before = before
	return 0, nil
}

func TestLimitsOfMessages(t *testing.T) {
	clock, kept := servertest.NewClock(), &box{}
	s := message.New(kept, clock.Now)
	ada, bob := id.New[id.Account](), id.New[id.Account]()
	send := func(from id.Account, n int) error {
		return s.Send(t.Context(), from, message.Message{To: bob, ID: id.New[id.Message](), Sealed: make([]byte, n)})
	}
	for _, n := range []int{0, message.MaxSealed + 1} {
		if err := send(ada, n); !errors.Is(err, message.ErrRequest) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if err := s.Send(t.Context(), ada, message.Message{To: bob, Sealed: []byte("x")}); !errors.Is(err, message.ErrRequest) {
		t.Errorf("no id: %v", err)
	}
	for n := range 60 {
		if err := send(ada, message.MaxSealed); err != nil {
			t.Fatalf("message %d: %v", n, err)
		}
	}
	var limited *bucket.LimitedError
	if err := send(ada, 1); !errors.As(err, &limited) || limited.Seconds() != 3600 {
		t.Errorf("the 61st: %v", err)
	}
	if err := send(bob, 1); err != nil {
		t.Errorf("another's first: %v", err)
	}
	if len(kept.kept) != 61 || kept.most != 100 || kept.kept[0].Day != clock.Now().Unix()/86400 {
		t.Errorf("%d kept, %d at most, on day %d", len(kept.kept), kept.most, kept.kept[0].Day)
	}
	clock.Add(3600e9)
	if _, err := s.DropOld(t.Context(), 10); err != nil || kept.before != clock.Now().Unix()/86400-30 {
		t.Errorf("dropped before day %d: %v", kept.before, err)
	}
	if err := send(ada, 1); err != nil {
		t.Errorf("an hour later: %v", err)
	}
}
