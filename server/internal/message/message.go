// Package message keeps what accounts leave for each other until it is fetched: sealed
// bytes by recipient (docs/protocol.md, Messages). It promises that what was taken is
// there for its recipient alone until it is dropped or too old, and that nobody fills
// somebody's box, or everybody's, without end. It opens nothing, and knows no SQL and
// no HTTP.
package message

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"holdfast/format/id"
	"holdfast/server/internal/bucket"
)

// Errors of the domain.
var (
	// ErrUnknown: no account has this handle.
	ErrUnknown = errors.New("no account has this handle")
	// ErrFull: as many messages as are kept wait for the recipient.
	ErrFull = errors.New("too many messages wait for this account")
	// ErrRequest: a message that is none.
	ErrRequest = errors.New("request")
)

// Limits.
const (
	// MaxSealed is the greatest message in bytes: an invitation has less than 3 KiB.
	MaxSealed = 8 << 10
	// most messages wait for one account.
	most = 100
	// keepDays is how long one waits.
	keepDays = 30
	// sendsAnHour bounds what one account sends.
	sendsAnHour = 60

	day  = 24 * 60 * 60
	hour = 60 * 60
)

// Message waits for an account.
type Message struct {
	To     id.Account
	ID     id.Message // drawn by the sender
	Sealed []byte
	Day    int64 // on which it came, since 1970-01-01 UTC
}

// Store keeps messages. Every write is one transaction that is durable when the call
// returns. Erasing an account forgets its messages.
type Store interface {
	// KeepMessage keeps a message, unless there is one of its id for the recipient: then
	// that one stays as it is. It fails with ErrUnknown, and with ErrFull if most wait.
	KeepMessage(ctx context.Context, m Message, most int) error
	// Messages of an account, those that came first before others.
	Messages(ctx context.Context, to id.Account) ([]Message, error)
	// DropMessage forgets a message of the account, if there is one of that id.
	DropMessage(ctx context.Context, to id.Account, message id.Message) error
	// DropMessages forgets at most limit messages that came before a day, and returns how many.
	DropMessages(ctx context.Context, before int64, limit int) (int, error)
}

// Service takes and gives messages. Make one with New.
type Service struct {
	store Store
	now   func() time.Time

	mu   sync.Mutex             // guards what follows
	sent map[id.Account][]int64 // when each account sent in the last hour, Unix seconds
}

// New makes a service.
func New(store Store, now func() time.Time) *Service {
	return &Service{store: store, now: now, sent: map[id.Account][]int64{}}
}

// Send leaves a message for an account. What it costs counts for the sender, taken or
// not: who tries handles is limited as well. It fails with *bucket.LimitedError,
// ErrRequest, ErrUnknown or ErrFull.
func (s *Service) Send(ctx context.Context, from id.Account, m Message) error {
	if len(m.Sealed) == 0 || len(m.Sealed) > MaxSealed {
		return fmt.Errorf("send message: %w: %d bytes, 1 to %d allowed", ErrRequest, len(m.Sealed), MaxSealed)
	}
	if m.ID.IsZero() {
		return fmt.Errorf("send message: %w: a message without an id", ErrRequest)
	}
	if err := s.count(from); err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	m.Day = s.now().Unix() / day
	if err := s.store.KeepMessage(ctx, m, most); err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	return nil
}

// count counts one more of the sender's.
func (s *Service) count(from id.Account) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now().Unix()
	sent := since(s.sent[from], now-hour)
	if len(sent) >= sendsAnHour {
		s.sent[from] = sent
		return &bucket.LimitedError{Wait: time.Duration(sent[0]+hour-now) * time.Second}
	}
	s.sent[from] = append(sent, now)
	return nil
}

// since are the times after one, of times in order.
func since(times []int64, after int64) []int64 {
	for len(times) > 0 && times[0] <= after {
		times = times[1:]
	}
	return times
}

// List are the messages of an account, those that came first before others.
func (s *Service) List(ctx context.Context, of id.Account) ([]Message, error) {
	all, err := s.store.Messages(ctx, of)
	if err != nil {
		return nil, fmt.Errorf("messages: %w", err)
	}
	return all, nil
}

// Drop forgets a message of an account. One that is not there is good as well.
func (s *Service) Drop(ctx context.Context, of id.Account, message id.Message) error {
	if err := s.store.DropMessage(ctx, of, message); err != nil {
		return fmt.Errorf("drop message: %w", err)
	}
	return nil
}

// DropOld forgets what waited for too long, and who sent nothing of late, for the
// background loop.
func (s *Service) DropOld(ctx context.Context, limit int) (int, error) {
	s.forgetSenders()
	return s.store.DropMessages(ctx, s.now().Unix()/day-keepDays, limit)
}

func (s *Service) forgetSenders() {
	s.mu.Lock()
	defer s.mu.Unlock()
	after := s.now().Unix() - hour
	for account, times := range s.sent {
		if len(since(times, after)) == 0 {
			delete(s.sent, account)
		}
	}
}
