package share

import (
	"context"
	"fmt"

	"holdfast/format/id"
)

// The steps of the sweep. Each does at most limit things and returns how many it
// did; fewer than limit means that nothing is left for now. What a step was
// stopped in the middle of, the next run finds again.

// ExpireLinks ends links whose time is over.
func (s *Service) ExpireLinks(ctx context.Context, limit int) (int, error) {
	now := s.now().Unix()
	handles, err := s.store.ExpiredLinks(ctx, now, limit)
	if err != nil {
		return 0, fmt.Errorf("expire links: %w", err)
	}
	return s.end(ctx, handles, Expired)
}

// FinishLinks ends links without a download left when their last session is over.
func (s *Service) FinishLinks(ctx context.Context, limit int) (int, error) {
	handles, err := s.store.SpentLinks(ctx, s.now().Unix(), limit)
	if err != nil {
		return 0, fmt.Errorf("finish links: %w", err)
	}
	return s.end(ctx, handles, UsedUp)
}

func (s *Service) end(ctx context.Context, handles []id.Handle, state State) (int, error) {
	for n, handle := range handles {
		if err := s.store.EndLink(ctx, handle, state, s.now().Unix()/day); err != nil {
			return n, fmt.Errorf("end link (%s): %w", state, err)
		}
	}
	return len(handles), nil
}

// DropSessions forgets sessions that are over.
func (s *Service) DropSessions(ctx context.Context, limit int) (int, error) {
	return s.store.DropSessions(ctx, s.now().Unix(), limit)
}

// DropTries forgets wrong tries that no longer count.
func (s *Service) DropTries(ctx context.Context, limit int) (int, error) {
	return s.store.DropTries(ctx, s.now().Unix(), limit)
}
