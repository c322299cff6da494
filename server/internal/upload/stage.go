package upload

import (
	"context"
	"crypto/ed25519"
	"fmt"

	"holdfast/format/id"
	"holdfast/format/ticket"
)

// Stage checks a page and keeps it. The same number may be sent again; the last
// one counts.
func (s *Service) Stage(ctx context.Context, upload id.Upload, secret string, number int, p *Page) error {
	u, err := s.open(ctx, upload, secret)
	if err != nil {
		return fmt.Errorf("stage page: %w", err)
	}
	if number < 0 || number >= maxPages {
		return fmt.Errorf("stage page: %w: page %d, 0 to %d allowed", ErrRequest, number, maxPages-1)
	}
	st, err := s.checkPage(ctx, u, p)
	if err != nil {
		return fmt.Errorf("stage page %d: %w", number, err)
	}
	most := min(stagedAtLeast+u.Budget/stagedPart, maxStaged)
	if err := s.store.StagePage(ctx, upload, number, st.encode(), most, maxAllStaged); err != nil {
		return fmt.Errorf("stage page %d: %w", number, err)
	}
	return nil
}

// checkPage checks everything that can be checked of a page by itself: shapes,
// sums, and the signature of every receipt.
func (s *Service) checkPage(ctx context.Context, u Upload, p *Page) (*staged, error) {
	if err := p.checkParts(); err != nil {
		return nil, err
	}
	var sum int64
	for _, b := range p.Blobs {
		sum += b.Size // no overflow: a page has less than 2^22 blobs of at most 2^23 bytes
	}
	if sum > u.Budget {
		return nil, fmt.Errorf("%w: blobs of %d bytes on one page, the budget is %d", ErrOverLimit, sum, u.Budget)
	}
	st := &staged{Blobs: p.Blobs, Revisions: p.Revisions}
	if len(p.Receipts) == 0 {
		return st, nil
	}
	keys, err := s.keys(ctx, u)
	if err != nil {
		return nil, err
	}
	for n, text := range p.Receipts {
		said, err := openReceipt(u.ID, keys, text)
		if err != nil {
			return nil, fmt.Errorf("%w: number %d: %w", ErrReceipt, n, err)
		}
		st.Receipts = append(st.Receipts, said)
	}
	return st, nil
}

// keys are the signing keys of the nodes that tickets of the upload named.
func (s *Service) keys(ctx context.Context, u Upload) ([]ed25519.PublicKey, error) {
	members, err := s.membersByID(ctx)
	if err != nil {
		return nil, err
	}
	var keys []ed25519.PublicKey
	seen := map[id.Node]bool{}
	for _, chain := range u.Chains {
		for _, n := range chain {
			if m, ok := members[n]; ok && !seen[n] {
				seen[n] = true
				keys = append(keys, m.Public)
			}
		}
	}
	return keys, nil
}

func openReceipt(upload id.Upload, keys []ed25519.PublicKey, text string) (statement, error) {
	envelope, err := ticket.ParseText(text)
	if err != nil {
		return statement{}, err
	}
	r, err := ticket.OpenAny[ticket.Receipt](keys, envelope)
	if err != nil {
		return statement{}, err
	}
	if r.Upload != upload {
		return statement{}, fmt.Errorf("it is for upload %s", r.Upload)
	}
	return statement{Node: r.Node, Blobs: r.Blobs}, nil
}
